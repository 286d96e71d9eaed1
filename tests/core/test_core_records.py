"""Records: what is written is what is read, to the last bit."""

from __future__ import annotations

import math
import struct
from types import UnionType
from typing import Any, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue, ValidationError

from jumpml.core import DeploymentRecord, DiagnosisRecord, EpochRecord, EvaluationRecord, Figure, Record, RunRecord

RECORDS = (DeploymentRecord, DiagnosisRecord, EpochRecord, EvaluationRecord, Figure, RunRecord)
texts = st.text(max_size=4)
numbers = st.floats(allow_nan=True, allow_infinity=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | numbers | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
SIMPLE = {float: numbers, int: st.integers(-(2**63), 2**63), str: texts, bool: st.booleans(), JsonValue: json_values}


def drawn(annotation: Any) -> st.SearchStrategy[Any]:
    """Any value of a record's field."""
    if annotation in SIMPLE:
        return SIMPLE[annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) is tuple:
        return st.lists(drawn(arguments[0]), max_size=2).map(tuple)
    if get_origin(annotation) is dict:
        return st.dictionaries(texts, drawn(arguments[1]), max_size=2)
    if isinstance(annotation, UnionType):
        return st.one_of([st.none() if member is type(None) else drawn(member) for member in arguments])
    return st.builds(annotation, **{name: drawn(field.annotation) for name, field in annotation.model_fields.items()})


def same(some: Any, other: Any) -> bool:
    """Equality to the last bit: a NaN equals a NaN, and 0.0 is not -0.0."""
    if type(some) is not type(other):
        return False
    if isinstance(some, BaseModel):
        return same(dict(some), dict(other))
    if isinstance(some, dict):
        return some.keys() == other.keys() and all(same(some[key], other[key]) for key in some)
    if isinstance(some, (list, tuple)):
        return len(some) == len(other) and all(map(same, some, other))
    if isinstance(some, float):
        return struct.pack("d", some) == struct.pack("d", other) or (math.isnan(some) and math.isnan(other))
    return some == other


@pytest.mark.parametrize("cls", RECORDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_what_is_written_is_read_back_to_the_last_bit(cls: type[Record], data: st.DataObject) -> None:
    record = data.draw(drawn(cls))
    assert same(cls.model_validate_json(record.model_dump_json()), record)


@pytest.mark.parametrize(
    ("some", "other"),
    [
        (0.0, -0.0),
        (1.0, math.nextafter(1.0, 2.0)),
        (math.nan, 1.0),
        (1, 1.0),
        ((1.0,), (1.0, 2.0)),
        ({"a": 1.0}, {"b": 1.0}),
        (Figure(value=1, low=0, high=2, n=3), Figure(value=1, low=0, high=2, n=4)),
    ],
)
def test_the_comparison_can_fail(some: Any, other: Any) -> None:
    assert same(some, some)
    assert not same(some, other)


def test_a_figure_reads_as_value_and_interval() -> None:
    figure = Figure(value=0.97, low=0.95, high=0.98765, n=270)
    assert str(figure) == "0.97 [0.95, 0.9877]"
    assert float(figure) == 0.97


def test_records_are_frozen_and_know_their_keys() -> None:
    figure = Figure(value=0.97, low=0.95, high=0.98, n=270)
    with pytest.raises(ValidationError, match="frozen"):
        figure.value = 1.0  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Figure.model_validate({**figure.model_dump(), "hihg": 1})
