"""What a GPU does with this project: steps of training, ways to make them faster, and pictures, each beside the CPU's.

`__main__` is the command `python -m benchmarks.gpu`; `make gpu-check` runs it. Every measurement takes the device as an
argument, so that the same code can be rehearsed on the CPU.
"""
