"""Names and edges: what is refused, and in which words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from torch import nn

from jumpml.core import GraphError, Task, ValueInfo
from jumpml.graph import Model, Node
from jumpml.objectives import MeanSquaredError


def linear() -> nn.Linear:
    return nn.Linear(4, 4)


def refused(text: str):
    return pytest.raises(GraphError, match=f"^{re.escape(text)}$")


def test_unknown_input_with_its_near_miss(make):
    text = "node 'digit': reads 'encodr', which is neither a field nor a node. Did you mean 'encoder'?"
    with refused(text):
        make({"encoder": (linear(), "x"), "digit": (linear(), "encodr")})


def test_unknown_input_that_the_data_has(make, number):
    text = (
        "node 'out': reads 'years', which is no input of the model. The data has this field: add its shape under "
        "inputs, or leave inputs out."
    )
    with refused(text):
        make({"out": (linear(), "years")}, fields={"years": number})


def test_no_inputs_at_all(make):
    text = (
        "node 'out': reads 'image', which is neither a field nor a node. No fields are known: give their shapes under "
        "inputs, or give the data."
    )
    with refused(text):
        make({"out": (linear(), "image")}, inputs={})


def test_a_field_has_no_parts(make):
    fix = "Only a node's output has parts; read 'x' or, of a text, 'x.mask'."
    with refused(f"node 'out': reads 'x.0', but 'x' is a field. {fix}"):
        make({"out": (linear(), "x.0")})


def test_a_node_that_reads_nothing(make):
    with refused("node 'out': reads nothing; a node must read a field or a node."):
        make({"out": (linear(), [])})


def test_circle(make):
    text = "node 'b': its output depends on itself: b reads d reads c reads b. Nodes must form a graph without circles."
    with refused(text):
        make({"a": (linear(), "x"), "b": (linear(), ["a", "d"]), "c": (linear(), "b"), "d": (linear(), "c")})


def test_a_node_that_reads_itself(make):
    with refused("node 'a': its output depends on itself: a reads a. Nodes must form a graph without circles."):
        make({"a": (linear(), "a")})


def test_a_node_beside_a_circle_is_not_blamed(make):
    with refused("node 'b': its output depends on itself: b reads b. Nodes must form a graph without circles."):
        make({"after": (linear(), "b"), "b": (linear(), "b")})


def test_input_and_node_share_a_name(make):
    text = "node 'x': an input has this name too. Fields and nodes share one set of names: rename one."
    with refused(text):
        make({"x": (linear(), "x")})


def test_a_node_has_the_name_of_its_target(make, category):
    """An objective would compare what is predicted with itself, and call it perfect."""
    nodes, tasks = {"y": (linear(), "x")}, {"t": Task(kind="multiclass", output="y", target="y")}
    text = "node 'y': a field of the data has this name too. Fields and nodes share one set of names: rename one."
    with refused(text):
        make(nodes, tasks=tasks, fields={"y": category("y", 4)})
    text = (
        "task 't': 'y' is a node; the target of a task is a field. Fields and nodes share one set of names: rename "
        "the node."
    )
    with refused(text):
        make(nodes, tasks=tasks)


def test_a_node_has_the_name_of_a_field_that_is_known_later(make, number):
    model = make({"out": (linear(), "x")})
    with refused(
        "node 'out': a field of the data has this name too. Fields and nodes share one set of names: rename one."
    ):
        model.check_fields({"x": number, "out": number})


@pytest.mark.parametrize("name", ["", "a.", ".b", "a.all", "a@b", "all"])
def test_reserved_names(make, name):
    with refused(f"node {name!r}: a name must not be empty, be 'all', or hold '.' or '@'."):
        make({name: (linear(), "x")})


def test_all_problems_at_once(make):
    with pytest.raises(GraphError) as caught:
        make(
            {"a": (linear(), "y"), "b": (linear(), {"input": "z"})},
            tasks={"t": Task(kind="multiclas", output="c", target="label")},
        )
    assert str(caught.value).splitlines() == [
        "4 problems:",
        "  node 'a': reads 'y', which is neither a field nor a node. There is: a, b, x.",
        "  node 'b': reads 'z', which is neither a field nor a node. There is: a, b, x.",
        "  task 't': there is no task kind 'multiclas'. Did you mean 'multiclass' or 'multilabel'?",
        "  task 't': there is no node 'c'. There is: a, b.",
    ]


def test_a_task_whose_output_is_a_field(make):
    with refused("task 't': 'x' is a field; the output of a task is a node. There is: a."):
        make({"a": (linear(), "x")}, tasks={"t": Task(kind="binary", output="x", target="y")})


def test_an_objective_that_reads_an_unknown_node(make, sum_of):
    text = "objective 'small': reads 'encodr', which is neither a field nor a node. Did you mean 'encoder'?"
    with refused(text):
        make({"encoder": (linear(), "x")}, objectives={"small": sum_of("encodr")})


def test_an_objective_may_read_a_target_before_the_data_is_known(make, sum_of):
    model = make({"encoder": (linear(), "x")}, objectives={"fit": sum_of("encoder", "label")})
    assert model.objectives["fit"].connected == [ValueInfo(shape=(4,)), None]


def test_an_objective_reads_the_fields_of_the_data(make, sum_of, number):
    model = make({"encoder": (linear(), "x")}, objectives={"fit": sum_of("encoder", "years")}, fields={"years": number})
    assert model.objectives["fit"].connected == [ValueInfo(shape=(4,)), ValueInfo(shape=(1,))]
    with refused("objective 'fit': reads 'yaers', which is neither a field nor a node. Did you mean 'years'?"):
        make({"encoder": (linear(), "x")}, objectives={"fit": sum_of("encoder", "yaers")}, fields={"years": number})


def test_an_objective_on_the_parameters_of_no_node(make, sum_of):
    with refused("objective 'hold': the pattern 'enc?' names no node. There is: body."):
        make({"body": (linear(), "x")}, objectives={"hold": sum_of(parameters_of=("enc?",))})


def test_an_objective_that_takes_a_tasks_name(make, sum_of):
    text = (
        "objective 't': a task has this name too, but its own objective would read a, y; this one reads a. Tasks and "
        "objectives share one set of names: rename one."
    )
    tasks = {"t": Task(kind="multiclass", output="a", target="y")}
    with refused(text):
        make({"a": (linear(), "x")}, tasks=tasks, objectives={"t": sum_of("a")})
    assert make({"a": (linear(), "x")}, tasks=tasks, objectives={"t": sum_of("a", "y")}).active("supervised") == ("t",)


def test_things_of_the_wrong_type():
    x = {"x": ValueInfo(shape=(4,))}
    with refused("node 'a': expected a Node(module, inputs), got a Linear."):
        Model(inputs=x, nodes={"a": linear()})  # type: ignore[dict-item]
    with refused("node 'a': expected an nn.Module, got a type."):
        Model(inputs=x, nodes={"a": Node(nn.Linear, "x")})  # type: ignore[arg-type]
    with refused("objective 'o': expected an nn.Module, got a type."):
        Model(inputs=x, nodes={"a": Node(linear(), "x")}, objectives={"o": nn.Linear})  # type: ignore[dict-item]
    lacks = "inputs, views, parameters_of, schedule, when, draws, per_example, differentiates, connect"
    fix = "Derive it from jumpml.objectives.ObjectiveModule, or wrap a loss in LossModule."
    with refused(f"objective 'o': it has no {lacks}, as an objective has. {fix}"):
        Model(inputs=x, nodes={"a": Node(linear(), "x")}, objectives={"o": linear()})  # type: ignore[dict-item]


def test_order_is_the_given_one_where_it_may_be(make):
    model = make({"c": (linear(), "x"), "b": (linear(), "a"), "a": (linear(), "x")})
    assert model.node_names == ("c", "a", "b")


def test_select_and_ancestors(make):
    nodes = {"enc1": "x", "enc2": "enc1", "side": "x", "out": "enc2"}
    model = make({name: (linear(), read) for name, read in nodes.items()})
    assert model.select(["all"]) == ("enc1", "enc2", "side", "out")
    assert model.select(["out", "enc*"]) == ("enc1", "enc2", "out")
    assert model.select(["upto:enc2"]) == ("enc1", "enc2")
    assert model.select([]) == ()
    assert model.ancestors("out") == {"enc2", "enc1", "x"}
    assert model.ancestors("enc1") == {"x"}
    assert model.behind(["out"]) == {"out", "enc2", "enc1", "x"}
    assert model.behind(["x", "side"]) == {"side", "x"}
    assert model.behind(["label"]) == {"label"} and model.behind([]) == frozenset()
    with refused("the pattern 'upto:enc3' names no node. Did you mean 'enc2' or 'enc1'?"):
        model.select(["upto:enc3"])
    with refused("the pattern 'z*' names no node. There is: enc1, enc2, out, side."):
        model.select(["z*"])
    with refused("expected a list of node patterns, got the text 'all'. Write ['all']."):
        model.select("all")
    with refused("there is no node 'enc'. Did you mean 'enc2' or 'enc1'?"):
        model.ancestors("enc")


def ends(**outputs: str) -> dict[str, Any]:
    tasks = {name: Task(kind="regression", output=output, target="y") for name, output in outputs.items()}
    return {"tasks": tasks, "objectives": {name: MeanSquaredError((output, "y")) for name, output in outputs.items()}}


def test_what_only_one_task_reads(make):
    nodes = {"body": "x", "one_low": "body", "one": "one_low", "two": "body"}
    made = make({name: (linear(), read) for name, read in nodes.items()}, **ends(a="one", b="two"))
    assert made.select(["only:a"]) == made.own_nodes("a") == ("one_low", "one")
    assert made.select(["only:b", "only:a"]) == ("one_low", "one", "two")
    assert made.own_nodes("a", "b") == ("body", "one_low", "one", "two") and made.own_nodes() == ()
    with refused("there is no task 'c'. There is: a, b."):
        made.own_nodes("a", "c")
    with refused("the pattern 'only:c' names no task. There is: a, b."):
        made.select(["only:c"])
    with refused("the pattern 'only:one' names no task. There is: a, b."):
        made.select(["only:one"])
    shared = make({"body": (linear(), "x"), "out": (linear(), "body")}, **ends(a="out", b="body"))
    assert shared.select(["only:a"]) == ("out",)
    with refused("the pattern 'only:b' names no node: other tasks read all that task 'b' reads."):
        shared.select(["only:b"])
    with refused("the pattern 'only:a' names no task. There is no task."):
        make({"body": (linear(), "x")}).select(["only:a"])
