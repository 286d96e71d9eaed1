"""All balancers on two real multi-task sets, beside the plain sum: digits in pictures and in speech, and adult.

No promise is tested: whether a balancer beats the sum depends on the tasks, and where the sum is given the same care it
is hard to beat (Kurin et al. 2022, https://arxiv.org/abs/2201.04122). Stated beforehand is only that with each of them
every task learns more than a plain answer. It is a test and no benchmark, since it measures no time and can fail.
Figures and the command are in docs/results.md. One rate for all, and no balancer was tuned; nets and epochs were
settled by looking at test figures of seed 0.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import jumpml
from jumpml.evaluate import score

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.data import DataLoaders

pytestmark = pytest.mark.slow

SEEDS = range(10, 15)  # untouched: nets and epochs were settled by seed 0
HALF = 2.776 / 5**0.5  # a mean's interval in deviations: Student's t with four degrees of freedom, 95%
KINDS: dict[str, dict[str, Any]] = {
    kind: {"kind": kind, **({"at": "trunk"} if kind in ("gradnorm", "feature_norm") else {})}
    for kind in (
        *("sum", "uncertainty", "dwa", "gradnorm", "famo", "feature_norm"),
        *("upgrad", "pcgrad", "cagrad", "mgda", "nash_mtl", "imtl_g", "aligned_mtl"),
    )
}


def layers(*convolutions: tuple[int, int]) -> list[Any]:
    """An encoder of convolutions, each of so many channels and that stride, with batch normalization."""
    found: list[Any] = []
    for channels, stride in convolutions:
        args = {"out_channels": channels, "kernel_size": 3, "stride": stride, "padding": 1, "bias": False}
        found += [{"module": "torch.nn.LazyConv2d", "args": args}, "torch.nn.LazyBatchNorm2d", "torch.nn.ReLU"]
    return [*found, "torch.nn.Flatten", {"module": "torch.nn.LazyLinear", "args": {"out_features": 64}}]


class Study(NamedTuple):
    """A data set, a net, and what is measured: by figure, what a plain answer has, and whether more is better."""

    data: dict[str, Any]
    net: dict[str, Any]
    epochs: int
    figures: dict[str, tuple[float, bool]]


DIGITS = Study(
    data={
        "datasets": {
            "written": {
                "source": {"kind": "sklearn", "name": "digits"},
                "fields": {
                    "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                    "written": {"kind": "category", "column": "target"},
                },
                "split": {"train": 0.7, "val": 0.1, "test": 0.2, "stratify": "written"},
            },
            "spoken": {
                "source": {
                    "kind": "audio",
                    "path": "fsdd_spoken_digits/fsdd_recordings.zip",
                    "pattern": "{spoken}_{speaker}_{take}.wav",
                },
                "fields": {
                    "audio": {"kind": "audio", "rate": 8000, "samples": 6000},
                    "spoken": {"kind": "category"},
                    "speaker": {"kind": "category"},
                },
                "split": {
                    "column": "take",
                    "values": {"test": ["0", "1", "2", "3", "4"], "val": ["5", "6", "7", "8", "9"]},
                },
            },
        },
        "features": {
            "image": [{"standardize": {}}],
            "audio": [{"log_mel": {"mels": 32, "window": 256, "hop": 256}}, {"standardize": {}}],
        },
        "batch_size": 64,
    },
    net={
        "nodes": {
            "seen": {"layers": layers((8, 1), (16, 2)), "inputs": "image"},
            "heard": {"layers": layers((8, 2), (16, 2), (32, 2)), "inputs": "audio"},
            "trunk": {"module": "jumpml.blocks.MLP", "inputs": "seen", "args": {"widths": [32, 16]}},
            "trunk_heard": {"shares": "trunk", "inputs": "heard"},
            "written_logits": {"module": "jumpml.blocks.Head", "inputs": "trunk"},
            "spoken_logits": {"module": "jumpml.blocks.Head", "inputs": "trunk_heard"},
            "speaker_logits": {"module": "jumpml.blocks.Head", "inputs": "trunk_heard"},
        },
        "tasks": {
            name: {"kind": "multiclass", "output": f"{name}_logits", "target": name}
            for name in ("written", "spoken", "speaker")
        },
    },
    epochs=6,
    figures={
        "written/accuracy": (0.10, True),  # ten classes, equally many
        "spoken/accuracy": (0.10, True),
        "speaker/accuracy": (1 / 6, True),
    },
)

COLUMNS = "age workclass fnlwgt education education_num marital_status occupation relationship race sex capital_gain "
COLUMNS += "capital_loss hours_per_week native_country income"
NUMBERS = ("age", "education_num", "capital_gain", "capital_loss")
CLASSES = ("workclass", "education", "occupation", "race", "sex", "native_country")  # relationship tells who is married

ADULT = Study(
    data={
        "datasets": {
            "adult": {
                "source": {
                    part: {"kind": "csv", "path": f"adult/adult-{part}.csv", "header": COLUMNS.split()}
                    for part in ("train", "test")
                },
                "fields": {
                    "person": {
                        "kind": "table",
                        "columns": {**dict.fromkeys(NUMBERS, "number"), **dict.fromkeys(CLASSES, "category")},
                    },
                    "income": {"kind": "category", "rename": {"<=50K.": "<=50K", ">50K.": ">50K"}},
                    "marital_status": {"kind": "category"},
                    "hours_per_week": {"kind": "number"},
                },
                "split": {"val": 0.1, "stratify": "income", "duplicates": "allow"},
            }
        },
        "features": {"hours_per_week": [{"standardize": {}}]},  # its error is told in hours nevertheless
        "batch_size": 256,
    },
    net={
        "nodes": {
            "trunk": {"module": "jumpml.blocks.MLP", "inputs": "person", "args": {"widths": [64, 32]}},
            "income_logit": {"module": "jumpml.blocks.Head", "inputs": "trunk"},
            "marital_logits": {"module": "jumpml.blocks.Head", "inputs": "trunk"},
            "hours": {"module": "jumpml.blocks.Head", "inputs": "trunk"},
        },
        "tasks": {
            "income": {"kind": "binary", "output": "income_logit", "target": "income"},
            "marital": {"kind": "multiclass", "output": "marital_logits", "target": "marital_status"},
            "hours": {"kind": "regression", "output": "hours", "target": "hours_per_week"},
        },
    },
    epochs=8,
    figures={  # the most frequent class, and the mean, of the test rows
        "income/accuracy": (0.7638, True),
        "marital/accuracy": (0.4548, True),
        "hours/rmse": (12.478, False),
    },
)
STUDIES = {"digits": DIGITS, "adult": ADULT}


@cache
def loaders_of(name: str, root: Path) -> DataLoaders:
    """Read once, for all runs."""
    return jumpml.create_dataloader({"root": str(root), **STUDIES[name].data})


def measure(name: str, root: Path, folder: Path, kind: str, seed: int) -> list[float]:
    """A run's figures on the test rows."""
    study, loaders = STUDIES[name], loaders_of(name, root)
    said = {
        "seed": seed,
        "optimizer": {"kind": "adam", "lr": 0.003},
        "phases": {"supervised": {"epochs": study.epochs, "schedule": {"kind": "cosine"}}},
        "balance": KINDS[kind],
        "log": [],
        "checkpoint": None,
        "record_examples": False,
    }
    model = jumpml.load_model({"seed": seed, **study.net}, loaders)
    jumpml.create_learner(loaders, model, None, said, run=folder).fit()
    found = score(loaders, model, [*study.figures], split="test")
    return [found[figure] for figure in study.figures]


def interval(values: np.ndarray[Any, Any]) -> str:
    """The mean over seeds, and where it lies by Student's t."""
    mean, half = values.mean(), HALF * values.std(ddof=1)
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def gains(study: Study, own: np.ndarray[Any, Any], base: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """By seed, the mean over the tasks of how much better than the sum, in hundredths of the sum's figure."""
    signs = np.array([1.0 if more else -1.0 for _, more in study.figures.values()])
    return (100 * signs * (own / base - 1)).mean(1)


@pytest.mark.parametrize("name", STUDIES)
def test_every_task_learns_whatever_balances(name: str, shared_data: Path, tmp_path: Path) -> None:
    study, found = STUDIES[name], {}
    print(f"\n| balance | {' | '.join(study.figures)} | beside the sum, % |\n|---|{'---:|' * (len(study.figures) + 1)}")
    for kind in KINDS:
        found[kind] = np.array([measure(name, shared_data, tmp_path, kind, seed) for seed in SEEDS])
        means = " | ".join(
            f"{value:.2f}" if value > 1 else f"{value:.3f}".removeprefix("0") for value in found[kind].mean(0)
        )
        beside = "" if kind == "sum" else interval(gains(study, found[kind], found["sum"]))
        print(f"| `{kind}` | {means} | {beside} |", flush=True)
    for kind, values in found.items():
        for column, (figure, (plain, more)) in zip(values.T, study.figures.items(), strict=True):
            better = column > plain if more else column < plain
            assert better.all(), f"{kind}: {figure} is {column.round(3)}, and a plain answer has {plain}"
