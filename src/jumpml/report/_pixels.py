"""Small pictures of numbers as PNG: a decoded image, and the heat of an attribution on it."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Grid = tuple[tuple[float, ...], ...]

# Orange speaks for, blue against: told apart by every kind of colour sight.
_FOR, _AGAINST = (0.90, 0.38, 0.0), (0.20, 0.60, 1.0)


def gray(value: Grid) -> str:
    """A decoded image, 0 black and 1 white, as a ``data:`` address."""
    return _png(_luminance(value)[..., None].repeat(3, axis=-1))


def heat(value: Grid, attribution: Grid, *, scale: float, power: float = 0.7) -> str:
    """The image, dimmed, under what speaks for the decision (orange) and against it (blue).

    Args:
        value: The decoded image.
        attribution: The share of each pixel, of the same shape.
        scale: The attribution that gets the full colour.
        power: Below 1, what is half as strong keeps more than half of the colour, and so is seen.
    """
    import numpy as np

    shares = np.nan_to_num(np.asarray(attribution, dtype=np.float64)) / (scale or 1.0)
    strength = np.clip(np.abs(shares), 0, 1)[..., None] ** power
    colour = np.where(shares[..., None] > 0, _FOR, _AGAINST)
    base = 0.08 + 0.42 * _luminance(value)[..., None].repeat(3, axis=-1)
    return _png(base * (1 - strength) + colour * strength)


def intensity(value: Grid) -> str:
    """Numbers from 0 (black) to the largest (orange)."""
    import numpy as np

    shares = np.nan_to_num(np.asarray(value, dtype=np.float64))
    return heat(tuple((0.0,) * len(row) for row in value), value, scale=float(shares.max(initial=0.0)), power=1.2)


def _luminance(value: Grid) -> NDArray[np.float64]:
    import numpy as np

    pixels = np.nan_to_num(np.asarray(value, dtype=np.float64), posinf=1.0, neginf=0.0)
    low, high = min(pixels.min(initial=0.0), 0.0), max(pixels.max(initial=1.0), 1.0)
    return (pixels - low) / (high - low)


def _png(pixels: NDArray[np.float64]) -> str:
    import numpy as np
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    no_version: Any = {"Software": None}
    imsave(buffer, np.round(pixels * 255).astype(np.uint8), format="png", metadata=no_version)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
