"""Pictures of another size, of other colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F
from torch import Tensor

from jumpml.core import DataError
from jumpml.data.features._feature import Feature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows

_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601


@final
class Resize(Feature):
    """Pictures of another height and width, bilinear; one that shrinks is smoothed, so that nothing flickers.

    Args:
        height: Of what goes out, in pixels.
        width: Likewise.

    Attributes:
        down: float32 ``[height, height that comes in]``, what each new row takes of the old ones.
        across: float32 ``[width that comes in, width]``, likewise for columns.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> pictures, step = Column(torch.rand(5, 3, 8, 6), "image"), Resize(4, 4)
        >>> step.fit(TrainRows(pictures.values), pictures.info("photo"))
        >>> step(pictures.values).shape
        torch.Size([5, 3, 4, 4])
    """

    name = "resize"
    reads = ("numbers",)
    learns = ("down", "across")
    down: Tensor
    across: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """Needs pictures."""
        return _only_pictures(self.name, field)

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Make the two matrices: bilinear resizing is linear in the rows and in the columns, and a runtime knows them.

        Raises:
            DataError: What comes in are no pictures any more.
        """
        first = next(train.blocks())
        height, width = _size(self.name, first)
        down = F.interpolate(
            torch.eye(height)[None, None], (self.height, height), mode="bilinear", align_corners=False, antialias=True
        )
        across = F.interpolate(
            torch.eye(width)[None, None], (width, self.width), mode="bilinear", align_corners=False, antialias=True
        )
        self.learn(down=down[0, 0], across=across[0, 0])

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, channels, height, width]``."""
        return self.down @ values @ self.across


@final
class CenterCrop(Feature):
    """The middle of pictures.

    Args:
        height: Of what goes out, in pixels.
        width: Likewise.

    Example:
        >>> CenterCrop(1, 2)(torch.arange(12.0).view(1, 1, 3, 4))
        tensor([[[[5., 6.]]]])
    """

    name = "crop"
    reads = ("numbers",)

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """Needs pictures."""
        return _only_pictures(self.name, field)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, channels, height, width]``.

        Raises:
            DataError: What comes in are no pictures, or smaller ones.
        """
        height, width = _size(self.name, values)
        top, left = (height - self.height) // 2, (width - self.width) // 2
        if top < 0 or left < 0:
            raise DataError(f"crop to {self.height} x {self.width}: the pictures have only {height} x {width} pixels.")
        return values[:, :, top : top + self.height, left : left + self.width]


@final
class Normalize(Feature):
    """Pictures less a given mean a channel, divided by a given deviation, as a pretrained model may ask for.

    Args:
        mean: One a channel, in units of the decoded field: from 0 to 1.
        std: Likewise, above 0.

    Attributes:
        mean, std: float32 ``[channels, 1, 1]``.

    Raises:
        DataError: The two do not have one value a channel each.

    Example:
        >>> Normalize([0.5], [0.25])(torch.ones(1, 1, 1, 1))
        tensor([[[[2.]]]])
    """

    name = "normalize"
    reads = ("numbers",)
    learns = ("mean", "std")
    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std):
            raise DataError(f"normalize: expected as many deviations as means, got {len(std)} and {len(mean)}.")
        self.learn(mean=torch.tensor(mean).float().view(-1, 1, 1), std=torch.tensor(std).float().view(-1, 1, 1))

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """Needs pictures of as many channels."""
        return _only_pictures(self.name, field)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 of the same shape.

        Raises:
            DataError: What comes in are no pictures, or of another number of channels.
        """
        _size(self.name, values)
        if values.shape[1] != self.mean.shape[0]:
            raise DataError(
                f"normalize: got {self.mean.shape[0]} means for pictures of {values.shape[1]} channels; give one each."
            )
        return (values - self.mean) / self.std

    def inverse(self, values: Tensor) -> Tensor:
        """The pictures as they came in."""
        return values * self.std + self.mean


@final
class Greyscale(Feature):
    """Pictures of red, green and blue as their brightness, one channel: 0.299, 0.587 and 0.114 of them (BT.601).

    Example:
        >>> Greyscale()(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1))
        tensor([[[[0.2990]]]])
    """

    name = "greyscale"
    reads = ("numbers",)

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """Needs pictures."""
        return _only_pictures(self.name, field)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, 1, height, width]`` of ``[batch, 3, height, width]``.

        Raises:
            DataError: What comes in are no pictures of three channels.
        """
        _size(self.name, values)
        if values.shape[1] != len(_LUMA):
            raise DataError(f"greyscale: expected 3 channels, red, green and blue; got {values.shape[1]}.")
        red, green, blue = (values[:, index : index + 1] * share for index, share in enumerate(_LUMA))
        return red + green + blue


def _only_pictures(step: str, field: FieldInfo) -> str:
    return "" if field.kind == "image" else f"{step} is for images; this field is a {field.kind}."


def _size(step: str, values: Tensor) -> tuple[int, int]:
    if values.dim() != 4:
        raise DataError(f"{step}: expected [batch, channels, height, width], got {list(values.shape)}.")
    return values.shape[2], values.shape[3]
