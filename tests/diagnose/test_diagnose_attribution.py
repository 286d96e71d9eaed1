"""Attributions of real and of transparent models, checked against chance and against what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from jumpml.blocks import TabularEmbedding
from jumpml.core import FieldInfo, Task, ValueInfo
from jumpml.data import Column, DataLoaders, Encode, Feature, random_split
from jumpml.diagnose._attribution import attribute, mean_figure
from jumpml.diagnose._examples import choose_examples, in_words
from jumpml.diagnose._out_of_domain import out_of_domain
from jumpml.evaluate import Predictions, predict
from jumpml.graph import Model, Node

if TYPE_CHECKING:
    from conftest import Trained

    from jumpml.core import Attribution


def _attribute(trained: Trained, task: str, seed: int = 0) -> tuple[list[Attribution], list[str]]:
    trained.model.eval()
    predictions = predict(trained.loaders, trained.model, "test")[task]
    return attribute(trained.loaders, trained.model, task, predictions, seed)


@pytest.fixture
def linear() -> tuple[DataLoaders, Model]:
    """``y = 2 a - 3 b + 1`` exactly."""
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    columns = {"x": Column(x, "tensor"), "y": Column(x @ torch.tensor([[2.0], [-3.0]]) + 1, "number")}
    layer = nn.Linear(2, 1)
    layer.weight.data, layer.bias.data = torch.tensor([[2.0, -3.0]]), torch.tensor([1.0])
    task = Task(kind="regression", output="out", target="y")
    model = Model(inputs={"x": ValueInfo(shape=(2,))}, nodes={"out": Node(layer, "x")}, tasks={"y": task})
    return DataLoaders(columns, random_split(60)), model


def test_digits_beat_a_random_order(digits: Trained) -> None:
    (found,), notes = _attribute(digits, "digit")
    assert notes == []
    assert (found.task, found.field, found.kind) == ("digit", "image", "image")
    assert found.insertion.low > found.random_insertion.high
    assert found.deletion.high < found.random_deletion.low
    assert found.insertion.n == 64
    assert 0 <= found.deletion.low <= found.insertion.high <= 1  # areas under probabilities


def test_digits_shares_add_up(digits: Trained) -> None:
    (found,), _ = _attribute(digits, "digit")
    assert found.convergence < 0.5  # logits differ from the baseline's by 5 to 20
    assert len(found.mean_absolute) == len(found.mean_absolute[0]) == 8
    blank = sum(row[0] for row in found.mean_absolute) / sum(map(sum, found.mean_absolute))
    assert blank < 0.02  # the digits' leftmost column is nearly always empty


def test_digits_examples_show_the_decoded_picture(digits: Trained) -> None:
    (found,), _ = _attribute(digits, "digit")
    assert len(found.examples) == 8
    assert any(example.target != example.predicted for example in found.examples)
    assert any(example.target == example.predicted for example in found.examples)
    for example in found.examples:
        place = int((digits.loaders.test.rows == example.row).nonzero())
        picture = digits.loaders.test.decoded("image")[place, 0]
        torch.testing.assert_close(torch.tensor(example.value), picture, atol=1e-3, rtol=1e-3)
        assert example.target == str(int(digits.loaders.test.decoded("label")[place]))
        assert len(example.attribution) == len(example.attribution[0]) == 8


def test_a_random_ranking_does_not_beat_chance(digits: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = torch.Generator().manual_seed(1)
    monkeypatch.setattr(
        "jumpml.diagnose._gradients.Explanation.by_element",
        lambda self, rows=slice(None): [torch.rand(len(self.codes[rows]), 64, generator=noise)],
    )
    (found,), _ = _attribute(digits, "digit")
    assert found.insertion.low < found.random_insertion.high
    assert found.deletion.high > found.random_deletion.low


def test_a_linear_model_is_explained_exactly(linear: tuple[DataLoaders, Model]) -> None:
    loaders, model = linear
    (found,), _ = attribute(loaders, model, "y", predict(loaders, model, "test")["y"], 0)
    offset = loaders.test.decoded("x") - loaders.train.decoded("x").mean(0)
    expected = offset * torch.tensor([2.0, -3.0])
    torch.testing.assert_close(
        torch.tensor(found.mean_absolute), expected.abs().mean(0, keepdim=True), rtol=2e-3, atol=1e-3
    )
    assert found.convergence < 1e-4
    by_row = {int(row): share for row, share in zip(loaders.test.rows, expected, strict=True)}
    for example in found.examples:
        torch.testing.assert_close(torch.tensor(example.attribution)[0], by_row[example.row], rtol=2e-3, atol=1e-3)


def test_a_regression_is_ranked_towards_its_output(linear: tuple[DataLoaders, Model]) -> None:
    loaders, model = linear
    (found,), _ = attribute(loaders, model, "y", predict(loaders, model, "test")["y"], 0)
    # In deviations of the outputs; of two elements the true order is never worse than another.
    assert found.insertion.value > found.random_insertion.value
    assert found.deletion.value < found.random_deletion.value


def test_fields_of_a_table_share_one_ranking(table: Trained) -> None:
    for task in ("progress", "risk"):
        found, notes = _attribute(table, task)
        assert [(part.field, part.kind) for part in found] == [
            ("age", "number"),
            ("bmi", "number"),
            ("sex", "category"),
            ("serum", "tensor"),
        ]
        assert all(part.insertion == found[0].insertion for part in found)
        assert [len(part.mean_absolute[0]) for part in found] == [1, 1, 1, 6]
        assert notes == [f"{task}: 'decade' is a whole number to the model; it has no attribution and is held fixed."]


def test_codes_of_a_table_are_held_fixed_and_said_to_be() -> None:
    generator = torch.Generator().manual_seed(0)
    age, sort = torch.randn(60, generator=generator), torch.arange(60) % 3
    names = ("a", "b", "c")
    infos = (Column(age[:, None], "number").info("age"), Column(sort, "category", classes=names).info("sort"))
    columns = {
        "x": Column(torch.stack([age, sort.float()], 1), "table", columns=infos),
        "y": Column((2 * age + sort)[:, None], "number"),
    }
    loaders = DataLoaders(columns, random_split(60), features={"x": [Encode("index")]})
    loaders.bind(["x"])
    nodes = {"e": Node(TabularEmbedding(4), "x"), "out": Node(nn.Sequential(nn.Flatten(), nn.Linear(8, 1)), "e")}
    task = Task(kind="regression", output="out", target="y")
    model = Model(inputs={"x": loaders.info("x")}, nodes=nodes, tasks={"y": task}, seed=0).eval()
    (found,), notes = attribute(loaders, model, "y", predict(loaders, model, "test")["y"], 0)
    assert notes == ["y: 'x' holds codes of categories; they have no attribution and are held fixed."]
    assert found.mean_absolute[0][0] > 0
    assert found.mean_absolute[0][1] == 0
    assert found.convergence < 1e-5  # the model is linear in what is left
    scores, _ = out_of_domain(loaders, model, "e", 0)  # strangers, whose numbers are no codes, pass too
    assert scores


def test_a_missing_number_is_shown_as_what_stands_in_for_it(table: Trained) -> None:
    found, _ = _attribute(table, "risk")
    bmi, loaders = next(part for part in found if part.field == "bmi"), table.loaders
    mean = float(loaders.train.decoded("bmi").nanmean())
    shown = {example.row: example.value[0][0] for example in bmi.examples}
    for row, value in zip(loaders.test.rows.tolist(), loaders.test.decoded("bmi")[:, 0].tolist(), strict=True):
        if row in shown:
            assert shown[row] == pytest.approx(mean if row % 7 == 0 else value, rel=1e-3)
    assert any(row % 7 == 0 for row in shown)  # the fixture leaves out every seventh


def test_answers_are_in_words(table: Trained) -> None:
    risk, _ = _attribute(table, "risk")
    assert {example.target for example in risk[0].examples} <= {"no", "yes"}
    progress, _ = _attribute(table, "progress")
    targets = table.loaders.test.decoded("progression")[:, 0].tolist()
    assert {float(example.target) for example in progress[0].examples} <= set(targets)


def test_an_input_behind_a_step_without_gradient_is_held_fixed(linear: tuple[DataLoaders, Model]) -> None:
    loaders, _ = linear
    model = Model(
        inputs={"x": ValueInfo(shape=(2,))},
        nodes={"sign": Node(_Sign(), "x"), "out": Node(nn.Linear(2, 1), "sign")},
        tasks={"y": Task(kind="regression", output="out", target="y")},
    )
    found, notes = attribute(loaders, model, "y", predict(loaders, model, "test")["y"], 0)
    assert found == []
    assert notes == ["y: no gradient reaches 'x'; it has no attribution and is held fixed."]


class _Sign(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach().sign()


def test_frozen_nodes_are_explained_too(digits: Trained) -> None:
    before, _ = _attribute(digits, "digit")
    digits.model.train_only([])
    try:
        assert _attribute(digits, "digit")[0] == before
    finally:
        digits.model.train_only(digits.model.node_names)


def test_another_seed_draws_other_rows(digits: Trained) -> None:
    rows = [[example.row for example in _attribute(digits, "digit", seed)[0][0].examples] for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]


def test_worst_and_best_rows_are_shown() -> None:
    target = torch.arange(20.0).unsqueeze(1)
    output = target + torch.tensor([[0.0]] * 10 + [[9.0], [8.0], [7.0], [6.0]] + [[1.0]] * 6)
    predictions = Predictions(output=output, target=target, present=torch.tensor([False] + [True] * 19))
    chosen = choose_examples("regression", predictions, torch.Generator().manual_seed(0)).tolist()
    assert chosen[:4] == [10, 11, 12, 13]
    assert set(chosen[4:]) <= set(range(1, 10))


def test_few_rows_are_shown_once() -> None:
    target = torch.tensor([0, 1, 1])
    predictions = Predictions(output=torch.eye(3)[:, :2], target=target, present=torch.tensor([True, True, False]))
    assert sorted(choose_examples("multiclass", predictions, torch.Generator()).tolist()) == [0, 1]


def test_values_in_words() -> None:
    category = FieldInfo(name="y", kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=("cat", "dog"))
    number = FieldInfo(name="y", kind="number", value=ValueInfo(shape=(1,)))
    assert in_words("multiclass", category, torch.tensor(1)) == "dog"
    assert in_words("binary", number, torch.tensor([1.0])) == "1"
    assert in_words("regression", number, torch.tensor([3.14159])) == "3.142"
    assert in_words("regression", number, torch.tensor([1.0, 2.0])) == "mean 1.5"


def test_the_mean_has_a_bootstrap_interval() -> None:
    figure = mean_figure(torch.randn(400, generator=torch.Generator().manual_seed(0)) + 5)
    assert figure.n == 400
    assert figure.low < figure.value < figure.high
    assert figure.high - figure.low == pytest.approx(2 * 1.96 / 20, rel=0.2)  # the normal interval of 400 unit deviates


# --- features that make something else of a field ---------------------------------------------------------------------


class _Halves(Feature):
    """A step that cannot be undone: the mean of each half of a picture or series."""

    name = "halves"
    reads = ("numbers",)

    def forward(self, values: Tensor) -> Tensor:
        return torch.stack([half.flatten(1).mean(1) for half in values.chunk(2, dim=-1)], dim=1)


class _Filled(Feature):
    """Another: what is missing becomes zero, and all else its sign."""

    name = "filled"
    reads = ("numbers",)

    def forward(self, values: Tensor) -> Tensor:
        return values.nan_to_num().sign()


@pytest.mark.parametrize(
    ("column", "step", "shown"),
    [
        (Column(torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(0)), "image"), _Halves(), (1, 2)),
        (Column(torch.randn(60, 6, 2, generator=torch.Generator().manual_seed(0)), "series"), _Halves(), (1, 2)),
        (Column(torch.tensor([[1.5], [torch.nan], [-2.0]]).repeat(20, 1), "number"), _Filled(), (1, 1)),
    ],
)
def test_what_cannot_be_undone_is_shown_as_the_model_reads_it(
    column: Column, step: Feature, shown: tuple[int, int]
) -> None:
    columns = {"x": column, "y": Column(torch.arange(60) % 2, "category", classes=("no", "yes"))}
    loaders = DataLoaders(columns, random_split(60), features={"x": [step]})
    info = loaders.info("x")
    model = Model(
        inputs={"x": info},
        nodes={"out": Node(nn.Linear(info.shape[0], 2), "x")},
        tasks={"y": Task(kind="multiclass", output="out", target="y")},
    )
    (found,), _ = attribute(loaders, model, "y", predict(loaders, model, "test")["y"], 0)
    for example in found.examples:
        assert (len(example.value), len(example.value[0])) == shown
        assert (len(example.attribution), len(example.attribution[0])) == shown
        place = int((loaders.test.rows == example.row).nonzero())
        read = step(loaders.test.decoded("x")[place : place + 1])[0]
        torch.testing.assert_close(torch.tensor(example.value[0]), read, atol=1e-3, rtol=1e-3)
