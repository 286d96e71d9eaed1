"""The course of a run over its updates, as pictures: rows, what a teacher chose, what objectives counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jumpml.core import PACING, thinned
from jumpml.drawing._areas import area_panel
from jumpml.drawing._canvas import STYLES, tick
from jumpml.drawing._lines import Line
from jumpml.drawing._matrix import matrix_panel
from jumpml.drawing._panels import Panel, line_panel
from jumpml.drawing._text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jumpml.core import CoursePoint

_FEW = 50  # points of a line that goes up and down with each reading
_MOST = len(STYLES)  # names that can be told apart
_PAIRS = 6  # lines of cosines: they cross
_SIZE = (400, 250)


@dataclass(frozen=True)
class Cosines:
    """How the gradients of objectives lay to each other, over a whole run.

    Attributes:
        names: The objectives, in the order in which they come.
        means: By pair, the mean cosine; below 0 the two pulled against each other.
    """

    names: tuple[str, ...]
    means: Mapping[tuple[str, str], float]


def mean_cosines(points: Sequence[CoursePoint]) -> Cosines:
    """The mean cosine of each pair of objectives, by updates.

    Args:
        points: The course; see `core.Course`.
    """
    means: dict[tuple[str, str], float] = {}
    for name in figures_of(points, "cosine"):
        one, _, other = name.partition("/")
        means[one, other] = _mean(points, f"cosine/{name}")
    return Cosines(tuple(dict.fromkeys(name for pair in means for name in pair)), means)


def figures_of(points: Sequence[CoursePoint], kind: str) -> list[str]:
    """The names behind ``kind/``, in the order in which they first come.

    Args:
        points: The course.
        kind: ``share``, ``reward``, ``balance`` or ``cosine``.
    """
    start = f"{kind}/"
    names = dict.fromkeys(name for point in points for name in point.figures if name.startswith(start))
    return [name.removeprefix(start) for name in names]


def course_panels(points: Sequence[CoursePoint], shown: Callable[[str], str] = clean) -> list[Panel]:
    """A frame for each kind of figure that a run told: pacing, shares, rewards, multipliers, cosines in two ways.

    Args:
        points: The course of a run, such as ``learner.history.course``.
        shown: Makes a name fit to be shown.
    """
    frames = (_pacing, _shares, _rewards, _multipliers, _cosines, _matrix)
    return [panel for frame in frames if (panel := frame(points, shown)) is not None]


def _pacing(points: Sequence[CoursePoint], shown: Callable[[str], str]) -> Panel | None:
    points = [point for point in points if PACING in point.figures]
    if not points:
        return None
    y = [point.figures[PACING] for point in points]
    alt = f"Share of the rows that might come over the updates: from {tick(y[0])} to {tick(y[-1])}."
    lines, marks = [Line([point.step for point in points], y, 0)], _phases(points, shown)
    return line_panel("Rows that might come", lines, alt=alt, x_label="update", whole=True, marks=marks, size=_SIZE)


def _shares(points: Sequence[CoursePoint], shown: Callable[[str], str]) -> Panel | None:
    points = [point for point in points if any(name.startswith("share/") for name in point.figures)]
    arms = figures_of(points, "share")
    if not arms:
        return None
    drawn = _largest(points, arms)
    rest = [arm for arm in arms if arm not in drawn]
    names = _apart(drawn, shown)
    parts = {names[arm]: [point.figures.get(f"share/{arm}", 0.0) for point in points] for arm in drawn}
    if rest:
        others = [sum(point.figures.get(f"share/{arm}", 0.0) for arm in rest) for point in points]
        parts[f"{len(rest)} others"] = others
    ends = [f"{name} from {_percent(values[0])} to {_percent(values[-1])}" for name, values in parts.items()]
    alt = f"Share of the updates by arm: {'; '.join(ends)}."
    steps, marks = [point.step for point in points], _phases(points, shown)
    return area_panel("Share of updates", steps, parts, alt=alt, x_label="update", marks=marks, size=_SIZE)


def _rewards(points: Sequence[CoursePoint], shown: Callable[[str], str]) -> Panel | None:
    arms = figures_of(points, "reward")
    chosen = figures_of(points, "share")
    drawn = _largest(points, chosen or arms)
    # Styles follow the shares' frame, so that one legend does for both.
    return _lines("Mean reward", "reward", [arm for arm in drawn if arm in arms], points, shown, styles=drawn)


def _multipliers(points: Sequence[CoursePoint], shown: Callable[[str], str]) -> Panel | None:
    names = figures_of(points, "balance")
    return _lines("What objectives count", "balance", names[:_MOST], points, shown, falls=True)


def _cosines(points: Sequence[CoursePoint], shown: Callable[[str], str]) -> Panel | None:
    pairs = sorted(figures_of(points, "cosine"), key=lambda pair: _mean(points, f"cosine/{pair}"))
    title = "Cosine of gradients" + (f", the {_PAIRS} lowest of {len(pairs)} pairs" if len(pairs) > _PAIRS else "")
    return _lines(title, "cosine", pairs[:_PAIRS], points, shown)


def _matrix(points: Sequence[CoursePoint], shown: Callable[[str], str]) -> Panel | None:
    cosines = mean_cosines(points)
    names = cosines.names[:_MOST]
    if not names:
        return None
    apart = _apart(names, shown)
    pairs = {(apart[a], apart[b]): mean for (a, b), mean in cosines.means.items() if a in apart and b in apart}
    told = "; ".join(f"{one} and {other} {mean:.2f}" for (one, other), mean in pairs.items())
    alt = f"Mean cosine of gradients: {told}."
    return matrix_panel("Mean cosine of gradients", [*apart.values()], pairs, alt=alt)


def _lines(
    title: str,
    kind: str,
    names: Sequence[str],
    points: Sequence[CoursePoint],
    shown: Callable[[str], str],
    *,
    styles: Sequence[str] = (),
    falls: bool = False,
) -> Panel | None:
    """A line a name, through the points that tell it."""
    lines, told = [], []
    for place, name in enumerate(names):
        having = [point for point in points if f"{kind}/{name}" in point.figures]
        few = thinned(having, _FEW) if kind != "balance" else having
        y = [point.figures[f"{kind}/{name}"] for point in few]
        style = styles.index(name) if styles else place
        label = _pair(name, shown) if kind == "cosine" else shown(name)
        lines.append(Line([point.step for point in few], y, style, label))
        told.append(f"{label} from {tick(y[0])} to {tick(y[-1])}")
    if not lines:
        return None
    alt, marks = f"{title} over the updates: {'; '.join(told)}.", _phases(points, shown)
    return line_panel(title, lines, alt=alt, x_label="update", whole=True, falls=falls, marks=marks, size=_SIZE)


def _largest(points: Sequence[CoursePoint], arms: Sequence[str]) -> list[str]:
    """As many arms as can be told apart, in their order; of more those that were chosen most, and room for the rest."""
    if len(arms) <= _MOST:
        return [*arms]
    shares = {arm: sum(point.figures.get(f"share/{arm}", 0.0) * point.updates for point in points) for arm in arms}
    most = sorted(arms, key=lambda arm: -shares[arm])[: _MOST - 1]
    return [arm for arm in arms if arm in most]


def _apart(names: Sequence[str], shown: Callable[[str], str]) -> dict[str, str]:
    """By name, how it is shown; with a number where two would be shown alike."""
    apart: dict[str, str] = {}
    for name in names:
        told = shown(name)
        apart[name] = told if told not in apart.values() else f"{told} ({len(apart) + 1})"
    return apart


def _phases(points: Sequence[CoursePoint], shown: Callable[[str], str]) -> dict[str, float]:
    """Where phases begin, where there are several."""
    begins: dict[str, float] = {}
    for point in points:
        begins.setdefault(point.phase, point.step - point.updates)
    return {shown(phase): step for phase, step in begins.items()} if len(begins) > 1 else {}


def _mean(points: Sequence[CoursePoint], name: str) -> float:
    having = [point for point in points if name in point.figures]
    total = sum(point.updates for point in having) or 1
    return sum(point.figures[name] * point.updates for point in having) / total


def _pair(pair: str, shown: Callable[[str], str]) -> str:
    one, _, other = pair.partition("/")
    return f"{shown(one)} and {shown(other)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
