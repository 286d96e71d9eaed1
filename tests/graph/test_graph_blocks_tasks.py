"""Blocks with a part for each task: what their papers say, written once more, and what they refuse."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from jumpml.blocks import CGC, PLE, CrossStitch, Head, MMoE, TaskAdapter
from jumpml.core import GraphError, Task, ValueInfo
from jumpml.graph import Model, Node, Widen
from jumpml.objectives import MeanSquaredError

if TYPE_CHECKING:
    from collections.abc import Sequence

TASKS = ["digit", "parity", "size"]


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- as the papers have it, in NumPy and by loops ---------------------------------------------------------------------


def expert_of(layers: nn.Module, x: Any) -> Any:
    for layer in layers.modules():
        if isinstance(layer, nn.Linear):
            x = np.maximum(x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy(), 0)
    return x


def gated(gate: nn.Module, x: Any, outputs: Sequence[Any]) -> Any:
    """A softmax of a linear layer of the value, row by row."""
    assert isinstance(gate, nn.Linear) and gate.bias is None
    result = np.zeros_like(outputs[0])
    for row in range(len(x)):
        logits = gate.weight.detach().numpy() @ x[row]
        shares = np.exp(logits - logits.max())
        for share, output in zip(shares / shares.sum(), outputs, strict=True):
            result[row] += share * output[row]
    return result


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_mixture_with_a_gate_a_task_is_the_papers(tasks: int, count: int, seed: int) -> None:
    torch.manual_seed(seed)
    module, value = MMoE(TASKS[:tasks], [6, 4], count), numbers(5, 3, seed=seed)
    found, x = module(value), value.numpy()
    outputs = [expert_of(expert, x) for expert in module.experts]
    assert [*found] == TASKS[:tasks] and len(outputs) == count
    for task, gate in zip(TASKS, module.gates, strict=False):
        np.testing.assert_allclose(found[task].detach().numpy(), gated(gate, x, outputs), atol=1e-5)


def control(module: CGC, by_task: Sequence[Any], common: Any) -> list[Any]:
    """Tang et al.'s equations: a task's gate is over its own experts and the shared ones, the shared gate over all."""
    own = [[expert_of(expert, x) for expert in group.children()] for group, x in zip(module.own, by_task, strict=True)]
    shared = [expert_of(expert, common) for expert in module.shared]
    results = [
        gated(gate, x, group + shared) for gate, x, group in zip([*module.gates][: len(own)], by_task, own, strict=True)
    ]
    if len(module.gates) > len(own):
        results.append(gated(module.gates[-1], common, [*chain(*own), *shared]))
    return results


@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_layers_of_own_and_shared_experts_are_the_papers(tasks: int, own: int, shared: int, layers: int) -> None:
    torch.manual_seed(0)
    module, value = PLE(TASKS[:tasks], [4, 3], layers, own, shared), numbers(5, 6)
    found = module(value)
    values = [value.numpy()] * (tasks + 1)
    for layer in module.layers:
        assert isinstance(layer, CGC)
        values = control(layer, values[:tasks], values[-1])
    assert [*found] == TASKS[:tasks]
    for task, expected in zip(TASKS, values, strict=False):
        np.testing.assert_allclose(found[task].detach().numpy(), expected, atol=1e-5)


def test_one_layer_stands_alone_and_reads_what_another_gives() -> None:
    first, second = CGC(["a", "b"], [4], own=1, shared=2, passes_on=True), CGC(["a", "b"], [3])
    value = numbers(5, 6)
    given = first(value)
    assert [*given] == ["a", "b", "shared"]
    found = second(*given.values())
    x = [part.detach().numpy() for part in given.values()]
    for expected, got in zip(control(second, x[:2], x[2]), found.values(), strict=True):
        np.testing.assert_allclose(got.detach().numpy(), expected, atol=1e-5)


def test_what_is_one_tasks_gets_no_gradient_of_another() -> None:
    module = PLE(["a", "b"], [4], layers=2)
    module(numbers(5, 6))["a"].sum().backward()
    last = module.layers[1]
    assert isinstance(last, CGC)
    assert all(parameter.grad is None for parameter in last.own[1].parameters())
    assert all(parameter.grad is not None for parameter in [*last.own[0].parameters(), *last.shared.parameters()])


@given(st.integers(2, 4), st.floats(0, 1))
@settings(max_examples=15, deadline=None)
def test_columns_take_of_each_other_what_the_paper_says(tasks: int, own: float) -> None:
    names, columns = [f"t{place}" for place in range(tasks)], [numbers(3, 2, 4, 5, seed=n) for n in range(tasks)]
    module = CrossStitch(names, own)
    found = module(*columns)
    others = (1 - own) / (tasks - 1)
    for place, name in enumerate(names):
        expected = sum(column * (own if place == other else others) for other, column in enumerate(columns))
        torch.testing.assert_close(found[name], expected)
    with torch.no_grad():
        module.weight.copy_(numbers(*module.weight.shape, seed=9))
    found, alpha = module(*columns), module.weight.detach()
    for place, name in enumerate(names):  # at each place of each channel: alpha_ts x_s, summed over s
        for channel in range(2):
            expected = sum(alpha[place, s, channel] * columns[s][:, channel] for s in range(tasks))
            torch.testing.assert_close(found[name][:, channel], expected)


@pytest.mark.parametrize(("dim", "shape"), [(1, (3, 4)), (-1, (3, 6, 4)), (1, (3, 4, 6)), (2, (3, 6, 4))])
def test_channels_lie_where_they_are_said_to(dim: int, shape: tuple[int, ...]) -> None:
    module, columns = CrossStitch(["a", "b"], dim=dim), [numbers(*shape), numbers(*shape, seed=1)]
    module(*columns)
    assert module.weight.shape == (2, 2, 4)
    with torch.no_grad():
        module.weight.zero_()
        module.weight[0, 1, 2] = 3.0  # the first task's third channel is the second's, three times
    found = module(*columns)["a"].movedim(dim, 0)
    torch.testing.assert_close(found[2], 3 * columns[1].movedim(dim, 0)[2])
    assert not found[[0, 1, 3]].any()


def test_adapters_begin_as_nothing_and_are_small_residual_networks() -> None:
    module, value = TaskAdapter(["a", "b"], 3), numbers(5, 6, 4)
    assert all(torch.equal(part, value) for part in module(value).values())
    with torch.no_grad():
        for place, parameter in enumerate(module.parameters()):
            parameter.copy_(numbers(*parameter.shape, seed=place))
    found, x = module(value), value.numpy()
    for task, inward, outward in zip(["a", "b"], module.inward, module.outward, strict=True):
        assert isinstance(outward, nn.Linear)
        inner = expert_of(inward, x)
        expected = x + inner @ outward.weight.detach().numpy().T + outward.bias.detach().numpy()
        np.testing.assert_allclose(found[task].detach().numpy(), expected, atol=1e-5)


def test_adapters_of_pictures_are_one_by_one_convolutions() -> None:
    module, value = TaskAdapter(["a"], 3, dim=1), numbers(2, 4, 5, 6)
    module(value)
    inward, outward = module.inward[0], module.outward[0]
    assert isinstance(inward, nn.Linear) and isinstance(outward, nn.Linear)
    nn.init.normal_(outward.weight)
    inner = torch.conv2d(value, inward.weight[..., None, None], inward.bias).relu()
    expected = value + torch.conv2d(inner, outward.weight[..., None, None], outward.bias)
    torch.testing.assert_close(module(value)["a"], expected)


# --- in a model -------------------------------------------------------------------------------------------------------


def model(module: nn.Module, *, reads: str = "a", columns: int = 1) -> Model:
    below = {f"column{place}": Node(nn.LazyLinear(4), "x") for place in range(columns)}
    heads = {name: Node(Head(1), f"mix.{reads if name == 'a' else name}") for name in ("a", "b")}
    tasks = {name: Task(kind="regression", output=f"{name}_out", target=f"{name}_y") for name in heads}
    return Model(
        inputs={"x": ValueInfo(shape=(5,))},
        nodes={**below, "mix": Node(module, [*below]), **{f"{name}_out": node for name, node in heads.items()}},
        tasks=tasks,
        objectives={name: MeanSquaredError((f"{name}_out", f"{name}_y")) for name in tasks},
        seed=0,
    )


BLOCKS: dict[str, tuple[Any, int]] = {
    "CrossStitch": (lambda: CrossStitch(["a", "b"]), 2),
    "MMoE": (lambda: MMoE(["a", "b"], [4]), 1),
    "CGC": (lambda: CGC(["a", "b"], [4]), 1),
    "PLE": (lambda: PLE(["a", "b"], [4]), 1),
    "TaskAdapter": (lambda: TaskAdapter(["a", "b"], 3), 1),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_each_task_learns_by_its_part(name: str) -> None:
    make, columns = BLOCKS[name]
    made = model(make(), columns=columns)
    batch = {"x": numbers(6, 5), "a_y": numbers(6, 1, seed=1), "b_y": numbers(6, 1, seed=2)}
    losses = made.losses(batch)
    assert {*losses} == {"a", "b"}
    losses["a"].sum().backward()
    assert all(parameter.grad is None for parameter in made.node("b_out").parameters())
    assert all(parameter.grad is not None for parameter in made.node("column0").parameters())


def test_a_task_that_a_block_does_not_know_is_told_with_what_is_near() -> None:
    text = r"reads 'mix\.aa', but node 'mix' \(jumpml\.blocks\.MMoE\) has no part 'aa'\. Did you mean 'a'\?"
    with pytest.raises(GraphError, match=text):
        model(MMoE(["a", "b"], [4]), reads="aa")


WRONG = [
    (lambda: CrossStitch(["a"]), "tasks must name at least 2; got ['a']."),
    (lambda: CrossStitch(["a", "b"], own=1.5), "own must be between 0 and 1; got 1.5."),
    (lambda: CrossStitch(["a", "b"], dim=0), "dim=0 is the batch: its rows are no channels."),
    (lambda: CrossStitch(["a", "b"])(torch.ones(2, 3)), "expected a column for each task, a, b; got 1."),
    (lambda: CrossStitch(["a", "b"])(torch.ones(2, 3), torch.ones(2, 4)), "of one shape; got [2, 3], [2, 4]."),
    (lambda: MMoE([], [4]), "tasks must name at least 1; got []."),
    (lambda: MMoE("ab", [4]), "tasks must be a list of names; got 'ab'."),
    (lambda: MMoE(["a", "b", "a"], [4]), "tasks must name each once; 'a' stands there twice."),
    (lambda: MMoE(["a", "b.c", ""], [4]), "its name must not be empty, or hold '.' or '@'; got ['b.c', '']."),
    (lambda: MMoE(["a"], []), "widths must be a list of at least one whole number, each 1 or more; got []."),
    (lambda: MMoE(["a"], [4], count=0), "count must be a whole number of 1 or more; got 0."),
    (lambda: MMoE(["a"], [4], count=True), "count must be a whole number of 1 or more; got True."),
    (lambda: MMoE(["a"], ["4"]), "each 1 or more; got ['4']."),  # type: ignore[list-item]
    (lambda: MMoE(["a"], 4), "widths must be a list of at least one whole number, each 1 or more; got 4."),  # type: ignore[arg-type]
    (CrossStitch(["a", "b"]), "expected a column for each task, a, b; got 0."),
    (lambda: CGC(["a", "shared"], [4]), "no task can be named 'shared', which is what all tasks share."),
    (lambda: CGC(["a"], [4], own=0), "own and shared must be whole numbers of 1 or more; got 0, 2."),
    (
        lambda: CGC(["a", "b"], [4])(torch.ones(2, 3), torch.ones(2, 3)),
        "expected one value, or one for each task (a, b) and one for what they share; got 2.",
    ),
    (lambda: PLE(["a"], [4], layers=0), "layers must be a whole number of 1 or more; got 0."),
    (lambda: TaskAdapter(["a"], 0), "width must be a whole number of 1 or more; got 0."),
    (lambda: TaskAdapter(["a"], 2, dim=0), "dim=0 is the batch: its rows are no width."),
    (lambda: MMoE([1, True], [4]), "tasks must be names, which are texts; got 1, True."),  # type: ignore[list-item]
    (
        lambda: CrossStitch(["a", "b"], dim=-2)(torch.ones(2, 3), torch.ones(2, 3)),
        "dim=-2 is the batch of a value with 2 axes, the batch counted.",
    ),
    (
        lambda: CrossStitch(["a", "b"], dim=2)(torch.ones(2, 3), torch.ones(2, 3)),
        "dim=2 is no axis of a value with 2 axes, the batch counted.",
    ),
    (lambda: TaskAdapter(["a"], 2, dim=-2)(torch.ones(2, 3)), "dim=-2 is the batch of a value with 2 axes"),
    (lambda: TaskAdapter(["a"], 2, dim=2)(torch.ones(2, 3)), "dim=2 is no axis of a value with 2 axes"),
]


@pytest.mark.parametrize(("make", "text"), WRONG)
def test_what_is_wrong_is_told(make: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        make()
    assert text in str(caught.value)


# --- surgery ----------------------------------------------------------------------------------------------------------


STACKED = "lays them over several axes \\(stack\\)"
IN_THE_WAY: dict[str, dict[str, str]] = {
    "CrossStitch": {
        "column0": "CrossStitch\\) joins them one by one with values that are not the model's own",
        "mix": "'mix' makes no units",
    },
    "MMoE": {"mix": f"of 'mix.experts.0.0': 'mix' .*{STACKED}.*of 'mix.gates.0': .* takes the softmax over them"},
    "CGC": {"mix": f"of 'mix.own.0.0.0': 'mix' .*{STACKED}"},
    "PLE": {"mix": f"of 'mix.layers.0.own.0.0.0': 'mix.layers.0' .*{STACKED}"},
}


@pytest.mark.parametrize("node", ["column0", "mix"])
@pytest.mark.parametrize("name", BLOCKS)
def test_surgery_keeps_what_is_computed_or_says_what_it_cannot_follow(name: str, node: str) -> None:
    make, columns = BLOCKS[name]
    made, batch = model(make(), columns=columns).eval(), {"x": numbers(6, 5)}
    before, count = made(batch), sum(parameter.numel() for parameter in made.parameters())
    if text := IN_THE_WAY.get(name, {}).get(node):
        with pytest.raises(GraphError, match=text):
            made.grow(Widen(node, 1.5))
        assert sum(parameter.numel() for parameter in made.parameters()) == count
    else:
        made.grow(Widen(node, 1.5))
        assert sum(parameter.numel() for parameter in made.parameters()) > count
    after = made(batch)
    assert all(torch.allclose(after[task], before[task], atol=1e-5) for task in before)
