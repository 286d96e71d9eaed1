"""Everything that a card is built from, as one record."""

from __future__ import annotations

from typing import Any

from jumpml.core import (
    TASK_KINDS,
    AblationRecord,
    CoursePoint,
    DeploymentRecord,
    DiagnosisRecord,
    EpochRecord,
    EvaluationRecord,
    Record,
    RunRecord,
    TaskEvaluation,
)


class CardRecord(Record):
    """All records of a run; ``card.json`` holds it whole."""

    evaluation: EvaluationRecord
    """How good the model is."""
    diagnosis: DiagnosisRecord | None = None
    """Why it answers as it does, where it struggles, what is foreign to it."""
    deployment: DeploymentRecord | None = None
    """What was exported, verified and bundled."""
    epochs: tuple[EpochRecord, ...] = ()
    """How it learned."""
    course: tuple[CoursePoint, ...] = ()
    """What hooks told of the updates: shares and rewards of arms, multipliers, cosines."""
    ablations: tuple[AblationRecord, ...] = ()
    """Twins of the run, each without one part of the learner file."""
    run: RunRecord | None = None
    """What was run."""
    notes: tuple[str, ...] = ()
    """What of the course could not be read."""

    @property
    def data(self) -> dict[str, Any]:
        """What the data summary says: rows by split, fields, features, findings; empty where it is not known."""
        return dict(self.run.data) if self.run else {}

    def spec(self, kind: str) -> dict[str, Any]:
        """One of the resolved specs: ``data``, ``model``, ``learner`` or ``deploy``; empty where it is not known."""
        return dict(self.run.specs.get(kind) or {}) if self.run else {}

    def about(self, kind: str, key: str) -> str:
        """What the data file or the model file says of itself; empty where it says nothing."""
        about = self.spec(kind).get("about")
        value = about.get(key) if isinstance(about, dict) else None
        return value if isinstance(value, str) else ""


def decides(task: TaskEvaluation | None) -> str:
    """What a task's kind decides, as `core.TaskKind` has it; empty where another version wrote of another kind."""
    kind = TASK_KINDS.get(task.kind) if task else None
    return kind.decides if kind else ""
