"""Models and weights that were made elsewhere: files, checkpoints, hubs. Nothing that a file holds is run."""

from jumpml.pretrained._fill import fill, load_weights, match
from jumpml.pretrained._onnx import OnnxModel, has_onnx
from jumpml.pretrained._splice import put_files_in
from jumpml.pretrained._timm import TimmModel
from jumpml.pretrained._transformers import SentenceModel, TransformersModel
from jumpml.pretrained._vocabulary import tokens_problem
from jumpml.pretrained._weights import Weights, read_weights

__all__ = [
    "OnnxModel",
    "SentenceModel",
    "TimmModel",
    "TransformersModel",
    "Weights",
    "fill",
    "has_onnx",
    "load_weights",
    "match",
    "put_files_in",
    "read_weights",
    "tokens_problem",
]
