"""The reader of YAML and JSON: values, positions, refusals."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import SpecError, to_yaml
from jumpml.core._document import MAX_DEPTH, MAX_VALUES
from jumpml.core._yaml import parse_json, parse_yaml

# Printable text without the line breaks that YAML folds (it keeps them only where they are escaped).
texts = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=8)


def _values(floats: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | st.integers() | floats | texts
    return st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4))


values = _values(st.floats(allow_nan=False))
json_values = _values(st.floats(allow_nan=False, allow_infinity=False))  # JSON has no infinity


def refusal(text: str, parse: Any = parse_yaml) -> str:
    """The text of the only mistake that parsing finds."""
    with pytest.raises(SpecError) as caught:
        parse(text, "some.yaml")
    assert caught.value.source == "some.yaml"
    assert len(caught.value.mistakes) == 1
    return str(caught.value.mistakes[0])


def _paths(value: Any, prefix: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, below in inner for path in _paths(below, (*prefix, key)))]


@given(values)
def test_what_we_write_is_read_back(value: Any) -> None:
    text = to_yaml(value)
    document = parse_yaml(text, "some.yaml")
    assert document.value == value
    assert set(document.positions) == set(_paths(value))


@given(st.dictionaries(texts, json_values, min_size=1), st.sampled_from([None, 2, "\t"]))
def test_json_is_read_back_whatever_its_indentation(value: Any, indent: int | str | None) -> None:
    document = parse_json(json.dumps(value, indent=indent, ensure_ascii=False), "some.json")
    assert document.value == value
    assert set(document.positions) == set(_paths(value))


@given(values)
def test_a_position_is_where_the_key_is_written(value: Any) -> None:
    text = to_yaml({"outer": {"marker-key": value}})
    line, column = parse_yaml(text, "some.yaml").positions[("outer", "marker-key")]
    assert text.splitlines()[line - 1][column - 1 :].startswith("marker-key")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),  # YAML 1.1 reads false
        ("on", "on"),
        ("true", True),
        ("1e-4", 1e-4),  # YAML 1.1 reads text
        ("1.", 1.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("1_000", "1_000"),  # YAML 1.1 reads 1000
        ("010", "010"),  # YAML 1.1 reads 8
        ("12:30:45", "12:30:45"),  # YAML 1.1 reads 45045
        ("2024-01-01", "2024-01-01"),  # YAML 1.1 reads a date
        ("0x1F", "0x1F"),
        ("=", "="),
        ("~", None),
        ("!!str 1", "1"),
        ("'1'", "1"),
        ("", {}),
        ("# only a comment", {}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    assert parse_yaml(text, "some.yaml").value == value


def test_nan_is_a_number() -> None:
    assert math.isnan(parse_yaml(".nan", "some.yaml").value)


def test_a_mistake_below_what_the_file_holds_stands_at_its_nearest_ancestor() -> None:
    document = parse_yaml("a:\n  b: [1]\n", "some.yaml")
    assert str(document.mistake(("a", "b", 7, "c"), "wrong.")) == "line 2, column 3: a.b[7].c: wrong."
    assert str(document.mistake(("z",), "wrong.")) == "line 1, column 1: z: wrong."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\na: 2", "line 2, column 1: a: this key stands twice; the first, in line 1, would be lost."),
        ("a: {b: 1, b: 2}", "line 1, column 11: a.b: this key stands twice; the first, in line 1, would be lost."),
        ("? [a]\n: 1", "line 1, column 3: a key must be plain text."),
        (
            "a: &x {b: 1}\nc: {<<: *x}",
            "line 2, column 5: c.<<: merge keys are no part of YAML 1.2; write the keys out.",
        ),
        ("a: !!python/name:os.system", "the tag '!!python/name:os.system' is refused: a spec file holds only data."),
        ("a: !!python/object/apply:os.system [ls]", "the tag '!!python/object/apply:os.system' is refused"),
        ("a: !thing {b: 1}", "line 1, column 4: a: the tag '!thing' is refused: a spec file holds only data."),
        ("a: !!set {b}", "line 1, column 4: a: the tag '!!set' is refused: a spec file holds only data."),
        ("a: !!binary aGk=", "line 1, column 4: a: the tag '!!binary' is refused: a spec file holds only data."),
        ("a: !!map [1]", "line 1, column 4: a: the tag '!!map' is refused: a spec file holds only data."),
        ("a: !!int hello", "line 1, column 4: a: 'hello' cannot be read as int."),
        ("a: !!bool hello", "line 1, column 4: a: 'hello' cannot be read as bool."),
        (f"a: {'9' * 5000}", f"line 1, column 4: a: '{'9' * 40}...' cannot be read as int."),
        ("a: *b", "line 1, column 4: this is not YAML: found undefined alias 'b'."),
        (
            "a:\n\tb: 1",
            "line 2, column 1: this is not YAML: found character '\\t' that cannot start any token. "
            "Indent with spaces: YAML takes no tabs there.",
        ),
        (
            "a: b: c",
            "line 1, column 5: this is not YAML: mapping values are not allowed here. "
            "Put a value that holds ': ' in quotes, and check the indentation.",
        ),
        (
            "a: 1\n b: 2",
            "line 2, column 3: this is not YAML: mapping values are not allowed here. "
            "Put a value that holds ': ' in quotes, and check the indentation.",
        ),
        (
            "a:\n  b: 1\n c: 2",
            "line 3, column 2: this is not YAML: expected <block end>, but found '<block mapping start>'. "
            "Check the indentation: keys of one mapping start in one column.",
        ),
        (
            "a: 1\nb\nc: 1",
            "line 3, column 1: this is not YAML: could not find expected ':'. Write a colon and a space after a key.",
        ),
        (
            "a: 1\n---\nb: 2",
            "line 2, column 1: this is not YAML: expected a single document in the stream, but found another document. "
            "Write one document a file, without a second '---'.",
        ),
        ("a: 1\nb: \x07", "line 2, column 4: this is not YAML: the character U+0007 is not allowed in a text file."),
        ("[" * 5000, "this is nested too deeply to be read."),
        (
            "a: " + "[" * 200 + "]" * 200,
            f"line 1, column {MAX_DEPTH + 4}: a[0][0][0]: nested deeper than 100 levels; "
            "does an alias or a dict hold itself?",
        ),
        ("a: &a {b: *a}", "a.b.b.b: nested deeper than 100 levels; does an alias or a dict hold itself?"),
    ],
)
def test_what_is_refused_is_refused_in_words(text: str, told: str) -> None:
    assert told in refusal(text)


def test_all_that_is_wrong_with_the_text_is_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_yaml("a: 1\na: 2\nb: !x 1\nc: {d: 1, d: 2}\n", "some.yaml")
    assert [mistake.key for mistake in caught.value.mistakes] == ["a", "b", "c.d"]


def test_a_billion_laughs_are_cut_short() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    told = f"more than {MAX_VALUES:,} values, aliases counted each time they are used."
    assert told in refusal("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed: 1", "line 1, column 1: this is not JSON: expecting value."),
        ('{"a": 1,\n "b" 2}', "line 2, column 6: this is not JSON: expecting ':' delimiter."),
        ('{"a": 1}\n{"b": 2}', "line 2, column 1: this is not JSON: extra data."),
        ('{"a": 1, "a": 2}', "line 1, column 10: a: this key stands twice; the first, in line 1, would be lost."),
        ("[" * 100_000, "this is nested too deeply to be read."),
        ('{"a": ' + "9" * 5000 + "}", f"a: '{'9' * 40}...' cannot be read as int."),
    ],
)
def test_json_is_strict(text: str, told: str) -> None:
    assert told in refusal(text, parse_json)


def test_the_helper_that_expects_one_refusal_can_fail() -> None:
    with pytest.raises(pytest.fail.Exception):
        refusal("a: 1")
    with pytest.raises(AssertionError):
        refusal("a: 1\na: 2\nb: 1\nb: 2")
