"""What is known of a data set after a look at its values: plain values, for a terminal, a page and a file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from jumpml.core import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

Level = Literal["alarm", "note"]


@final
@dataclass(frozen=True, kw_only=True)
class VariableProfile:
    """One number or one name a row: a field, a table's column, or a measure of a picture, a sound or a text.

    Attributes:
        name: ``age``, ``body.sex``, ``image (mean)``.
        field: The field that it belongs to.
        kind: ``number``, ``category`` or ``date``.
        missing: The share of rows without a value.
        distinct: How many different values the rows that were looked at hold.
        quantiles: The least value, the quartiles and the greatest; in seconds since 1970 for a date. Empty for a
            category, and where no row has a value.
        edges: Where the histogram's bars begin and end; the first and the last bar also hold what lies beyond. Empty
            for a category.
        classes: The names behind the bars of a category, the most frequent ones.
        counts: Rows by bar, in each split.
        known: Rows that have a value, in each split; of a category with many classes more than stand in the bars.
        alone: How well it predicts the target by itself, on held-out rows: 0 is as good as knowing nothing, 1 is
            perfect. None where there is no target, or this is one.
    """

    name: str
    field: str
    kind: str
    missing: float
    distinct: int
    quantiles: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    counts: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    known: Mapping[str, int] = dataclasses.field(default_factory=dict)
    alone: float | None = None

    @property
    def bars(self) -> tuple[int, ...]:
        """Rows by bar, in all splits."""
        return tuple(map(sum, zip(*self.counts.values(), strict=True)))


@final
@dataclass(frozen=True, kw_only=True)
class FieldProfile:
    """A field.

    Attributes:
        name: The field.
        kind: Its kind.
        shape: Of one row's value.
        missing: Rows without a value, of all.
        rows: How many rows were looked at.
        classes: The names of its classes, all of them.
        variables: What was measured of it.
        examples: The first train rows' values, as texts.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    missing: int
    rows: int
    classes: tuple[str, ...]
    variables: tuple[VariableProfile, ...]
    examples: tuple[str, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """Something that a person should look at before training.

    Attributes:
        what: ``gives_target_away``, ``identifier``, ``shift``, ``missing_by_split``, ``imbalance``, ``outliers``, or
            ``finding``: what `DataLoaders.findings` tells, such as constant columns and duplicates.
        where: The variable, or empty.
        text: A sentence or two.
        level: ``alarm`` where it is likely that figures will mislead, else ``note``.
    """

    what: str
    where: str
    text: str
    level: Level

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


@final
@dataclass(frozen=True, kw_only=True)
class Profile:
    """A data set, looked at; printing it shows it as `summary` does.

    Attributes:
        name: The data set's name.
        rows: Rows by split.
        left_out: Rows that are in no split, by the reason.
        looked_at: How many rows were looked at, of fields with small values.
        target: The field that the others were asked to predict; None where there is none.
        fields: The fields.
        suspicions: What is suspicious, alarms first.
        pictures: The first pictures and sounds, as a PNG; empty where there are none.
    """

    name: str
    rows: Mapping[str, int]
    left_out: Mapping[str, int]
    looked_at: int
    target: str | None
    fields: tuple[FieldProfile, ...]
    suspicions: tuple[Suspicion, ...]
    pictures: bytes = b""

    @property
    def variables(self) -> tuple[VariableProfile, ...]:
        """Those of all fields."""
        return tuple(variable for each in self.fields for variable in each.variables)

    @property
    def alarms(self) -> tuple[Suspicion, ...]:
        """What is likely to make figures mislead."""
        return tuple(suspicion for suspicion in self.suspicions if suspicion.level == "alarm")

    def record(self) -> dict[str, JsonValue]:
        """Everything but the pictures, as plain values."""
        told = dataclasses.asdict(self)
        del told["pictures"]
        return json.loads(json.dumps(told))

    def summary(self) -> str:
        """Everything, for people: a table with a small histogram a variable, then what is suspicious."""
        from jumpml.data.profiling._text import lines

        return "\n".join(text for text, _ in lines(self))

    def save(self, folder: str | Path) -> Path:
        """Write ``profile.html``, a page that needs nothing else, ``profile.png`` and ``profile.json``.

        Args:
            folder: Where; made if need be.

        Returns:
            The page.
        """
        from jumpml.data.profiling._drawing import draw_profile
        from jumpml.data.profiling._page import page

        folder, picture = Path(folder), draw_profile(self)
        write_file(folder / "profile.png", picture)
        write_file(folder / "profile.json", json.dumps(self.record(), indent=2, ensure_ascii=False) + "\n")
        write_file(folder / "profile.html", page(self, picture))
        return folder / "profile.html"

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.text import Text

        from jumpml.data.profiling._text import lines

        yield from (Text(text, style=style, no_wrap=True, overflow="ignore") for text, style in lines(self))
