"""The card's sections in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.report import _words as words
from jumpml.report._ablations import ablation_sections
from jumpml.report._adapted import adapted_sections
from jumpml.report._attribution import attribution_section
from jumpml.report._blocks import Page
from jumpml.report._course import course_section
from jumpml.report._data import data_section
from jumpml.report._deployment import deployment_section
from jumpml.report._foreign import foreign_section
from jumpml.report._health import health_section
from jumpml.report._learning import learning_section
from jumpml.report._map import map_section
from jumpml.report._overview import overview, title
from jumpml.report._quality import quality_section
from jumpml.report._repeat import graph_section, repeat_section
from jumpml.report._struggles import struggles_section

if TYPE_CHECKING:
    from jumpml.report._record import CardRecord


def page_of(record: CardRecord) -> Page:
    """Say everything that the records hold."""
    sections = (
        data_section(record),
        learning_section(record.epochs),
        *course_section(record),
        *ablation_sections(record),
        quality_section(record.evaluation),
        *adapted_sections(record.evaluation),
        attribution_section(record),
        map_section(record.diagnosis),
        struggles_section(record),
        foreign_section(record.diagnosis),
        deployment_section(record.deployment),
        health_section(record.diagnosis),
        repeat_section(record),
        graph_section(record),
    )
    return Page(title(record), words.prose(record.about("model", "description")), overview(record), sections)
