"""From what a file says to a teacher."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from jumpml.core import TeacherSpec
from jumpml.curriculum import Annealed, Exp3S, build_teacher
from jumpml.curriculum._build import _KINDS

SPECS = TypeAdapter(TeacherSpec)
NAMES, MAPPINGS = get_args(TeacherSpec)


def test_a_name_alone_has_its_defaults() -> None:
    teacher = build_teacher(SPECS.validate_python("exp3s"))
    assert isinstance(teacher, Exp3S)
    assert teacher.identity() == Exp3S().identity()


def test_options_arrive() -> None:
    teacher = build_teacher(SPECS.validate_python({"kind": "annealed", "start": 2.0, "end": 3.0}))
    assert teacher.identity() == Annealed(2.0, 3.0).identity()


def test_names_mappings_and_teachers_are_of_the_same_kinds() -> None:
    specs = {get_args(spec.model_fields["kind"].annotation)[0] for spec in get_args(get_args(MAPPINGS)[0])}
    assert set(get_args(NAMES)) == specs == set(_KINDS)


@pytest.mark.parametrize("kind", get_args(NAMES))
def test_a_files_defaults_are_those_of_python(kind: str) -> None:
    spec: Any = SPECS.validate_python({"kind": kind})
    given = {name: parameter.default for name, parameter in inspect.signature(_KINDS[kind]).parameters.items()}
    assert spec.model_dump(exclude={"kind"}) == given
    assert build_teacher(spec).kind == kind


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
    with pytest.raises(ValidationError, match=told):
        SPECS.validate_python({"kind": "tscl", **said})
    assert SPECS.validate_python({"kind": "tscl", "algorithm": "window", "window": 2, "alpha": 0.5, "temperature": 1.0})
