"""What is told of a run while it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import Course, EpochRecord
from jumpml.learn.logs._patient_log import PatientLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jumpml.learn._progress import Progress
    from jumpml.learn.logs._logs import Log, StepRecord


class Journal:
    """The records of the closed epochs, the notes of the open one, and the logs that hear of them.

    Args:
        logs: Where figures go.

    Attributes:
        logs: The same; one on a disk that refuses is patient.
        records: Of the closed epochs.
        course: What hooks told, over the updates.
    """

    def __init__(self, logs: Sequence[Log]) -> None:
        self.logs = tuple(PatientLog(one) for one in logs)
        self.records: list[EpochRecord] = []
        self.course = Course()
        self._notes: list[str] = []

    def note(self, text: str) -> None:
        """Say in the open epoch's record what happened."""
        self._notes.append(text)

    def amend(self) -> None:
        """Put what was noted into the last record, since no other will come."""
        if self.records:
            last = self.records[-1]
            self.records[-1] = last.model_copy(update={"notes": (*last.notes, *self._notes)})
            self._notes = []

    def begin(self, phase: str, epochs: int, done: int, steps: int) -> None:
        """A phase starts or goes on; see `Log.begin`."""
        for log in self.logs:
            log.begin(phase, epochs, done, steps)

    def steps(
        self, progress: Progress, count: int, records: Iterator[StepRecord], figures: Mapping[str, float]
    ) -> None:
        """Some steps were made, after which hooks tell these figures.

        Args:
            progress: Where the run stands after the last of them.
            count: How many they are.
            records: Of each; made only where a log asks.
            figures: By name.
        """
        self.course.add(progress.phase or "", progress.step, count, figures)
        if self.logs:
            *told, last = records
            told.append(last._replace(figures=figures))
            for log in self.logs:
                log.steps(told)

    def epoch(self, record: EpochRecord) -> EpochRecord:
        """An epoch ended; what was noted goes into its record, which comes back."""
        if self._notes:
            record, self._notes = record.model_copy(update={"notes": tuple(self._notes)}), []
        self.records.append(record)
        for log in self.logs:
            log.epoch(record)
        return record

    def rewind(self, step: int) -> None:
        """Training goes on after this step."""
        for log in self.logs:
            log.rewind(step, self.records)

    def pause(self) -> None:
        """The learner hands back to the program."""
        for log in self.logs:
            log.pause()

    def state_dict(self) -> dict[str, Any]:
        """Records, notes and the course; what the logs hold stands on the disk."""
        records = [record.model_dump() for record in self.records]
        return {"records": records, "notes": [*self._notes], "course": self.course.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._notes = [*state["notes"]]
        self.records = [EpochRecord.model_validate(record) for record in state["records"]]
        if "course" in state:  # an earlier version kept none
            self.course.load_state_dict(state["course"])
