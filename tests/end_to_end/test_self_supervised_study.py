"""What embeddings of digits are worth after learning without labels, and Fashion-MNIST with a hundredth of its labels.

The set-up and the inequalities are issue 6's, written down before the runs: 1200 rows to learn from, 597 to measure on;
an encoder 64-256-128 with batch normalization and ReLU after each layer, a projector 128-128-64, Adam at 1e-3, batches
of 128, 100 epochs; views that turn, scale, move, add noise and hide pixels. The probe is logistic regression on
standardised embeddings with one label a class, averaged over 20 draws of these ten rows. Figures and the command are in
docs/results.md.

"A shift of up to a quarter" is read as torch's `affine_grid` counts, from -1 to 1: a quarter of half the picture, one
pixel of eight. The other reading, a quarter of the whole, stands beside it.
"""

from __future__ import annotations

from functools import cache
from statistics import mean
from typing import TYPE_CHECKING, Any

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import jumpml
from jumpml.data import Affine, Column, Crop, DataLoaders, Flip, Mixture, Noise, Shuffled
from jumpml.evaluate import embed_split, score

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

pytestmark = pytest.mark.slow
SEEDS = range(8)
TRAIN, ROWS, EPOCHS, DRAWS = 1200, 1797, 100, 20
PIXEL, TWO_PIXELS = 0.125, 0.25  # of the picture's width
TWO_PIXELS_HIDE = (
    "views that move by two of eight pixels leave too little of a digit: over 8 seeds .051 (SimCLR) and .017 (VICReg) "
    "above raw pixels"
)


def views(shift: float) -> dict[str, Any]:
    moved = {"affine": {"degrees": 17, "scale": [0.8, 1.2], "translate": shift}}
    return {
        "strong": {"image": [moved, {"noise": {"std": 0.1}}, {"hide": {"share": 0.15}}]},
        "hidden": {"image": [{"hide": {"share": 0.5, "patch": 2}}]},
        "turned": {"image": [moved, {"noise": {"std": 0.1}}, {"quarter_turn": {}}]},
        "turned_alone": {"image": [{"quarter_turn": {}}]},
    }


def data(seed: int, shift: float) -> DataLoaders:
    """The 597 rows that nothing is learned from are those of val and test together."""
    fields = {
        "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
        "digit": {"kind": "category", "column": "target"},
    }
    split = {"train": TRAIN / ROWS, "val": 18 / ROWS, "test": 579 / ROWS, "stratify": "digit", "seed": seed}
    digits = {"source": {"kind": "sklearn", "name": "digits"}, "fields": fields, "split": split}
    return jumpml.create_dataloader({"datasets": {"digits": digits}, "views": views(shift), "batch_size": 128})


def dense(read: int, width: int) -> list[Any]:
    linear = {"module": "torch.nn.Linear", "args": {"in_features": read, "out_features": width}}
    return [linear, {"module": "torch.nn.BatchNorm1d", "args": {"num_features": width}}, "torch.nn.ReLU"]


DENSE: dict[str, Any] = {"layers": ["torch.nn.Flatten", *dense(64, 256), *dense(256, 128)], "inputs": "image"}
CONVOLUTIONAL: dict[str, Any] = {
    "module": "jumpml.blocks.ConvEncoder",
    "inputs": "image",
    "args": {"widths": [32, 128]},
}
PROJECTED: dict[str, Any] = {"inputs": "encoder", "views": "strong", "projector": [128, 64]}
TURNS_ALONE = "pretext without other changes"
METHODS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        ("nt_xent", "vicreg", "barlow_twins", "simsiam", "byol", "moco", "dino", "swav", "lejepa"), PROJECTED
    ),
    "masked": {"inputs": ["encoder", "image"], "views": "hidden"},
    "pretext": {"inputs": ["encoder", "image"], "views": "turned"},
    TURNS_ALONE: {"kind": "pretext", "inputs": ["encoder", "image"], "views": "turned_alone"},
}
QUIET: dict[str, Any] = {"log": [], "checkpoint": None, "record_examples": False}


def embeddings(loaders: DataLoaders, embed: Callable[[str], Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows to learn from with their classes, then rows to measure on with theirs."""
    rows = {split: embed(split) for split in ("train", "val", "test")}
    digits = {split: getattr(loaders, split).decoded("digit") for split in rows}
    held_out = torch.cat([rows["val"], rows["test"]]), torch.cat([digits["val"], digits["test"]])
    return rows["train"], digits["train"], *held_out


def probed(train: Tensor, digits: Tensor, rows: Tensor, truths: Tensor, seed: int) -> float:
    """Accuracy with one label a class; embeddings are standardised by all rows to learn from."""
    deviation, centre = torch.std_mean(train, 0)
    scale = torch.where(deviation > 0, deviation, 1.0)
    train, rows = (train - centre) / scale, (rows - centre) / scale
    generator, found = torch.Generator().manual_seed(seed), []
    for _ in range(DRAWS):
        order = torch.randperm(len(digits), generator=generator)
        known = torch.stack([order[digits[order] == digit][0] for digit in range(10)])
        probe = LogisticRegression(max_iter=1000).fit(train[known].numpy(), digits[known].numpy())
        found.append(float((probe.predict(rows.numpy()) == truths.numpy()).mean()))
    return mean(found)


@cache
def raw(seed: int) -> float:
    loaders = data(seed, PIXEL)
    return probed(*embeddings(loaders, lambda split: getattr(loaders, split).decoded("image").flatten(1)), seed)


def encoded(loaders: DataLoaders, model: Any, seed: int) -> float:
    model.eval()

    def embed(split: str) -> Tensor:
        return embed_split(loaders, model, "encoder", split, torch.arange(len(getattr(loaders, split).rows)))

    return probed(*embeddings(loaders, embed), seed)


@cache
def learned(kind: str, seed: int, shift: float = PIXEL, convolutional: bool = False) -> tuple[float, float]:
    """The probe's accuracy before and after."""
    loaders = data(seed, shift)
    net = {
        "seed": seed,
        "nodes": {"encoder": CONVOLUTIONAL if convolutional else DENSE},
        "objectives": {"method": {"kind": kind, **METHODS[kind], "when": ["self_supervised"]}},
    }
    model = jumpml.load_model(net, loaders)
    phases = {"self_supervised": {"epochs": EPOCHS}, "supervised": {"epochs": 0}}
    said = {"optimizer": {"kind": "adam", "lr": 1e-3}, "seed": seed, "phases": phases, **QUIET}
    learner = jumpml.create_learner(loaders, model, None, said)
    before = encoded(loaders, model, seed)
    learner.ss_learn()
    return before, encoded(loaders, model, seed)


def listed(gains: list[float]) -> str:
    return " ".join(f"{gain:+.3f}" for gain in gains)


def table(kind: str, **options: Any) -> tuple[list[float], list[float]]:
    """By seed, the gain over the random encoder, and over raw pixels; printed."""
    found = [learned(kind, seed, **options) for seed in SEEDS]
    over_random = [after - before for before, after in found]
    over_raw = [after - raw(seed) for seed, (_, after) in zip(SEEDS, found, strict=True)]
    told = f"random {mean(b for b, _ in found):.3f}, learned {mean(a for _, a in found):.3f}"
    print(
        f"{kind} {options or ''}: raw {mean(map(raw, SEEDS)):.3f}, {told}; {' '.join(f'{g:+.3f}' for g in over_random)}"
    )
    return over_random, over_raw


@pytest.mark.parametrize("kind", ["nt_xent", "vicreg"])
def test_with_one_label_a_class_it_beats_a_random_encoder_and_raw_pixels(kind: str) -> None:
    over_random, over_raw = table(kind)
    assert mean(over_random) >= 0.10
    assert mean(over_raw) >= 0.08


@pytest.mark.xfail(reason=TWO_PIXELS_HIDE, strict=True, raises=AssertionError)
@pytest.mark.parametrize("kind", ["nt_xent", "vicreg"])
def test_so_it_does_where_pictures_move_by_a_quarter_of_their_width(kind: str) -> None:
    over_random, over_raw = table(kind, shift=TWO_PIXELS)
    assert mean(over_random) >= 0.10
    assert mean(over_raw) >= 0.08


@pytest.mark.parametrize("kind", [kind for kind in METHODS if kind not in {"nt_xent", "vicreg", TURNS_ALONE}])
def test_every_other_method_beats_a_random_encoder(kind: str) -> None:
    over_random, _ = table(kind)
    assert sum(gain > 0 for gain in over_random) >= 7


def test_turns_alone_are_learned_by_heart() -> None:
    """What goes wrong, as a figure: 1200 pictures are few, and nothing else changes them."""
    over_random, _ = table(TURNS_ALONE)
    assert mean(over_random) < 0


def test_a_convolutional_encoder_gains_too() -> None:
    """It is good already when random; how much it gains is a figure, not a bar."""
    over_random, _ = table("nt_xent", convolutional=True)
    assert mean(over_random) > 0


# --- beside supervised training ---------------------------------------------------------------------------------------

ONLINE_EPOCHS, LABELS = 60, 2


def few_labels(seed: int) -> DataLoaders:
    """All rows to learn from, two a class with their label; a batch has 16 of those and 112 of any."""
    digits: Any = load_digits()
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(seed))
    train, test = order[:TRAIN], order[TRAIN:]
    truth = torch.from_numpy(digits.target)
    known = torch.cat([train[truth[train] == digit][:LABELS] for digit in range(10)])
    codes = torch.full_like(truth, -1)
    codes[known], codes[test] = truth[known], truth[test]
    columns = {
        "image": Column(torch.from_numpy(digits.images).float().unsqueeze(1) / 16, "image", range=(0, 16)),
        "digit": Column(codes, "category", classes=tuple("0123456789")),
    }
    changes = [Affine(17, PIXEL, (0.8, 1.2)), Noise(0.1)]
    pools = {
        "labelled": Shuffled((codes[train] >= 0).nonzero().flatten()),
        "all": Shuffled(torch.arange(TRAIN)),
    }
    return DataLoaders(
        columns,
        {"train": train, "val": test[:1], "test": test[1:]},
        augment={"image": changes},
        views={"strong": {"image": changes}},
        batch_size=128,
        order=Mixture(pools, {"labelled": 1, "all": 7}),
    )


@cache
def beside(kind: str, seed: int) -> float:
    """Test accuracy of supervised training, with a method beside it or without."""
    loaders = few_labels(seed)
    net: dict[str, Any] = {
        "seed": seed,
        "nodes": {"encoder": DENSE, "out": {"module": "jumpml.blocks.Head", "inputs": "encoder"}},
        "tasks": {"digit": {"kind": "multiclass", "output": "out", "target": "digit"}},
    }
    if kind:
        net["objectives"] = {"method": {"kind": kind, **METHODS[kind]}}
    model = jumpml.load_model(net, loaders)
    said = {
        "optimizer": {"kind": "adam", "lr": 1e-3},
        "seed": seed,
        "phases": {"supervised": {"epochs": ONLINE_EPOCHS}},
    }
    jumpml.create_learner(loaders, model, None, {**said, **QUIET}).fit()
    return score(loaders, model, ["digit/accuracy"], split="test")["digit/accuracy"]


def test_beside_supervision_it_adds_a_hundredth() -> None:
    gains = [beside("nt_xent", seed) - beside("", seed) for seed in SEEDS]
    alone = mean(beside("", seed) for seed in SEEDS)
    print(
        f"two labels a class: supervised {alone:.3f}, gain {mean(gains):+.3f}; {' '.join(f'{g:+.3f}' for g in gains)}"
    )
    assert mean(gains) >= 0.01
    assert sum(gain > 0 for gain in gains) >= 7


# --- Fashion-MNIST ----------------------------------------------------------------------------------------------------

LABELLED, FASHION_EPOCHS, FINE_EPOCHS = 200, 20, 100  # of 20000 pictures a hundredth
FASHION: dict[str, Any] = {
    "nodes": {
        "encoder": {"module": "jumpml.blocks.ConvEncoder", "inputs": "image", "args": {"widths": [16, 32, 64]}},
        "out": {"module": "jumpml.blocks.Head", "inputs": "encoder"},
    },
    "tasks": {"label": {"kind": "multiclass", "output": "out", "target": "label"}},
    "objectives": {"method": {"kind": "nt_xent", **PROJECTED, "when": ["self_supervised"]}},
}


def fashion(folder: Path, seed: int) -> tuple[DataLoaders, DataLoaders]:
    """All pictures to learn from without labels, and the 200 that have one, both with the test pictures."""
    part = {"train": "train-first20000", "test": "t10k"}
    files = {
        split: {
            "kind": "idx",
            "columns": {"image": f"{name}-images-idx3-ubyte.gz", "label": f"{name}-labels-idx1-ubyte.gz"},
        }
        for split, name in part.items()
    }
    fields = {"image": {"kind": "image", "shape": [1, 28, 28]}, "label": {"kind": "category"}}
    read = jumpml.create_dataloader(
        {
            "root": str(folder / "fashion_mnist"),
            "datasets": {"clothes": {"source": files, "fields": fields, "split": {"val": 0.01, "stratify": "label"}}},
        }
    )
    image, label = (
        torch.cat([getattr(read, split).decoded(name) for split in ("train", "val", "test")])
        for name in ("image", "label")
    )
    columns = {"image": Column(image, "image"), "label": Column(label, "category", classes=tuple("0123456789"))}
    count = len(read.train.rows) + len(read.val.rows)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    test = torch.arange(count, len(label))
    changes = [Crop((0.4, 1.0), (3 / 4, 4 / 3)), Flip(0.5), Noise(0.1)]

    def loaders(train: Tensor, batch_size: int) -> DataLoaders:
        return DataLoaders(
            columns,
            {"train": train, "val": test[:1], "test": test[1:]},
            augment={"image": changes},
            views={"strong": {"image": changes}},
            batch_size=batch_size,
        )

    return loaders(order, 256), loaders(order[:LABELLED], 50)


def fine_tuned(folder: Path, seed: int, *, pretrained: bool) -> float:
    """Test accuracy with 200 labels."""
    pictures, labelled = fashion(folder, seed)
    model = jumpml.load_model({"seed": seed, **FASHION}, pictures)
    phases = {"self_supervised": {"epochs": FASHION_EPOCHS}, "supervised": {"epochs": FINE_EPOCHS}}
    said = {"optimizer": {"kind": "adam", "lr": 1e-3}, "seed": seed, "phases": phases, **QUIET}
    if pretrained:
        jumpml.create_learner(pictures, model, None, said).ss_learn()
    learner = jumpml.create_learner(labelled, model, None, said)
    for _ in learner.epochs():
        learner.train_epoch()
    return score(labelled, model, ["label/accuracy"], split="test")["label/accuracy"]


def test_fashion_mnist_with_a_hundredth_of_its_labels(shared_data: Path) -> None:
    pairs = {seed: [fine_tuned(shared_data, seed, pretrained=way) for way in (False, True)] for seed in (10, 11, 12)}
    for seed, (alone, after) in pairs.items():
        print(f"Fashion-MNIST, 200 labels, seed {seed}: supervised {alone:.3f}, pretrained {after:.3f}")
    assert mean(after - alone for alone, after in pairs.values()) > 0
