"""The optional packages that exporting needs."""

from __future__ import annotations

from importlib.util import find_spec

from jumpml.core import MissingExtraError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def require_onnx() -> None:
    """Make sure that a model can be exported and run.

    Raises:
        MissingExtraError: A package is not installed.
    """
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingExtraError(package, "deploy", "exporting a model")
