"""All kinds by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from jumpml.data.kinds._audio import AudioKind
from jumpml.data.kinds._category import CategoryKind
from jumpml.data.kinds._date import DateKind
from jumpml.data.kinds._image import ImageKind
from jumpml.data.kinds._mask import MaskKind
from jumpml.data.kinds._multilabel import MultilabelKind
from jumpml.data.kinds._number import NumberKind
from jumpml.data.kinds._series import SeriesKind
from jumpml.data.kinds._table import TableKind
from jumpml.data.kinds._tensor import TensorKind
from jumpml.data.kinds._text import TextKind
from jumpml.data.kinds._token_labels import TokenLabelsKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.data.kinds._kind import Kind

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            NumberKind(),
            CategoryKind(),
            MultilabelKind(),
            DateKind(),
            ImageKind(),
            MaskKind(),
            AudioKind(),
            SeriesKind(),
            TextKind(),
            TokenLabelsKind(),
            TensorKind(),
            TableKind(),
        )
    }
)
