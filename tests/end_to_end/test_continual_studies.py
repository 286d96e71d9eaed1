"""Tasks one after the other: how much is kept, by each of the ways to keep it; and averages under noisy labels.

Figures and the command are in docs/results.md. The inequalities were written down before the runs. Strengths are chosen
on validation rows; test rows are looked at once, with the strength that was chosen.
"""

from __future__ import annotations

import gzip
from functools import cache
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import jumpml
from jumpml.data import Column, DataLoaders, Mixture, Shuffled

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SPLITS: tuple[str, ...] = ("train", "val", "test")
SEEDS = (0, 1, 2, 3, 4)


def permuted(
    images: np.ndarray, codes: np.ndarray, rows: tuple[int, int], *, tasks: int, batch_size: int, seed: int
) -> DataLoaders:
    """Tasks of the same pictures with their pixels in orders of their own.

    Args:
        images: ``[rows, pixels]`` in [0, 1].
        codes: ``[rows]``.
        rows: How many train and validate; the others are for the test. The same pictures in every task.
        tasks: How many; the first has the pixels as they are.
        batch_size: Rows a batch.
        seed: Of the orders; the split is always the same.
    """
    generator, count = np.random.default_rng(seed), len(images)
    orders = [np.arange(images.shape[1]), *(generator.permutation(images.shape[1]) for _ in range(tasks - 1))]
    shuffled = torch.from_numpy(np.random.default_rng(0).permutation(count))
    parts = dict(zip(SPLITS, shuffled.tensor_split([rows[0], sum(rows)]), strict=True))
    splits = {name: torch.cat([part + task * count for task in range(tasks)]) for name, part in parts.items()}
    x = torch.from_numpy(np.concatenate([images[:, order] for order in orders]))
    columns = {
        "x": Column(x, "tensor"),
        "y": Column(torch.from_numpy(np.tile(codes, tasks)), "category", classes=tuple(map(str, range(10)))),
    }
    places = torch.arange(tasks * rows[0]).split(rows[0])
    order = Mixture({f"task{task}": Shuffled(place) for task, place in enumerate(places)})
    return DataLoaders(columns, splits, features={"x": []}, batch_size=batch_size, order=order)


def learn(
    loaders: DataLoaders,
    widths: list[int],
    *,
    objective: dict[str, Any] | None = None,
    replay: dict[str, Any] | None = None,
    joint: bool = False,
    epochs: int = 10,
    seed: int = 0,
) -> dict[str, float]:
    """Learn the tasks one after the other, or together; the mean accuracy over all tasks, by split."""
    names = list(loaders.train.datasets)
    phases: dict[str, dict[str, Any]] = {"joint": {"epochs": epochs}} if joint else {}
    for name in names if not joint else ():
        phases[name] = {"epochs": epochs, "data": name, "consolidate": objective is not None}
    spec = {
        "seed": seed,
        "nodes": {
            "body": {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": widths}},
            "out": {"module": "jumpml.blocks.Head", "inputs": "body"},
        },
        "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y", "objective": {"when": list(phases)}}},
        "objectives": {} if objective is None else {"keep": {"when": list(phases), **objective}},
    }
    model = jumpml.load_model(spec, loaders)
    options = {
        "seed": seed,
        "optimizer": {"kind": "adam", "lr": 0.001},
        "phases": {"self_supervised": {"epochs": 0}, **phases, "supervised": {"epochs": 0}},
        **({"replay": replay} if replay else {}),
        "record_examples": False,
        "checkpoint": None,
        "log": [],
    }
    jumpml.create_learner(loaders, model, None, options).fit()
    return {
        split: jumpml.eval_model(loaders, model, ["accuracy"], split)["y/accuracy"].value for split in ("val", "test")
    }


# --- five tasks of scikit-learn's digits ------------------------------------------------------------------------------


@cache
def digits(seed: int) -> DataLoaders:
    """1,200 rows for learning, of which 200 validate, and 597 test; five tasks."""
    images, codes = load_digits(return_X_y=True)
    return permuted(
        (np.asarray(images) / 16).astype("float32"), np.asarray(codes), (1000, 200), tasks=5, batch_size=25, seed=seed
    )


def on_digits(**options: Any) -> dict[str, list[float]]:
    """Five seeds: 40 steps an epoch, 400 a task."""
    runs = [learn(digits(seed), [200, 200], seed=seed, **options) for seed in SEEDS]
    return {split: [run[split] for run in runs] for split in ("val", "test")}


def chosen(kind: dict[str, Any], weights: list[float]) -> tuple[float, list[float]]:
    """The weight with the best mean accuracy on the validation rows, and its accuracies on the test rows."""
    found = {weight: on_digits(objective={**kind, "weight": weight}) for weight in weights}
    best = max(found, key=lambda weight: mean(found[weight]["val"]))
    return best, found[best]["test"]


def told(figures: dict[str, list[float]]) -> None:
    for name, values in figures.items():
        print(f"{name}: {mean(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})")


EWC = {"kind": "ewc", "rows": 1000}


@cache
def main_ways() -> tuple[dict[str, list[float]], dict[str, float]]:
    """Accuracies on the test rows by way and seed, and the strengths that were chosen."""
    figures, weights_of = {"naive": on_digits()["test"]}, {}
    for name, kind, weights in (
        ("l2", {"kind": "l2_sp", "anchor": "consolidated"}, [0.01, 0.03, 0.1, 0.3, 1.0]),
        ("ewc", EWC, [100.0, 300.0, 1000.0, 3000.0, 10000.0]),
    ):
        weights_of[name], figures[name] = chosen(kind, weights)
    figures["replay"] = on_digits(replay={"kind": "reservoir", "rows": 500, "batch": 25})["test"]
    figures["joint"] = on_digits(joint=True)["test"]
    told(figures)
    print(weights_of)
    return figures, weights_of


def test_ewc_keeps_more_than_nothing_and_than_a_tuned_l2() -> None:
    of = {name: mean(values) for name, values in main_ways()[0].items()}
    assert of["ewc"] >= of["naive"] + 0.10
    assert of["ewc"] >= of["l2"] + 0.02


def test_replay_keeps_more_than_ewc_and_joint_learning_is_above_all() -> None:
    of = {name: mean(values) for name, values in main_ways()[0].items()}
    assert of["replay"] > of["ewc"]
    assert of["joint"] > max(value for name, value in of.items() if name != "joint")


OTHERS: dict[str, tuple[dict[str, Any], list[float]]] = {
    "ewc sampled": ({**EWC, "fisher": "sampled"}, [300.0, 1000.0, 3000.0]),
    "ewc online": ({**EWC, "gamma": 1.0}, [300.0, 1000.0, 3000.0]),
    "si": ({"kind": "si"}, [1.0, 3.0, 10.0, 30.0]),
    "lwf": ({"kind": "lwf", "inputs": "out"}, [0.3, 1.0, 3.0]),
}
# measured: .0998 above naive. On pixels in another order the outputs of before say little that is worth keeping: van de
# Ven & Tolias (table 4) have it at 72.6, below 78.5 without anything
SHORT_OF_IT = pytest.mark.xfail(reason="LwF keeps a little less than .10", strict=True, raises=AssertionError)


@pytest.mark.parametrize("way", [*(way for way in OTHERS if way != "lwf"), pytest.param("lwf", marks=SHORT_OF_IT)])
def test_the_other_ways_keep_more_than_nothing(way: str) -> None:
    weight, accuracies = chosen(*OTHERS[way])
    told({f"{way}, weight {weight:g}": accuracies})
    assert mean(accuracies) >= mean(main_ways()[0]["naive"]) + 0.10


def test_dark_replay_keeps_more_than_nothing() -> None:
    accuracies = on_digits(replay={"kind": "der++", "rows": 500, "batch": 25})["test"]
    told({"der++": accuracies})
    assert mean(accuracies) >= mean(main_ways()[0]["naive"]) + 0.10


def test_the_batched_fisher_information_wants_another_strength() -> None:
    """The same weight holds next to nothing: the information is smaller by more than the batch is large."""
    figures, weights_of = main_ways()
    by = [1.0, 10.0, 100.0]
    found = {b: on_digits(objective={**EWC, "fisher": "batched", "weight": b * weights_of["ewc"]}) for b in by}
    told({f"batched, {b:g} times the weight of ewc": values["test"] for b, values in found.items()})
    assert max(by, key=lambda b: mean(found[b]["val"])) >= 10
    assert mean(found[1.0]["test"]) <= mean(figures["ewc"]) - 0.05


# --- ten tasks of MNIST, as van de Ven & Tolias have them -------------------------------------------------------------


def mnist(folder: Path, seed: int) -> DataLoaders:
    """The 10,000 pictures at hand: 7,000 train, 1,000 validate, 2,000 test; ten tasks."""
    images = np.frombuffer(gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    codes = np.frombuffer(gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    pictures = (images.reshape(-1, 784) / 255).astype("float32")
    return permuted(pictures, codes.astype("int64"), (7000, 1000), tasks=10, batch_size=100, seed=seed)


def test_ten_tasks_of_mnist(shared_data: Path) -> None:
    if not (shared_data / "mnist_t10k").is_dir():
        pytest.skip(f"no data at {shared_data / 'mnist_t10k'}")
    loaders = mnist(shared_data / "mnist_t10k", 0)
    net: dict[str, Any] = {"widths": [400, 400], "epochs": 5}  # 70 steps each
    figures = {"none": learn(loaders, **net), "joint": learn(loaders, **net, joint=True)}
    found = {w: learn(loaders, **net, objective={**EWC, "weight": w}) for w in (100.0, 300.0, 1000.0)}
    best = max(found, key=lambda weight: found[weight]["val"])
    figures["ewc"] = found[best]
    print({name: round(of["test"], 4) for name, of in figures.items()}, "weight", best)
    of = {name: figure["test"] for name, figure in figures.items()}
    # van de Ven & Tolias 2019, arXiv 1809.10635, table 4: none 78.5, EWC 94.3, joint 97.6
    assert of["none"] + 0.10 <= of["ewc"] < of["joint"]


# --- averages ---------------------------------------------------------------------------------------------------------


def test_an_average_of_the_weights_is_better_where_labels_are_wrong() -> None:
    """SGD at .5 and 20% of the train labels replaced: EMA .99 at least .02 above the weights themselves."""
    raw, averaged = [], []
    images, codes = load_digits(return_X_y=True)
    for seed in SEEDS:
        generator, shuffled = np.random.default_rng(seed), np.random.default_rng(0).permutation(1797)
        train, noisy = shuffled[:1200], np.asarray(codes).copy()
        wrong = generator.choice(train, 240, replace=False)
        noisy[wrong] = (noisy[wrong] + generator.integers(1, 10, 240)) % 10
        rows = dict(zip(SPLITS, torch.from_numpy(shuffled).tensor_split([1200, 1201]), strict=True))
        columns = {
            "x": Column(torch.from_numpy((np.asarray(images) / 16).astype("float32")), "tensor"),
            "y": Column(torch.from_numpy(noisy), "category", classes=tuple(map(str, range(10)))),
        }
        loaders = DataLoaders(columns, rows, features={"x": []}, batch_size=32)
        spec = {
            "seed": seed,
            "nodes": {
                "body": {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": [64]}},
                "out": {"module": "jumpml.blocks.Head", "inputs": "body"},
            },
            "tasks": {"y": {"kind": "multiclass", "output": "out", "target": "y"}},
        }
        model = jumpml.load_model(spec, loaders)
        options = {
            "seed": seed,
            "optimizer": {"kind": "sgd", "lr": 0.5},
            "ema": {"decay": 0.99},
            "phases": {"supervised": {"epochs": 20}},
            "checkpoint": None,
            "log": [],
        }
        learner = jumpml.create_learner(loaders, model, None, options)
        learner.fit()
        assert learner.ema_model is not None
        for figures, measured in ((raw, model), (averaged, learner.ema_model)):
            figures.append(jumpml.eval_model(loaders, measured, ["accuracy"])["y/accuracy"].value)
    told({"raw": raw, "averaged": averaged})
    assert mean(averaged) >= mean(raw) + 0.02
