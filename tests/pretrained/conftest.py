"""ONNX files for the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def write_onnx() -> Callable[..., bytes]:
    """Gives the bytes of an ONNX file that computes a module of some inputs of three numbers."""
    pytest.importorskip("onnxruntime")
    return to_onnx


def to_onnx(
    module: nn.Module,
    *,
    inputs: int = 1,
    dynamic: bool = True,
    names: tuple[str, ...] = (),
    outputs: tuple[str, ...] = (),
) -> bytes:
    """The bytes of an ONNX file."""
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(
        module.eval(),
        tuple(torch.randn(4, 3) for _ in range(inputs)),
        dynamo=True,
        dynamic_shapes=tuple({0: batch} for _ in range(inputs)) if dynamic else None,
        input_names=list(names) or None,
        output_names=list(outputs) or None,
        verbose=False,
    )
    if program is None:
        pytest.fail("torch.onnx.export returned nothing")
    return program.model_proto.SerializeToString()
