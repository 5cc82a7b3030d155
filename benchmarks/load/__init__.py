"""Load on a service by wrk, and the options of the commands that put it there. It may import `harness` and `models`."""
