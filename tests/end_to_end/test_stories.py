"""Models that learn what they are for, through files only: each against the plain answer that it must beat.

The slow ones train the files as they are; docs/real-data.md has their figures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

import jumpml
from jumpml.learn import build_learner

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.data import DataLoaders, Loader
    from jumpml.graph import Model

EXAMPLES = Path(__file__).parents[2] / "examples"
QUIET = {"learner.log": [], "learner.checkpoint": None, "learner.record_examples": False}
EPOCHS = "learner.phases.supervised.epochs"


def trained(folder: str, where: Path, overrides: dict[str, Any]) -> tuple[DataLoaders, Model]:
    """Data and model of a project whose learner has done all its phases."""
    files = jumpml.Project.find(EXAMPLES / folder, QUIET | overrides)
    loaders, model = files.build()
    build_learner(files.learner, loaders, model, None, where).fit()
    return loaders, model


def root(shared_data: Path, name: str) -> dict[str, Any]:
    if not (shared_data / name).is_dir():
        pytest.skip(f"no data at {shared_data / name}")
    return {"data.root": str((shared_data / name).resolve())}


# --- digits: objectives on an inner node and between two layers -------------------------------------------------------


def codes(loaders: DataLoaders, model: Model) -> tuple[Tensor, Tensor]:
    """Both layers of the test rows."""
    model.eval()
    with torch.no_grad():
        parts = [model(batch, outputs=["code", "strokes"]) for batch in loaders.test.plain()]
    return torch.cat([part["code"] for part in parts]), torch.cat([part["strokes"] for part in parts])


def test_objectives_on_a_layer_and_between_two_do_what_they_say_and_digits_are_still_read(tmp_path: Path) -> None:
    loaders, model = trained("layers", tmp_path, {})
    _, without = trained("layers", tmp_path, {"model.objectives": {}})
    assert jumpml.eval_model(loaders, model)["digit/accuracy"].value >= 0.97
    (code, strokes), (free_code, free_strokes) = codes(loaders, model), codes(loaders, without)
    assert code.abs().mean() < 0.75 * free_code.abs().mean()
    assert F.cosine_similarity(code, strokes).mean() > 0.8
    assert F.cosine_similarity(free_code, free_strokes).mean() < 0.3


# --- adult: a transformer over columns and a logistic regression ------------------------------------------------------


def regression_accuracy(shared_data: Path) -> float:
    """Of scikit-learn's logistic regression on the same train rows, standardized and one-hot."""
    files = jumpml.Project.find(EXAMPLES / "real" / "adult", root(shared_data, "adult") | {"data.features": {}})
    loaders = jumpml.create_dataloader(files.data)
    loaders.bind(["person"])
    rows, labels = columns(loaders.train, "person"), columns(loaders.train, "income")
    fitted = LogisticRegression(max_iter=2000).fit(rows, labels)
    return float(fitted.score(columns(loaders.test, "person"), columns(loaders.test, "income")))


def columns(loader: Loader, field: str) -> Any:
    return torch.cat([batch[field] for batch in loader.plain()]).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_transformer_over_columns_is_ahead_of_logistic_regression(
    seed: int, shared_data: Path, tmp_path: Path
) -> None:
    seeds = {"model.seed": seed, "learner.seed": seed}
    loaders, model = trained("real/adult", tmp_path, root(shared_data, "adult") | seeds)
    accuracy = jumpml.eval_model(loaders, model)["income/accuracy"].value
    assert accuracy >= 0.85
    assert accuracy > regression_accuracy(shared_data)


# --- ETTh1: a forecast, the last value and the last day ---------------------------------------------------------------


@pytest.mark.slow
def test_a_forecast_is_better_than_the_last_value_and_the_last_day(shared_data: Path, tmp_path: Path) -> None:
    loaders, model = trained("real/etth1", tmp_path, root(shared_data, "ett_small"))
    past, future = loaders.test.decoded("past"), loaders.test.decoded("future")
    results = jumpml.eval_model(loaders, model)
    for naive in (past[:, -1:], past[:, -24:]):  # 24 hours ahead, as the temperature is now, or as it was a day before
        assert results["oil/rmse"].value < (naive - future).square().mean().sqrt()
    # of the mean absolute error on the same windows, with intervals from blocks of neighbouring ones
    assert results["oil/skill"].low > 0
    assert results["oil/seasonal_skill"].low > 0


# --- Shakespeare: a causal decoder and tables -------------------------------------------------------------------------


def pairs(loader: Loader) -> tuple[Tensor, Tensor]:
    """Every letter with the one that follows it in its row."""
    letters = loader.decoded("text")
    before, after = letters[:, :-1].flatten(), letters[:, 1:].flatten()
    return before[after != 0], after[after != 0]


def table_loss(loaders: DataLoaders, split: str, *, bigrams: bool) -> float:
    """Nats a letter of the train rows' frequencies, one added to each: of letters, or of letters after each other."""
    size = len(loaders.fields["text"].options["tokenizer"]["vocabulary"])  # type: ignore[index, arg-type]
    before, after = pairs(loaders.train)
    context = before if bigrams else torch.zeros_like(before)
    counts = torch.ones(size, size).index_put_((context, after), torch.ones(len(after)), accumulate=True)
    before, after = pairs(getattr(loaders, split))
    context = before if bigrams else torch.zeros_like(before)
    return -(counts / counts.sum(1, keepdim=True)).log()[context, after].mean().item()


def test_a_tiny_decoder_knows_more_than_how_frequent_letters_are(shared_data: Path, tmp_path: Path) -> None:
    tiny = {
        "data.datasets.plays.fields.text.length": 32,
        "data.batch_size": 64,
        "model.nodes.letters.args.width": 16,
        "model.nodes.reader.args": {"depth": 1, "heads": 2},
        "learner.phases.supervised": {"epochs": 1, "schedule": {"kind": "one_cycle", "max_lr": 0.02}},
    }
    loaders, model = trained("real/tiny_shakespeare", tmp_path, root(shared_data, "tiny_shakespeare") | tiny)
    loss = jumpml.eval_model(loaders, model, split="val")["next/log_loss"].value
    assert loss < table_loss(loaders, "val", bigrams=False)


@pytest.mark.slow
def test_a_decoder_knows_more_than_which_letter_follows_which(shared_data: Path, tmp_path: Path) -> None:
    loaders, model = trained("real/tiny_shakespeare", tmp_path, root(shared_data, "tiny_shakespeare"))
    for split in ("val", "test"):
        loss = jumpml.eval_model(loaders, model, split=split)["next/log_loss"]
        assert loss.high < table_loss(loaders, split, bigrams=True)
