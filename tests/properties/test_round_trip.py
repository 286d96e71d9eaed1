"""Files and back: what a spec writes is read back as an equal spec."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

import jumpml
from jumpml.core import ModelSpec, load_spec

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from jumpml.core import FileSpec


def again(spec: FileSpec, folder: Path) -> FileSpec:
    path = folder / "again.yaml"
    path.write_text(spec.to_yaml(), encoding="utf-8")
    return load_spec(type(spec), path)


names = st.text(
    st.characters(codec="utf-8", exclude_characters=".@,/\\:*?[]", exclude_categories=["C", "Z"]), min_size=1
).filter(lambda name: name != "all" and name.isprintable())
references = st.one_of(names, names.map(lambda name: f"{name}?"), st.tuples(names, names).map(".".join))
inputs = st.one_of(references, st.lists(references, min_size=1), st.dictionaries(names, references, min_size=1))
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False), st.text())
args = st.dictionaries(st.text(), st.one_of(scalars, st.lists(scalars)), max_size=3)
layers = st.lists(st.one_of(names, st.fixed_dictionaries({"module": names}, optional={"args": args})), min_size=1)
nodes = st.one_of(
    st.fixed_dictionaries({"module": names, "inputs": inputs}, optional={"args": args, "repeat": st.integers(1, 9)}),
    st.fixed_dictionaries({"layers": layers, "inputs": inputs}, optional={"repeat": st.integers(1, 9)}),
    st.fixed_dictionaries({"shares": names, "inputs": inputs}),
    st.fixed_dictionaries(
        {"graph": names}, optional={"inputs": st.one_of(references, st.dictionaries(names, references, min_size=1))}
    ),
)
own = st.one_of(st.none(), st.fixed_dictionaries({}, optional={"weight": st.floats(0, 9), "when": st.just("all")}))
tasks = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["multiclass", "binary", "multilabel", "regression"]),
        "output": references,
        "target": names,
    },
    optional={"metrics": st.lists(names), "objective": own},
)
objectives = st.one_of(
    st.fixed_dictionaries({"kind": st.just("l1"), "inputs": references}, optional={"weight": st.floats(0, 9)}),
    st.fixed_dictionaries({"kind": st.just("mse"), "inputs": st.tuples(references, names).map(list)}),
    st.fixed_dictionaries({"kind": st.just("ewc"), "parameters": st.one_of(names, st.just({"upto": "a"}))}),
    st.fixed_dictionaries({"kind": st.just("vicreg"), "inputs": references, "views": names}),
)
models = st.fixed_dictionaries(
    {"nodes": st.dictionaries(names, nodes, min_size=1, max_size=4)},
    optional={
        "seed": st.integers(0, 2**32 - 1),
        "tasks": st.dictionaries(names, tasks, max_size=3),
        "objectives": st.dictionaries(names, objectives, max_size=3),
    },
)


@given(models)
@example({"nodes": {"0": {"module": "0", "inputs": "0", "args": {"\x85": None}}}})  # a line's end to YAML 1.1
def test_any_model_file_is_read_back(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    spec = load_spec(ModelSpec, value)
    assert again(spec, tmp_path_factory.mktemp("again")) == spec


def test_specs_that_differ_are_not_equal() -> None:
    one = {"nodes": {"a": {"module": "torch.nn.ReLU", "inputs": "x"}}}
    other = {"nodes": {"a": {"module": "torch.nn.ReLU", "inputs": "y"}}}
    assert load_spec(ModelSpec, one) == load_spec(ModelSpec, copy.deepcopy(one))
    assert load_spec(ModelSpec, one) != load_spec(ModelSpec, other)


def test_a_model_knows_the_spec_that_it_was_built_from(tmp_path: Path) -> None:
    value = {
        "inputs": {"x": {"shape": [4]}},
        "nodes": {"y": {"layers": ["torch.nn.ReLU"], "inputs": "x"}},
        "objectives": {"small": {"kind": "l1", "inputs": "y"}},
    }
    model = jumpml.load_model(value, seed=3)
    assert model.spec is not None
    assert model.spec.seed == 3
    assert pickle.loads(pickle.dumps(model)).spec == model.spec
    assert jumpml.load_model(again(model.spec, tmp_path)).spec == model.spec
    assert jumpml.Model(inputs={}, nodes={}).spec is None
