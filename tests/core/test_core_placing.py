"""From problems without a file to mistakes with lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jumpml.core import (
    DataSpec,
    GraphError,
    JumpMLError,
    LearnerError,
    LearnerSpec,
    Mistake,
    ModelSpec,
    Problem,
    SpecError,
    join_errors,
    load_spec,
    refusal,
    with_lines,
)

if TYPE_CHECKING:
    from pathlib import Path

NODE = Problem(("nodes", "out", "inputs"), "reads nothing.", "Give it something.")
PHASE = Problem(("phases", "supervised"), "is idle.")
BATCH = Problem(("batch_size",), "is too small.")


@pytest.fixture
def specs(tmp_path: Path) -> tuple[ModelSpec, LearnerSpec]:
    (tmp_path / "p.model.yaml").write_text("seed: 0\nnodes:\n  out: {module: torch.nn.Identity, inputs: x}\n")
    (tmp_path / "p.learner.yaml").write_text("phases:\n  supervised: {epochs: 1}\n")
    return load_spec(ModelSpec, tmp_path / "p.model.yaml"), load_spec(LearnerSpec, tmp_path / "p.learner.yaml")


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (NODE, "node 'out': reads nothing. Give it something."),
        (PHASE, "phase 'supervised': is idle."),
        (BATCH, "batch_size: is too small."),
        (Problem(("checkpoint", "best", "metric"), "is unknown."), "checkpoint.best.metric: is unknown."),
    ],
)
def test_a_problem_names_its_place_as_a_program_would(problem: Problem, told: str) -> None:
    assert str(problem) == told


def test_a_refusal_tells_all_and_remembers_where() -> None:
    assert str(refusal(GraphError, [NODE])) == "node 'out': reads nothing. Give it something."
    error = refusal(LearnerError, [NODE, PHASE])
    assert isinstance(error, LearnerError)
    assert error.problems == (NODE, PHASE)
    assert str(error) == (
        "2 problems:\n  node 'out': reads nothing. Give it something.\n  phase 'supervised': is idle."
    )


def test_problems_find_their_lines(specs: tuple[ModelSpec, LearnerSpec]) -> None:
    model, _ = specs
    error = with_lines(refusal(GraphError, [NODE]), *specs)
    assert isinstance(error, SpecError)
    assert str(error) == (
        f"{model.source}: 1 mistake\n  line 3, column 36: nodes.out.inputs: reads nothing. Give it something."
    )


def test_problems_of_several_files_are_told_file_by_file(specs: tuple[ModelSpec, LearnerSpec]) -> None:
    model, learner = specs
    error = with_lines(refusal(LearnerError, [PHASE, NODE]), model, learner)
    assert str(error).splitlines() == [
        f"{model.source}: 1 mistake",
        "  line 3, column 36: nodes.out.inputs: reads nothing. Give it something.",
        f"{learner.source}: 1 mistake",
        "  line 2, column 3: phases.supervised: is idle.",
    ]


def test_what_stands_in_another_file_is_kept_for_who_knows_that_file(specs: tuple[ModelSpec, LearnerSpec]) -> None:
    _, learner = specs
    partly = with_lines(refusal(LearnerError, [BATCH, PHASE]), learner)
    assert str(partly) == (
        f"{learner.source}: 1 mistake\n  line 2, column 3: phases.supervised: is idle.\nbatch_size: is too small."
    )
    data = load_spec(
        DataSpec,
        {"datasets": {"d": {"source": {"kind": "csv", "path": "a.csv"}, "fields": {"x": {"kind": "number"}}}}},
    )
    wholly = with_lines(partly, data, learner)
    assert str(wholly).splitlines() == [
        "the data spec: 1 mistake",
        "  batch_size: is too small.",
        f"{learner.source}: 1 mistake",
        "  line 2, column 3: phases.supervised: is idle.",
    ]


def test_an_error_without_places_stays_what_it_is(specs: tuple[ModelSpec, LearnerSpec]) -> None:
    for error in (LearnerError("no."), refusal(LearnerError, [BATCH]), SpecError("a.yaml", [])):
        assert with_lines(error, *specs) is error


def test_mistakes_of_one_file_are_joined_and_told_once() -> None:
    first, second = (Mistake(key=key, problem="wrong.", line=line, column=1) for key, line in (("a", 2), ("b", 1)))
    joined = join_errors([SpecError("p.yaml", [first]), SpecError("p.yaml", [second, first])])
    assert isinstance(joined, SpecError)
    assert joined.mistakes == (second, first)
    several = join_errors([SpecError("p.yaml", [first]), LearnerError("no."), SpecError("q.yaml", [second])])
    assert type(several) is JumpMLError
    assert str(several) == (
        "p.yaml: 1 mistake\n  line 2, column 1: a: wrong.\nno.\nq.yaml: 1 mistake\n  line 1, column 1: b: wrong."
    )
