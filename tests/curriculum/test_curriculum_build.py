"""From what a file says to teachers, pacings and row weights."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from jumpml.core import ExamplesSpec, PacingSpec, TeacherSpec
from jumpml.curriculum import Annealed, build_pacing, build_row_weights, build_teacher
from jumpml.curriculum._build import _KINDS
from jumpml.curriculum._build_pacing import _PACINGS, _WEIGHTS

PARTS: dict[str, Any] = {
    "teacher": (TeacherSpec, _KINDS, build_teacher),
    "pacing": (PacingSpec, _PACINGS, build_pacing),
    "examples": (ExamplesSpec, _WEIGHTS, build_row_weights),
}
OF_THE_LOOP = {"prioritized", "data_parameters"}  # of examples: they do more than weigh losses


def kinds(part: str) -> list[str]:
    return [get_args(spec.model_fields["kind"].annotation)[0] for spec in get_args(get_args(PARTS[part][0])[0])]


@pytest.mark.parametrize("part", PARTS)
def test_files_and_python_know_the_same_kinds(part: str) -> None:
    assert {*kinds(part)} - OF_THE_LOOP == {*PARTS[part][1]}


@pytest.mark.parametrize(("part", "kind"), [(part, kind) for part in PARTS for kind in kinds(part)])
def test_a_name_alone_stands_for_the_kind_with_the_defaults_of_python(part: str, kind: str) -> None:
    specs, known, build = PARTS[part]
    spec = TypeAdapter(specs).validate_python(kind)
    assert spec == TypeAdapter(specs).validate_python({"kind": kind})
    if kind in OF_THE_LOOP:
        assert build(spec) is None
        return
    given = {name: parameter.default for name, parameter in inspect.signature(known[kind]).parameters.items()}
    assert spec.model_dump(exclude={"kind", "of"}) == given
    assert build(spec).identity() == known[kind]().identity()


def test_options_arrive() -> None:
    spec = TypeAdapter(TeacherSpec).validate_python({"kind": "annealed", "start": 2.0, "end": 3.0})
    assert build_teacher(spec).identity() == Annealed(2.0, 3.0).identity()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"alpha": 0.1}, "the algorithm 'sampling' has no alpha; leave it out"),
        ({"temperature": 1.0}, "the algorithm 'sampling' has no temperature; leave it out"),
        ({"algorithm": "online", "window": 3}, "the algorithm 'online' has no window; leave it out"),
        ({"algorithm": "window", "window": 1}, "the algorithm 'window' needs a window of at least 2, through which a"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_the_file(said: Any, told: str) -> None:
    specs = TypeAdapter(TeacherSpec)
    with pytest.raises(ValidationError, match=told):
        specs.validate_python({"kind": "tscl", **said})
    assert specs.validate_python({"kind": "tscl", "algorithm": "window", "window": 2, "alpha": 0.5, "temperature": 1.0})
