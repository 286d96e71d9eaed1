"""Sources, tables, splits, features, augmentation and loaders: from the data file to batches of named tensors."""

from jumpml.data._bucket import Bucketed
from jumpml.data._build import build_dataloader
from jumpml.data._loader import Loader
from jumpml.data._loaders import DataLoaders
from jumpml.data._order import Epoch, InOrder, Mixture, Order, Round
from jumpml.data._pools import Balanced, Group, Pool, Shuffled, Streamed, Weighted
from jumpml.data._preferred import Preferred
from jumpml.data._ranking import Paced, Ranking
from jumpml.data._share import Share
from jumpml.data._stream import Stream
from jumpml.data.augment._augmentation import Augmentation, Made, Mixing, Telling
from jumpml.data.augment._drawing import draw_examples
from jumpml.data.augment._geometry import Affine, Crop, Flip, Rotate, Shift
from jumpml.data.augment._hiding import Hide
from jumpml.data.augment._mixing import CutMix, Mixup
from jumpml.data.augment._numbers import Noise, SwapNoise
from jumpml.data.augment._pictures import Blur, Colour, Erase
from jumpml.data.augment._policies import Policies
from jumpml.data.augment._pretexts import Jigsaw, QuarterTurn, Reorder
from jumpml.data.augment._rand_augment import RandAugment
from jumpml.data.augment._recordings import Gain, MaskFrequency, MaskTime, TimeShift
from jumpml.data.augment._series import CropSteps, MaskSteps, Permute, Scale
from jumpml.data.augment._tokens import DropTokens, MaskTokens
from jumpml.data.features._bounds import Clip, Log
from jumpml.data.features._codes import Hash, Index, OneHot
from jumpml.data.features._custom import Custom
from jumpml.data.features._dates import Cycles, Elapsed
from jumpml.data.features._feature import Feature
from jumpml.data.features._feature_map import FeatureMap
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
from jumpml.data.features._train_rows import TrainRows
from jumpml.data.inferring._infer import infer_table
from jumpml.data.inferring._records import ColumnGuess, TableGuess
from jumpml.data.kinds import Column
from jumpml.data.kinds._tokenize import Tokenizer
from jumpml.data.profiling._profile import profile
from jumpml.data.profiling._records import FieldProfile, Profile, Suspicion, VariableProfile
from jumpml.data.sources import ArraySource, Blob, Source
from jumpml.data.splits._random import fold_split, random_split
from jumpml.data.splits._splits import Splits
from jumpml.data.splits._stable import stable_split
from jumpml.data.splits._timed import time_split

__all__ = [
    "Affine",
    "ArraySource",
    "Augmentation",
    "Bag",
    "Balanced",
    "Blob",
    "Blur",
    "Bucketed",
    "CenterCrop",
    "Clip",
    "Colour",
    "Column",
    "ColumnGuess",
    "Crop",
    "CropSteps",
    "Custom",
    "CutMix",
    "Cycles",
    "DataLoaders",
    "Difference",
    "DropTokens",
    "Elapsed",
    "Encode",
    "Epoch",
    "Round",
    "Stream",
    "Erase",
    "Feature",
    "FeatureMap",
    "FieldProfile",
    "Flip",
    "Gain",
    "Greyscale",
    "Hash",
    "Hide",
    "Impute",
    "InOrder",
    "Index",
    "Jigsaw",
    "Lags",
    "Loader",
    "Log",
    "LogMel",
    "MFCC",
    "Made",
    "MaskFrequency",
    "MaskSteps",
    "MaskTime",
    "MaskTokens",
    "Mixing",
    "Mixture",
    "Mixup",
    "Noise",
    "Normalize",
    "OneHot",
    "Order",
    "Permute",
    "Policies",
    "Pool",
    "Group",
    "Ranking",
    "Paced",
    "Preferred",
    "Pretrained",
    "Profile",
    "Quantile",
    "QuarterTurn",
    "RandAugment",
    "Reorder",
    "Resize",
    "RobustScale",
    "Rotate",
    "Scale",
    "Shift",
    "Share",
    "Shuffled",
    "Source",
    "Splits",
    "Standardize",
    "Streamed",
    "Suspicion",
    "SwapNoise",
    "TableGuess",
    "TargetEncode",
    "Telling",
    "TfIdf",
    "TimeShift",
    "Tokenizer",
    "TrainRows",
    "VariableProfile",
    "Weighted",
    "ZNorm",
    "build_dataloader",
    "draw_examples",
    "fold_split",
    "infer_table",
    "profile",
    "random_split",
    "stable_split",
    "time_split",
]
