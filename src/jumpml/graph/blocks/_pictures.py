"""What blocks for pictures have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from jumpml.graph.blocks._sizes import check_sizes, check_widths


def check_pictures(block: str, image: Tensor) -> None:
    """Refuse what are no pictures.

    Raises:
        ValueError: They are none.
    """
    if image.ndim != 4:
        raise ValueError(f"{block} reads pictures [batch, channels, height, width]; got {list(image.shape)}.")


def layers_by_level(widths: Sequence[int], layers: int | Sequence[int]) -> list[int]:
    """How many layers each level has.

    Raises:
        ValueError: There are no levels, a size is no whole number of 1 or more, or there is another number of
            ``layers`` than of levels.
    """
    check_widths(widths)
    if not isinstance(layers, Sequence):
        check_sizes(layers=layers)
        return [layers] * len(widths)
    check_widths(layers, "layers")
    if len(layers) != len(widths):
        raise ValueError(f"layers must be one number, or as many as widths, {len(widths)}; got {list(layers)}.")
    return list(layers)


@final
class WholePatches(nn.Module):
    """Zeros behind a picture whose size is no multiple of a patch's, so that no pixel is lost."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch

    def forward(self, values: Tensor) -> Tensor:
        height, width = values.shape[2:]
        return F.pad(values, (0, -width % self.patch, 0, -height % self.patch))
