"""Runs with all else that joins the loop, as several processes make them together."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from several import weights_of
from several_taught import make_learner, make_loaders

from jumpml.curriculum import Exp3S, RootPacing, Uniform
from jumpml.graph import Widen
from jumpml.learn import (
    SWA,
    EarlyStop,
    EmbeddingProbe,
    Embeddings,
    Entropy,
    Grow,
    GrowthRule,
    OnPlateau,
    Pace,
    Phase,
    Prioritizing,
    Replay,
    Saving,
    Statistics,
    TaskStop,
    Teaching,
)
from jumpml.objectives import CLIP, DINO, EWC, L2SP, SI, FixMatch, LwF, MoCo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jumpml.learn import Hook, Learner

TWO = {name: Phase(epochs=2, data=data, consolidate=True) for name, data in (("first", ("a",)), ("second", ("b", "c")))}


def told(learner: Learner, *hooks: Hook) -> dict[str, Any]:
    """All that a learner knows of its run."""
    history, average = learner.history, learner.ema_model
    return {
        "weights": weights_of(learner),
        "average": {} if average is None else dict(average.state_dict()),
        "losses": [epoch.losses for epoch in history.epochs],
        "val": [epoch.val for epoch in history.epochs],
        "notes": [list(epoch.notes) for epoch in history.epochs],
        "examples": {name: vars(own) for name, own in history.examples.items()},
        "hooks": [hook.state_dict() for hook in hooks],
    }


def ended(
    *hooks: Callable[[], Hook],
    again: bool = False,
    noise: float = 0.0,
    drawn: float = 0.0,
    objectives: Callable[[], Mapping[str, Any]] = dict,
    **options: Any,
) -> Callable[[Path], Any]:
    """What a run ends with."""

    def run(folder: Path) -> dict[str, Any]:
        made = [hook() for hook in hooks]
        saving = Saving(folder=folder, best="val/loss")
        data = make_loaders(again=again, noise=noise, drawn=drawn)
        learner = make_learner(*made, loaders=data, objectives=objectives(), saving=saving, **options)
        learner.fit()
        return told(learner, *made)

    return run


def resumed(*hooks: Callable[[], Hook], **options: Any) -> Callable[[Path], Any]:
    """What a run ends with that was stopped in the midst of an epoch, and one that was not."""

    def run(folder: Path) -> dict[str, Any]:
        def made(name: str) -> Learner:
            data, saving = make_loaders(again=True, noise=0.1), Saving(folder=folder / name)
            return make_learner(*[hook() for hook in hooks], loaders=data, saving=saving, **options)

        whole, first, second = made("whole"), made("parts"), made("parts")
        whole.fit()
        with first.random:
            for batch in islice(first.remaining(), 3):
                first.step(batch)
            first.save()
        second.resume()
        second.fit()
        return {"whole": told(whole, *whole.hooks), "parts": told(second, *second.hooks)}

    return run


def figures(folder: Path) -> dict[str, Any]:
    """What hooks have to say of a step, which is of all rows."""
    statistics, sure = Statistics(), FixMatch("to_kind", views=("weak", "strong"), threshold=0.4)
    learner = make_learner(statistics, objectives={"sure": sure})
    for batch in islice(learner.remaining(), 2):
        learner.step(batch)
    return {name: value for read in learner._loop.hooks.read for name, value in read().items()}


def adapted(folder: Path) -> dict[str, Any]:
    learner = make_learner(norm=True, loaders=make_loaders(noise=0.1))
    learner.fit()
    predictions = learner.predict("val", adapt=learner.adapt(method=Entropy()))
    return {name: vars(own) for name, own in predictions.items()}


CASES: dict[str, Callable[[Path], Any]] = {
    "records": ended(again=True),
    "records of arms": ended(lambda: Teaching(Uniform(), "tasks"), accumulate=2),
    "a teacher that was stopped": resumed(lambda: Teaching(Exp3S(), "tasks", every=5), ema=0.8, norm=True),
    "single rows that were stopped": resumed(lambda: Pace(RootPacing(start=0.3), "own"), Prioritizing, norm=True),
    "replay that was stopped": resumed(lambda: Replay(12, batch=4)),
    "ema": ended(ema=0.8),
    "ema and normalization": ended(lambda: EarlyStop(patience=0), norm=True, ema=0.8),
    "swa and normalization": ended(lambda: SWA(start=0.3), norm=True, noise=0.1),
    "embeddings": ended(lambda: Embeddings([EmbeddingProbe(node="trunk", label="kind", view="weak")]), drawn=0.3),
    "early_stop": ended(lambda: EarlyStop("val/kind/accuracy", patience=0), phases={"supervised": Phase(epochs=9)}),
    "task_stop": ended(lambda: TaskStop({"size": EarlyStop("val/loss", patience=0, min_delta=0.2)})),
    "grow": ended(
        lambda: Grow([GrowthRule(trigger=OnPlateau(patience=0, min_delta=9.0), surgery=Widen("trunk", 1.5))]),
        ema=0.8,
    ),
    "replay": ended(lambda: Replay(12, batch=4, alpha=0.5), accumulate=2),
    "ewc and si": ended(
        objectives=lambda: {"ewc": EWC(weight=20.0, when="all"), "si": SI(when="all", weight=2.0)}, phases=TWO
    ),
    "lwf and l2_sp": ended(
        objectives=lambda: {
            "lwf": LwF("to_kind", when="all"),
            "near": L2SP(anchor="consolidated", when="all", weight=0.1),
        },
        phases=TWO,
        norm=True,
    ),
    "moco": ended(objectives=lambda: {"moco": MoCo("trunk", views="weak", projector=(), queue=40, momentum=0.5)}),
    "moco of several batches": ended(
        objectives=lambda: {"moco": MoCo("trunk", views="weak", queue=30, momentum=0.5)}, accumulate=3, drawn=0.1
    ),
    "dino": ended(objectives=lambda: {"dino": DINO("trunk", views="weak", projector=(), prototypes=6, momentum=0.5)}),
    "contrast": ended(objectives=lambda: {"clip": CLIP(("trunk", "trunk"))}),
    "figures": figures,
    "adapt": adapted,
}
