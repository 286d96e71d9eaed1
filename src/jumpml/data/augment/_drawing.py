"""Augmented examples as one picture: a row an example, its original first and then some draws."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

from jumpml.data.augment._examples import Examples, Versions, examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data._loaders import DataLoaders

DRAWS = 5
CELL, GAP, SIDE, HEAD, CAPTION = 1.25, 0.08, 0.3, 0.55, 0.34  # in inches
DPI = 100
MOST_CLASSES = 20  # that a colour each can tell apart
SETTINGS: Any = {"text.parse_math": False, "font.family": ["DejaVu Sans"], "font.size": 8}


def draw_examples(loaders: DataLoaders, view: str | None = None, *, rows: int = 4) -> bytes:
    """Some train rows, as they are and as each policy draws them, as a PNG.

    Pictures are shown as such, recordings and series as lines, spectrograms as heat, texts and numbers as words. A
    label that is mixed stands below, with its shares.

    Args:
        loaders: The data.
        view: A view's name, or ``augment`` for what is done to the plain fields; all, one below the other, where None.
        rows: How many rows.

    Raises:
        DataError: There is no such view, or nothing is drawn at random at all.

    Example:
        >>> import torch
        >>> from jumpml.data import Column, DataLoaders, Shift, random_split
        >>> columns = {"image": Column(torch.rand(20, 1, 8, 8), "image")}
        >>> loaders = DataLoaders(columns, random_split(20), augment={"image": [Shift(1)]})
        >>> draw_examples(loaders)[1:4]
        b'PNG'
    """
    import matplotlib as mpl

    sections = examples(loaders, view, rows, DRAWS)
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        # Text of any script: what the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        buffer = io.BytesIO()
        _figure(sections).savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def _figure(sections: list[Examples]) -> Figure:
    from matplotlib.figure import Figure

    height = sum(_height(section) for section in sections)
    width = 2 * SIDE + (1 + DRAWS) * (CELL + GAP)
    figure = Figure(figsize=(width, height), facecolor="white")
    top = height
    for section in sections:
        _draw_section(figure, section, top)
        top -= _height(section)
    return figure


def _parts(section: Examples) -> tuple[list[Versions], list[Versions]]:
    """The fields that are drawn, and the categories that are written below them."""
    below = [versions for versions in section.fields if versions.field.kind == "category"]
    drawn = [versions for versions in section.fields if versions.field.kind != "category"]
    return (drawn, below) if drawn else (below, [])


def _line_height(section: Examples) -> float:
    return CELL + GAP + (CAPTION if _parts(section)[1] else 0.0)


def _height(section: Examples) -> float:
    rows = len(section.fields[0].values[0])
    return HEAD + rows * len(_parts(section)[0]) * _line_height(section) + GAP


def _draw_section(figure: Figure, section: Examples, top: float) -> None:
    width, height = figure.get_size_inches()
    drawn, below = _parts(section)
    figure.text(SIDE / width, (top - 0.2) / height, section.title, fontsize=11, fontweight="bold", va="center")
    line = 0
    for row in range(len(drawn[0].values[0])):
        for versions in drawn:
            bottom = top - HEAD - line * _line_height(section) - CELL
            for column in range(1 + DRAWS):
                left = SIDE + column * (CELL + GAP)
                axes = figure.add_axes((left / width, bottom / height, CELL / width, CELL / height))
                _draw_cell(axes, versions, versions.values[column][row])
                if line == 0:
                    axes.set_title("original" if column == 0 else f"draw {column}", fontsize=8, color="0.4", pad=3)
                if column == 0:
                    axes.set_ylabel(versions.field.name, fontsize=8)
                if versions is drawn[-1]:
                    told = [_words(each.field, each.values[column][row]) for each in below]
                    axes.set_xlabel("\n".join(told), fontsize=7, labelpad=2)
            line += 1


def _draw_cell(axes: Axes, versions: Versions, values: Tensor) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.8")
    draw = _heat if versions.featurised else _CELLS.get(versions.field.kind, _text)
    draw(axes, versions, values)


def _image(axes: Axes, _: Versions, values: Tensor) -> None:
    pixels = values.clamp(0, 1).movedim(0, 2).numpy()
    axes.imshow(pixels if pixels.shape[2] == 3 else pixels[..., 0], cmap="gray", vmin=0, vmax=1, aspect="equal")


def _mask(axes: Axes, versions: Versions, values: Tensor) -> None:
    # What came in from outside has no class, and no colour.
    shown = (values % MOST_CLASSES).float().masked_fill(values < 0, math.nan).numpy()
    classes = min(max(len(versions.field.classes), 2), MOST_CLASSES)
    axes.imshow(shown, cmap="tab20", vmin=0, vmax=max(classes - 1, 9), interpolation="nearest")


def _heat(axes: Axes, versions: Versions, values: Tensor) -> None:
    """A spectrogram: the last two axes, low frequencies at the bottom."""
    if values.dim() < 2:
        _lines(axes, versions, values)
        return
    low, high = float(versions.values[0].min()), float(versions.values[0].max())
    shown = values.reshape(-1, *values.shape[-2:])[0]
    axes.imshow(shown.numpy(), aspect="auto", origin="lower", vmin=low, vmax=high)


def _wave(axes: Axes, _: Versions, values: Tensor) -> None:
    axes.plot(values[0].numpy(), linewidth=0.5, color="tab:blue")
    axes.set_ylim(-1.05, 1.05)


def _lines(axes: Axes, versions: Versions, values: Tensor) -> None:
    """A line a channel; the same scale for the original and its draws."""
    known = [float(each.nan_to_num().abs().max()) for each in versions.values]
    axes.plot(values.numpy(), linewidth=0.9)
    axes.set_ylim(-1.05 * max(known), 1.05 * max(known))


def _text(axes: Axes, versions: Versions, values: Tensor) -> None:
    told = "\n".join(textwrap.wrap(_words(versions.field, values), 20)[:8])
    axes.text(0.04, 0.95, told, va="top", fontsize=7, transform=axes.transAxes)


def _words(field: FieldInfo, values: Tensor) -> str:
    """A row's value as text."""
    if field.kind == "text":
        return _tokens(field, values)
    if field.kind == "category":
        return _classes(field, values)
    if field.kind == "multilabel":
        return ", ".join(name for name, has in zip(field.classes, values.tolist(), strict=True) if has > 0.5)
    numbers = values.flatten().tolist()
    names = [f"{column.name} " for column in field.columns] or [""] * len(numbers)
    return ", ".join(f"{name}{number:.4g}" for name, number in zip(names, numbers, strict=True))


def _tokens(field: FieldInfo, values: Tensor) -> str:
    how: Any = field.options["tokenizer"]
    known = how["vocabulary"]
    return " ".join(str(known[token]) for token in values.tolist() if token != how.get("padding", 0))


def _classes(field: FieldInfo, values: Tensor) -> str:
    """A class, or the two or three that a row is mixed of."""
    if values.dim() == 0:
        return field.classes[int(values)] if values >= 0 else "missing"
    shares = sorted(zip(values.tolist(), field.classes, strict=True), reverse=True)[:3]
    return ", ".join(f"{share:.0%} {name}" for share, name in shares if share >= 0.005)


_CELLS: dict[str, Callable[[Axes, Versions, Tensor], None]] = {
    "image": _image,
    "mask": _mask,
    "audio": _wave,
    "series": _lines,
    "tensor": _heat,
}
