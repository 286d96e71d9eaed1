"""The report card: everything that a run's records say, as a page, as Markdown and as JSON."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

from jumpml.core import DeploymentRecord, DiagnosisRecord, EvaluationRecord, Record, RunError, write_file
from jumpml.report._html import to_html
from jumpml.report._markdown import to_markdown
from jumpml.report._metadata import front_matter
from jumpml.report._page import page_of
from jumpml.report._record import CardRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jumpml.core import AblationRecord, CoursePoint, EpochRecord, Recorded, RunRecord
    from jumpml.report._blocks import Page

R = TypeVar("R", bound=Record)


@final
class Card:
    """A report card, rendered when it is first asked for.

    Args:
        record: All records that it tells of.
    """

    def __init__(self, record: CardRecord) -> None:
        self.record = record

    @cached_property
    def html(self) -> str:
        """One HTML page that needs nothing beside itself: styles and pictures are in it, and it runs no script."""
        return to_html(self._page)

    @cached_property
    def markdown(self) -> str:
        """A Hugging Face model card: YAML metadata, then words and tables."""
        return f"{front_matter(self.record)}\n{to_markdown(self._page)}"

    @cached_property
    def json(self) -> str:
        """All records in one document; ``CardRecord.model_validate_json`` reads it back."""
        return f"{self.record.model_dump_json(indent=2)}\n"

    @cached_property
    def _page(self) -> Page:
        return page_of(self.record)

    def save(self, folder: str | Path) -> Path:
        """Write ``card.html``, ``README.md`` and ``card.json``, each whole or not at all.

        Args:
            folder: Where; it is made if need be.

        Returns:
            The path of ``card.html``.

        Raises:
            OSError: The disk is full or the folder read-only.
        """
        folder = Path(folder)
        texts = {"README.md": self.markdown, "card.json": self.json, "card.html": self.html}
        for name, text in texts.items():
            write_file(folder / name, text)
        return folder / "card.html"


def report_card(
    evaluation: EvaluationRecord | Recorded,
    diagnosis: DiagnosisRecord | Recorded | None = None,
    deployment: DeploymentRecord | Recorded | None = None,
    *,
    epochs: Iterable[EpochRecord] = (),
    course: Iterable[CoursePoint] = (),
    ablations: Iterable[AblationRecord] = (),
    run: RunRecord | None = None,
) -> Card:
    """Make a card from records alone; what is not given, the card says in a line how to get.

    Args:
        evaluation: What `eval_model` returned, or its record.
        diagnosis: What `diagnose` returned, or its record.
        deployment: What `deploy_model` returned, or its record.
        epochs: How the model learned: the learner's ``history.epochs``.
        course: What hooks told of its updates: the learner's ``history.course``.
        ablations: Twins of the run, each without one part of the learner file; `jumpml.ablate` runs them.
        run: What was run: name, resolved specs, environment.

    Raises:
        RunError: Something was given that holds no record of the kind.

    Example:
        >>> from jumpml.core import EvaluationRecord
        >>> card = report_card(EvaluationRecord(split="test", tasks={}))
        >>> card.html.startswith("<!DOCTYPE html>")
        True
    """
    record = CardRecord(
        evaluation=_record_of(evaluation, EvaluationRecord, "evaluation", "eval_model"),
        diagnosis=None if diagnosis is None else _record_of(diagnosis, DiagnosisRecord, "diagnosis", "diagnose"),
        deployment=None
        if deployment is None
        else _record_of(deployment, DeploymentRecord, "deployment", "deploy_model"),
        epochs=tuple(epochs),
        course=tuple(course),
        ablations=tuple(ablations),
        run=run,
    )
    return Card(record)


def _record_of(given: Any, kind: type[R], argument: str, verb: str) -> R:
    record = given if isinstance(given, Record) else getattr(given, "record", given)
    if not isinstance(record, kind):
        raise RunError(
            f"report_card: {argument} must be what {verb} returns, or its {kind.__name__}; got {type(given).__name__}."
        )
    return record
