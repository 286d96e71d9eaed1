"""Sources, tables, splits, features, augmentation and loaders: from the data file to batches of named tensors."""

from jumpml.data._augment import Augmentation, Erase, Noise, Rotate, Shift
from jumpml.data._build import build_dataloader
from jumpml.data._column import Column
from jumpml.data._feature_map import FeatureMap
from jumpml.data._features import Feature, Index, OneHot, Standardize
from jumpml.data._loader import Loader
from jumpml.data._loaders import DataLoaders
from jumpml.data._split import random_split

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
