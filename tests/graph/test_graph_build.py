"""From a model file to nodes: what is built, and what is refused with which line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from jumpml.core import FieldInfo, ModelSpec, SpecError, Task, ValueInfo, load_spec
from jumpml.graph import Model, build_nodes, build_tasks, fields_read

if TYPE_CHECKING:
    from pathlib import Path

X = {"x": ValueInfo(shape=(4,))}
LABEL = {
    "label": FieldInfo(name="label", kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=tuple("abc"))
}


def spec(text: str, tmp_path: Path) -> ModelSpec:
    path = tmp_path / "m.model.yaml"
    path.write_text(text)
    return load_spec(ModelSpec, path)


def mistakes(text: str, tmp_path: Path, fields=None, inputs=None, trust=()) -> list[str]:
    with pytest.raises(SpecError) as caught:
        build_nodes(spec(text, tmp_path), X if inputs is None else inputs, fields or {}, trust)
    return [str(mistake) for mistake in caught.value.mistakes]


GOOD = """
nodes:
  body: {module: torch.nn.LazyLinear, inputs: x, args: {out_features: 8}}
  out: {module: jumpml.blocks.Head, inputs: [body]}
tasks:
  kind: {kind: multiclass, output: out, target: label, metrics: [accuracy]}
"""


def test_nodes_and_tasks(tmp_path):
    read = spec(GOOD, tmp_path)
    assert fields_read(read) == ("x",)
    assert build_tasks(read) == {"kind": Task(kind="multiclass", output="out", target="label", metrics=("accuracy",))}
    nodes = build_nodes(read, X, LABEL)
    assert {name: (type(node).__name__, node.inputs) for name, node in nodes.items()} == {
        "body": ("Node", "x"),
        "out": ("Node", ("body",)),
    }
    model = Model(inputs=X, nodes=nodes, tasks=build_tasks(read), fields=LABEL)
    assert model.values["out"].shape == (3,)


def test_the_seed_makes_weights_repeatable_and_leaves_the_generator_alone():
    def weights(names: str, own: int | None, seed: int | None = None) -> dict[str, torch.Tensor]:
        args = {"in_features": 4, "out_features": 4}
        nodes = {name: {"module": "torch.nn.Linear", "inputs": "x", "args": args} for name in names}
        tasks = {name: {"kind": "regression", "output": name, "target": "y"} for name in names}
        read = load_spec(ModelSpec, {"seed": own, "nodes": nodes, "tasks": tasks})
        built = build_nodes(read, X, {}, seed=seed)
        return {name: node.module.get_parameter("weight") for name, node in built.items()}

    before = torch.get_rng_state()
    first = weights("ab", 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first["a"], weights("cba", 0)["a"])
    assert torch.equal(first["a"], weights("a", 7, seed=0)["a"])
    assert not torch.equal(first["a"], first["b"])
    assert not torch.equal(first["a"], weights("a", 1)["a"])
    torch.manual_seed(5)
    free = weights("a", None)["a"]
    torch.manual_seed(5)
    assert torch.equal(free, nn.Linear(4, 4).weight)


def test_everything_is_told_at_once_with_its_line(tmp_path):
    text = """
nodes:
  encoder: {module: torch.nn.Linaer, inputs: x, args: {out_features: 8}}
  mind: {module: os.system, inputs: encodr}
  wide: {module: torch.nn.Linear, inputs: encoder, args: {in_features: 4, outfeatures: 8}}
  deep: {module: torch.nn.Linear, inputs: [x, wde], args: {in_features: 4}}
  odd: {module: jumpml.blocks.ConvEncoder, inputs: {image: x}, args: {widths: []}}
tasks:
  kind: {kind: multiclass, output: digit, target: lable}
objectives:
  small: {kind: l1, inputs: encodre}
  held: {kind: ewc, parameters: "enc?"}
"""
    assert mistakes(text, tmp_path, LABEL) == [
        "line 3, column 13: nodes.encoder.module: 'torch.nn' has no 'Linaer'. Did you mean 'Linear' or 'Bilinear' or "
        "'LazyLinear'?",
        "line 4, column 10: nodes.mind.module: 'os.system' is outside the trusted packages (torch.nn, jumpml). "
        "Python's own library has no class that derives from Module.",
        "line 4, column 29: nodes.mind.inputs: reads 'encodr', which is neither a field nor a node. Did you mean "
        "'encoder'?",
        "line 5, column 75: nodes.wide.args.outfeatures: torch.nn.Linear(in_features, out_features, bias=True, "
        "device=None, dtype=None) has no such argument. Did you mean 'out_features' or 'in_features'?",
        "line 6, column 47: nodes.deep.inputs[1]: reads 'wde', which is neither a field nor a node. Did you mean "
        "'wide'?",
        "line 6, column 53: nodes.deep.args: torch.nn.Linear(in_features, out_features, bias=True, device=None, "
        "dtype=None) also needs 'out_features'.",
        "line 7, column 64: nodes.odd.args: jumpml.blocks.ConvEncoder(widths, kernel_size=3, dropout=0.0) does not "
        "take these arguments. ValueError: widths must be a list of at least one whole number, each 1 or more; got [].",
        "line 9, column 28: tasks.kind.output: there is no node 'digit'. There is: deep, encoder, mind, odd, wide.",
        "line 9, column 43: tasks.kind.target: the data has no field 'lable'. Did you mean 'label'?",
        "line 11, column 21: objectives.small.inputs: reads 'encodre', which is neither a field nor a node. Did you "
        "mean 'encoder'?",
    ]


def test_circles_and_patterns(tmp_path):
    text = """
nodes:
  a: {module: torch.nn.ReLU, inputs: b}
  b: {module: torch.nn.ReLU, inputs: a}
"""
    assert mistakes(text, tmp_path) == [
        "line 3, column 30: nodes.a.inputs: its output depends on itself: a reads b reads a. Nodes must form a graph "
        "without circles."
    ]
    text = """
nodes: {out: {module: torch.nn.ReLU, inputs: x}}
objectives: {held: {kind: ewc, parameters: [{upto: oud}]}}
"""
    assert mistakes(text, tmp_path) == [
        "line 3, column 32: objectives.held.parameters: the pattern 'upto:oud' names no node. Did you mean 'out'?"
    ]


def test_what_nothing_reads(tmp_path):
    text = """
inputs: {x: {shape: [4]}, z: {shape: [1]}}
nodes:
  used: {module: torch.nn.ReLU, inputs: x}
  out: {module: torch.nn.ReLU, inputs: used.0}
objectives: {small: {kind: l1, inputs: used}}
"""
    assert mistakes(text, tmp_path, inputs={**X, "z": ValueInfo(shape=(1,))}) == [
        "line 2, column 27: inputs.z: no node and no objective reads it. Take it out.",
        "line 5, column 3: nodes.out: no node, no task and no objective reads its output. Take it out, or use it.",
    ]


def test_heads(tmp_path):
    def widths(kinds: dict[str, str], fields: dict[str, FieldInfo]) -> int:
        tasks = {f"{target}": {"kind": kind, "output": "out", "target": target} for target, kind in kinds.items()}
        read = load_spec(ModelSpec, {"nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}}, "tasks": tasks})
        nodes = build_nodes(read, X, fields)
        return Model(inputs=X, nodes=nodes, tasks=build_tasks(read), fields=fields).values["out"].shape[0]

    box = FieldInfo(name="box", kind="tensor", value=ValueInfo(shape=(2, 2)))
    yes = FieldInfo(name="yes", kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=("no", "yes"))
    assert widths({"label": "multiclass"}, LABEL) == 3
    assert widths({"yes": "binary"}, {}) == 1
    assert widths({"box": "regression"}, {"box": box}) == 4
    with pytest.raises(SpecError) as caught:
        widths({"label": "multiclass"}, {})
    assert caught.value.mistakes[0].problem == (
        "out_features is left out, and nothing is known of 'label', the target of task 'label'. Give out_features, or "
        "give the data: load_model(file, dataloader), or the key data in the file."
    )
    with pytest.raises(SpecError) as caught:
        widths({"label": "multiclass", "yes": "binary"}, {**LABEL, "yes": yes})
    assert caught.value.mistakes[0].problem == (
        "out_features is left out, and its tasks need different widths: 'label' needs 3, 'yes' needs 1. Give each "
        "task a head of its own."
    )
    text = """
nodes: {out: {module: jumpml.blocks.Head, inputs: x}}
objectives: {small: {kind: l1, inputs: out}}
"""
    assert mistakes(text, tmp_path) == [
        "line 2, column 9: nodes.out.args: out_features is left out, and no task has this node as its output. Give "
        "out_features."
    ]


def test_a_trusted_package_may_be_named(tmp_path):
    text = """
nodes: {out: {module: collections.OrderedDict, inputs: x}}
objectives: {small: {kind: l1, inputs: out}}
"""
    assert mistakes(text, tmp_path, trust=["collections"]) == [
        "line 2, column 15: nodes.out.module: 'collections.OrderedDict' is the class OrderedDict; expected a class "
        "that derives from Module."
    ]
