"""What a search found."""

from __future__ import annotations

import json
import math
import shlex
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from jumpml.core import Record, text_table
from jumpml.drawing import Line, bar_panel, draw_panels, line_panel

if TYPE_CHECKING:
    from jumpml.drawing import Panel

_SHOWN = 20  # trials of a table


class TrialRecord(Record):
    """One trial of a search; its folder is a run's."""

    number: int
    folder: str
    """Its name, in the search's folder."""
    values: dict[str, JsonValue]
    """By dotted key, what was tried."""
    state: Literal["complete", "pruned", "failed"]
    """Whether it came to its end, was cut short because others did better by then, or went wrong."""
    figure: float | None = None
    """The best of its epochs, on the validation rows; None where it failed."""
    epochs: int = 0
    """Epochs with a figure."""
    error: str = ""
    """What went wrong."""


class TuningRecord(Record):
    """A search over keys of the files; ``print`` shows a table, a notebook a picture.

    The figure that decides is measured on the validation rows; the test rows take no part. The best figure of many
    trials flatters the trial that has it: what it is worth, the test rows say, once, for the one that you choose.
    """

    name: str
    """The project's."""
    folder: str
    """The search's."""
    metric: str
    """The figure that decides."""
    higher_is_better: bool
    search: dict[str, str]
    """By dotted key, what it could be."""
    trials: tuple[TrialRecord, ...]
    importance: dict[str, float] = {}
    """By key, the share of the figure's variation that it explains (functional ANOVA); nothing where there are fewer
    than ten complete trials, of which it would be guesswork."""

    @property
    def best(self) -> TrialRecord | None:
        """The complete trial with the best figure; None where there is none."""
        done = [trial for trial in self.trials if trial.state == "complete" and trial.figure is not None]
        sign = 1 if self.higher_is_better else -1
        return max(done, key=lambda trial: sign * (trial.figure or 0.0), default=None)

    @property
    def arguments(self) -> str:
        """The best trial's values, to be pasted behind ``jumpml run FOLDER``; empty where there is none."""
        values = self.best.values if self.best else {}
        return " ".join(shlex.quote(f"--set={key}={json.dumps(value)}") for key, value in values.items())

    def __str__(self) -> str:
        """The trials, the best first, and what to do with them."""
        sign = -1 if self.higher_is_better else 1
        ranked = sorted(self.trials, key=lambda t: (t.state != "complete", sign * (t.figure or 0.0), t.number))
        head = ["trial", self.metric, "", *self.search]
        rows = [
            [
                trial.folder,
                "" if trial.figure is None else f"{trial.figure:.4g}",
                trial.state if trial.state != "pruned" else f"pruned after {trial.epochs}",
                *(_told(trial.values.get(key)) for key in self.search),
            ]
            for trial in ranked[:_SHOWN]
        ]
        lines = [text_table(head, rows, "lrl" + "r" * len(self.search))]
        if len(ranked) > _SHOWN:
            lines.append(f"and {len(ranked) - _SHOWN} more, in tune.json")
        if self.importance:
            lines.append("importance: " + ", ".join(f"{key} {share:.0%}" for key, share in self.importance.items()))
        if self.best is None:
            return "\n".join([*lines, "no trial came to its end"])
        lines.append(f"the best, with the figure on the validation rows: {self.arguments}")
        return "\n".join(lines)

    def draw(self) -> str:
        """The figure by trial with the best so far, by value of each key, and the keys' importance.

        Returns:
            An ``svg`` element that refers to nothing outside itself.
        """
        done = [(t.number, t.figure) for t in self.trials if t.state == "complete" and t.figure is not None]
        cut = [(t.number, t.figure) for t in self.trials if t.state == "pruned" and t.figure is not None]
        best, so_far = -math.inf if self.higher_is_better else math.inf, []
        for _, figure in done:
            best = max(best, figure) if self.higher_is_better else min(best, figure)
            so_far.append(best)
        lines = [
            Line([n for n, _ in done], [f for _, f in done], 0, "a trial", dots=True),
            Line([n for n, _ in cut], [f for _, f in cut], 5, "pruned", dots=True),
            Line([n for n, _ in done], so_far, 1, "the best so far"),
        ]
        alt = f"{self.metric} by trial; the best is {so_far[-1]:.4g}." if so_far else "No trial came to its end."
        panels = [line_panel(self.metric, lines, alt=alt, x_label="trial", whole=True)]
        if self.importance:
            alt = "; ".join(f"{key} {share:.0%}" for key, share in self.importance.items())
            shares = {"share": [share * 100 for share in self.importance.values()]}
            panels.append(bar_panel("Importance", [*self.importance], shares, alt=alt, x_label="% of the variation"))
        panels += [self._slice(key) for key in self.search]
        return draw_panels(f"Search of {self.name}", panels, note=f"{len(self.trials)} trials, on the validation rows")

    def _slice(self, key: str) -> Panel:
        """The figure by the value of one key; values that are no numbers stand side by side."""
        tried = [(t.values[key], t.figure) for t in self.trials if t.state == "complete" and t.figure is not None]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value, _ in tried)
        names = () if numbers else tuple(dict.fromkeys(_told(value) for value, _ in tried))
        x = [float(str(value)) if numbers else float(names.index(_told(value))) for value, _ in tried]
        line = Line(x, [figure for _, figure in tried], 0, dots=True)
        log = self.search[key].startswith("log:")
        return line_panel(key, [line], alt=f"{self.metric} by {key}.", x_label="", log_x=log, names=names)

    def _repr_svg_(self) -> str:
        return self.draw()


def _told(value: JsonValue) -> str:
    return f"{value:.3g}" if isinstance(value, float) else json.dumps(value)
