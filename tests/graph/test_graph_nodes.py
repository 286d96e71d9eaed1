"""What a node of a model file can be made of: layers, copies, another file, another node's weights."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import jumpml
from jumpml.core import JumpMLError, ModelSpec, SpecError, ValueInfo, load_spec
from jumpml.graph import Model, Node, build_nodes, fields_read

if TYPE_CHECKING:
    from pathlib import Path

INNER = """
nodes:
  body: {module: torch.nn.LazyLinear, inputs: image, args: {out_features: 8}}
  code: {module: torch.nn.Tanh, inputs: body}
  head: {module: jumpml.blocks.Head, inputs: code}
tasks: {sort: {kind: multiclass, output: head, target: y}}
objectives: {small: {kind: l1, inputs: code}}
"""
OUT = "out: {module: torch.nn.LazyLinear, inputs: %s, args: {out_features: 3}}"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.model.yaml").write_text(text)
    return folder / "m.model.yaml"


def outer(nodes: str, inputs: str = "{picture: {shape: [4]}, image: {shape: [4]}}") -> str:
    rows = "\n".join(f"  {line}" for line in nodes.strip().splitlines())
    return f"seed: 0\ninputs: {inputs}\nnodes:\n{rows}\ntasks: {{t: {{kind: multiclass, output: out, target: y}}}}\n"


def told(path: Path) -> list[str]:
    """All mistakes, each with the name of its file."""
    with pytest.raises(JumpMLError) as caught:
        jumpml.load_model(path)
    return [line.strip().replace(f"{path.parent}/", "") for line in str(caught.value).splitlines()]


# --- layers and repeat ------------------------------------------------------------------------------------------------


def test_layers_are_a_sequential(tmp_path: Path) -> None:
    nodes = "body: {layers: [{module: torch.nn.LazyLinear, args: {out_features: 8}}, torch.nn.ReLU], inputs: image}"
    model = jumpml.load_model(write(tmp_path, m=outer(f"{nodes}\n{OUT % 'body'}", inputs="{image: {shape: [4]}}")))
    body = model.node("body")
    assert isinstance(body, nn.Sequential)
    assert [type(layer) for layer in body] == [nn.Linear, nn.ReLU]
    x = torch.randn(5, 4)
    assert torch.equal(model({"image": x}, outputs=["body"])["body"], body(x))


def test_a_head_among_layers_is_as_wide_as_its_task() -> None:
    spec = {
        "inputs": {"x": {"shape": [4]}},
        "nodes": {"out": {"layers": ["torch.nn.Tanh", "jumpml.blocks.Head"], "inputs": "x"}},
        "tasks": {"t": {"kind": "binary", "output": "out", "target": "y"}},
    }
    assert jumpml.load_model(spec).values["out"].shape == (1,)


@pytest.mark.parametrize("form", ["module", "layers"])
def test_repeated_copies_have_weights_of_their_own(form: str) -> None:
    """Each copy's weights are a function of (seed, node, index): a longer row begins as the shorter one does."""

    def body(repeat: int) -> nn.Module:
        args = {"in_features": 4, "out_features": 4}
        made = {"module": "torch.nn.Linear", "args": args}
        node = made if form == "module" else {"layers": [made, "torch.nn.Tanh"]}
        spec = {
            "inputs": {"x": {"shape": [4]}},
            "nodes": {"body": {**node, "inputs": "x", "repeat": repeat}},
            "objectives": {"small": {"kind": "l1", "inputs": "body"}},
        }
        return jumpml.load_model(spec, seed=3).node("body")

    three, two = body(3), body(2)
    weights = [value for key, value in three.state_dict().items() if key.endswith("weight")]
    assert len({value.sum().item() for value in weights}) == 3
    for key, value in two.state_dict().items():
        assert torch.equal(value, three.state_dict()[key])
    x = torch.randn(2, 4)
    first, second, third = three.children()
    assert torch.equal(three(x), third(second(first(x))))


def test_what_is_repeated_reads_its_other_inputs_in_every_copy() -> None:
    class Add(nn.Module):
        def forward(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
            return x + step

    from jumpml.graph._repeat import Repeat

    three = Repeat([Add(), Add(), Add()])
    x, step = torch.zeros(2, 1), torch.ones(2, 1)
    assert torch.equal(three(x, step), torch.full((2, 1), 3.0))
    assert torch.equal(three(x=x, step=step), torch.full((2, 1), 3.0))


# --- shared weights ---------------------------------------------------------------------------------------------------

SHARED = (
    """
left: {module: torch.nn.LazyLinear, inputs: image, args: {out_features: 8}}
right: {shares: left, inputs: picture}
both: {module: jumpml.blocks.Concat, inputs: [left, right]}
"""
    + OUT % "both"
)


def test_shared_weights_count_and_are_saved_once(tmp_path: Path) -> None:
    model = jumpml.load_model(write(tmp_path, m=outer(SHARED)))
    assert model.node("right") is model.node("left")
    assert len(list(model.parameters())) == 4
    assert sorted(model.state_dict()) == ["node_left.bias", "node_left.weight", "node_out.bias", "node_out.weight"]
    x = torch.randn(3, 4)
    values = model({"image": x, "picture": 2 * x}, outputs=["left", "right"])
    assert torch.equal(values["right"], model.node("left")(2 * x))
    again = copy.deepcopy(model)
    assert again.node("right") is again.node("left")
    assert again.node("left") is not model.node("left")


def test_shared_weights_bear_their_owners_name_wherever_it_stands(tmp_path: Path) -> None:
    lines = SHARED.strip().splitlines()
    after = lines[0].replace("image", "right").replace("8}", "4}")
    both = lines[2].replace("right]", "right, image]")
    model = jumpml.load_model(write(tmp_path, m=outer("\n".join([lines[1], after, both, *lines[3:]]) + "\n")))
    assert model.node_names[0] == "right"  # it is the first to run, and only shares
    assert sorted(model.state_dict()) == ["node_left.bias", "node_left.weight", "node_out.bias", "node_out.weight"]
    assert [(row["node"], row["shares"]) for row in model.table()][:2] == [("right", "left"), ("left", None)]
    cut = model.until("left")
    assert sorted(cut.state_dict()) == ["node_left.bias", "node_left.weight"]
    nested = Model(inputs=dict(model.inputs), nodes={"net": Node(model, ())})
    assert sorted(nested.state_dict())[:2] == ["node_net__left.bias", "node_net__left.weight"]


def test_shared_weights_get_the_gradients_of_all_their_uses(tmp_path: Path) -> None:
    model = jumpml.load_model(write(tmp_path, m=outer(SHARED)))
    batch = {"image": torch.randn(3, 4), "picture": torch.randn(3, 4)}
    weight = model.node("left").get_parameter("weight")
    (together,) = torch.autograd.grad(model(batch)["t"].sum(), weight)
    both = model.node("out").get_parameter("weight").sum(0)
    alone = both[:8, None] * batch["image"].sum(0) + both[8:, None] * batch["picture"].sum(0)
    torch.testing.assert_close(together, alone)


def test_shared_weights_train_if_one_of_their_nodes_does(tmp_path: Path) -> None:
    model = jumpml.load_model(write(tmp_path, m=outer(SHARED)))
    model.train_only(["right"])
    assert model.node("left").get_parameter("weight").requires_grad
    model.train_only(["out"])
    assert not model.node("right").get_parameter("weight").requires_grad


def test_what_cannot_be_shared(tmp_path: Path) -> None:
    nodes = (
        """
a: {shares: b, inputs: image}
b: {shares: a, inputs: image}
c: {shares: bodi, inputs: image}
body: {module: torch.nn.ReLU, inputs: [a, b, c]}
"""
        + OUT % "body"
    )
    assert told(write(tmp_path, m=outer(nodes))) == [
        "m.model.yaml: 3 mistakes",
        "line 4, column 7: nodes.a.shares: it has no module of its own to share: a shares b shares a.",
        "line 5, column 7: nodes.b.shares: it has no module of its own to share: b shares a shares b.",
        "line 6, column 7: nodes.c.shares: there is no node 'bodi'. Did you mean 'body'?",
    ]


# --- nested graphs ----------------------------------------------------------------------------------------------------


def test_a_nested_graph_is_bound_by_name_or_by_its_one_input(tmp_path: Path) -> None:
    for inputs, read in (("", "image"), (", inputs: picture", "picture"), (", inputs: {image: picture}", "picture")):
        path = write(tmp_path, inner=INNER, m=outer(f"net: {{graph: inner.model.yaml{inputs}}}\n{OUT % 'net.code'}"))
        path.write_text(
            path.read_text().replace("picture: {shape: [4]}, image: {shape: [4]}", f"{read}: {{shape: [4]}}")
        )
        model = jumpml.load_model(path)
        assert model.node_names == ("net.body", "net.code", "out"), "a node that nothing outside needs is not made"
        assert tuple(model.tasks) == ("t",)
        assert tuple(model.objectives) == ("t",)
        assert fields_read(load_spec(ModelSpec, path)) == (read,)
        x = torch.randn(3, 4)
        values = model({read: x}, outputs=["net.body", "net.code"])
        assert torch.equal(values["net.code"], torch.tanh(model.node("net.body")(x)))


def test_a_nested_graph_stands_for_its_one_output(tmp_path: Path) -> None:
    nodes = "net: {graph: inner.model.yaml, inputs: picture}"
    text = outer(nodes, "{picture: {shape: [4]}}").replace("output: out, target: y", "output: net, target: y")
    model = jumpml.load_model(write(tmp_path, inner=INNER.replace("Head", "MLP, args: {widths: [3]}"), m=text))
    x = {"picture": torch.randn(2, 4)}
    assert model.values["net"] == ValueInfo(shape=(3,))
    assert torch.equal(model(x)["t"], model(x, outputs=["net.head"])["net.head"])
    assert torch.equal(model(x, outputs=["net"])["net"], model(x)["t"])
    assert model.select(["net"]) == model.select(["upto:net"]) == ("net.body", "net.code", "net.head")
    assert model.select(["net.b*"]) == ("net.body",)
    assert model.ancestors("net") == {"net.body", "net.code", "picture"}


def test_graphs_in_graphs_share_and_keep_their_places(tmp_path: Path) -> None:
    middle = """
nodes:
  low: {graph: inner.model.yaml, inputs: {image: frame}}
  top: {module: torch.nn.LazyLinear, inputs: low.code, args: {out_features: 8}}
"""
    nodes = (
        """
one: {graph: middle.model.yaml, inputs: image}
two: {shares: one, inputs: {frame: picture}}
both: {module: jumpml.blocks.Concat, inputs: [one, two, two.low.body]}
"""
        + OUT % "both"
    )
    model = jumpml.load_model(write(tmp_path, inner=INNER, middle=middle, m=outer(nodes)))
    assert model.node("two.low.body") is model.node("one.low.body")
    assert [key for key in model.state_dict() if key.endswith("weight")] == [
        "node_one__low__body.weight",
        "node_one__top.weight",
        "node_out.weight",
    ]
    x = torch.randn(2, 4)
    values = model({"image": x, "picture": x}, outputs=["one", "two"])
    assert torch.equal(values["one"], values["two"])
    again = copy.deepcopy(model)
    assert torch.equal(again({"image": x, "picture": x})["t"], model({"image": x, "picture": x})["t"])


def test_the_weights_of_a_nested_node_depend_on_its_full_name(tmp_path: Path) -> None:
    nodes = (
        """
one: {graph: inner.model.yaml, inputs: image}
two: {graph: inner.model.yaml, inputs: picture}
both: {module: jumpml.blocks.Concat, inputs: [one.code, two.code]}
"""
        + OUT % "both"
    )
    path = write(tmp_path, inner=INNER, m=outer(nodes))
    first, again = jumpml.load_model(path), jumpml.load_model(path)
    assert not torch.equal(first.node("one.body").weight, first.node("two.body").weight)  # type: ignore[arg-type]
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])


def test_a_mask_follows_what_its_text_is_bound_to(tmp_path: Path) -> None:
    inner = """
nodes:
  words: {module: torch.nn.Embedding, inputs: text, args: {num_embeddings: 9, embedding_dim: 4}}
  mean: {module: jumpml.blocks.Pool, inputs: [words, text.mask]}
"""
    nodes = f"net: {{graph: inner.model.yaml, inputs: message}}\n{OUT % 'net'}"
    path = write(
        tmp_path,
        inner=inner,
        m=outer(nodes, "{message: {shape: [5], dtype: int64}, message.mask: {shape: [5], dtype: bool}}"),
    )
    assert fields_read(load_spec(ModelSpec, path)) == ("message", "message.mask")
    assert jumpml.load_model(path).ancestors("net") == {"net.words", "message", "message.mask"}


def test_mistakes_are_told_in_the_file_that_makes_them(tmp_path: Path) -> None:
    nodes = f"net: {{graph: inner.model.yaml, inputs: {{image: pictre}}}}\n{OUT % 'net.code'}"
    path = write(tmp_path, inner=INNER.replace("LazyLinear", "Linaer"), m=outer(nodes))
    assert told(path) == [
        "m.model.yaml: 1 mistake",
        "line 4, column 43: nodes.net.inputs.image: reads 'pictre', which is neither a field nor a node. Did you mean "
        "'picture'?",
        "inner.model.yaml: 1 mistake",
        "line 3, column 10: nodes.body.module: 'torch.nn' has no 'Linaer'. Did you mean 'Linear' or "
        "'Bilinear' or 'LazyLinear'?",
    ]
    typo = INNER.replace("inputs: body", "inputs: bodi")
    path = write(
        tmp_path, inner="inputs: {image: {shape: [4]}}" + typo, m=path.read_text().replace("pictre", "picture")
    )
    assert told(path) == [
        "inner.model.yaml: 1 mistake",
        "line 4, column 33: nodes.code.inputs: reads 'bodi', which is neither a field nor a node. Did you mean 'body'?",
    ]
    path = write(tmp_path, inner=typo)
    assert told(tmp_path / "m.model.yaml")[-1].startswith(
        "line 4, column 33: nodes.code.inputs: reads 'bodi', which is neither a field nor a node."
    )


@pytest.mark.parametrize(
    ("nodes", "mistake"),
    [
        (
            "net: {graph: iner.model.yaml}",
            "line 4, column 9: nodes.net.graph: there is no file 'iner.model.yaml' in this file's folder. Did you mean "
            "'inner.model.yaml' or 'm.model.yaml' or 'two.model.yaml'?",
        ),
        (
            "net: {graph: run.py}",
            "line 4, column 9: nodes.net.graph: expected a file that ends in .yaml, .yml, .json; got 'run.py'.",
        ),
        (
            "net: {graph: m.model.yaml}",
            "line 4, column 9: nodes.net.graph: this graph holds itself: m.model.yaml nests m.model.yaml. A graph "
            "cannot be a node of itself.",
        ),
        (
            "net: {graph: inner.model.yaml, inputs: {imag: picture}}",
            "line 4, column 43: nodes.net.inputs.imag: the graph 'inner.model.yaml' reads no 'imag' from outside. Did "
            "you mean 'image'?",
        ),
        (
            "net: {graph: two.model.yaml, inputs: picture}",
            "line 4, column 32: nodes.net.inputs: the graph 'two.model.yaml' reads a, b from outside. Say which is "
            "which, as in inputs: {its name: the name here}.",
        ),
        (
            "net: {graph: inner.model.yaml, inputs: [picture]}",
            "line 4, column 3: nodes.net: a graph's inputs have names; write inputs: {its name: the name here}.",
        ),
    ],
)
def test_files_that_cannot_be_nested(nodes: str, mistake: str, tmp_path: Path) -> None:
    two = "nodes: {c: {module: jumpml.blocks.Concat, inputs: [a, b]}}"
    path = write(tmp_path, inner=INNER, two=two, m=outer(f"{nodes}\n{OUT % 'net.code'}"))
    assert told(path) == ["m.model.yaml: 1 mistake", mistake]


def test_files_that_nest_each_other(tmp_path: Path) -> None:
    a = "nodes: {n: {graph: b.model.yaml}}"
    b = "nodes: {n: {graph: a.model.yaml}}"
    assert told(write(tmp_path, a=a, b=b, m=outer(f"net: {{graph: a.model.yaml}}\n{OUT % 'net'}"))) == [
        "b.model.yaml: 1 mistake",
        "line 1, column 13: nodes.n.graph: this graph holds itself: a.model.yaml nests b.model.yaml nests "
        "a.model.yaml. A graph cannot be a node of itself.",
    ]


@pytest.mark.parametrize(
    ("reference", "mistake"),
    [
        ("net", "reads 'net', which is a graph with 2 outputs. Read one of its nodes: net.low, net.high."),
        ("net.hihg", "reads 'net.hihg', which is no node of the graph 'net'. Did you mean 'net.high'?"),
        (
            "net.high.0",
            "reads 'net.high.0', but node 'net.high' (torch.nn.Tanh) gives one tensor, [batch, 4] float32. "
            "Read 'net.high'.",
        ),
    ],
)
def test_what_a_nested_graph_does_not_give(reference: str, mistake: str, tmp_path: Path) -> None:
    inner = "nodes: {low: {module: torch.nn.ReLU, inputs: image}, high: {module: torch.nn.Tanh, inputs: image}}"
    path = write(
        tmp_path, inner=inner, m=outer(f"net: {{graph: inner.model.yaml}}\n{OUT % reference}", "{image: {shape: [4]}}")
    )
    assert told(path)[1] == f"line 5, column 38: nodes.out.inputs: {mistake}"


def test_a_nested_graph_that_nothing_reads(tmp_path: Path) -> None:
    nodes = f"net: {{graph: inner.model.yaml}}\n{OUT % 'image'}"
    assert told(write(tmp_path, inner=INNER, m=outer(nodes, "{image: {shape: [4]}}"))) == [
        "m.model.yaml: 1 mistake",
        "line 4, column 3: nodes.net: no node, no task and no objective reads its output. Take it out, or use it.",
    ]


def test_shapes_that_do_not_fit_in_a_nested_graph(tmp_path: Path) -> None:
    inner = INNER.replace(
        "torch.nn.LazyLinear, inputs: image, args: {", "torch.nn.Linear, inputs: image, args: {in_features: 5, "
    )
    path = write(
        tmp_path, inner=inner, m=outer(f"net: {{graph: inner.model.yaml}}\n{OUT % 'net.code'}", "{image: {shape: [4]}}")
    )
    (_, mistake) = told(path)
    assert mistake.startswith("line 4, column 3: nodes.net.body: torch.nn.Linear fails on image [batch, 4] float32.")
    assert mistake.endswith("It has in_features=5, and is given 4 along the last axis: make them equal.")


# --- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        ({"inputs": "x"}, "expected exactly one of module, layers, graph, shares, pretrained; got none"),
        (
            {"module": "torch.nn.ReLU", "shares": "a", "inputs": "x"},
            "expected exactly one of module, layers, graph, shares, pretrained; got module and shares",
        ),
        ({"layers": ["torch.nn.ReLU"], "args": {"a": 1}, "inputs": "x"}, "args goes with module; this node has layers"),
        ({"shares": "a", "repeat": 2, "inputs": "x"}, "repeat goes with module or layers; this node has shares"),
        ({"module": "torch.nn.ReLU"}, "inputs is missing: a node reads a field or another node"),
    ],
)
def test_forms_that_do_not_go_together(node: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(ModelSpec, {"nodes": {"n": node}})
    assert [str(mistake) for mistake in caught.value.mistakes] == [f"nodes.n: {problem}."]


def test_dotted_nodes_in_python() -> None:
    """In Python a node of a nested graph is one with a dot in its name; nothing can be both a node and a part."""
    nodes = {"net.body": Node(nn.Linear(4, 4), "x"), "out": Node(nn.Linear(4, 2), "net")}
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes)
    assert model.values["out"].shape == (2,)
    with pytest.raises(
        JumpMLError, match=r"^node 'net.body': 'net' is a node, and this would be a part of what it gives"
    ):
        Model(inputs={"x": ValueInfo(shape=(4,))}, nodes={**nodes, "net": Node(nn.ReLU(), "x")})


def test_a_problem_in_layers_is_told_at_its_place(tmp_path: Path) -> None:
    layers = "[torch.nn.ReLU, {module: os.system}, {module: torch.nn.Linear, args: {in_featres: 3}}]"
    nodes = f"body: {{layers: {layers}, inputs: image}}"
    path = write(tmp_path, m=outer(f"{nodes}\n{OUT % 'body'}", "{image: {shape: [4]}}"))
    with pytest.raises(SpecError) as caught:
        build_nodes(load_spec(ModelSpec, path), {"image": ValueInfo(shape=(4,))}, {})
    assert [(mistake.key, mistake.column) for mistake in caught.value.mistakes] == [
        ("nodes.body.layers[1].module", 35),
        ("nodes.body.layers[2].args.in_featres", 88),
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "os.system",
            "'os.system' is outside the trusted packages (torch.nn, jumpml). Python's own library has no class "
            "that derives from Module.",
        ),
        (
            "jumpml.core._files.os.system",
            "'jumpml.core._files.os.system' leads to the module os, which is outside the trusted packages (torch.nn, "
            "jumpml).",
        ),
        (
            "torch.nn.functional.relu",
            "'torch.nn.functional.relu' is a function; expected a class that derives from Module.",
        ),
    ],
)
@pytest.mark.parametrize("form", ["{module: %s", "{layers: [%s]", "{layers: [{module: %s}]", "{module: %s, repeat: 3"])
def test_no_form_of_a_node_leads_out(form: str, name: str, told: str, tmp_path: Path) -> None:
    body = f"body: {form % name}, inputs: image}}"
    path = write(tmp_path, m=outer(f"{body}\n{OUT % 'body'}", "{image: {shape: [4]}}"))
    with pytest.raises(SpecError) as caught:
        jumpml.load_model(path)
    (mistake,) = caught.value.mistakes
    assert mistake.problem == told
    assert mistake.line == 4
