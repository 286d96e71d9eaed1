"""Sources, tables, splits, features, augmentation and loaders: from the data file to batches of named tensors."""

from jumpml.data._build import build_dataloader
from jumpml.data._loader import Loader
from jumpml.data._loaders import DataLoaders
from jumpml.data.augment._augmentations import Augmentation, Erase, Noise, Rotate, Shift
from jumpml.data.features._feature_map import FeatureMap
from jumpml.data.features._features import Feature, Index, OneHot, Standardize
from jumpml.data.kinds._column import Column
from jumpml.data.splits._random import random_split

__all__ = [
    "Augmentation",
    "Column",
    "DataLoaders",
    "Erase",
    "Feature",
    "FeatureMap",
    "Index",
    "Loader",
    "Noise",
    "OneHot",
    "Rotate",
    "Shift",
    "Standardize",
    "build_dataloader",
    "random_split",
]
