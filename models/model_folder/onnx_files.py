"""The ONNX files that a model folder may hold, and the bytes by which they are known.

The module imports nothing, because the command line reads it before it knows which packages are installed.
"""

ONNX_FILES = ("model.onnx", "model-d.onnx")
"""G and D as ONNX files (`training.onnx_export`)."""

ONNX_PRODUCER, ONNX_IR_VERSION = "gan-service", 10
ONNX_START = bytes([0x08, ONNX_IR_VERSION, 0x12, len(ONNX_PRODUCER)]) + ONNX_PRODUCER.encode()
"""The first bytes of these files: fields 1 and 2 of the format, version and producer."""
