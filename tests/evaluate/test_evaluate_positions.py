"""Tasks that decide at positions: each figure against scikit-learn's, whatever the batches."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from jumpml.core import TASK_KINDS, EvaluationError, Task
from jumpml.data import Column, DataLoaders, random_split
from jumpml.evaluate import compare, evaluate, higher_is_better, measure, metric, metric_names, predict, score
from jumpml.evaluate._calibration import calibrate_positions, calibration_of
from jumpml.evaluate._curves import loss_along
from jumpml.evaluate._positions import PositionCounter, Positions
from jumpml.graph import Model, Node

CLASSES = 4
KINDS = ("segmentation", "token_labelling", "language_modelling")


def positions_of(kind: str, output: Tensor, truth: Tensor, batch: int = 3, *, by_class: bool = True) -> Positions:
    counter = PositionCounter(kind, tuple(truth.shape[1:]), CLASSES, by_class=by_class)
    for part, codes in zip(output.split(batch), truth.split(batch), strict=True):
        counter.add(part, codes)
    return counter.positions()


def drawn(kind: str, seed: int, rows: int = 12) -> tuple[Tensor, Tensor]:
    """Logits of some rows in the kind's form, and truths of which a fifth is not known."""
    generator = torch.Generator().manual_seed(seed)
    shape = (3, 5) if kind == "segmentation" else (7,)
    logits = torch.randn(rows, *shape, CLASSES, generator=generator)
    truth = torch.randint(-1, CLASSES, (rows, *shape), generator=generator)
    return (logits.movedim(-1, 1) if kind == "segmentation" else logits), truth


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 1000), st.integers(1, 13))
def test_every_figure_is_scikit_learns_on_the_known_positions(kind: str, seed: int, batch: int) -> None:
    output, truth = drawn(kind, seed)
    figures = measure(kind, metric_names(kind), positions_of(kind, output, truth, batch))
    logits = output.movedim(1, -1) if kind == "segmentation" else output
    known = truth >= 0
    true, given_ = truth[known].numpy(), logits.argmax(-1)[known].numpy()
    loss = sk.log_loss(true, logits[known].double().softmax(-1).numpy(), labels=range(CLASSES))
    expected = {
        "segmentation": {
            "mean_iou": sk.jaccard_score(true, given_, average="macro"),
            "dice": sk.f1_score(true, given_, average="macro"),
            "pixel_accuracy": sk.accuracy_score(true, given_),
            "log_loss": loss,
        },
        "token_labelling": {
            "token_accuracy": sk.accuracy_score(true, given_),
            "macro_f1": sk.f1_score(true, given_, average="macro"),
            "log_loss": loss,
        },
        "language_modelling": {
            "perplexity": np.exp(loss),
            "bits_per_token": loss / np.log(2),
            "log_loss": loss,
            "token_accuracy": sk.accuracy_score(true, given_),
        },
    }[kind]
    assert {name: figure.value for name, figure in figures.items()} == pytest.approx(expected, rel=1e-5)
    assert all(figure.low <= figure.value <= figure.high and figure.n == 12 for figure in figures.values())
    assert set(TASK_KINDS[kind].metrics) <= set(expected)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 1000), st.integers(1, 13))
def test_calibration_is_that_of_all_known_positions(kind: str, seed: int, batch: int) -> None:
    output, truth = drawn(kind, seed)
    logits = (output.movedim(1, -1) if kind == "segmentation" else output)[truth >= 0].double()
    confidence, decided = logits.softmax(-1).max(-1)
    expected = calibration_of(confidence, decided == truth[truth >= 0])
    found = calibrate_positions(positions_of(kind, output, truth, batch).bins)
    assert found.count == expected.count
    assert found.error == pytest.approx(expected.error, abs=1e-6)
    assert found.confidence == pytest.approx(expected.confidence, abs=1e-6)
    assert found.accuracy == pytest.approx(expected.accuracy)
    # 1000 normal draws instead of binomial ones; in each bin some positions alone
    assert found.null_low == pytest.approx(expected.null_low, rel=0.25)
    assert found.null_high == pytest.approx(expected.null_high, rel=0.25)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 13))
def test_the_loss_along_a_text_is_that_of_each_position(seed: int, batch: int) -> None:
    output, truth = drawn("language_modelling", seed)
    (line,) = loss_along(positions_of("language_modelling", output, truth, batch))["loss along the text"]
    known = truth >= 0
    losses = nn.functional.cross_entropy(output.movedim(-1, 1), truth.clamp(min=0), reduction="none")
    shown = known.any(0)
    assert line.x == tuple(float(place) for place in (shown.nonzero().flatten() + 1).tolist())
    means = (losses * known).sum(0)[shown] / known.sum(0)[shown]
    assert line.y == pytest.approx(means.tolist(), rel=1e-5)


def test_a_long_text_is_shown_by_neighbouring_positions_together() -> None:
    generator = torch.Generator().manual_seed(0)
    output, truth = torch.randn(5, 640, CLASSES, generator=generator), torch.randint(CLASSES, (5, 640))
    found = positions_of("language_modelling", output, truth)
    (line,) = loss_along(found)["loss along the text"]
    assert (len(line.x), line.x[0], line.x[-1]) == (64, 5.5, 635.5)
    assert np.mean(line.y) == pytest.approx(float(found.loss.sum() / found.count.sum()))
    assert not loss_along(positions_of("token_labelling", output, truth))


def test_classes_that_are_nowhere_have_no_score() -> None:
    truth, output = torch.zeros(4, 7, dtype=torch.int64), torch.zeros(4, 7, CLASSES)
    output[..., 0] = 1
    figures = measure("token_labelling", ["macro_f1"], positions_of("token_labelling", output, truth))
    assert figures["macro_f1"].value == 1


def test_which_figures_are_better_higher() -> None:
    assert [higher_is_better(name) for name in ("mean_iou", "dice", "pixel_accuracy", "token_accuracy")] == [True] * 4
    assert [higher_is_better(name) for name in ("perplexity", "bits_per_token", "log_loss")] == [False] * 3


def test_intervals_come_from_whole_rows() -> None:
    """Where all positions of a row are alike, resampling positions would make the interval far too narrow."""
    truth = torch.zeros(40, 400, dtype=torch.int64)
    output = torch.zeros(40, 400, CLASSES)
    output[:20, :, 0] = 1  # half of the rows are wholly right
    output[20:, :, 1] = 1
    figure = measure("token_labelling", ["token_accuracy"], positions_of("token_labelling", output, truth))
    low, high = figure["token_accuracy"].low, figure["token_accuracy"].high
    assert figure["token_accuracy"].value == 0.5
    assert 0.25 < high - low < 0.35  # 2 * 1.96 * sqrt(.25 / 40) is .31; of 16,000 positions it would be .015


def test_no_split_s_logits_are_held() -> None:
    output, truth = drawn("segmentation", 0)
    held = positions_of("segmentation", output, truth)
    assert held.codes.dtype == held.truths.dtype == torch.int8
    assert sum(values.nbytes for values in vars(held).values() if isinstance(values, Tensor)) < output.nbytes
    assert positions_of("language_modelling", *drawn("language_modelling", 0), by_class=False).classes.numel() == 0


def test_shorter_batches_are_filled_with_what_is_not_known() -> None:
    output, truth = drawn("token_labelling", 1)
    counter = PositionCounter("token_labelling", (7,), CLASSES, by_class=True)
    counter.add(output[:6, :4], truth[:6, :4])
    counter.add(output[6:], truth[6:])
    found = counter.positions()
    assert found.target[:6, 4:].eq(-1).all()
    assert found.target[6:].equal(truth[6:])
    assert found.confusion().sum() == found.count.sum() == (truth[:6, :4] >= 0).sum() + (truth[6:] >= 0).sum()


def test_functions_and_torchmetrics_get_what_was_decided() -> None:
    output, truth = drawn("segmentation", 2)
    found = positions_of("segmentation", output, truth)

    def share(predictions: Tensor, targets: Tensor) -> Tensor:
        assert predictions.shape == targets.shape == truth.shape
        assert predictions.dtype == targets.dtype == torch.int64
        return (predictions == targets)[targets >= 0].double().mean()

    other = MulticlassAccuracy(CLASSES, average="micro", ignore_index=-1)
    figures = measure("segmentation", ["pixel_accuracy", metric(share, resamples=40), other], found)
    values = [figures[name].value for name in ("pixel_accuracy", "share", "MulticlassAccuracy")]
    assert values == pytest.approx([values[0]] * 3)
    needy = metric(lambda p, t, probabilities: 0.0, name="needy", needs="probabilities")
    text = "the metric 'needy' needs probabilities: they are not held for every position of a split"
    with pytest.raises(EvaluationError, match=text):
        measure("segmentation", [needy], found)


def test_two_models_are_compared_on_the_same_rows() -> None:
    output, truth = drawn("token_labelling", 3, rows=40)
    before, after = (positions_of("token_labelling", o, truth) for o in (output, output + 0))
    same = compare("token_labelling", ["token_accuracy"], "token_accuracy", before, after)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_what_cannot_be_measured_is_refused() -> None:
    output, truth = drawn("token_labelling", 4)
    nothing = positions_of("token_labelling", output, torch.full_like(truth, -1))
    with pytest.raises(EvaluationError, match="no position of any row of the split has a class"):
        measure("token_labelling", ["token_accuracy"], nothing)
    with pytest.raises(EvaluationError, match="NaN or infinite in 12 of 12 rows"):
        measure("token_labelling", ["token_accuracy"], positions_of("token_labelling", output * torch.inf, truth))


# --- from loaders -----------------------------------------------------------------------------------------------------


def texts(rows: int = 30) -> DataLoaders:
    """Texts that count up from a random token; 0 is padding, so that a third of each text is none."""
    start = torch.arange(rows) % 5
    ids = 1 + (start.unsqueeze(1) + torch.arange(9)) % 6
    ids[:, 6:] = 0
    ids[0, 1:] = 0  # a text of one token has no next one
    return DataLoaders({"text": Column(ids, "text")}, random_split(rows), batch_size=4)


def language_model() -> Model:
    return Model(
        inputs={"text": texts().info("text")},
        nodes={"vectors": Node(nn.Embedding(7, 8), "text"), "next": Node(nn.LazyLinear(7), "vectors")},
        tasks={"next": Task(kind="language_modelling", output="next", target="text")},
        seed=0,
    )


def test_the_next_token_is_what_counts_and_padding_does_not() -> None:
    loaders, model = texts(), language_model()
    with torch.no_grad():  # a table that knows what follows each token
        follows = torch.zeros(7, 8)
        for token in range(1, 7):
            follows[token % 6 + 1, token] = 20
        for parameter, value in zip(model.parameters(), (torch.eye(7, 8), follows, torch.zeros(7)), strict=True):
            parameter.copy_(value)
    found = predict(loaders, model, "train")["next"]
    assert isinstance(found, Positions)
    texts_of_train = loaders.train.decoded("text")
    assert found.target[:, :-1].equal(torch.where(texts_of_train[:, 1:] == 0, -1, texts_of_train[:, 1:]))
    assert found.target[:, -1].eq(-1).all()
    results = evaluate(loaders, model, split="train")
    assert results["next/token_accuracy"].value == 1
    assert results["next/perplexity"].value == pytest.approx(1, abs=1e-6)
    record = results.record.tasks["next"]
    assert record.rows + record.missing == len(texts_of_train)
    assert record.positions == (found.target >= 0).sum()
    assert score(loaders, model, ["next/log_loss"], "train")["next/log_loss"] == pytest.approx(
        results["next/log_loss"].value
    )
