"""What a part of a run was worth, as records."""

from __future__ import annotations

from jumpml.core._record import Figure, Record
from jumpml.core._records import EpochRecord


class AblationRecord(Record):
    """A twin of a run, which learned likewise without one part of the learner file."""

    key: str
    """The part's key."""
    instead: str
    """What is done in its place, in words; empty where nothing is."""
    folder: str
    """The twin's, from the run's."""
    figures: dict[str, dict[str, Figure]]
    """By task and metric, on the test rows."""
    changes: dict[str, dict[str, Figure]] = {}
    """By task and metric, the run's figure less the twin's, on the same rows; its interval is of paired rows."""
    epochs: tuple[EpochRecord, ...] = ()
    """How the twin learned."""


class AblationsRecord(Record):
    """All twins of a run."""

    twins: tuple[AblationRecord, ...] = ()
    """In the order in which they were asked for."""
