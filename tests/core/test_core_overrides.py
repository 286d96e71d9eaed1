"""``--set``: what it changes, and how its own mistakes are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jumpml.core import DataSpec, LearnerSpec, SpecError, load_spec, parse_override, to_yaml

if TYPE_CHECKING:
    from pathlib import Path

DATA = """
datasets:
  a:
    source: {kind: csv, path: a.csv}
    fields: {x: {kind: number}}
augment: {x: [{noise: {std: 0.1}}, {noise: {std: 0.2}}]}
"""
LEARNER = """
seed: 3
phases:
  supervised: {epochs: 3}
  empty:
checkpoint: {every: {epochs: 1}}
log: [progress]
"""


@pytest.fixture
def learner(tmp_path: Path) -> Path:
    path = tmp_path / "a.learner.yaml"
    path.write_text(LEARNER.replace("  empty:\n", ""))
    return path


def refusal(path: Path, overrides: dict[str, Any]) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec(LearnerSpec, path, overrides)
    assert caught.value.source == str(path)
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("overrides", "at", "value"),
    [
        ({"seed": 5}, ("seed",), 5),
        ({"phases.supervised.epochs": 5}, ("phases", "supervised", "epochs"), 5),
        ({"phases.new.epochs": 5}, ("phases", "new", "epochs"), 5),
        ({"ema.decay": 0.5}, ("ema", "decay"), 0.5),
        ({"checkpoint.every": {"steps": 7}}, ("checkpoint", "every", "steps"), 7),
        ({"checkpoint.every.epochs": None, "checkpoint.every.steps": 7}, ("checkpoint", "every", "epochs"), None),
        ({"checkpoint": None}, ("checkpoint",), None),
        ({"log.0": "jsonl"}, ("log", 0), "jsonl"),
        ({"log[0]": "jsonl"}, ("log", 0), "jsonl"),
        ({"log": ("jsonl", "progress")}, ("log", 1), "progress"),
    ],
)
def test_any_key_can_be_set(learner: Path, overrides: dict[str, Any], at: tuple[Any, ...], value: Any) -> None:
    found: Any = load_spec(LearnerSpec, learner, overrides).model_dump()
    for part in at:
        found = found[part]
    assert found == value


def test_keys_inside_lists_and_null_mappings_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "a.data.yaml"
    path.write_text(DATA)
    spec = load_spec(DataSpec, path, {"augment.x[1].noise.std": 0.5})
    assert [step.chosen().std for step in spec.augment["x"]] == [0.1, 0.5]
    path.write_text(LEARNER)
    assert load_spec(LearnerSpec, path, {"phases.empty.epochs": 2}).phases["empty"].epochs == 2


def test_a_spec_object_and_a_dict_can_be_overridden_and_stay_as_they_were() -> None:
    given: dict[str, Any] = {"phases": {"supervised": {"epochs": 3}}}
    spec = load_spec(LearnerSpec, given)
    for source in (given, spec):
        assert load_spec(LearnerSpec, source, {"phases.supervised.epochs": 4}).phases["supervised"].epochs == 4
    assert given == {"phases": {"supervised": {"epochs": 3}}}
    assert spec.phases["supervised"].epochs == 3


def test_an_overridden_spec_still_knows_its_file(learner: Path) -> None:
    spec = load_spec(LearnerSpec, load_spec(LearnerSpec, learner), {"seed": 4})
    assert spec.source == str(learner)
    assert str(spec.mistake(("seed",), "wrong.")) == "--set seed: wrong."
    assert str(spec.mistake(("log",), "wrong.")) == "line 6, column 1: log: wrong."
    again = load_spec(LearnerSpec, spec, {"log": ["jsonl"]})
    assert str(again.mistake(("seed",), "wrong.")) == "--set seed: wrong."


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"phases.supervised.epochs": "x"}, "--set phases.supervised.epochs: expected a whole number, got 'x'."),
        (
            {"phases.supervised": {"epocs": 3}},
            "--set phases.supervised.epocs: this key is unknown. Did you mean 'epochs'?",
        ),
        ({"sed": 3}, "--set sed: this key is unknown. Did you mean 'seed'?"),
        (
            {"schedule.max_lr": 3.0},
            "--set schedule.kind: this key is missing; expected one of constant, cosine, linear, one_cycle, plateau, "
            "torch.",
        ),
        (
            {"log[0]": "cvs"},
            "--set log[0]: expected one of progress, jsonl, csv, tensorboard, mlflow, wandb, got 'cvs'. Did you mean "
            "'csv'?",
        ),
        ({"log.3": "csv"}, "--set log.3: log is a list of 1, whose keys are numbers from 0; got '3'."),
        ({"log.-1": "csv"}, "--set log.-1: log is a list of 1, whose keys are numbers from 0; got '-1'."),
        ({"log.first": "csv"}, "--set log.first: log is a list of 1, whose keys are numbers from 0; got 'first'."),
        ({"seed.a": 3}, "--set seed.a: seed is 3, which has no keys."),
        ({"log.0.a": 3}, "--set log.0.a: log[0] is 'progress', which has no keys."),
        ({"a..b": 3}, "--set a..b: expected names with single dots between them."),
        (
            {"checkpoint.every.steps": 7},
            "line 5, column 14: checkpoint.every: expected either epochs or steps, got both.",
        ),
    ],
)
def test_a_wrong_override_is_told_by_its_key(learner: Path, overrides: dict[str, Any], told: str) -> None:
    assert refusal(learner, overrides) == [told]


def test_all_wrong_overrides_are_told_at_once(learner: Path) -> None:
    assert refusal(learner, {"seed.a": 1, "log.9": 2}) == [
        "--set seed.a: seed is 3, which has no keys.",
        "--set log.9: log is a list of 1, whose keys are numbers from 0; got '9'.",
    ]


def test_an_override_that_is_no_data_is_refused(learner: Path) -> None:
    with pytest.raises(SpecError, match="--set seed: expected text, a number, a list or a mapping"):
        load_spec(LearnerSpec, learner, {"seed": object()})


def test_overriding_what_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("- a")
    assert refusal(path, {"seed": 1}) == [
        "--set seed: the file is a list of 1, whose keys are numbers from 0; got 'seed'."
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=3", 3),
        ("a.b=1e-4", 1e-4),
        ("a.b=no", "no"),
        ("a.b=", None),
        ("a.b=x=y", "x=y"),
        ("a.b=[upto: encoder]", [{"upto": "encoder"}]),
    ],
)
def test_the_value_of_a_setting_is_yaml(text: str, value: Any) -> None:
    assert parse_override(text) == ("a.b", value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a", "--set: 1 mistake\n  expected key=value, such as learner.phases.supervised.epochs=3; got 'a'."),
        ("=3", "--set: 1 mistake\n  expected key=value, such as learner.phases.supervised.epochs=3; got '=3'."),
        ("a=[", "--set a: 1 mistake\n  line 1, column 2: this is not YAML: expected the node content, but found"),
        ("a=!!python/name:x", "--set a: 1 mistake\n  line 1, column 1: the tag '!!python/name:x' is refused"),
    ],
)
def test_what_is_no_setting_is_refused(text: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_override(text)
    assert str(caught.value).startswith(told)


def test_another_kind_on_a_file_that_says_every_key_meets_no_default_of_the_old_one(tmp_path: Path) -> None:
    written = {"balance": {"kind": "upgrad"}, "adapt": {"kind": "entropy", "episodic": True}, "seed": 3}
    path = tmp_path / "a.learner.yaml"
    path.write_text(to_yaml(load_spec(LearnerSpec, written).model_dump(mode="json")))  # as a run keeps it
    found = load_spec(LearnerSpec, path, {"balance.kind": "dwa", "adapt.kind": "statistics", "adapt.prior": 0.0})
    expected = {"balance": {"kind": "dwa"}, "adapt": {"kind": "statistics", "episodic": True}, "seed": 3}
    assert found.model_dump() == load_spec(LearnerSpec, expected).model_dump()


def test_what_was_chosen_of_the_old_kind_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.learner.yaml"
    path.write_text("adapt: {kind: entropy, lr: 0.01, prior: 1.0}\n")
    told = ["line 1, column 24: adapt.lr: this key is unknown. There is: episodic, memory, prior, probe."]
    assert refusal(path, {"adapt.kind": "statistics"}) == told
