"""A profile as a picture: a histogram for each variable, the first pictures and sounds below."""

from __future__ import annotations

import io
import math
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jumpml.data.profiling._text import value_of
from jumpml.data.splits._splits import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data._loaders import DataLoaders
    from jumpml.data.profiling._records import Profile, VariableProfile

COLUMNS, PANEL, FIRST = 4, (2.6, 1.75), 8  # panels a row, their size in inches, examples of a field
MOST_PANELS = 100
DPI = 110
COLOURS = {"train": "#0b63a5", "val": "#8a8f96", "test": "#c2500a"}
SETTINGS: Any = {
    "text.parse_math": False,  # a class may be named "$x$"
    "font.family": ["DejaVu Sans"],
    "font.size": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
}
NAMES, LETTERS = 7, 16  # of classes beside bars


def draw_profile(profile: Profile) -> bytes:
    """A panel a variable, each split's shares in a colour of its own, as a PNG.

    Args:
        profile: The profile; only its first `MOST_PANELS` variables are drawn.
    """
    shown = [variable for variable in profile.variables if variable.counts][:MOST_PANELS]
    rows = max(1, math.ceil(len(shown) / COLUMNS))
    with _settings():
        figure = _figure(COLUMNS * PANEL[0], rows * PANEL[1] + 0.4)
        for position, variable in enumerate(shown):
            _draw_variable(figure.add_subplot(rows, COLUMNS, position + 1), variable)
        handles = [_patch(colour, split) for split, colour in COLOURS.items()]
        figure.legend(handles=handles, loc="upper right", ncols=3, frameon=False, borderaxespad=0.2)
        figure.suptitle(f"{profile.name}: shares of each split's rows", x=0.01, ha="left", fontsize=9)
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.1 / (rows * PANEL[1] + 0.4)))
        return _png(figure)


def draw_first(loaders: DataLoaders) -> bytes:
    """The first train rows of fields that are looked at rather than read, as a PNG; empty where there are none."""
    fields = [info for info in loaders.fields.values() if info.kind in _CELLS]
    if not fields:
        return b""
    import torch

    count = min(FIRST, len(loaders.train.rows))
    first = {info.name: loaders.train.take(info.name, torch.arange(count)).cpu() for info in fields}
    with _settings():
        figure = _figure(COLUMNS * PANEL[0], len(fields) * 1.65)
        for line, info in enumerate(fields):
            for place in range(count):
                axes = figure.add_subplot(len(fields), FIRST, line * FIRST + place + 1)
                axes.set(xticks=[], yticks=[])
                if place == 0:
                    axes.set_title(info.name)
                _CELLS[info.kind](axes, info, first[info.name][place])
        figure.tight_layout()
        return _png(figure)


@contextmanager
def _settings() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        # Text of any script: what the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        warnings.filterwarnings("ignore", message=r"Tight layout not applied", category=UserWarning)
        yield


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def _patch(colour: str, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=colour, label=label)


def _draw_variable(axes: Axes, variable: VariableProfile) -> None:
    from matplotlib.ticker import MaxNLocator

    shares = {split: [count / max(1, variable.known[split]) for count in variable.counts[split]] for split in SPLITS}
    if variable.kind == "category":
        names = [_cut(name) for name in variable.classes[:NAMES]]
        for shift, (split, values) in enumerate(shares.items()):
            places = [place + (shift - 1) * 0.28 for place in range(len(names))]
            axes.barh(places, values[:NAMES], height=0.28, color=COLOURS[split])
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(max(3, len(names)) - 0.5, -0.5)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    else:
        axes.stairs(shares["train"], variable.edges, fill=True, color=COLOURS["train"], alpha=0.45)
        for split in ("val", "test"):
            axes.stairs(shares[split], variable.edges, color=COLOURS[split], linewidth=1.1)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_formatter(lambda value, _: value_of(variable, value))
        axes.yaxis.set_major_locator(MaxNLocator(3))
    more = max(0, variable.distinct - NAMES) if variable.kind == "category" else 0
    axes.set_title(_cut(variable.name, 28) + (f" ({more:,} more)" if more else ""))


def _cut(text: str, letters: int = LETTERS) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}\u2026"


def _image(axes: Axes, info: FieldInfo, values: Tensor) -> None:
    if len(values) >= 3:
        axes.imshow(values[:3].permute(1, 2, 0).numpy().clip(0, 1))
    else:
        axes.imshow(values[0].numpy(), cmap="gray", vmin=0, vmax=1)


def _mask(axes: Axes, info: FieldInfo, values: Tensor) -> None:
    axes.imshow(values.numpy(), cmap="tab20", vmin=0, vmax=max(19, len(info.classes)), interpolation="nearest")


def _lines(axes: Axes, info: FieldInfo, values: Tensor) -> None:
    channels_first = info.kind == "audio"
    axes.plot((values.T if channels_first else values).numpy(), linewidth=0.6)


_CELLS: dict[str, Any] = {"image": _image, "mask": _mask, "audio": _lines, "series": _lines}
