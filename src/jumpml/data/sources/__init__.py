"""Where rows come from."""

from jumpml.data.sources._array_files import IdxSource, NpySource
from jumpml.data.sources._arrays import ArraySource
from jumpml.data.sources._arrow import ArrowSource
from jumpml.data.sources._blob import Blob, BytesBlob, FileBlob, TarBlob, ZipBlob, file_blob
from jumpml.data.sources._by_split import SPLIT_COLUMN, SplitSource
from jumpml.data.sources._concat import ConcatSource
from jumpml.data.sources._csv import CsvSource
from jumpml.data.sources._data_file import DataFile
from jumpml.data.sources._files import AUDIO_SUFFIXES, IMAGE_SUFFIXES, FilesSource
from jumpml.data.sources._huggingface import HuggingFaceSource
from jumpml.data.sources._json import JsonSource
from jumpml.data.sources._npz import NpzSource
from jumpml.data.sources._open import missing_columns, open_dataset, open_source
from jumpml.data.sources._parquet import ParquetSource
from jumpml.data.sources._pattern import PathPattern
from jumpml.data.sources._sklearn import SklearnSource
from jumpml.data.sources._source import Source
from jumpml.data.sources._sql import SqlSource
from jumpml.data.sources._texts import TextSource
from jumpml.data.sources._webdataset import WebDatasetSource

__all__ = [
    "AUDIO_SUFFIXES",
    "ArraySource",
    "ArrowSource",
    "Blob",
    "BytesBlob",
    "ConcatSource",
    "CsvSource",
    "DataFile",
    "FileBlob",
    "FilesSource",
    "HuggingFaceSource",
    "IMAGE_SUFFIXES",
    "IdxSource",
    "JsonSource",
    "NpySource",
    "NpzSource",
    "ParquetSource",
    "PathPattern",
    "SPLIT_COLUMN",
    "SklearnSource",
    "Source",
    "SplitSource",
    "SqlSource",
    "TarBlob",
    "TextSource",
    "WebDatasetSource",
    "ZipBlob",
    "file_blob",
    "missing_columns",
    "open_dataset",
    "open_source",
]
