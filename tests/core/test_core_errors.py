"""The words that errors share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import (
    CheckpointError,
    DataError,
    DeploymentError,
    EvaluationError,
    GraphError,
    JumpMLError,
    LearnerError,
    MissingExtraError,
    Mistake,
    NonFiniteLossError,
    ObjectiveError,
    SpecError,
    UntrustedNameError,
    did_you_mean,
)

words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("name", "known", "told"),
    [
        ("modul", ["module", "inputs"], "Did you mean 'module'?"),
        ("CSV", ["csv", "npz"], "Did you mean 'csv'?"),
        ("encoder1", ["encoder_1", "encoder_2", "z"], "Did you mean 'encoder_1' or 'encoder_2'?"),
        ("xyz", ["b", "a"], "There is: a, b."),
        ("xyz", [], "There are none."),
        ("xyz", [f"name{n}" for n in range(21)], ""),
        ("3", [1, 2, 33], "Did you mean '33'?"),
    ],
)
def test_near_misses(name: str, known: list[str], told: str) -> None:
    assert did_you_mean(name, known) == told


@given(words, st.lists(words, max_size=30))
def test_a_name_that_is_known_is_always_offered(name: str, others: list[str]) -> None:
    assert repr(name) in did_you_mean(name, [*others, name]) or name.lower() in {other.lower() for other in others}


@given(words, st.lists(words, min_size=1, max_size=30))
def test_only_known_names_are_offered(name: str, known: list[str]) -> None:
    told = did_you_mean(name, known)
    if told.startswith("Did you mean "):
        offered = told.removeprefix("Did you mean ").removesuffix("?").split(" or ")
        assert set(offered) <= {repr(k) for k in known}


def test_a_mistake_says_where_what_and_how_to_mend_it() -> None:
    placed = Mistake(key="a.b", problem="expected text, got 3.", fix="Quote it.", line=2, column=5)
    assert str(placed) == "line 2, column 5: a.b: expected text, got 3. Quote it."
    assert str(Mistake(key="a.b", problem="wrong.")) == "a.b: wrong."
    assert str(Mistake(key="", problem="wrong.")) == "wrong."
    assert str(Mistake(key="a.b", problem="wrong.", overridden=True)) == "--set a.b: wrong."


def test_mistakes_stand_in_the_order_of_the_file() -> None:
    places = [(3, 1), (1, 9), (1, 2), (None, None)]
    mistakes = [
        Mistake(key=str(n), problem="wrong.", line=line, column=column) for n, (line, column) in enumerate(places)
    ]
    error = SpecError("a.yaml", mistakes)
    assert [mistake.key for mistake in error.mistakes] == ["3", "2", "1", "0"]
    assert str(error) == (
        "a.yaml: 4 mistakes\n  3: wrong.\n  line 1, column 2: 2: wrong.\n  line 1, column 9: 1: wrong.\n"
        "  line 3, column 1: 0: wrong."
    )
    assert str(SpecError("a.yaml", mistakes[:1])) == "a.yaml: 1 mistake\n  line 3, column 1: 0: wrong."


def test_a_missing_extra_says_what_brings_it() -> None:
    error = MissingExtraError("soundfile", "audio", "Reading audio files")
    assert str(error) == (
        "Reading audio files needs the package 'soundfile', which is not installed: pip install 'jumpml[audio]'"
    )
    assert isinstance(error, ImportError)


def test_every_error_is_a_jumpml_error() -> None:
    kinds = (
        CheckpointError,
        DataError,
        DeploymentError,
        EvaluationError,
        GraphError,
        LearnerError,
        MissingExtraError,
        ObjectiveError,
        SpecError,
        UntrustedNameError,
    )
    assert all(issubclass(kind, JumpMLError) for kind in kinds)
    assert issubclass(NonFiniteLossError, LearnerError)
