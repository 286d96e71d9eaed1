"""The steps that a file can name, as instances that know no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import DataError
from jumpml.data.features._bounds import Clip, Log
from jumpml.data.features._codes import Hash, Index, OneHot
from jumpml.data.features._custom import Custom
from jumpml.data.features._dates import Cycles, Elapsed
from jumpml.data.features._impute import Impute
from jumpml.data.features._models import WEIGHTS, OnnxModel, TransformersModel, load_weights, new_module
from jumpml.data.features._pictures import CenterCrop, Greyscale, Normalize, Resize
from jumpml.data.features._pretrained import Pretrained
from jumpml.data.features._quantile import Quantile
from jumpml.data.features._recordings import MFCC, LogMel
from jumpml.data.features._scale import RobustScale, Standardize
from jumpml.data.features._series import Difference, Lags, ZNorm
from jumpml.data.features._table import Encode
from jumpml.data.features._target import TargetEncode
from jumpml.data.features._tokens import Bag, TfIdf

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from torch import nn

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
        DataError: The settings do not fit together, or a model cannot be loaded.
        UntrustedNameError: A module's name is unknown or not trusted.
    """
    told = step.chosen()
    if step.name == "module":
        return Custom(new_module(told.name, told.args, trust))
    if step.name == "pretrained":
        return Pretrained(_model(told, folder, trust), output=told.output)
    return FEATURES[step.name](**told.model_dump())


def _model(told: Any, folder: Path, trust: Collection[str]) -> nn.Module:
    if told.transformers is not None:
        return TransformersModel(str(folder / told.transformers) if told.transformers[0] == "." else told.transformers)
    path = folder / told.file
    if not path.is_file():
        raise DataError(f"there is no file {path}.")
    if path.suffix == ".onnx":
        if told.module is not None:
            raise DataError("an ONNX file is a whole model, so that `module` would change nothing. Leave it out.")
        return OnnxModel(path.read_bytes())
    if path.suffix not in WEIGHTS:
        raise DataError(
            f"{path}: expected .onnx, or weights in {', '.join(WEIGHTS)}; got {path.suffix or 'no ending'}."
        )
    if told.module is None:
        raise DataError(f"{path} holds weights only. Name the class that they are of under `module`.")
    return load_weights(new_module(told.module, told.args, trust), path)
