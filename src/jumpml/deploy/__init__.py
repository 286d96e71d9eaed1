"""Compress, export, verify, judge, bundle; and the runtime that a bundle needs."""

from jumpml.deploy._build import build_deployment, check_deployment
from jumpml.deploy._bundle import add_file
from jumpml.deploy._changes import Change, Distill, Factorize, Lessons, Quantize
from jumpml.deploy._deploy import deploy
from jumpml.deploy._deployment import Deployment
from jumpml.deploy._export import NamedModule, export_onnx, verify_export
from jumpml.deploy._extra import require_onnx
from jumpml.deploy._factorize import Factorization, ThinLinear, factorize
from jumpml.deploy._gate import Gate
from jumpml.deploy._runtime import BundleError, Predictor, read_rows, stream_rows

__all__ = [
    "build_deployment",
    "check_deployment",
    "deploy",
    "Deployment",
    "Change",
    "Quantize",
    "Factorize",
    "Lessons",
    "Distill",
    "Gate",
    "factorize",
    "Factorization",
    "ThinLinear",
    "add_file",
    "Predictor",
    "read_rows",
    "stream_rows",
    "BundleError",
    "NamedModule",
    "export_onnx",
    "verify_export",
    "require_onnx",
]
