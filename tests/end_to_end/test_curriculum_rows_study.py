"""What weights of rows are good for: digits of which many labels are wrong. And what pacing is not."""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

import jumpml
from jumpml.curriculum import LinearPacing, SelfPaced, SuperLoss
from jumpml.data import Column, DataLoaders, random_split
from jumpml.evaluate import score
from jumpml.learn import Learner, Pace, Phase, Prioritizing, Tempering, Weighing, difficulty_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jumpml.graph import Model
    from jumpml.learn import Hook

NET = {
    "nodes": {
        "body": {"module": "jumpml.blocks.MLP", "inputs": "pixels", "args": {"widths": [128, 64]}},
        "out": {"module": "jumpml.blocks.Head", "inputs": "body"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "out", "target": "digit"}},
}
SHUFFLED = 0.4  # of the train labels
EXAMPLES: tuple[dict[str, Any], ...] = (
    *(
        {"kind": "super_loss", "of": ["digit"], "threshold": t, "regularization": r}
        for t in ("classes", "average")
        for r in (1.0, 0.25)
    ),
    *({"kind": "self_paced", "form": form} for form in ("hard", "linear")),
    {"kind": "prioritized"},
    {"kind": "data_parameters"},
)
PACINGS: tuple[dict[str, Any], ...] = tuple(
    {"pacing": {"kind": kind, "order": order}, **asked}
    for kind in ("linear", "root", "exponential", "step", "baby_step")
    for order, asked in (("easy_first", {"difficulty": "own"}), ("random", {}))
)
UNSEEN = range(100, 105)  # seeds that nothing was chosen by
HOOKS: dict[str, Callable[[], list[Hook]]] = {
    "plain": list,
    "super_loss": lambda: [Weighing(SuperLoss("average", regularization=0.25))],
    "super_loss of classes": lambda: [Weighing(SuperLoss())],
    "self_paced": lambda: [Weighing(SelfPaced(start=0.4, end=0.6, over=0.5))],
    "prioritized": lambda: [Prioritizing()],
    "data_parameters": lambda: [Tempering(lr=0.5)],
}


def digits(seed: int, shuffled: float = SHUFFLED, train: float = 0.5) -> DataLoaders:
    """Digits; so many of the train labels are handed around among their rows."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    target = torch.as_tensor(labels).clone()
    splits = random_split(len(target), train=train, val=0.1, test=0.9 - train, seed=seed, strata=target.numpy())
    rows = splits["train"]
    generator = torch.Generator().manual_seed(seed)
    some = rows[torch.randperm(len(rows), generator=generator)[: round(shuffled * len(rows))]]
    target[some] = target[some[torch.randperm(len(some), generator=generator)]]
    columns = {
        "pixels": Column(torch.as_tensor(pixels, dtype=torch.float32) / 16, "tensor"),
        "digit": Column(target, "category", classes=tuple("0123456789")),
    }
    return DataLoaders(columns, splits, batch_size=32)


def learned(seed: int, loaders: DataLoaders, hooks: Sequence[Hook], epochs: int, net: Any = None) -> Model:
    model = jumpml.load_model({**(net or NET), "seed": seed}, loaders)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    phases = {"supervised": Phase(epochs=epochs)}
    Learner(loaders, model, optimizer, phases=phases, seed=seed, hooks=hooks, record_examples=False).fit()
    return model


def accuracy(seed: int, hooks: Sequence[Hook], *, loaders: DataLoaders | None = None, epochs: int = 30) -> float:
    loaders = loaders or digits(seed)
    return score(loaders, learned(seed, loaders, hooks, epochs), ["digit/accuracy"], "test")["digit/accuracy"]


@pytest.mark.slow
def test_rows_that_count_by_their_losses_stand_wrong_labels() -> None:
    """40% of the train labels are shuffled. Stated before the seeds below were looked at, by seeds 0 and 1.

    The mean test accuracy over five seeds is above that of plain losses by at least .04 with super_loss, and by at
    least .06 with self-paced rows.
    """
    found = {
        name: statistics.mean(accuracy(seed, HOOKS[name]()) for seed in UNSEEN)
        for name in ("plain", "super_loss", "self_paced")
    }
    assert found["super_loss"] >= found["plain"] + 0.04, found
    assert found["self_paced"] >= found["plain"] + 0.06, found


def reference_of(seed: int, loaders: DataLoaders) -> torch.Tensor:
    """How hard a small net of another seed finds the rows."""
    small = {**NET, "nodes": {**NET["nodes"], "body": {**NET["nodes"]["body"], "args": {"widths": [16]}}}}
    return difficulty_by(learned(seed + 1000, loaders, (), 5, small), loaders)


def paced(seed: int, order: str | None, *, epochs: int, train: float) -> float:
    """Test accuracy on clean labels; no order is plain training."""
    loaders = digits(seed, 0.0, train)
    hooks = [] if order is None else [Pace(LinearPacing(0.2, 0.8, order), reference_of(seed, loaders), seed=seed)]
    return accuracy(seed, hooks, loaders=loaders, epochs=epochs)


def digits_files(seed: int) -> list[dict[str, Any]]:
    """Data, model and learner of ``examples/digits``, whose labels are right, with other seeds."""
    folder = Path(__file__).parents[2] / "examples" / "digits"
    files = [yaml.safe_load((folder / f"digits.{of}.yaml").read_text()) for of in ("data", "model", "learner")]
    data, model, learner = files
    data["datasets"]["digits"]["split"]["seed"] = model["seed"] = learner["seed"] = seed
    del learner["checkpoint"]
    return files


def briefly(seed: int, curriculum: dict[str, Any]) -> float:
    """Test accuracy of ``examples/digits`` after four epochs."""
    data, model, learner = digits_files(seed)
    learner["phases"]["supervised"]["epochs"] = 4
    loaders = jumpml.create_dataloader(data)
    net = jumpml.load_model(model, loaders)
    taught = jumpml.create_learner(loaders, net, None, {**learner, **curriculum})
    taught.ss_learn()
    taught.fit()
    return score(loaders, net, ["digit/accuracy"], "test")["digit/accuracy"]


def unlabelled(seed: int, kind: str, curriculum: dict[str, Any]) -> float:
    """How many validation rows neighbours tell right after ten epochs of ``examples/digits`` without labels."""
    data, model, learner = digits_files(seed)
    model["objectives"]["views_agree"]["kind"] = kind
    learner["phases"]["self_supervised"]["epochs"] = 10
    learner["embeddings"] = [{"node": "encoder", "label": "label", "figures": ["knn"]}]
    loaders = jumpml.create_dataloader(data)
    net = jumpml.load_model(model, loaders)
    taught = jumpml.create_learner(loaders, net, None, {**learner, **curriculum})
    taught.ss_learn()
    return taught.history.epochs[-1].val["embedding/encoder/knn"]


def told(found: dict[str, list[float]]) -> str:
    return "\n".join(f"{name:34} {statistics.mean(v):.4f} +- {statistics.stdev(v):.4f}" for name, v in found.items())


if __name__ == "__main__":
    import sys

    torch.set_num_threads(1)
    what, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if what == "weights":
        print(told({name: [accuracy(seed, make()) for seed in range(first, last)] for name, make in HOOKS.items()}))
    elif what == "briefly":
        said: list[dict[str, Any]] = [{}]
        said += [{"curriculum": {"examples": kind}} for kind in EXAMPLES]
        said += [{"curriculum": kind} for kind in PACINGS]
        for one in said:
            print(told({str(one): [briefly(seed, one) for seed in range(first, last)]}))
    elif what == "unlabelled":
        few = {"kind": "step", "start": 0.1, "over": 1.0, "order": "random"}
        paced_by = [{}, *({"curriculum": {"pacing": one}} for one in (PACINGS[-1]["pacing"], few))]
        for kind, one in itertools.product(("vicreg", "nt_xent"), paced_by):
            print(told({f"{kind} {one}": [unlabelled(seed, kind, one) for seed in range(first, last)]}))
    else:
        for epochs, train in ((5, 0.5), (20, 0.5), (20, 0.1)):
            orders = ("easy_first", "hard_first", "random", None)
            each = {o: [paced(s, o, epochs=epochs, train=train) for s in range(first, last)] for o in orders}
            print(told({f"{order or 'none'}, {epochs} epochs, {train:g} of rows": v for order, v in each.items()}))
