"""A node in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, final

from jumpml.core import DeploymentError
from jumpml.deploy import NamedModule, export_onnx, require_onnx, verify_export

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.testing._case import Case


def check_export(case: Case) -> str:
    """Exported to ONNX it computes the same in ONNX Runtime, whatever the number of rows."""
    require_onnx()
    module = _Named(case)
    rows = {name: value.numpy() for name, value in zip(module.fields, case.values, strict=True)}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "node.onnx"
        try:
            export_onnx(module, rows, path)
            for count in (case.rows, 1):
                verify_export(module, {name: value[:count] for name, value in rows.items()}, path)
        except DeploymentError as error:
            return f"expected it to be exported to ONNX for batches of any size; {error}"
    return ""


@final
class _Named(NamedModule):
    """The module with names for its inputs and outputs."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.module = case.copy()
        self._call = case.call
        self.fields = tuple(f"input_{name}" for name in case.names)
        self.output_names = tuple(f"output_{name}" for name in case.run(case.values))
        self.eval()

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        return tuple(self._call(values, self.module).values())
