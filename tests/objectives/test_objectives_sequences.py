"""What is learned from the steps of series, sounds and texts alone: values, what reads ahead, what is refused."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from jumpml.blocks import TCN, CausalDecoder, Embedding, PatchTST, Recurrent, TransformerEncoder
from jumpml.core import FieldInfo, ObjectiveError, ValueInfo
from jumpml.graph import Model, Node
from jumpml.objectives import CPC, NextToken, NextValue, ObjectiveModule, TS2Vec, reduce

if TYPE_CHECKING:
    from torch import Tensor


def info(*shape: int, dtype: str = "float32", classes: int | None = None) -> ValueInfo:
    return ValueInfo(shape=shape, dtype=dtype, classes=classes)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- TS2Vec -----------------------------------------------------------------------------------------------------------


def instance_loss(z1: Tensor, z2: Tensor) -> Tensor:
    """A plain transcription of zhihanyue/ts2vec, models/losses.py."""
    rows = len(z1)
    z = torch.cat([z1, z2], dim=0).transpose(0, 1)
    sim = z @ z.transpose(1, 2)
    logits = torch.tril(sim, diagonal=-1)[:, :, :-1] + torch.triu(sim, diagonal=1)[:, :, 1:]
    logits = -F.log_softmax(logits, dim=-1)
    i = torch.arange(rows)
    return (logits[:, i, rows + i - 1].mean() + logits[:, rows + i, i].mean()) / 2


def temporal_loss(z1: Tensor, z2: Tensor) -> Tensor:
    """Likewise: the same, with steps in the place of rows."""
    return instance_loss(z1.transpose(0, 1), z2.transpose(0, 1))


def hierarchical_loss(z1: Tensor, z2: Tensor, alpha: float) -> Tensor:
    loss, depth = torch.zeros((), dtype=z1.dtype), 0
    while z1.size(1) > 1:
        loss = loss + alpha * instance_loss(z1, z2) + (1 - alpha) * temporal_loss(z1, z2)
        depth += 1
        z1, z2 = (F.max_pool1d(z.transpose(1, 2), kernel_size=2).transpose(1, 2) for z in (z1, z2))
    return (loss + alpha * instance_loss(z1, z2)) / (depth + 1)


@pytest.mark.parametrize("steps", [2, 7, 16])
@pytest.mark.parametrize("instance", [0.0, 0.3, 0.5, 1.0])
def test_ts2vec_is_the_authors_own_code(steps: int, instance: float) -> None:
    first, second = numbers(5, steps, 4), numbers(5, steps, 4, seed=1)
    got = TS2Vec("steps", views="v", instance=instance)(first, second).value
    torch.testing.assert_close(got, hierarchical_loss(first, second, instance), rtol=1e-12, atol=1e-12)


def test_absent_rows_are_no_strangers_to_tell_from() -> None:
    first, second = numbers(6, 8, 4), numbers(6, 8, 4, seed=1)
    there = torch.tensor([True, False, True, True, False, True])
    objective = TS2Vec("steps", views="v")
    first[1], second[4] = torch.nan, torch.nan
    torch.testing.assert_close(
        objective(first, second, present=there).value, objective(first[there], second[there]).value
    )
    assert float(objective(first, second, present=torch.zeros(6, dtype=torch.bool)).value) == 0.0


@given(st.integers(0, 99))
def test_alike_steps_cost_less_than_others(seed: int) -> None:
    first = 2 * numbers(4, 8, 6, seed=seed)
    other = numbers(4, 8, 6, seed=seed + 100)
    objective = TS2Vec("steps", views="v")
    assert objective(first, first).value < objective(first, 2 * other).value


# --- contrastive prediction -------------------------------------------------------------------------------------------


def cpc(ahead: int, latent: int = 3, context: int = 5, steps: int = 6) -> CPC:
    torch.manual_seed(0)
    objective = CPC(("latent", "context"), ahead=ahead)
    objective.connect([info(steps, latent), info(steps, context)], {})
    return objective.double()


def test_cpc_is_the_formula_of_the_paper() -> None:
    """Equation 4, with the batch's other rows at that step as the negative samples, one by one."""
    objective, latent, context = cpc(2), numbers(4, 6, 3), numbers(4, 6, 5, seed=1)
    losses = []
    for k, layer in enumerate(objective.predictor, start=1):
        terms = []
        for t in range(6 - k):
            foretold = layer(context[:, t])
            for row in range(4):
                scores = torch.stack([foretold[row] @ latent[other, t + k] for other in range(4)])
                terms.append(scores.logsumexp(0) - scores[row])
        losses.append(torch.stack(terms).mean())
    torch.testing.assert_close(objective(latent, context).value, torch.stack(losses).mean())


def test_cpc_without_a_context_foretells_from_the_latent_vectors() -> None:
    objective = CPC("latent", ahead=1)
    objective.connect([info(6, 3)], {})
    latent = numbers(4, 6, 3).float()
    assert objective(latent).value.equal(objective(latent, latent).value)


def test_cpc_leaves_absent_rows_out() -> None:
    objective, latent, context = cpc(2), numbers(5, 6, 3), numbers(5, 6, 5, seed=1)
    there = torch.tensor([True, True, False, True, False])
    expected = objective(latent[there], context[there]).value
    latent[2], context[4] = torch.nan, torch.nan
    torch.testing.assert_close(objective(latent, context, present=there).value, expected)
    for nobody in (torch.zeros(5, dtype=torch.bool), torch.arange(5) == 0):  # one row has no other to be told from
        assert float(objective(latent, context, present=nobody).value.detach()) == 0.0


def test_what_is_foretold_well_costs_little() -> None:
    """Latent vectors that turn by a fixed angle: the right layer tells them apart, another does not."""
    objective = CPC("latent", ahead=1)
    objective.connect([info(8, 2)], {})
    angle = torch.linspace(0, 6, 5)[:, None] + torch.arange(8) * 0.5
    latent = 9 * torch.stack([angle.cos(), angle.sin()], 2)
    turn = torch.tensor([[0.5], [0.5]]).squeeze()
    right = torch.tensor([[turn[0].cos(), -turn[0].sin()], [turn[0].sin(), turn[0].cos()]])
    layer: Any = objective.predictor[0]
    with torch.no_grad():
        layer.weight.copy_(right)
        good = float(objective(latent).value)
        layer.weight.zero_()
        assert float(objective(latent).value) == pytest.approx(log(5))
    assert good < 0.1


# --- next value -------------------------------------------------------------------------------------------------------


def next_value(horizon: int, steps: int = 5, channels: int = 2) -> NextValue:
    torch.manual_seed(0)
    objective = NextValue(("past", "load"), horizon=horizon)
    objective.connect([info(steps, 3), info(steps, channels)], {})
    return objective.double()


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_next_values_are_compared_one_by_one(horizon: int) -> None:
    objective, past, series = next_value(horizon), numbers(3, 5, 3), numbers(3, 5, 2, seed=1)
    foretold = objective.predictor(past).view(3, 5, horizon, 2)
    expected = [
        torch.stack(
            [
                (foretold[row, t, h - 1] - series[row, t + h]).square()
                for t in range(5)
                for h in range(1, horizon + 1)
                if t + h < 5
            ]
        ).mean()
        for row in range(3)
    ]
    torch.testing.assert_close(objective(past, series).value, torch.stack(expected))


def test_missing_values_are_not_foretold() -> None:
    objective, past, series = next_value(1), numbers(3, 5, 3).requires_grad_(), numbers(3, 5, 2, seed=1)
    series[0, 2, 1] = torch.nan
    series[1, 1:] = torch.nan
    loss = objective(past, series)
    assert loss.present is not None
    assert loss.present.tolist() == [True, False, True]
    told = objective.counted(None, series)
    assert told is not None
    assert told.equal(loss.present)
    square = (objective.predictor(past[0, :-1]) - series[0, 1:]).square()
    torch.testing.assert_close(loss.value[0], square[~square.isnan()].mean())
    reduce(loss).backward()
    assert past.grad is not None
    assert bool(past.grad.isfinite().all())
    assert not past.grad[1].any()


# --- next token -------------------------------------------------------------------------------------------------------


def test_the_next_token_is_a_cross_entropy_of_a_layer_of_its_own() -> None:
    objective = NextToken(("past", "message"))
    objective.connect([info(4, 6), info(4, dtype="int64", classes=9)], {})
    assert objective.inputs == ("past", "message.next")
    past, following = numbers(3, 4, 6).float(), torch.tensor([[3, 2, 8, -1], [1, -1, -1, -1], [-1, -1, -1, -1]])
    value, present = objective(past, following)
    logits = objective.predictor(past)
    assert logits.shape == (3, 4, 9)
    for row, count in ((0, 3), (1, 1)):
        torch.testing.assert_close(value[row], F.cross_entropy(logits[row, :count], following[row, :count]))
    assert present is not None
    assert present.tolist() == [True, True, False]
    told = objective.counted(None, following)
    assert told is not None
    assert told.equal(present)


# --- what reads ahead -------------------------------------------------------------------------------------------------

SERIES = {"load": FieldInfo(name="load", kind="series", value=info(12, 2))}
TEXT = {"message": FieldInfo(name="message", kind="text", value=info(10, dtype="int64", classes=20))}


class Both(nn.Module):
    """A recurrent layer that reads both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(2, 4, batch_first=True, bidirectional=True)

    def forward(self, values: Tensor) -> Tensor:
        return self.layer(values)[0]


class Centred(nn.Module):
    """A convolution that sees one step ahead."""

    def __init__(self, read: int = 2) -> None:
        super().__init__()
        self.layer = nn.Conv1d(read, 4, 3, padding=1)

    def forward(self, values: Tensor) -> Tensor:
        return self.layer(values.transpose(1, 2)).transpose(1, 2)


class Strided(nn.Module):
    """A sound as one vector every four samples, of eight."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(1, 4, 8, 4, padding=2)

    def forward(self, values: Tensor) -> Tensor:
        return self.layer(values).transpose(1, 2)


def of_series(module: nn.Module, objective: ObjectiveModule, node: str = "past") -> Model:
    nodes = {node.partition(".")[0]: Node(module, "load")}
    return Model(inputs={"load": info(12, 2)}, nodes=nodes, objectives={"o": objective}, fields=SERIES, seed=0)


@pytest.mark.parametrize(("module", "node"), [(TCN([4, 4]), "past"), (Recurrent(4), "past.sequence")])
def test_causal_nodes_may_foretell_values(module: nn.Module, node: str) -> None:
    of_series(module, NextValue((node, "load"), horizon=2), node)


@pytest.mark.parametrize(
    ("module", "step"), [(Both(), 1), (Centred(), 11), (PatchTST(12, patch=4, stride=2, width=8, depth=1), 1)]
)
def test_a_node_that_reads_ahead_is_refused(module: nn.Module, step: int) -> None:
    training = module.training
    with pytest.raises(ObjectiveError) as caught:
        of_series(module, NextValue(("past", "load")))
    assert str(caught.value) == (
        f"objective 'o': NextValue: 'past' reads ahead: its output at step {step} of 12 changes when the last step of "
        "'load' does, so that it has seen what is to be predicted. jumpml.blocks.TCN, Recurrent and CausalDecoder read "
        "no later step."
    )
    assert module.training is training


def of_text(module: nn.Module) -> Model:
    value = TEXT["message"].value
    nodes = {"words": Node(Embedding(8), "message"), "past": Node(module, "words")}
    objectives = {"o": NextToken(("past", "message"))}
    return Model(inputs={"message": value}, nodes=nodes, objectives=objectives, fields=TEXT, seed=0)


def test_tokens_are_foretold_by_a_causal_decoder_and_not_by_an_encoder() -> None:
    model = of_text(CausalDecoder(depth=1, heads=2))
    tokens = torch.tensor([[3, 4, 5, 6, 7, 8, 9, 2, 2, 2]] * 2)
    loss = model.losses({"message": tokens, "message.next": tokens.roll(-1, 1)})["o"]
    assert float(loss.detach().mean()) == pytest.approx(log(20), rel=0.2)
    with pytest.raises(ObjectiveError, match=r"'past' reads ahead: its output at step 1 of 10 changes"):
        of_text(TransformerEncoder(depth=1, heads=2))


def test_a_context_may_move_where_the_latent_vectors_do_and_not_before() -> None:
    fields = {"sound": FieldInfo(name="sound", kind="audio", value=info(1, 64))}
    for reader, message in ((Recurrent(4), ""), (Both(), "'context' reads ahead: its output at step 1 of 16 changes")):
        if isinstance(reader, Both):
            reader.layer = nn.GRU(4, 4, batch_first=True, bidirectional=True)
        name = "context" if message else "context.sequence"
        nodes = {"latent": Node(Strided(), "sound"), "context": Node(reader, "latent")}
        options: dict[str, Any] = {"inputs": {"sound": info(1, 64)}, "nodes": nodes, "fields": fields, "seed": 0}
        if message:
            with pytest.raises(ObjectiveError, match=message):
                Model(**options, objectives={"o": CPC(("latent", name))})
        else:
            model = Model(**options, objectives={"o": CPC(("latent", name))})
            assert model.losses({"sound": numbers(4, 1, 64).float()})["o"].shape == ()


class Noisy(nn.Module):
    """A causal node that draws, in evaluation mode too."""

    def forward(self, values: Tensor) -> Tensor:
        return values + torch.randn_like(values)


def test_what_is_no_step_is_left_alone() -> None:
    """A mask, a vector as long as the steps by chance, and what a node draws."""
    value = ValueInfo(shape=(10,), dtype="int64", classes=20)
    still = {"message": value, "message.mask": info(10, dtype="bool"), "still": info(10)}

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(10, 8)

        def forward(self, words: Tensor, mask: Tensor, still: Tensor) -> Tensor:
            return words * mask.unsqueeze(2) + self.layer(still).unsqueeze(1)

    nodes = {
        "words": Node(nn.Embedding(20, 8), "message"),
        "latent": Node(Reader(), ["words", "message.mask", "still"]),
        "context": Node(CausalDecoder(depth=1, heads=2), "latent"),
    }
    Model(inputs=still, nodes=nodes, objectives={"o": CPC(("latent", "context"))}, fields=TEXT, seed=0)
    noisy = nn.Sequential(Noisy(), TCN([4]))
    before = torch.random.get_rng_state()
    of_series(noisy, NextValue(("past", "load")))
    assert torch.random.get_rng_state().equal(before)


def test_latent_vectors_of_the_whole_series_are_refused() -> None:
    with pytest.raises(ObjectiveError, match=r"CPC: 'past' reads ahead: its output at step 1 of 12 changes"):
        of_series(Both(), CPC("past"))
    of_series(Centred(), CPC("past"))  # each vector sees one step more, and so does what is foretold


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: TS2Vec("z", views=()), "TS2Vec: expected one view, which is drawn twice, or two; got none."),
        (lambda: TS2Vec("z", views="v", instance=1.5), "TS2Vec: expected instance from 0 to 1, got 1.5."),
        (lambda: CPC("z", ahead=0), "CPC: expected to look ahead by one step or more, got 0."),
        (lambda: NextValue(("z", "y"), horizon=0), "NextValue: expected a horizon of one step or more, got 0."),
        (
            lambda: TS2Vec("z", views="v")(torch.zeros(1, 4, 2), torch.zeros(1, 4, 2)),
            "TS2Vec: expected two rows or more in a batch, to tell them apart; got 1. Choose a batch_size that leaves "
            "no single row over at the end of an epoch.",
        ),
        (
            lambda: CPC("z")(torch.zeros(1, 4, 2)),
            "CPC: expected two rows or more in a batch, to tell them apart; got 1. Choose a batch_size that leaves no "
            "single row over at the end of an epoch.",
        ),
        (
            lambda: TS2Vec("z", views="v").connect([info(8)], {}),
            "TS2Vec: expected steps as [batch, steps, width] float32 with two steps or more; 'z' is [batch, 8] "
            "float32. Name a node that gives every step, such as jumpml.blocks.TCN or the part `sequence` of a "
            "Recurrent.",
        ),
        (
            lambda: CPC(("z", "c"), ahead=1).connect([info(6, 4), info(5, 4)], {}),
            "CPC: expected context as a vector at each of the 6 steps of 'z'; 'c' is [batch, 5, 4] float32. Let it "
            "read the latent vectors, step by step.",
        ),
        (
            lambda: CPC("z", ahead=6).connect([info(6, 4)], {}),
            "CPC: expected to look ahead by less than the 6 steps that there are, got 6.",
        ),
        (
            lambda: NextValue(("z", "y"), horizon=6).connect([info(6, 4), info(6, 1)], {}),
            "NextValue: expected a horizon of less than the 6 steps that there are, got 6.",
        ),
        (
            lambda: NextValue(("z", "y")).connect([info(6, 4), info(9, 1)], {}),
            "NextValue: expected past as a vector at each of the 9 steps of 'y'; 'z' is [batch, 6, 4] float32. Name a "
            "node that gives every step of it.",
        ),
        (
            lambda: NextValue(("z", "y")).connect([info(6, 4), info(6)], {}),
            "NextValue: expected series as [batch, steps, channels] float32; 'y' is [batch, 6] float32. Name a field "
            "of kind series.",
        ),
        (
            lambda: NextValue(("z", "y")).connect([info(6, 4), None], {}),
            "NextValue: the shapes of 'z' and 'y' must be known. Give it the data.",
        ),
        (lambda: CPC("z").connect([None], {}), "CPC: the shapes of 'z' must be known. Name nodes."),
        (
            lambda: NextToken(("z", "y")).connect([None, info(6, dtype="int64")], {}),
            "NextToken: the shape of 'z' must be known. Name a node.",
        ),
        (
            lambda: NextToken(("z", "y")).connect([info(6, 4), None], {}),
            "NextToken: how many tokens 'y.next' may hold is not known. Give the model its data, or say it "
            "by vocabulary.",
        ),
        (
            lambda: NextToken(("z", "y")).connect([info(6, 4), info(6)], {}),
            "NextToken: expected text as tokens of a text, [batch, 6] int64; 'y.next' is [batch, 6] float32. Name a "
            "text field.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        make()
    assert str(caught.value) == text


def test_half_precision_is_compared_in_float32() -> None:
    first, second = (numbers(4, 8, 6, seed=seed).bfloat16() for seed in (0, 1))
    objective = TS2Vec("z", views="v")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = objective(first, second).value
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, objective(first.float(), second.float()).value)
    contrast = CPC("z", ahead=1)
    contrast.connect([info(8, 6)], {})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert contrast(first).value.dtype == torch.float32
