"""ONNX: write G and D of a model folder as files that ONNX Runtime runs without this project.

    networks.py      what the files compute: the class that is asked for, G, D, and pixels
    conversion.py    a network becomes an ONNX file, with weights in few bytes
    description.py   what the files say about the model: its name, its latents, its licence
    checker.py       compares a file in ONNX Runtime with the folder in this program
    write.py         converts and compares both networks, and only then writes the files

The packages of the extra `onnx` are imported when a file is made. This package may import `training.errors` and the
package `models`.
"""
