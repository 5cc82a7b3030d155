"""The socket and the processes: uvicorn, connections, admission, the fast path, workers.

May import everything else in `app`. Nothing imports this room but `app.__main__` and `app.ray`.
"""
