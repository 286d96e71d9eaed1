"""The steps that a file can name, as instances that know no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from jumpml.core import DataError, local, resolve_class
from jumpml.data.features._bounds import Clip, Log
from jumpml.data.features._codes import Hash, Index, OneHot
from jumpml.data.features._custom import Custom
from jumpml.data.features._dates import Cycles, Elapsed
from jumpml.data.features._impute import Impute
from jumpml.data.features._pictures import CenterCrop, Greyscale, Normalize, Resize
from jumpml.data.features._pretrained import Pretrained
from jumpml.data.features._quantile import Quantile
from jumpml.data.features._recordings import MFCC, LogMel
from jumpml.data.features._scale import RobustScale, Standardize
from jumpml.data.features._series import Difference, Lags, ZNorm
from jumpml.data.features._table import Encode
from jumpml.data.features._target import TargetEncode
from jumpml.data.features._tokens import Bag, TfIdf
from jumpml.pretrained import OnnxModel, SentenceModel, TimmModel, TransformersModel, fill, read_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from jumpml.data.features._feature import Feature

FEATURES: dict[str, type[Feature]] = {
    step.name: step
    for step in (
        *(Standardize, RobustScale, Quantile, Clip, Log, Impute),
        *(OneHot, Index, Hash, TargetEncode),
        *(Cycles, Elapsed, Bag, TfIdf),
        *(Resize, CenterCrop, Normalize, Greyscale),
        *(LogMel, MFCC, Lags, Difference, ZNorm, Encode),
    )
}


def build_feature(step: Any, folder: Path, trust: Collection[str]) -> Feature:
    """The step behind one step of a file, not fitted yet.

    Args:
        step: A `jumpml.core.FeatureStep`.
        folder: Where relative paths start.
        trust: Packages beside ``torch.nn`` and ``jumpml`` that modules may come from.

    Raises:
        DataError: The settings do not fit together.
        PretrainedError: A model cannot be loaded.
        UntrustedNameError: A module's name is unknown or not trusted.
    """
    told = step.chosen()
    if step.name == "module":
        return Custom(_new_module(told.name, told.args, trust))
    if step.name == "pretrained":
        return Pretrained(_model(told, folder, trust), output=told.output)
    return FEATURES[step.name](**told.model_dump())


def _model(told: Any, folder: Path, trust: Collection[str]) -> nn.Module:
    if told.timm is not None:
        return TimmModel(told.timm, told.args)
    if told.transformers is not None:
        return TransformersModel(local(told.transformers, folder))
    if told.sentences is not None:
        return SentenceModel(local(told.sentences, folder))
    path = folder / told.file
    if path.suffix == ".onnx" and path.is_file():
        return _onnx(path, told.module)
    weights = read_weights(path)
    if told.module is None:
        raise DataError(f"{path} holds weights only. Name the class that they are of under `module`.")
    module = _new_module(told.module, told.args, trust)
    fill(module, weights)
    return module


def _onnx(path: Path, module: str | None) -> OnnxModel:
    if module is not None:
        raise DataError("an ONNX file is a whole model, so that `module` would change nothing. Leave it out.")
    model = OnnxModel.from_file(path)
    if len(model.input_names) != 1:
        names = ", ".join(model.input_names)
        raise DataError(f"{path}: an ONNX file as a feature reads one value; this one reads {names}.")
    return model


def _new_module(name: str, arguments: Mapping[str, Any], trust: Collection[str]) -> nn.Module:
    """A module by its class's name."""
    cls = resolve_class(name, nn.Module, trust)
    try:
        return cls(**arguments)
    except Exception as error:  # a user's class may fail in any way
        told = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise DataError(f"{name}({told}) fails: {type(error).__name__}: {error}") from error
