"""The JSON Schema of the four files: valid, documented, and of one mind with the reader."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from jumpml.core import SPECS, SpecError, json_schema, load_spec

EXAMPLES = Path(__file__).parents[2] / "examples"
KINDS = ("data", "model", "learner", "deploy")


def validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema(kind))


def undocumented(schema: Any, path: str = "") -> list[str]:
    """The properties that have no description."""
    if isinstance(schema, list):
        return [found for inner in schema for found in undocumented(inner, path)]
    if not isinstance(schema, dict):
        return []
    properties = schema["properties"] if schema.get("type") == "object" and "properties" in schema else {}
    bare = [f"{path}/{name}" for name, inner in properties.items() if not inner.get("description")]
    return bare + [found for key, inner in schema.items() for found in undocumented(inner, f"{path}/{key}")]


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_valid_and_every_property_documented(kind: str) -> None:
    schema = json_schema(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == f"JumpML {kind} file"
    jsonschema.Draft202012Validator.check_schema(schema)
    assert undocumented(schema) == []


def test_the_search_for_undocumented_properties_can_find_some() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "string"}}}
    outer = {"type": "object", "properties": {"a": {"description": "An a.", "anyOf": [inner]}}}
    assert undocumented(outer) == ["/properties/a/anyOf/b"]


def _examples(kind: str) -> list[Any]:
    paths = sorted(EXAMPLES.rglob(f"*.{kind}.yaml"))
    assert paths, f"no example of a {kind} file"
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_is_valid(kind: str) -> None:
    for example in _examples(kind):
        assert list(validator(kind).iter_errors(example)) == []


Path_ = tuple[str | int, ...]


def _mutants(value: Any, at: Path_ = ()) -> list[tuple[Path_, Any]]:
    """Copies of a file that each differ in one place: an unknown key, or a value of another type."""
    if not isinstance(value, (dict, list)):
        return [(at, {"no": ["such", "value"]})]
    found: list[tuple[Path_, Any]] = [(at, {**value, "no such key": 1} if isinstance(value, dict) else {"no": "list"})]
    for key in value if isinstance(value, dict) else range(len(value)):
        for path, mutant in _mutants(value[key], (*at, key)):
            changed = copy.copy(value)
            changed[key] = mutant
            found.append((path, changed))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_spec_dumps_is_valid(kind: str) -> None:
    for example in _examples(kind):
        dump = load_spec(SPECS[kind], example).model_dump(mode="json")
        assert list(validator(kind).iter_errors(dump)) == []


def _is_read(kind: str, value: Any) -> bool:
    try:
        load_spec(SPECS[kind], value)
    except SpecError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_every_wrong_copy_of_an_example_is_refused_by_schema_and_reader_alike(kind: str) -> None:
    checker = validator(kind)
    mutants = [mutant for example in _examples(kind) for mutant in _mutants(example)]
    read = {path for path, mutant in mutants if _is_read(kind, mutant)}
    assert {path for path, mutant in mutants if checker.is_valid(mutant)} == read
    # what a module, a function or an optimizer takes, they say; a node's inputs may be a mapping in the place of a list
    free = {"data": {"args"}, "model": {"args", "inputs"}, "learner": {"optimizer"}}.get(kind, set())
    assert all(free & {*path} for path in read)
    assert len(mutants) - len(read) > 10


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("data", {"augment": {"image": [{"shift": {"pixels": 1}, "rotate": {"degrees": 1}}]}}),
        ("data", {"augment": {"image": [{}]}}),
        ("data", {"views": {"a.b": {}}}),
        ("data", {"batch_size": 0}),
        ("data", {"datasets": {}}),
        ("model", {"seed": -1}),
        ("model", {"nodes": {"all": {"module": "torch.nn.ReLU", "inputs": "x"}}}),
        ("model", {"nodes": {"a@b": {"module": "torch.nn.ReLU", "inputs": "x"}}}),
        ("learner", {"phases": {"a/b": {}}}),
        ("learner", {"checkpoint": {"every": {"epochs": 1, "steps": 1}}}),
        ("learner", {"checkpoint": {"every": {}}}),
        ("learner", {"phases": {"a": {"train": {"up": "x"}}}}),
        ("learner", {"log": ["xml"]}),
        ("deploy", {"variants": {"a": {}}}),
        ("deploy", {"variants": {"a": {"quantize": {}, "factorize": {"rank": 0.5}}}}),
        ("deploy", {"variants": {"a": {"quantize": {}, "fine_tune": {"epochs": 1}}}}),
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(kind: str, change: dict[str, Any]) -> None:
    example = _examples(kind)[0]
    assert validator(kind).is_valid(example)
    changed = {**example, **change}
    assert not _is_read(kind, changed)
    assert not validator(kind).is_valid(changed)
