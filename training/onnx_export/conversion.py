"""Conversion: PyTorch's exporter writes a network as an ONNX graph, which is then freed of what a file does not need.

The exporter follows the network's own operations, so a new architecture needs no code here.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import numpy as np
import onnx
import onnxscript  # noqa: F401  (PyTorch's exporter needs it; if it is missing, the error comes from here)
import torch
from onnx import helper, numpy_helper
from torch import nn

from models import __version__
from models.model_folder.onnx_files import ONNX_IR_VERSION, ONNX_PRODUCER
from training.errors import OnnxError

OPSET = 18

LARGEST_WHOLE = 127
FEWEST_VALUES = 1024
"""Weights of at least this many values are stored as whole numbers of 8 bits if they all are such numbers."""


def convert(network: nn.Module, inputs: Mapping[str, torch.Tensor], *, output: str) -> onnx.ModelProto:
    """Convert a network to an ONNX model whose inputs and output have any number of rows, "N".

    Equal networks give equal models. Weights that are whole numbers, as those of a quantised G, are stored in 8 bits.

    Args:
        network: the network, in evaluation mode, on the CPU.
        inputs: an example of each input with two rows, by its name in the model, in the order of the arguments.
        output: the name of the output.

    Returns:
        A model of `OPSET` with the names of inputs and output, and the producer; nothing describes it yet.

    Raises:
        OnnxError: the network computes something for one number of rows only.
    """
    rows = torch.export.Dim("N")
    with torch.no_grad(), _quiet_exporter():
        program = torch.onnx.export(
            network,
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=tuple({0: rows} for _ in inputs),
            external_data=False,
            verbose=False,
        )
    model: onnx.ModelProto = cast("torch.onnx.ONNXProgram", program).model_proto  # None of the older exporter only
    _check_rows(model.graph)
    _remove_notes(model)
    _store_whole_numbers(model.graph)
    model.ir_version, model.producer_name, model.producer_version = ONNX_IR_VERSION, ONNX_PRODUCER, __version__
    return model


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep back what PyTorch's exporter says about its own code, about packages that we do not use, and about names."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.filterwarnings("ignore", "# The axis name: N will not be used", UserWarning)
            yield
    finally:
        log.setLevel(before)


def _check_rows(graph: onnx.GraphProto) -> None:
    """Check that the number of rows is free. A layer that uses it as a Python number, as by `len`, fixes it.

    Raises:
        OnnxError: it is not free.
    """
    for end in (*graph.input, *graph.output):
        rows = end.type.tensor_type.shape.dim[0]
        if rows.dim_param != "N":
            raise OnnxError(
                f"{end.name} of the graph has {rows.dim_value} rows instead of any number: a layer uses the number of "
                "rows as a constant; let it use `x.shape[0]` in place of `len(x)`"
            )


def _remove_notes(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes: they name files of this machine, and are as long as a small network."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""


def _store_whole_numbers(graph: onnx.GraphProto) -> None:
    """Store weights that are whole numbers within ±127 in a quarter of the bytes.

    ONNX Runtime converts them to float32 when it loads the file, so nothing is computed differently.
    """
    conversions = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < FEWEST_VALUES:
            continue
        values = numpy_helper.to_array(tensor)
        if np.any(np.abs(values) > LARGEST_WHOLE) or np.any(values != np.rint(values)):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.int8), f"{name}.int8"))
        conversions.append(helper.make_node("Cast", [tensor.name], [name], f"{name}.cast", to=onnx.TensorProto.FLOAT))
    nodes = [*conversions, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
