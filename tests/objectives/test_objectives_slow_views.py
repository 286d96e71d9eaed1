"""Methods with a slow copy of the model: values by hand, what they keep between updates, and what is refused."""

from __future__ import annotations

import copy
import pickle
from collections import deque
from math import exp, log, sqrt
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from jumpml.core import ObjectiveError, ValueInfo, WeightSchedule
from jumpml.graph import Model, Node
from jumpml.objectives import BYOL, DINO, MoCo
from jumpml.objectives.self_supervised._queue import Queue

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.objectives import WithMomentum

WIDTH = 3


def model_of(objective: WithMomentum, seed: int = 0) -> Model:
    """Of one linear node, in float64, with a slow copy that is elsewhere."""
    torch.manual_seed(seed)
    nodes = {"encoder": Node(nn.Linear(4, WIDTH), "x")}
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, objectives={"o": objective}, seed=seed).double()
    for name, value in objective.named_buffers():
        if name.startswith(("encoder", "slow")) and value.is_floating_point():
            value.copy_(torch.rand_like(value))
    return model


def batch_of(rows: int, seed: int = 0, draws: tuple[str, ...] = ("v.0", "v.1")) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {f"x@{draw}": torch.randn(rows, 4, generator=g, dtype=torch.float64) for draw in draws}


def both(model: Model, batch: dict[str, Tensor], draw: str = "v") -> list[list[list[float]]]:
    """What the node gives of each view, and what its slow copy gives: by plain matrix products."""
    held: Any = model.objectives["o"]
    net: Any = model.node("encoder")
    slow: Any = held.encoder.node("encoder")
    given = []
    for linear in (net, slow):
        parameters = list(zip(linear.weight.tolist(), linear.bias.tolist(), strict=True))
        for at in ("0", "1"):
            rows = batch[f"x@{draw}.{at}"].tolist()
            given.append([[dot(w, row) + b for w, b in parameters] for row in rows])
    return given


def unit(row: list[float]) -> list[float]:
    length = sqrt(sum(x * x for x in row))
    return [x / length for x in row]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def value(model: Model, batch: dict[str, Tensor]) -> float:
    return float(model.losses(batch)["o"].detach())


# --- values, by plain loops over what the papers write ----------------------------------------------------------------


def test_byol_is_equation_2_of_the_paper() -> None:
    model, batch = model_of(BYOL("encoder", views="v", projector=(), predictor=(16,))), batch_of(7)
    held: Any = model.objectives["o"]
    first, second, slow_first, slow_second = both(model, batch)

    def distance(online: list[list[float]], target: list[list[float]]) -> float:
        predicted = held.predictor(torch.tensor(online, dtype=torch.float64)).tolist()
        pairs = zip(map(unit, predicted), map(unit, target), strict=True)
        return mean([sum((x - y) ** 2 for x, y in zip(p, t, strict=True)) for p, t in pairs])

    expected = distance(first, slow_second) + distance(second, slow_first)
    assert value(model, batch) == pytest.approx(expected, rel=1e-10)


def test_byol_at_its_best_is_zero() -> None:
    model = model_of(BYOL("encoder", views="v", projector=()))
    held: Any = model.objectives["o"]
    held.predictor = nn.Sequential()
    held.begin()
    x = batch_of(4)["x@v.0"]
    assert value(model, {"x@v.0": x, "x@v.1": x}) == pytest.approx(0, abs=1e-12)


def test_moco_is_equation_1_of_the_paper_over_a_queue() -> None:
    options: dict[str, Any] = {"queue": 10, "temperature": 0.3, "momentum": 0.5}
    model = model_of(MoCo("encoder", views="v", projector=(), **options))
    held: Any = model.objectives["o"]
    queue = deque(held.queue.rows.tolist(), maxlen=10)
    assert [sqrt(dot(row, row)) for row in queue] == pytest.approx([1] * 10)  # drawn anew, of length 1
    for step, rows in enumerate((3, 5, 2, 4)):  # 6, 10, 4 and 8 come: past the end, all of it, and past it again
        batch = batch_of(rows, seed=step)
        first, second, slow_first, slow_second = both(model, batch)

        def contrast(query: list[float], key: list[float], strangers: list[list[float]]) -> float:
            others = [exp(dot(unit(query), stranger) / 0.3) for stranger in strangers]
            own = exp(dot(unit(query), unit(key)) / 0.3)
            return -log(own / (own + sum(others)))

        there = list(queue)
        forth = mean([contrast(q, k, there) for q, k in zip(first, slow_second, strict=True)])
        back = mean([contrast(q, k, there) for q, k in zip(second, slow_first, strict=True)])
        assert value(model, batch) == pytest.approx((forth + back) / 2, rel=1e-10)
        queue.extend(map(unit, [*slow_first, *slow_second]))
        held.after_update()
        assert sorted(held.queue.rows.tolist()) == [pytest.approx(row) for row in sorted(queue)]


def test_dino_is_the_papers_cross_entropy_with_a_centre() -> None:
    options: dict[str, Any] = {"temperature": 0.3, "slow_temperature": 0.2, "center_momentum": 0.7}
    model = model_of(DINO("encoder", views="v", projector=(), prototypes=5, **options))
    held: Any = model.objectives["o"]
    center = [0.0] * 5
    for step in range(3):
        batch = batch_of(4 + step, seed=step)
        own, slow = both(model, batch)[:2], both(model, batch)[2:]
        mine = [unit(row) for row in held.prototypes.weight.tolist()]
        theirs = [unit(row) for row in held.slow_prototypes.weight.tolist()]

        def shares(logits: list[float]) -> list[float]:
            return [exp(x) / sum(map(exp, logits)) for x in logits]

        given = [[[dot(unit(row), p) for p in theirs] for row in view] for view in slow]
        terms = []
        for at, to in ((0, 1), (1, 0)):
            for target, row in zip(given[at], own[to], strict=True):
                wanted = shares([(t - c) / 0.2 for t, c in zip(target, center, strict=True)])
                told = shares([dot(unit(row), p) / 0.3 for p in mine])
                terms.append(-sum(w * log(s) for w, s in zip(wanted, told, strict=True)))
        assert value(model, batch) == pytest.approx(mean(terms), rel=1e-10)
        held.after_update()
        came = [mean([row[k] for view in given for row in view]) for k in range(5)]
        center = [0.7 * c + 0.3 * m for c, m in zip(center, came, strict=True)]
        assert held.center.tolist() == pytest.approx(center, rel=1e-10)


def test_dino_with_crops_is_the_mean_over_pairs_of_different_draws() -> None:
    """Of two global crops and one local: two pairs of global ones, and two from these to the local one."""
    options: dict[str, Any] = {"projector": (), "prototypes": 5}
    whole = model_of(DINO("encoder", views=("g", "l"), crops=(2, 1), **options))
    state = whole.objectives["o"].state_dict()  # type: ignore[attr-defined]

    def of_one(first: str, second: str) -> float:
        pair = model_of(DINO("encoder", views=("a", "b"), crops=(1, 1), **options))
        pair.objectives["o"].load_state_dict(state)  # type: ignore[attr-defined]
        return value(pair, {"x@a.0": batch[f"x@{first}"], "x@b.0": batch[f"x@{second}"]})

    batch = batch_of(6, draws=("g.0", "g.1", "l.0"))
    pairs = [("g.0", "g.1"), ("g.1", "g.0"), ("g.0", "l.0"), ("g.1", "l.0")]
    assert value(whole, batch) == pytest.approx(mean([of_one(*pair) for pair in pairs]), rel=1e-10)
    assert whole.draws("supervised") == ("g.0", "g.1", "l.0")


def test_the_slow_copy_has_no_gradient_and_the_model_has() -> None:
    for objective in (BYOL("encoder", views="v"), MoCo("encoder", views="v"), DINO("encoder", views="v")):
        model = model_of(objective)
        model.losses(batch_of(6))["o"].backward()
        assert all(bool(p.grad is not None and p.grad.any()) for p in model.node("encoder").parameters())
        assert not any(value.requires_grad for value in objective.buffers())


# --- what is kept between updates -------------------------------------------------------------------------------------

KEEPING = {
    "MoCo": lambda: MoCo("encoder", views="v", projector=(4,), queue=24, momentum=0.5),
    "DINO": lambda: DINO("encoder", views="v", projector=(4,), prototypes=6, momentum=0.5),
}


def kept(model: Model) -> dict[str, list[Any]]:
    return {name: value.tolist() for name, value in model.state_dict().items() if "queue" in name or "center" in name}


@pytest.mark.parametrize("make", KEEPING.values(), ids=KEEPING)
def test_what_is_kept_moves_once_an_update_by_all_of_its_batches(make: Any) -> None:
    parts, whole = model_of(make()), model_of(make())
    first, second = batch_of(3, seed=1), batch_of(5, seed=2)
    before, lone = kept(parts), value(model_of(make()), second)
    assert value(parts, first) >= 0
    assert kept(parts) == before  # in mid-update the second batch sees what the first did
    assert value(parts, second) == lone
    value(whole, {name: torch.cat([first[name], second[name]]) for name in first})
    for model in (parts, whole):
        model.objectives["o"].after_update()  # type: ignore[attr-defined]
    assert kept(parts) != before
    for name, rows in kept(parts).items():
        if "rows" in name:  # the same rows, each batch's views together
            assert [pytest.approx(row) for row in sorted(rows)] == sorted(kept(whole)[name])
        else:
            assert rows == pytest.approx(kept(whole)[name])


@pytest.mark.parametrize("make", KEEPING.values(), ids=KEEPING)
def test_evaluation_and_absent_rows_move_nothing(make: Any) -> None:
    model, plain, batch = model_of(make()), model_of(make()), batch_of(6)
    before = kept(model)
    model.eval()
    value(model, batch)
    held: Any = model.objectives["o"]
    held.after_update()
    assert kept(model) == before
    for one in (model, plain):
        one.train()
    held.load_state_dict(plain.objectives["o"].state_dict())  # type: ignore[attr-defined]
    present = torch.tensor([True, False, True, True, False, True])
    spoilt = {name: x.where(present[:, None], float("nan")) for name, x in batch.items()}
    encoder = model.node("encoder")
    given = [encoder(spoilt[f"x@v.{at}"]) for at in "01"]
    held(*given, *spoilt.values(), present=present)
    value(plain, {name: x[present] for name, x in batch.items()})
    for one in (model, plain):
        one.objectives["o"].after_update()  # type: ignore[attr-defined]
    assert kept(model) == kept(plain)
    assert kept(model) != before


@pytest.mark.parametrize("make", KEEPING.values(), ids=KEEPING)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_goes_on_alone(make: Any, copied: Any) -> None:
    model, batch = model_of(make()), batch_of(5)
    value(model, batch)
    model.objectives["o"].after_update()  # type: ignore[attr-defined]
    before, other = kept(model), copied(model)
    assert kept(other) == before
    value(other, batch)
    other.objectives["o"].after_update()
    assert kept(model) == before
    assert kept(other) != before
    value(model, batch)
    model.objectives["o"].after_update()  # type: ignore[attr-defined]
    assert kept(model) == kept(other)


def test_a_queue_that_nobody_takes_in_does_not_grow_without_end() -> None:
    queue = Queue(4, 2)
    for step in range(9):
        queue.note(torch.full((3, 2), float(step)))
    assert len(queue._noted) == 2
    queue.take_in()
    assert queue.rows.tolist() == [[7.0] * 2, [8.0] * 2, [8.0] * 2, [8.0] * 2]


def test_a_queue_is_saved_and_loaded() -> None:
    queue, other = Queue(3, 2), Queue(3, 2)
    queue.note(torch.ones(2, 2))
    queue.take_in()
    other.load_state_dict(queue.state_dict())
    assert (other.rows.tolist(), other.place.item()) == (queue.rows.tolist(), 2)


# --- what is refused --------------------------------------------------------------------------------------------------

NO_VIEW = "expected one view, which is drawn twice, or two; got none."
LONE = "Choose a batch_size that leaves no single row over at the end of an epoch."


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: BYOL("e", views=()), f"BYOL: {NO_VIEW}"),
        (lambda: MoCo("e", views=()), f"MoCo: {NO_VIEW}"),
        (lambda: DINO("e", views=()), f"DINO: {NO_VIEW}"),
        (lambda: BYOL("e", views="v", momentum=1.01), "BYOL: expected a momentum from 0 to 1, got 1.01."),
        (lambda: MoCo("e", views="v", momentum=-0.1), "MoCo: expected a momentum from 0 to 1, got -0.1."),
        (
            lambda: DINO("e", views="v", momentum=WeightSchedule(start=0.9, end=1.2)),
            "DINO: expected a momentum from 0 to 1, got 0.9 to 1.2.",
        ),
        (
            lambda: BYOL("e", views="v", predictor=()),
            "BYOL: expected the widths of one inner predictor layer or more, got none.",
        ),
        (lambda: MoCo("e", views="v", temperature=0), "MoCo: expected a temperature above 0, got 0."),
        (lambda: MoCo("e", views="v", queue=3), "MoCo: expected 4 places in the queue or more, got 3."),
        (
            lambda: value(model_of(MoCo("encoder", views="v", queue=10)), batch_of(6)),
            "MoCo: a queue of 10 is too short for a batch of 6 rows, of two views each. Give it 12 places or more, or "
            "take a smaller batch_size.",
        ),
        (lambda: DINO("e", views="v", temperature=0), "DINO: expected a temperature above 0, got 0."),
        (lambda: DINO("e", views="v", slow_temperature=-1), "DINO: expected a slow_temperature above 0, got -1."),
        (lambda: DINO("e", views="v", center_momentum=2), "DINO: expected a center_momentum from 0 to 1, got 2."),
        (lambda: DINO("e", views="v", prototypes=1), "DINO: expected 2 prototypes or more, got 1."),
        (
            lambda: DINO("e", views="v", crops=(2, 4)),
            "DINO: crops say how often each of two views is drawn; there is one, 'v', which is drawn twice.",
        ),
        (
            lambda: DINO("e", views=("g", "l"), crops=(2, 0)),
            "DINO: expected two crops above 0, one for each view; got [2, 0].",
        ),
        (
            lambda: value(model_of(BYOL("encoder", views="v")), batch_of(1)),
            f"BYOL: expected two rows or more in a batch, since batch normalization needs two; got 1. {LONE}",
        ),
        (
            lambda: value(model_of(MoCo("encoder", views="v")), batch_of(1)),
            f"MoCo: expected two rows or more in a batch, since batch normalization needs two; got 1. {LONE}",
        ),
        (
            lambda: value(model_of(DINO("encoder", views="v")), batch_of(1)),
            f"DINO: expected two rows or more in a batch, since batch normalization needs two; got 1. {LONE}",
        ),
    ],
)
def test_what_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        make()
    assert str(caught.value) == text
