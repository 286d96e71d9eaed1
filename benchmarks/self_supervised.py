"""What self-supervision costs: JumpML's learner beside a loop by hand of the same method, and losses beside lightly's.

By default SimCLR, VICReg and BYOL on scikit-learn's digits: an encoder 64-256-128 with batch normalization and ReLU, a
projector 128-128-64, Adam, batches of 128, one thread. Both loops read the very same batches with their two views from
JumpML's loader, and take turns of two epochs; a ratio is the median over the rounds. ``--steps`` takes the shortest of
many steps on one batch instead, without the loader, for a busy machine.

``--losses`` compares each loss with the formula of the lightly library (1.5.26, rewritten here after its source, since
the library itself would bring torchvision): the difference of values, and the time forward and backward, of embeddings
``[256, 128]``.
"""

from __future__ import annotations

import argparse
import copy
import gc
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

import jumpml
from jumpml.core import ValueInfo
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Phase
from jumpml.objectives import BYOL, DINO, BarlowTwins, LeJEPA, MoCo, NTXent, SimSiam, SwAV, VICReg

if TYPE_CHECKING:
    from jumpml.data import DataLoaders

BATCH, EPOCHS_A_TURN, ROWS, WIDTH = 128, 2, 256, 128
VIEWS = ("image@strong.0", "image@strong.1")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Loss = Callable[..., Tensor]
METHODS: dict[str, Any] = {
    "SimCLR": lambda: NTXent("encoder", views="strong", projector=(128, 64), when="self_supervised"),
    "VICReg": lambda: VICReg("encoder", views="strong", projector=(128, 64), when="self_supervised"),
    "BYOL": lambda: BYOL("encoder", views="strong", projector=(128, 64), predictor=(128,), when="self_supervised"),
}


# --- the loops --------------------------------------------------------------------------------------------------------


def load_digits() -> DataLoaders:
    """The digits with one policy of views."""
    image = {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]}
    fields = {"image": image, "label": {"kind": "category", "column": "target"}}
    split = {"train": 0.72, "val": 0.1, "test": 0.18, "stratify": "label"}
    dataset = {"source": {"kind": "sklearn", "name": "digits"}, "fields": fields, "split": split}
    strong = {"image": [{"rotate": {"degrees": 17}}, {"noise": {"std": 0.1}}]}
    return jumpml.create_dataloader({"datasets": {"digits": dataset}, "views": {"strong": strong}, "batch_size": BATCH})


def encoder() -> nn.Sequential:
    """64-256-128, as in the studies."""
    first = (nn.Linear(64, 256), nn.BatchNorm1d(256), nn.ReLU())
    return nn.Sequential(nn.Flatten(), *first, nn.Linear(256, 128), nn.BatchNorm1d(128), nn.ReLU())


def head(read: int, inner: int, made: int) -> nn.Sequential:
    """A projector or a predictor."""
    return nn.Sequential(nn.Linear(read, inner), nn.BatchNorm1d(inner), nn.ReLU(), nn.Linear(inner, made, bias=False))


def simclr_loss(first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    """As one writes it: one matrix of cosines, the diagonal out, cross-entropy."""
    unit = F.normalize(torch.cat([first, second]), dim=1)
    logits = (unit @ unit.T / temperature).fill_diagonal_(float("-inf"))
    return F.cross_entropy(logits, torch.arange(len(unit)).roll(len(first)))


def step_by_hand(method: str) -> Callable[[Tensor, Tensor], None]:
    """One step of a loop in bare PyTorch on two views."""
    net, projector, predictor = encoder(), head(128, 128, 64), head(64, 128, 64)
    online = nn.ModuleList([net, projector, *([predictor] if method == "BYOL" else [])])
    optimizer = Adam(online.parameters(), lr=1e-3)
    slow = copy.deepcopy(nn.Sequential(net, projector)).requires_grad_(False)
    moving: list[Tensor] = [*slow.parameters()]
    followed: list[Tensor] = [*net.parameters(), *projector.parameters()]

    def loss_of(first: Tensor, second: Tensor) -> Tensor:
        one, two = projector(net(first)), projector(net(second))
        if method == "SimCLR":
            return simclr_loss(one, two)
        if method == "VICReg":
            return lightly_vicreg(one, two)
        with torch.no_grad():
            slow_one, slow_two = slow(first), slow(second)
        forth = F.cosine_similarity(predictor(one), slow_two).mean()
        return 4 - 2 * (forth + F.cosine_similarity(predictor(two), slow_one).mean())

    def step(first: Tensor, second: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_of(first, second).backward()
        optimizer.step()
        if method == "BYOL":
            with torch.no_grad():
                torch._foreach_lerp_(moving, followed, 0.01)

    return step


def by_hand(loaders: DataLoaders, method: str) -> Callable[[], object]:
    """Epochs of the loop by hand, on the loader's batches."""
    step = step_by_hand(method)

    def epochs() -> None:
        loaders.train.serve(("image",), ("strong.0", "strong.1"))
        for _ in range(EPOCHS_A_TURN):
            for batch in loaders.train:
                step(*(batch[view] for view in VIEWS))

    return epochs


def learner_of(loaders: DataLoaders, method: str) -> Learner:
    """JumpML's learner of the same method."""
    model = Model(
        inputs={"image": loaders.info("image")},
        nodes={"encoder": Node(encoder(), "image")},
        objectives={"agree": METHODS[method]()},
        fields=loaders.fields,
    )
    phases = {"self_supervised": Phase(epochs=EPOCHS_A_TURN)}
    return Learner(loaders, model, Adam(model.parameters(), lr=1e-3), phases=phases, record_examples=False)


def by_jumpml(loaders: DataLoaders, method: str) -> Callable[[], object]:
    """Epochs of JumpML's learner."""
    learner = learner_of(loaders, method)

    def epochs() -> None:
        learner.phases["self_supervised"] = Phase(epochs=learner.progress.closed("self_supervised") + EPOCHS_A_TURN)
        learner.fit()

    return epochs


# --- what lightly computes --------------------------------------------------------------------------------------------


def lightly_nt_xent(first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    """Four matrices of cosines; the diagonals of two are cut out."""
    one, two = F.normalize(first, dim=1), F.normalize(second, dim=1)
    others = ~torch.eye(len(one), dtype=torch.bool)
    inside = [(view @ view.T / temperature)[others].view(len(view), -1) for view in (one, two)]
    across = one @ two.T / temperature, two @ one.T / temperature
    logits = torch.cat([torch.cat(pair, dim=1) for pair in zip(across, inside, strict=True)])
    return F.cross_entropy(logits, torch.arange(len(one)).repeat(2))


def lightly_vicreg(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared difference, hinge of the deviation, covariances off the diagonal."""

    def spread(view: Tensor) -> Tensor:
        return F.relu(1 - (view.var(dim=0) + 1e-4).sqrt()).mean()

    def redundancy(view: Tensor) -> Tensor:
        centred, width = view - view.mean(0), view.shape[1]
        covariance = centred.T @ centred / (len(view) - 1)
        return covariance[~torch.eye(width, dtype=torch.bool)].pow(2).sum() / width

    hinge = 0.5 * (spread(first) + spread(second))
    return 25 * F.mse_loss(first, second) + 25 * hinge + redundancy(first) + redundancy(second)


def lightly_barlow_twins(first: Tensor, second: Tensor) -> Tensor:
    """Correlations of batch-normalized dimensions."""
    one, two = (F.batch_norm(view, None, None, training=True) for view in (first, second))
    correlation = one.T @ two / len(one)
    width = len(correlation)
    between = correlation.flatten()[:-1].view(width - 1, width + 1)[:, 1:]
    return (correlation.diagonal() - 1).pow(2).sum() + 0.005 * between.pow(2).sum()


def lightly_cosine(first: Tensor, second: Tensor) -> Tensor:
    """Minus the mean cosine."""
    return -F.cosine_similarity(first, second, dim=1, eps=1e-8).mean()


def lightly_simsiam(objective: SimSiam, first: Tensor, second: Tensor) -> Tensor:
    """Half of both directions."""
    forth = lightly_cosine(objective.predictor(first), second.detach())
    return 0.5 * (forth + lightly_cosine(objective.predictor(second), first.detach()))


def lightly_byol(first: Tensor, second: Tensor, slow_first: Tensor, slow_second: Tensor) -> Tensor:
    """Half of both directions, brought to the paper's squared distances."""
    half = 0.5 * (lightly_cosine(first, slow_second) + lightly_cosine(second, slow_first))
    return 4 + 4 * half


def lightly_moco(bank: Tensor, first: Tensor, second: Tensor, slow_first: Tensor, slow_second: Tensor) -> Tensor:
    """Contrast with a copy of the memory bank, both directions."""

    def contrast(query: Tensor, key: Tensor) -> Tensor:
        query, key = F.normalize(query, dim=1), F.normalize(key, dim=1)
        own = torch.einsum("nc,nc->n", query, key)[:, None]
        logits = torch.cat([own, torch.einsum("nc,ck->nk", query, bank.clone().T)], dim=1) / 0.2
        return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64))

    return 0.5 * (contrast(first, slow_second) + contrast(second, slow_first))


def lightly_dino(objective: DINO, *projections: Tensor) -> Tensor:
    """All pairs by one product, the diagonal filled with zeros."""

    def products(view: Tensor, prototypes: Any) -> Tensor:
        return F.normalize(view, dim=1) @ F.normalize(prototypes.weight, dim=1).T

    own = torch.stack([products(view, objective.prototypes) for view in projections[:2]])
    slow = torch.stack([products(view, objective.slow_prototypes) for view in projections[2:]])
    targets = ((slow - objective.get_buffer("center")) / 0.04).softmax(-1)
    losses = -torch.einsum("tbd,sbd->ts", targets, (own / 0.1).log_softmax(-1))
    losses = losses.masked_fill(torch.eye(2, dtype=torch.bool), 0)
    return losses.sum() / (2 * own.shape[1])


def lightly_swav(objective: SwAV, first: Tensor, second: Tensor) -> Tensor:
    """Sinkhorn on the exponentials, normalized in place; swapped prediction."""

    def balanced(scores: Tensor) -> Tensor:
        shares = (scores / 0.05).exp().T
        shares /= shares.sum()
        for _ in range(3):
            shares /= shares.sum(dim=1, keepdim=True)
            shares /= shares.sum(dim=0, keepdim=True)
            shares /= shares.shape[1]
        return (shares * shares.shape[1]).T

    scores = [objective.prototypes(F.normalize(view, dim=1)) for view in (first, second)]
    loss = torch.zeros(())
    for target, other in ((0, 1), (1, 0)):
        with torch.no_grad():
            wanted = balanced(scores[target].detach())
        loss = loss - (wanted * F.log_softmax(scores[other] / 0.1, dim=1)).sum(1).mean()
    return loss / 2


def lightly_lejepa(first: Tensor, second: Tensor) -> Tensor:
    """The distance to the mean view and the statistic of Epps and Pulley, by weights made beforehand."""
    views = torch.stack([first, second])
    t = torch.linspace(0, 3, 17)
    normal = (-t.square() / 2).exp()
    weights = torch.full((17,), 2 * 3 / 16)
    weights[[0, -1]] = 3 / 16
    directions = torch.randn(WIDTH, 256)
    directions = directions / directions.norm(p=2, dim=0)
    angles = (views @ directions).unsqueeze(-1) * t
    error = (angles.cos().sum(-3) / len(first) - normal).square() + (angles.sin().sum(-3) / len(first)).square()
    statistic = ((error @ (weights * normal)) * len(first)).mean()
    return 0.05 * statistic + 0.95 * (views.mean(0) - views).square().mean()


class Pair(NamedTuple):
    """JumpML's loss and lightly's, and how many embeddings they are of."""

    own: Loss
    lightly: Loss
    inputs: int = 2


def pairs() -> dict[str, Pair]:
    """Each loss beside lightly's."""
    torch.manual_seed(0)
    made: dict[str, Any] = {}
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "NT-Xent": (NTXent, {}),
        "VICReg": (VICReg, {"projector": (WIDTH,)}),
        "Barlow Twins": (BarlowTwins, {}),
        "SimSiam": (SimSiam, {}),
        "BYOL": (BYOL, {}),
        "MoCo": (MoCo, {"queue": 4096}),
        "DINO": (DINO, {}),
        "SwAV": (SwAV, {"temperature": 0.1}),
        "LeJEPA": (LeJEPA, {}),
    }
    for name, (kind, options) in kinds.items():
        made[name] = kind("code", views="strong", **{"projector": (), **options})
        nodes, inputs = {"code": Node(nn.Linear(WIDTH, WIDTH), "x")}, {"x": ValueInfo(shape=(WIDTH,))}
        Model(inputs=inputs, nodes=nodes, objectives={"agree": made[name]})
    return {
        "NT-Xent": Pair(made["NT-Xent"].compare, lightly_nt_xent),
        "VICReg": Pair(made["VICReg"].compare, lightly_vicreg),
        "Barlow Twins": Pair(made["Barlow Twins"].compare, lightly_barlow_twins),
        "SimSiam": Pair(made["SimSiam"].compare, partial(lightly_simsiam, made["SimSiam"])),
        "BYOL": Pair(made["BYOL"].compare, lightly_byol, 4),
        "MoCo": Pair(made["MoCo"].compare, partial(lightly_moco, made["MoCo"].queue.rows), 4),
        "DINO": Pair(made["DINO"].compare, partial(lightly_dino, made["DINO"]), 4),
        "SwAV": Pair(made["SwAV"].compare, partial(lightly_swav, made["SwAV"])),
        "LeJEPA": Pair(made["LeJEPA"].compare, lightly_lejepa),
    }


# --- measuring --------------------------------------------------------------------------------------------------------


def compare_loops(method: str, repeats: int, clock: Callable[[], float]) -> tuple[float, list[float]]:
    """Seconds an epoch by JumpML, and the ratios to the loop by hand."""
    torch.manual_seed(0)
    loops = {"hand": by_hand(load_digits(), method), "own": by_jumpml(load_digits(), method)}
    for loop in loops.values():
        loop()
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    gc.disable()
    for turn in range(repeats):
        for name in sorted(loops, reverse=bool(turn % 2)):
            gc.collect()
            start = clock()
            loops[name]()
            seconds[name].append((clock() - start) / EPOCHS_A_TURN)
    gc.enable()
    return statistics.median(seconds["own"]), [a / b for a, b in zip(seconds["own"], seconds["hand"], strict=True)]


def compare_steps(method: str, repeats: int, clock: Callable[[], float]) -> tuple[float, list[float]]:
    """Seconds of the shortest step by JumpML on one batch, and its ratio to the shortest by hand."""
    torch.manual_seed(0)
    loaders = load_digits()
    learner = learner_of(loaders, method)
    learner.ss_learn()
    loaders.train.serve(("image",), ("strong.0", "strong.1"))
    batch = next(iter(loaders.train))
    given = {view: batch[view] for view in VIEWS}
    hand = partial(step_by_hand(method), *given.values())
    shortest = {"hand": float("inf"), "own": float("inf")}
    steps: dict[str, Callable[[], object]] = {"hand": hand, "own": partial(learner.step, given)}
    gc.disable()
    for _ in range(repeats):
        for name, step in steps.items():
            for _ in range(20):
                start = clock()
                step()
                shortest[name] = min(shortest[name], clock() - start)
    gc.enable()
    return shortest["own"], [shortest["own"] / shortest["hand"]]


def compare_losses(pair: Pair, repeats: int, clock: Callable[[], float]) -> tuple[float, float, float]:
    """The relative difference of values, JumpML's shortest seconds forward and backward, and their ratio."""
    generator = torch.Generator().manual_seed(1)
    given = [torch.randn(ROWS, WIDTH, generator=generator, requires_grad=place < 2) for place in range(pair.inputs)]
    values, shortest = [], [float("inf"), float("inf")]
    for loss in (pair.own, pair.lightly):
        torch.manual_seed(2)  # LeJEPA's directions
        values.append(float(loss(*given).detach()))
    for _ in range(repeats):
        for place, loss in enumerate((pair.own, pair.lightly)):
            for _ in range(10):
                start = clock()
                loss(*given).backward()
                shortest[place] = min(shortest[place], clock() - start)
    return abs(values[0] - values[1]) / abs(values[1]), shortest[0], shortest[0] / shortest[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What self-supervision costs beside a loop by hand, and lightly's.")
    parser.add_argument("--repeats", type=int, default=30, help="rounds (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="3 rounds: a look, no measurement")
    parser.add_argument("--steps", action="store_true", help="the shortest of many steps, for a busy machine")
    parser.add_argument("--losses", action="store_true", help="each loss beside lightly's formula")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what is read (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    repeats, clock = 3 if options.quick else options.repeats, CLOCKS[options.clock]
    print(f"torch {torch.__version__}, 1 thread, {repeats} rounds, {options.clock} time\n")
    if options.losses:
        print("| loss | relative difference | ms | ratio to lightly's |\n|---|---:|---:|---:|")
        for name, pair in pairs().items():
            apart, seconds, ratio = compare_losses(pair, repeats, clock)
            print(f"| {name} | {apart:.1e} | {1000 * seconds:.2f} | {ratio:.2f} |")
        return
    what, compare = ("step", compare_steps) if options.steps else ("epoch", compare_loops)
    print(f"| method | ms {'a' if options.steps else 'an'} {what} | ratio (median) | lowest | highest |")
    print("|---|---:|---:|---:|---:|")
    for method in METHODS:
        seconds, ratios = compare(method, repeats, clock)
        told = f"{statistics.median(ratios):.3f} | {min(ratios):.3f} | {max(ratios):.3f}"
        print(f"| {method} | {1000 * seconds:.2f} | {told} |")


if __name__ == "__main__":
    main()
