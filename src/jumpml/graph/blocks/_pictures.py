"""What blocks for pictures have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence


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
        ValueError: There are no levels, a number is below 1, or there is another number of ``layers`` than of levels.
    """
    counts = [layers] * len(widths) if isinstance(layers, int) else list(layers)
    if not widths or min(*widths, *counts, 1) < 1 or len(counts) != len(widths):
        raise ValueError(
            "widths must hold at least one number, and layers as many, each 1 or more; got "
            f"{list(widths)} and {layers}."
        )
    return counts


@final
class WholePatches(nn.Module):
    """Zeros behind a picture whose size is no multiple of a patch's, so that no pixel is lost."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch

    def forward(self, values: Tensor) -> Tensor:
        height, width = values.shape[2:]
        return F.pad(values, (0, -width % self.patch, 0, -height % self.patch))
