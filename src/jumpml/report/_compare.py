"""Runs side by side: what differs in their files, what they reached, and how they learned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from jumpml.core import (
    DeploymentRecord,
    EpochRecord,
    EvaluationRecord,
    Figure,
    History,
    RunError,
    RunRecord,
    text_table,
    write_file,
)
from jumpml.report import _words as words
from jumpml.report._blocks import Charts, Items, Page, Section, Table, Text
from jumpml.report._charts import progress_chart
from jumpml.report._html import to_html
from jumpml.report._run_folder import epochs_of, read, read_if_there
from jumpml.report._values import value_text
from jumpml.report._verdicts import Measured, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jumpml.report._blocks import Chart

_NONE = "\N{EN DASH}"
_PLACE = "data.root"  # where relative paths begin: nothing that is learned depends on it
_WIDE = 40  # letters of a value in a cell
_LINES = 12  # more runs are drawn as a crowd


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """What is read of a run.

    Attributes:
        name: What tells it from the others.
        run: What was run.
        epochs: How it learned.
        evaluation: What it reached; None where it did not come so far.
        deployment: What was bundled; None likewise.
    """

    name: str
    run: RunRecord
    epochs: tuple[EpochRecord, ...]
    evaluation: EvaluationRecord | None
    deployment: DeploymentRecord | None


@final
class Comparison:
    """Runs side by side; `str` gives the tables, `html` a page with the curves too.

    Args:
        runs: At least one; their names differ.
    """

    def __init__(self, runs: Sequence[ComparedRun]) -> None:
        self.runs: tuple[ComparedRun, ...] = tuple(runs)

    def __str__(self) -> str:
        """The tables for a terminal."""
        parts = [_as_text(table) for table in self._tables]
        if len(self.runs) == 1 and self.runs[0].epochs:
            parts.append(f"By epoch\n{History(epochs=list(self.runs[0].epochs))}")
        return "\n\n".join([*parts, *self.notes])

    @cached_property
    def html(self) -> str:
        """One HTML page that needs nothing beside itself."""
        return to_html(self._page)

    def save(self, folder: str | Path) -> Path:
        """Write ``compare.html``.

        Args:
            folder: Where; it is made if need be.

        Returns:
            The page's path.

        Raises:
            OSError: The disk is full or the folder read-only.
        """
        path = Path(folder) / "compare.html"
        write_file(path, self.html)
        return path

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures must know."""
        data = [{key: value for key, value in _flat(each.run.specs).items() if _says_rows(key)} for each in self.runs]
        notes = []
        if any(other != data[0] for other in data[1:]):
            notes.append("The data files say other rows or splits: the test rows may not be the same, and figures on "
                         "other rows cannot be compared.")  # fmt: skip
        unfinished = [each.name for each in self.runs if each.evaluation is None]
        if unfinished:
            notes.append(f"Not evaluated: {words.listing(unfinished)}. Go on with: jumpml resume.")
        if len(self.runs) > 1:
            notes.append("Intervals that lie apart tell two runs apart; of runs on the same rows, so may closer ones. "
                         "Whoever takes the best of many runs by its test figure overrates it.")  # fmt: skip
        return tuple(notes)

    @cached_property
    def figures(self) -> dict[str, tuple[Measured, ...]]:
        """By ``task/metric``, what each run that has it reached; ``task/metric, adapted``, its copy that adapts."""
        found: dict[str, list[Measured]] = {}
        for adapted in (False, True):
            for each in self.runs:
                for name, figure, better in _reached(each.evaluation, adapted=adapted):
                    found.setdefault(name, []).append(Measured(each.name, figure, better))
        return {name: tuple(measured) for name, measured in found.items()}

    @cached_property
    def differences(self) -> dict[str, tuple[Any, ...]]:
        """By dotted key, what each run's files say, where they do not say the same; None where one is silent.

        Nothing, such as an empty list, is the same as silence.
        """
        flat = [_flat(each.run.specs) for each in self.runs]
        keys = dict.fromkeys(key for one in flat for key in one if key != _PLACE)
        values = {key: tuple(one.get(key) for one in flat) for key in keys}
        return {
            key: said
            for key, said in values.items()
            if any(value != said[0] for value in said[1:]) and any(_cell(value) != _NONE for value in said)
        }

    @cached_property
    def _tables(self) -> tuple[Table, ...]:
        return tuple(table for table in (self._of_runs(), self._of_differences(), self._of_figures()) if table.rows)

    def _of_runs(self) -> Table:
        rows = [
            (
                words.name(each.name),
                words.count(len(each.epochs)),
                words.count(each.epochs[-1].step) if each.epochs else _NONE,
                words.seconds(sum(epoch.seconds for epoch in each.epochs)),
                _parameters(each.run),
                *_served(each.deployment),
            )
            for each in self.runs
        ]
        head = ("run", "epochs", "steps", "time to learn", "parameters", "file", "a row")
        return Table("Runs", head, tuple(rows), "lrrrrrr")

    def _of_differences(self) -> Table:
        names = tuple(words.name(each.name) for each in self.runs)
        rows = [(words.name(key), *map(_cell, said)) for key, said in self.differences.items()]
        return Table("What their files say differently", ("key", *names), tuple(rows), "l" + "l" * len(names))

    def _of_figures(self) -> Table:
        """A row a figure, a column a run, and what the intervals tell."""
        names = [each.name for each in self.runs]
        rows = []
        for name, measured in self.figures.items():
            by_run = {each.run: words.with_interval(each.figure) for each in measured}
            told = (verdict(measured),) if len(names) > 1 else ()
            rows.append((words.name(name), *(by_run.get(run, _NONE) for run in names), *told))
        head = ("figure", *map(words.name, names), *(("what it tells",) if len(names) > 1 else ()))
        return Table("On the test rows, with 95% intervals", head, tuple(rows), "l" * len(head))

    @property
    def _page(self) -> Page:
        runs, differences, figures = self._of_runs(), self._of_differences(), self._of_figures()
        sections = [Section("figures", "What they reached", (figures,))] if figures.rows else []
        said = (differences,) if differences.rows else (Text("Their files say the same.", "note"),)
        if len(self.runs) > 1:
            sections.append(Section("differences", "What differs", said))
        legend = tuple((words.name(each.name), style) for style, each in enumerate(self.runs)) if self._few else ()
        charts = self._charts()
        none = Text("No run wrote its epochs.", "note")
        sections.append(Section("curves", "How they learned", (Charts(charts, legend),) if charts else (none,)))
        title = words.name(next(iter(self.runs)).name) if len(self.runs) == 1 else "Runs side by side"
        notes = (Items(self.notes),) if self.notes else ()
        foot = "Made by JumpML from the runs' records alone."
        return Page(title, "", (runs, *notes), tuple(sections), eyebrow="Comparison of runs", footer=foot)

    @property
    def _few(self) -> bool:
        return 1 < len(self.runs) <= _LINES

    def _charts(self) -> tuple[Chart, ...]:
        from jumpml.drawing import Line

        rows = [[epoch.figures() for epoch in each.epochs] for each in self.runs]
        names = dict.fromkeys(name for run in rows for epoch in run for name in epoch)
        longest = max((len(run) for run in rows), default=0)
        charts = []
        for name in names:
            lines, told = [], []
            for style, (each, run) in enumerate(zip(self.runs, rows, strict=True)):
                points = [(place, epoch[name]) for place, epoch in enumerate(run, start=1) if name in epoch]
                if points:
                    x, y = zip(*points, strict=True)
                    lines.append(Line(x, y, style if len(self.runs) <= _LINES else None, words.name(each.name)))
                    told.append(f"{words.name(each.name)} ends at {words.number(y[-1])}")
            alt, falls = f"{words.name(name)} by epoch: {'; '.join(told)}.", "loss" in name.split("/")
            charts.append(progress_chart(words.name(name), lines, alt=alt, epochs=longest, log=falls, note=""))
        return tuple(charts)


def compare_runs(folders: Iterable[str | Path]) -> Comparison:
    """Set runs side by side, from the records in their folders; neither data nor models are read.

    Args:
        folders: Each a run's, such as ``runs/digits/20260131-120000``, or one that holds runs, such as
            ``runs/digits``.

    Raises:
        RunError: There is no run, or a record is damaged.

    Example:
        ``print(compare_runs(["runs/digits"]))``
    """
    found = [*dict.fromkeys(run for folder in folders for run in _runs_in(Path(folder)))]
    if not found:
        raise RunError(
            "there is no run to compare: expected folders such as runs/<name>/<time>, or one that holds them."
        )
    return Comparison([_read_run(folder, name) for folder, name in zip(found, _names(found), strict=True)])


def _runs_in(folder: Path) -> list[Path]:
    """The folder itself, or the runs one or two levels below it."""
    if (folder / "run.json").is_file():
        return [folder]
    if not folder.is_dir():
        raise RunError(f"{folder}: there is no such folder.")
    inside = sorted([*folder.glob("*/run.json"), *folder.glob("*/*/run.json")])
    return [path.parent for path in inside]


def _names(folders: Sequence[Path]) -> list[str]:
    """As few of the last parts of each path as tell all apart; a run's twin is named by what it learned without."""
    parts = [folder.resolve().parts for folder in folders]
    parts = [(*each[:-1], f"without {each[-1]}") if each[-2:-1] == ("ablations",) else each for each in parts]
    depths = (["/".join(each[-count:]) for each in parts] for count in range(1, max(map(len, parts)) + 1))
    return next(names for names in depths if len({*names}) == len(names))


def _read_run(folder: Path, name: str) -> ComparedRun:
    run = read(folder / "run.json", RunRecord)
    path = folder / "history.jsonl"
    return ComparedRun(
        name=name,
        run=run,
        epochs=tuple(epochs_of(path)) if path.is_file() else (),
        evaluation=read_if_there(folder / "evaluation.json", EvaluationRecord),
        deployment=read_if_there(folder / "deployment.json", DeploymentRecord),
    )


def _reached(evaluation: EvaluationRecord | None, *, adapted: bool) -> Iterator[tuple[str, Figure, bool | None]]:
    """Each figure of the model as it is, or of a copy that adapts: its name, and whether more is better."""
    found = evaluation and (evaluation.adapted if adapted else evaluation)
    if evaluation is None or found is None:
        return
    for task, measured in found.tasks.items():
        better = evaluation.tasks[task].higher_is_better
        for name, figure in measured.figures.items():
            yield f"{task}/{name}{', adapted' if adapted else ''}", figure, better.get(name)


def _says_rows(key: str) -> bool:
    """Whether a key of the data file says which rows there are, and how they are split."""
    return key.startswith("data.") and any(f".{part}" in key for part in ("source.", "split.", "datasets."))


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values as dotted keys; what a key leaves out is not there."""
    flat: dict[str, Any] = {}
    for key, each in value.items():
        if isinstance(each, dict) and each:
            flat |= _flat(each, f"{before}{key}.")
        elif each is not None:
            flat[f"{before}{key}"] = each
    return flat


def _cell(value: Any) -> str:
    text = value_text(value)
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}\N{HORIZONTAL ELLIPSIS}"


def _parameters(run: RunRecord) -> str:
    counts = [row.get("parameters") for row in run.graph.nodes] if run.graph else []
    return words.count(sum(each for each in counts if isinstance(each, int))) if counts else _NONE


def _served(deployment: DeploymentRecord | None) -> tuple[str, str]:
    plain = deployment.variants.get("float32") if deployment else None
    return (words.size(plain.bytes), f"{words.number(plain.milliseconds, 2)} ms") if plain else (_NONE, _NONE)


def _as_text(table: Table) -> str:
    rows = [[str(cell) for cell in row] for row in table.rows]
    return f"{table.caption}\n{text_table(table.head, rows, table.align)}"
