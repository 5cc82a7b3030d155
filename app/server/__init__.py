"""The socket and the processes.

`uvicorn_server` serves on a socket. `protocol` is uvicorn's HTTP with `admission` (429 under overload) and the
`fast_path` for small answers. `sweeper` ends connections whose client does nothing for too long. `supervisor` starts
and replaces several `worker` processes, which share a `shared_folder`.

This package may import everything else in `app` except `__main__`, `ray` and `write_openapi`, which import it.
"""
