"""From PyTorch to ONNX."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from jumpml.core import DeploymentError
from jumpml.deploy._difference import TOLERANCE, largest_difference, scale
from jumpml.deploy._session import Session
from jumpml.pretrained import put_files_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_CHATTER = (  # loggers that tell of
    "torch.onnx._internal.exporter._registration",  # torchvision that is not installed, at every export
    "onnxscript.optimizer._constant_folding",  # what cannot be computed ahead
    "onnx_ir.passes.common.initializer_deduplication",  # what cannot be stored once
)


class NamedModule(nn.Module):
    """A module whose inputs and outputs have names in an ONNX file.

    Attributes:
        fields: The names of `forward`'s arguments, ``[batch, ...]`` each.
        output_names: Those of the tuple that it returns.
    """

    fields: tuple[str, ...]
    output_names: tuple[str, ...]


def export_onnx(module: NamedModule, rows: Mapping[str, NDArray], path: Path) -> None:
    """Write a module as one ONNX file whose batch may have any size.

    Args:
        module: In evaluation mode, on the CPU.
        rows: Decoded values by field, at least one row.
        path: The file.

    Raises:
        DeploymentError: The module does something that ONNX has no word for.
    """
    import onnx

    # Two equal rows: torch takes a batch of one for a constant.
    example = tuple(torch.from_numpy(rows[field][:1].repeat(2, axis=0)) for field in module.fields)
    batch = torch.export.Dim("batch")
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                module,
                example,
                path,
                dynamo=True,
                external_data=False,
                verbose=False,
                input_names=list(module.fields),
                output_names=list(module.output_names),
                dynamic_shapes=(tuple({0: batch} for _ in example),),
            )
    except Exception as error:
        raise DeploymentError(f"the model cannot be exported to ONNX: {_reason(error)}") from error
    graph = onnx.load(path)
    put_files_in(graph, module)
    if not all(value.type.tensor_type.shape.dim[0].dim_param for value in graph.graph.input):
        raise DeploymentError(
            "the model cannot be exported to ONNX for batches of any size: a module makes the number of rows a "
            "constant. Where it says len(x) or int(x.shape[0]), x.shape[0] will do."
        )
    _strip(graph)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def verify_export(module: NamedModule, rows: Mapping[str, NDArray], path: Path) -> None:
    """Compare the file with the module on rows.

    Args:
        module: In evaluation mode, on the CPU.
        rows: Decoded values by field.
        path: The file.

    Raises:
        DeploymentError: An output differs by more than rounding does.
    """
    apart, size = (dict.fromkeys(module.output_names, 0.0) for _ in range(2))
    for place, outputs in Session(path).batches(rows):
        with torch.no_grad():
            expected = module(*(torch.from_numpy(rows[field][place]) for field in module.fields))
        for name, values in zip(module.output_names, expected, strict=True):
            apart[name] = max(apart[name], largest_difference(outputs[name], values.numpy()))
            size[name] = max(size[name], scale(values.numpy()))
    for name, difference in apart.items():
        allowed = TOLERANCE * size[name]
        if difference > allowed:
            raise DeploymentError(
                f"the exported file does not compute what the model computes: {name!r} differs by {difference:.3g} on "
                f"the test rows, where rounding explains {allowed:.3g}. Look for a module that behaves differently "
                "while it is exported, or that draws random numbers in evaluation mode."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' talk of themselves, which no user of JumpML can act on."""
    levels = {logger: logger.level for logger in map(logging.getLogger, _CHATTER)}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.filterwarnings("ignore", "The tensor attributes? .* assigned during export", UserWarning)
            warnings.filterwarnings("ignore", "# The axis name: batch will not be used", UserWarning)  # with two inputs
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _reason(error: BaseException) -> str:
    """What went wrong at the bottom of torch's chain of errors, with the node where it happened."""
    notes: list[str] = []
    while True:
        notes += [note for note in getattr(error, "__notes__", ()) if note.startswith("in node")]
        if error.__cause__ is None:
            break
        error = error.__cause__
    text = str(error).strip().partition("\n\n")[0]
    return f"{type(error).__name__}: {text}" + "".join(f" ({note})" for note in notes[-1:])


def _strip(graph: Any) -> None:
    """Take out the stack traces, which tell the paths of this machine and make a small file twice as large."""
    del graph.metadata_props[:]
    for part in (graph.graph, *graph.graph.node, *graph.graph.input, *graph.graph.output, *graph.graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    for tensor in graph.graph.initializer:
        del tensor.metadata_props[:]
