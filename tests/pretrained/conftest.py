"""ONNX files for the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


@pytest.fixture
def linear_file() -> Callable[..., bytes]:
    """Gives the bytes of an ONNX file that computes a linear layer."""
    pytest.importorskip("onnxruntime")
    return as_file


def as_file(layer: nn.Linear, *, rows: int | None = None) -> bytes:
    """The bytes of an ONNX file that computes a linear layer, of so many rows at a time or of any number."""
    onnx: Any = pytest.importorskip("onnx")
    value, count = onnx.helper.make_tensor_value_info, rows or "n"
    reads = [value("a", onnx.TensorProto.FLOAT, [count, layer.in_features])]
    gives = [value("b", onnx.TensorProto.FLOAT, [count, layer.out_features])]
    weights = [onnx.numpy_helper.from_array(tensor.detach().numpy(), name) for name, tensor in layer.named_parameters()]
    node = onnx.helper.make_node("Gemm", ["a", "weight", "bias"], ["b"], transB=1)
    graph = onnx.helper.make_graph([node], "g", reads, gives, weights)
    opset = [onnx.helper.make_opsetid("", 18)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
