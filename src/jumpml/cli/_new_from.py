"""The files of a project that begins with a table."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from jumpml.cli._yaml_text import commented, scalar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jumpml.data import ColumnGuess, TableGuess

RESERVED = re.compile(r"[.@,/\\:*?\[\]]|[^\w\s()%$#+=<>&'!-]")
IN_TABLE = ("number", "category")
FEATURES = {  # of fields that have none by themselves, or need what is missing filled
    "text": "[{tfidf: {}}]      # how often each word stands there, rare ones counting more",
    "tensor": "[{standardize: {}}]",
    "multilabel": "[{impute: {strategy: constant}}]",
}
STEPS = 3000  # of the optimizer: about what a small network needs
VOCABULARY = 5000
FEW_ROWS = 10  # of a class: with fewer, not every split gets one
SEASONS = (  # seconds from row to row, and how many of them are a day, a week or a year
    *((60, 60), (900, 96), (1800, 48), (3600, 24), (6 * 3600, 28), (86_400, 7), (8 * 86_400, 52), (32 * 86_400, 12)),
)
FEW_STEPS = 4  # of a season, where rows lie further apart
PAST = 4  # seasons that a forecast is made of


@final
@dataclass(frozen=True, kw_only=True)
class NewProject:
    """The files of a project on a table.

    Attributes:
        name: Of the project.
        path: Of the table, as the data file says it.
        guess: What the table was taken for.
    """

    name: str
    path: str
    guess: TableGuess

    def files(self) -> Iterator[tuple[str, str]]:
        """Each file's name and text."""
        for kind, lines in (
            ("data", self._data()),
            ("model", self._model()),
            ("learner", self._learner()),
            ("deploy", self._deploy()),
        ):
            first = f"# yaml-language-server: $schema=schemas/{kind}.json"
            yield f"{self.name}.{kind}.yaml", "\n".join([first, *lines]) + "\n"
        yield "README.md", "\n".join(self._readme()) + "\n"

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """By column, the field that it is."""
        guess, taken = self.guess, set()
        names = {}
        for column in (*guess.targets, *self._alone):
            name = RESERVED.sub("_", column.column).strip() or "column"
            name = f"{name}_" if name in {"all", *taken} else name
            while name in taken:
                name += "_"
            names[column.column] = name
            taken.add(name)
        return names

    @property
    def _alone(self) -> tuple[ColumnGuess, ...]:
        """The inputs that are fields of their own."""
        return tuple(column for column in self.guess.inputs if column.kind not in IN_TABLE)

    @property
    def _is_forecast(self) -> bool:
        return self.guess.task == "forecasting"

    @property
    def _season(self) -> int:
        """Steps after which a series is likely to be as before, by how far they lie apart."""
        step = (self.guess.time.step if self.guess.time else None) or math.inf
        season = next((steps for longest, steps in SEASONS if step <= longest), FEW_STEPS)
        return max(2, min(season, self.guess.rows // 40))

    @property
    def _in_table(self) -> tuple[ColumnGuess, ...]:
        return tuple(column for column in self.guess.inputs if column.kind in IN_TABLE)

    @property
    def _targets(self) -> list[str]:
        return [self._names[target.column] for target in self.guess.targets]

    def _own(self, name: str) -> str:
        """A name of ours that no field has."""
        while name in self._names.values():
            name += "_"
        return name

    @property
    def _table(self) -> str:
        return self._own("features")

    def _data(self) -> Iterator[str]:
        guess = self.guess
        yield "# The data file: what the data is. Each kind is a guess, and says why; change what is wrong."
        yield ""
        yield "datasets:"
        yield f"  {scalar(self.name)}:"
        yield from (f"    # {note}." for note in guess.notes)
        source = ", ".join(f"{key}: {scalar(value)}" for key, value in self._source().items())
        yield f"    source: {{{source}}}"
        yield from self._fields()
        yield from self._split()
        yield from self._features()
        yield ""
        yield f"batch_size: {self._batch_size}"
        yield ""
        yield "about:                                      # for the report card"
        yield '  description: ""'
        yield f"  source: {scalar(Path(self.path).name)}"

    def _source(self) -> dict[str, Any]:
        told = dict(self.guess.source)
        return {"kind": told.pop("kind"), "path": self.path, **told}

    def _fields(self) -> Iterator[str]:
        guess = self.guess
        yield "    fields:"
        if self._is_forecast:
            yield from self._series(guess.target.column)
        else:
            for target in guess.targets:
                yield from self._field(target, "the target" if len(guess.targets) == 1 else "a target")
        if self._in_table:
            yield f"      {scalar(self._table)}:"
            yield commented("        kind: table", "many columns as one value")
            yield "        columns:"
            for column in self._in_table:
                yield commented(f"          {scalar(column.column)}: {column.kind}", column.reason)
        for column in self._alone:
            yield from self._field(column, "")
        out = [column for column in guess.columns if column.kind is None]
        if out:
            yield "    # Left out; name them among the fields where that is wrong:"
            yield from (f"    #   {scalar(column.column)}: {column.reason}" for column in out)

    def _series(self, column: str) -> Iterator[str]:
        """What a forecast is made of, and the steps that it is of."""
        windows = {
            self._own("past"): ([-PAST * self._season, 0], "what came before a row, which the forecast is made of"),
            self._names[column]: ([0, self._season], "the target: a row and those that follow it"),
        }
        for name, (window, told) in windows.items():
            entry = f"{{kind: series, columns: {scalar([column])}, window: {window}}}"
            yield commented(f"      {scalar(name)}: {entry}", told)

    def _field(self, column: ColumnGuess, what: str) -> Iterator[str]:
        name, options = self._names[column.column], dict(column.options)
        entry: dict[str, Any] = {"kind": column.kind}
        if name != column.column:
            entry["column"] = column.column
        if column.kind == "text":
            entry["tokenizer"] = {"kind": "words", "lowercase": True, "size": VOCABULARY}
        told = ", ".join(f"{key}: {scalar(value)}" for key, value in (entry | options).items())
        yield commented(f"      {scalar(name)}: {{{told}}}", f"{what}: {column.reason}" if what else column.reason)

    def _split(self) -> Iterator[str]:
        guess = self.guess
        shares: dict[str, Any] = {"train": 0.7, "val": 0.15, "test": 0.15}
        time = guess.time
        if time is not None:
            yield f"    # The rows stand in the order of {time.column}: learn from the past, measure on what came last."
            shares["time"] = self._names[time.column]
        else:
            yield from self._by_chance(shares)
        yield f"    split: {{{', '.join(f'{key}: {scalar(value)}' for key, value in shares.items())}}}"

    def _by_chance(self, shares: dict[str, Any]) -> Iterator[str]:
        """Add what a split by chance needs."""
        guess = self.guess
        strata = []
        for target in guess.targets:
            rarest, rows = guess.rarest.get(target.column, ("", FEW_ROWS))
            if rows < FEW_ROWS:
                yield f"    # The class {rarest!r} has {rows} row{'' if rows == 1 else 's'}: too few to `stratify`."
            elif target.kind in {"category", "multilabel"}:
                strata.append(self._names[target.column])
        if strata:
            shares["stratify"] = strata if len(strata) > 1 else strata[0]
        shares["seed"] = 0
        if guess.equal_rows or guess.more_rows:
            many = "Some rows are equal" if guess.equal_rows else "Not all rows were looked at, and some may be equal"
            yield f"    # {many}: those go into one split, or the test would ask for what was learned by heart."
            shares["duplicates"] = "together"

    def _features(self) -> Iterator[str]:
        lines = [
            f"  {scalar(self._names[column.column])}: {FEATURES[str(column.kind)]}"
            for column in self._alone
            if column.kind in FEATURES
        ]
        lines += [
            f"  {scalar(self._names[name])}: [{{standardize: {{}}}}]      # figures and predictions keep its units"
            for name, task in self.guess.tasks.items()
            if task in {"regression", "forecasting"}
        ]
        if self._is_forecast:
            lines.append(f"  {self._own('past')}: [{{standardize: {{}}}}]")
        yield ""
        yield "# Numbers are standardized and categories one-hot where nothing is said; gaps are marked and filled."
        if lines:
            yield "features:"
            yield from lines

    @property
    def _batch_size(self) -> int:
        return next((size for rows, size in ((100_000, 1024), (10_000, 256)) if self.guess.rows >= rows), 64)

    def _model(self) -> Iterator[str]:
        inputs = [*([self._table] if self._in_table else []), *(self._names[column.column] for column in self._alone)]
        joined, body = map(self._own, ("joined", "body"))
        if self._is_forecast:  # when it is made is not part of it
            inputs = [self._own("past")]
        yield "# The model file: what the model is."
        yield ""
        yield "seed: 0"
        yield ""
        yield f"data: {scalar(f'{self.name}.data.yaml')}"
        yield ""
        yield "nodes:"
        if self._is_forecast:
            yield f"  {joined}: {{module: torch.nn.Flatten, inputs: {inputs[0]}}}"
            inputs = [joined]
        elif len(inputs) > 1:
            yield from self._joined(inputs, joined)
            inputs = [joined]
        widths = "{widths: [128, 64], dropout: 0.1}"
        yield f"  {body}: {{module: jumpml.blocks.MLP, inputs: {scalar(inputs[0])}, args: {widths}}}"
        answers = {name: self._own("answer" if len(self._targets) == 1 else f"{name}_answer") for name in self._targets}
        for answer in answers.values():
            yield f"  {scalar(answer)}: {{module: jumpml.blocks.Head, inputs: {body}}}      # as wide as its task needs"
        yield ""
        yield "tasks:"
        for target, (name, answer) in zip(self.guess.targets, answers.items(), strict=True):
            told = f"kind: {self.guess.tasks[target.column]}, output: {scalar(answer)}, target: {scalar(name)}"
            told += f", history: {self._own('past')}, season: {self._season}" if self._is_forecast else ""
            yield commented(f"  {scalar(name)}: {{{told}}}", f"the target is {article(target.kind)}")
        yield ""
        yield "about:                                      # for the report card"
        yield from (f'  {key}: ""' for key in ("description", "intended_use", "limits", "owner"))

    def _joined(self, inputs: list[str], joined: str) -> Iterator[str]:
        """Nodes that put inputs side by side, each a vector a row."""
        shaped = {self._names[column.column] for column in self._alone if len(column.options.get("shape", ())) > 1}
        flat = {name: self._own(f"{name}_flat") for name in inputs if name in shaped}
        for name, node in flat.items():
            yield f"  {scalar(node)}: {{module: torch.nn.Flatten, inputs: {scalar(name)}}}"
        vectors = [flat.get(name, name) for name in inputs]
        yield f"  {joined}: {{module: jumpml.blocks.Concat, inputs: {scalar(vectors)}}}"

    def _learner(self) -> Iterator[str]:
        steps = math.ceil(0.7 * self.guess.rows / self._batch_size)
        epochs = min(60, max(5, STEPS // steps))
        yield "# The learner file: how to learn. It may be left out; then every key has its default."
        yield ""
        yield "optimizer: {kind: adamw, lr: 0.002}"
        yield ""
        yield "phases:"
        yield f"  supervised: {{epochs: {epochs}, schedule: {{kind: cosine}}}}"
        yield ""
        yield "# When to save, and which checkpoint is evaluated and deployed."
        yield f"checkpoint: {{every: {{epochs: 1}}, keep: 2, best: {{metric: {scalar(f'val/{self._figure}')}}}}}"

    @property
    def _figure(self) -> str:
        from jumpml.core import TASK_KINDS

        return f"{self._targets[0]}/{TASK_KINDS[self.guess.task].metrics[0]}"

    def _deploy(self) -> Iterator[str]:
        yield "# The deploy file: which forms of the model to make beside the unchanged one, which is always there."
        yield ""
        yield "# variants:"
        yield "#   int8: {quantize: {scheme: int8_static}}     # whole numbers: about a quarter of the size"
        yield f"# gate: {{metric: {scalar(self._figure)}, max_drop: 0.01}}     # what a variant must hold"
        yield ""
        yield f"bundle: {scalar(f'bundles/{self.name}')}"

    def _readme(self) -> Iterator[str]:
        yield f"# {self.name}"
        yield ""
        yield f"A JumpML project that predicts {', '.join(f'`{name}`' for name in self._targets)} from `{self.path}`."
        yield ""
        yield "```"
        yield "jumpml data .         # the values, the splits, and what is suspicious in them"
        yield "jumpml check .        # what is wrong, without training"
        yield "jumpml run .          # learns, evaluates, diagnoses, deploys, writes the report card"
        yield "```"
        yield ""
        yield f"What each column is was guessed: read `{self.name}.data.yaml`, and change what is wrong."


def article(kind: str | None) -> str:
    """A kind in a sentence."""
    return {"multilabel": "a list of labels"}.get(str(kind), f"a {kind}")
