"""Kinds of field: how a raw value becomes a tensor, and back."""

from jumpml.data.kinds._category import decode_category, in_order, is_alphabetical
from jumpml.data.kinds._column import Column
from jumpml.data.kinds._decode import columns_read, decode
from jumpml.data.kinds._kind import Decoded, Kind
from jumpml.data.kinds._kinds import KINDS
from jumpml.data.kinds._raw import decoding, raw_rows
from jumpml.data.kinds._raw_column import RawColumn

__all__ = [
    "KINDS",
    "Column",
    "Decoded",
    "Kind",
    "RawColumn",
    "columns_read",
    "decode",
    "decode_category",
    "decoding",
    "in_order",
    "is_alphabetical",
    "raw_rows",
]
