"""No dead option of any objective: every key of every kind changes a loss, when it counts, or how much.

A key that a kind gets without an entry here fails; so does one whose change alters nothing.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch

import jumpml
from jumpml.core import JumpMLError
from jumpml.core._objective_base import WeightSpec
from jumpml.core._objective_spec import OBJECTIVE_SPECS
from jumpml.data import Column, DataLoaders
from jumpml.learn import Learner, Phase
from jumpml.objectives._momentum import WithMomentum

if TYPE_CHECKING:
    from pathlib import Path

LINEAR = "torch.nn.LazyLinear"
NODES: dict[str, Any] = {
    "code": {"module": LINEAR, "inputs": "x", "args": {"out_features": 12}},
    "other": {"module": LINEAR, "inputs": "x", "args": {"out_features": 12}},
    "grid": {"module": "torch.nn.Unflatten", "inputs": "code", "args": {"dim": 1, "unflattened_size": [3, 4]}},
    "grid2": {"module": "torch.nn.Unflatten", "inputs": "other", "args": {"dim": 1, "unflattened_size": [3, 4]}},
    "kernel": {
        "module": "torch.nn.Conv1d",
        "inputs": "grid",
        "args": {"in_channels": 3, "out_channels": 4, "kernel_size": 3},
    },
    "kernel2": {
        "module": "torch.nn.Conv1d",
        "inputs": "grid",
        "args": {"in_channels": 3, "out_channels": 4, "kernel_size": 3},
    },
    "steps": {"module": LINEAR, "inputs": "load", "args": {"out_features": 4}},
    "steps2": {"module": LINEAR, "inputs": "load", "args": {"out_features": 4}},
    "past": {"module": "torch.nn.Embedding", "inputs": "text", "args": {"num_embeddings": 6, "embedding_dim": 4}},
    "past2": {"module": "torch.nn.Embedding", "inputs": "text", "args": {"num_embeddings": 6, "embedding_dim": 4}},
    "deep": {"module": "jumpml.blocks.VariationalBottleneck", "inputs": "x", "args": {"width": 2}},
    "deep2": {"module": "jumpml.blocks.VariationalBottleneck", "inputs": "x", "args": {"width": 2}},
    "logits": {"module": LINEAR, "inputs": "x", "args": {"out_features": 12}},
    "logits2": {"module": LINEAR, "inputs": "x", "args": {"out_features": 12}},
    "wide": {"module": LINEAR, "inputs": "x", "args": {"out_features": 20}},
    "places": {"module": "torch.nn.Unflatten", "inputs": "wide", "args": {"dim": 1, "unflattened_size": [5, 4]}},
    "out": {"module": LINEAR, "inputs": "x", "args": {"out_features": 1}},
    "out2": {"module": LINEAR, "inputs": "x", "args": {"out_features": 1}},
}
INPUTS = {"x": {"shape": [5]}, "load": {"shape": [4, 2]}, "text": {"shape": [6], "dtype": "int64"}}
ROWS = 8
PAIR = ["out", "y"]
TWO_VIEWS: dict[str, Any] = {"inputs": "code", "views": "one", "projector": [6]}
OTHER_VIEWS: dict[str, Any] = {"inputs": "other", "views": ["one", "two"], "projector": [7]}
CROPS: dict[str, Any] = {"inputs": "code", "views": ["one", "two"], "crops": [1, 1], "projector": [6]}
OTHER_CROPS: dict[str, Any] = {"inputs": "other", "views": ["two", "one"], "crops": [2, 1], "projector": [7]}
# by kind: an objective, and for each of its own keys another value
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cross_entropy": (
        {"inputs": ["code", "label"]},
        {"inputs": ["other", "label"], "label_smoothing": 0.2, "class_weights": [1] * 11 + [0], "focal": 2},
    ),
    "binary_cross_entropy": (
        {"inputs": ["out", "yes"]},
        {"inputs": ["out2", "yes"], "positive_weight": 3, "focal": 2},
    ),
    "corn": ({"inputs": ["out", "yes"]}, {"inputs": ["out2", "yes"]}),
    "mse": ({"inputs": PAIR}, {"inputs": ["out2", "y"]}),
    "mae": ({"inputs": PAIR}, {"inputs": ["out2", "y"]}),
    "huber": ({"inputs": PAIR}, {"inputs": ["out2", "y"], "delta": 0.01}),
    "gaussian_nll": ({"inputs": ["out", "out2", "y"]}, {"inputs": ["out2", "out", "y"]}),
    "poisson_nll": ({"inputs": PAIR}, {"inputs": ["out2", "y"]}),
    "quantile": ({"inputs": PAIR, "quantiles": [0.2]}, {"inputs": ["out2", "y"], "quantiles": [0.3]}),
    "kl": ({"inputs": ["code", "other"]}, {"inputs": ["code", "shares"], "target": "logits"}),
    "ctc": ({"inputs": ["grid", "labels"]}, {"inputs": ["grid2", "labels"], "blank": 1}),
    "dice": ({"inputs": ["grid", "pixels"]}, {"inputs": ["grid2", "pixels"], "smooth": 0.1}),
    "cosine": ({"inputs": ["code", "other"]}, {"inputs": ["code", "shares"]}),
    "contrastive": ({"inputs": ["code", "other", "yes"]}, {"inputs": ["code", "code", "yes"], "margin": 9}),
    "supervised_contrastive": (
        {"inputs": ["code", "few"]},
        {"inputs": ["other", "few"], "temperature": 0.7, "views": "one"},
    ),
    "triplet": ({"inputs": ["code", "other", "shares"]}, {"inputs": ["code", "shares", "other"], "margin": 9}),
    "batch_hard_triplet": ({"inputs": ["code", "few"]}, {"inputs": ["other", "few"], "margin": 9}),
    "ranking": ({"inputs": PAIR}, {"inputs": ["out", "y", "few"], "margin": 2}),
    "cka": ({"inputs": ["code", "other"]}, {"inputs": ["code", "shares"]}),
    "decorrelation": ({"inputs": "code"}, {"inputs": ["code", "other"]}),
    "jacobian": ({"inputs": ["code", "x"], "projections": 0}, {"inputs": ["other", "x"], "projections": 2}),
    "vicreg": (TWO_VIEWS, {**OTHER_VIEWS, "invariance": 1, "variance": 1, "covariance": 5}),
    "masked": (
        {"inputs": ["places", "x"], "views": "one", "decoder": [6], "layers": 1, "heads": 4},
        {"inputs": ["code", "x"], "views": "two", "decoder": [7], "layers": 0, "heads": 2, "normalize": True},
    ),
    "vime": (
        {"inputs": ["code", "x"], "views": "one"},
        {"inputs": ["other", "x"], "views": "two", "decoder": [7], "values": 1.0},
    ),
    "pretext": (
        {"inputs": ["code", "x"], "views": "one", "answers": 4},
        {"inputs": ["other", "x"], "views": "two", "classifier": [7], "answers": 5},
    ),
    "pseudo_label": ({"inputs": ["logits", "sure"], "threshold": 0.1}, {"inputs": "logits", "threshold": 0.3}),
    "fixmatch": (
        {"inputs": "logits", "views": ["one", "two"], "threshold": 0.1},
        {"inputs": "logits2", "views": ["two", "one"], "threshold": 0.3, "temperature": 0.5},
    ),
    "mean_teacher": (
        {"inputs": "logits", "views": "one"},
        {"inputs": "logits2", "views": ["two", "one"], "momentum": 0.5},
    ),
    "latent_prediction": (
        {"inputs": ["steps", "load"], "views": "one"},
        {"inputs": ["steps2", "load"], "views": "two", "predictor": [5], "beta": 0.5, "momentum": 0.5},
    ),
    "jepa": (
        {"inputs": ["steps", "load"], "views": "one"},
        {
            "inputs": ["steps2", "load"],
            "views": "two",
            "width": 32,
            "depth": 1,
            "heads": 2,
            "beta": 0.5,
            "momentum": 0.5,
        },
    ),
    "ts2vec": ({"inputs": "grid", "views": "one"}, {"inputs": "grid2", "views": ["one", "two"], "instance": 0.9}),
    "cpc": ({"inputs": "grid", "ahead": 1}, {"inputs": ["grid", "grid2"], "ahead": 2}),
    "next_value": ({"inputs": ["steps", "load"]}, {"inputs": ["steps2", "load"], "horizon": 2}),
    "next_token": ({"inputs": ["past", "text"], "vocabulary": 6}, {"inputs": ["past2", "text"], "vocabulary": 7}),
    "nt_xent": (TWO_VIEWS, {**OTHER_VIEWS, "temperature": 1}),
    "clip": ({"inputs": ["code", "other"]}, {"inputs": ["code", "shares"], "temperature": 1}),
    "barlow_twins": (TWO_VIEWS, {**OTHER_VIEWS, "redundancy": 1}),
    "simsiam": (TWO_VIEWS, {**OTHER_VIEWS, "predictor": [5]}),
    "byol": (TWO_VIEWS, {**OTHER_VIEWS, "predictor": [5], "momentum": 0.5}),
    "moco": (TWO_VIEWS, {**OTHER_VIEWS, "queue": 16, "temperature": 1, "momentum": {"start": 0.5, "end": 1}}),
    "dino": (
        CROPS,
        {
            **OTHER_CROPS,
            "prototypes": 5,
            "temperature": 1,
            "slow_temperature": 1,
            "center_momentum": 0.1,
            "momentum": 0.5,
        },
    ),
    "swav": (CROPS, {**OTHER_CROPS, "prototypes": 5, "temperature": 1, "epsilon": 1, "iterations": 1}),
    "lejepa": (CROPS, {**OTHER_CROPS, "slices": 8, "regularization": 0.5}),
    "l1": ({"inputs": "code"}, {"inputs": "other"}),
    "l2": ({"inputs": "code"}, {"inputs": "other"}),
    "orthogonality": ({"inputs": "grid"}, {"inputs": "grid2"}),
    "total_variation": ({"inputs": "grid"}, {"inputs": "grid2", "axes": [0]}),
    "ewc": ({"when": "all"}, {"parameters": ["code"], "fisher": "batched", "rows": 5, "gamma": 0.5}),
    "si": ({"when": "all"}, {"parameters": ["code"], "damping": 1.0}),
    "l2_sp": ({"when": "all"}, {"parameters": ["code"], "anchor": "consolidated"}),
    "lwf": ({"inputs": "y", "when": "all"}, {"inputs": "code", "temperature": 1.0}),
    "brought": ({"inputs": "deep.kl", "when": ["supervised"]}, {"inputs": "deep2.kl"}),
    "module": (
        {"module": "torch.nn.SmoothL1Loss", "inputs": PAIR},
        {"module": "torch.nn.MSELoss", "inputs": ["out2", "y"], "args": {"beta": 0.01}},
    ),
    "function": (
        {"function": "statistics_of_ours:square", "inputs": PAIR},
        {"function": "statistics_of_ours:absolute", "inputs": ["out2", "y"], "args": {"by": 3.0}, "per_example": False},
    ),
}
FUNCTIONS = """
def square(p, t, by=1.0):
    return ((p - t) / by) ** 2
def absolute(p, t, by=1.0):
    return ((p - t) / by).abs()
"""
# a penalty on parameters instead of on a node: of one node, and of another
PARAMETERS = {
    "l1": ("code", "other"),
    "l2": ("code", "other"),
    "orthogonality": ("code", "other"),
    "total_variation": ("kernel", "kernel2"),
}


@pytest.fixture(autouse=True)
def _functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "statistics_of_ours.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)


def batch() -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    x = {f"x@{draw}": torch.randn(ROWS, 5, generator=g) for draw in ("one.0", "one.1", "two.0")}
    load = torch.randn(ROWS, 4, 2, generator=torch.Generator().manual_seed(1))
    for draw, step in (("one.0", 1), ("two.0", 2)):  # each hides another step
        hidden = (torch.arange(4) == step)[:, None].expand(ROWS, 4, 2)
        x |= {f"load.hidden@{draw}": hidden, f"load.whole@{draw}": load, f"load@{draw}": load.masked_fill(hidden, 0.0)}
    for view in ("one", "two"):  # what steps of views tell
        x[f"x.hidden@{view}.0"] = torch.rand(ROWS, 5, generator=g) < 0.4
        x[f"x.whole@{view}.0"] = torch.randn(ROWS, 5, generator=g)
        x[f"x.answer@{view}.0"] = torch.randint(4, (ROWS,), generator=g)
    return x | {
        "x": torch.randn(ROWS, 5, generator=g),
        "y": torch.rand(ROWS, 1, generator=g) * 3,
        "yes": torch.tensor([0, 1] * 4),
        "few": torch.tensor([0, 1, 2, 1] * 2),
        "label": torch.arange(ROWS) + 4,
        "sure.present": torch.arange(ROWS) % 3 == 0,
        "shares": torch.rand(ROWS, 12, generator=g),
        "labels": torch.tensor([[1, 0], [2, 1]] * 4),
        "load": torch.randn(ROWS, 4, 2, generator=g),
        "text": torch.randint(6, (ROWS, 6), generator=g),
        "text.next": torch.randint(6, (ROWS, 6), generator=g),
        "pixels": torch.randint(3, (ROWS, 4), generator=g),
    }


def look(objective: dict[str, Any]) -> list[Any]:
    """The losses of two phases, and how much they count."""
    names = {*NODES} if "parameters" in objective else read_by(objective)
    nodes = {name: node for name, node in NODES.items() if name in names}
    unused = [name for name in nodes if not any(name == node["inputs"] for node in nodes.values())]
    # what decides is a task's output; its own objective takes no part
    decided = [name for name in nodes if name.startswith("logits")]
    task = {"kind": "multiclass", "target": "label", "objective": None}
    watch = {f"watch {name}": {"kind": "l2", "inputs": name, "when": ["never"]} for name in unused}
    spec = {
        "inputs": {
            name: shape for name, shape in INPUTS.items() if any(name == node["inputs"] for node in nodes.values())
        },
        "nodes": nodes,
        "tasks": {f"task {name}": {"output": name, **task} for name in decided},
        "objectives": {"o": objective, **watch},
        "seed": 0,
    }
    model = jumpml.load_model(spec, trust=["statistics_of_ours"])
    held = model.objectives["o"]
    losses = [model.losses(batch(), phase).get("o") for phase in ("supervised", "other")]
    if isinstance(held, WithMomentum):  # what follows the weights is seen once these have moved
        with torch.no_grad():
            for node in nodes:
                model.node(node).get_parameter("weight").square_()
        held.after_update()
        losses.append(model.losses(batch(), *held.when[:1]).get("o"))
    return [[None if loss is None else loss.detach().tolist() for loss in losses], held.weight]


def live(objective: dict[str, Any]) -> list[Any]:
    """What learning three tasks one after the other leaves of a model, where the objective is to keep the earlier."""
    g = torch.Generator().manual_seed(0)
    columns = {
        "x": Column(torch.randn(26, 5, generator=g), "tensor"),
        "label": Column(torch.arange(26) % 3, "category", classes=("a", "b", "c")),
    }
    rows = {"train": torch.arange(24), "val": torch.tensor([24]), "test": torch.tensor([25])}
    loaders = DataLoaders(columns, rows, features={"x": []}, batch_size=8)
    phases = ["supervised", "other", "third"]
    spec = {
        "nodes": {"code": NODES["code"], "y": {"module": "jumpml.blocks.Head", "inputs": "code"}},
        "tasks": {"label": {"kind": "multiclass", "output": "y", "target": "label", "objective": {"when": phases}}},
        # the second one lets every phase consolidate, and does nothing else
        "objectives": {"o": {"weight": 2.0, **objective}, "idle": {"kind": "si", "weight": 0, "when": phases}},
        "seed": 0,
    }
    model = jumpml.load_model(spec, loaders)
    adam = torch.optim.Adam(model.parameters(), lr=0.05)
    once = Phase(epochs=1, consolidate=True)
    Learner(loaders, model, adam, phases=dict.fromkeys(phases, once)).fit()
    return [value.tolist() for node in ("code", "y") for value in model.node(node).parameters()]


def read_by(objective: dict[str, Any]) -> set[str]:
    inputs = objective.get("inputs", [])
    reached = {inputs} if isinstance(inputs, str) else set(inputs)
    reached = {name.partition(".")[0] for name in reached} & NODES.keys()
    return reached | {NODES[name]["inputs"] for name in reached} & NODES.keys()


def keys() -> list[tuple[str, str]]:
    return [(kind, key) for kind, spec in OBJECTIVE_SPECS.items() for key in spec.model_fields]


@pytest.mark.parametrize(("kind", "key"), keys())
def test_no_key_of_an_objective_is_dead(kind: str, key: str) -> None:
    options, others = CASES[kind]
    before: dict[str, Any] = {"kind": kind, **copy.deepcopy(options)}
    if key == "kind":
        with pytest.raises(JumpMLError, match="kind"):
            (look if kind != "lwf" else live)({**before, "kind": kind + "s"})
        return
    after = {**before, **{"weight": {"weight": 0.7}, "when": {"when": ["other"]}}.get(key, {key: others.get(key)})}
    if (kind, key) in {("masked", "inputs"), ("masked", "normalize")}:  # of a vector a row, which layers do not read
        before, after = ({**told, "inputs": ["code", "x"], "layers": 0} for told in (before, after))
        before["inputs"] = ["other" if key == "inputs" else "code", "x"]
    if key == "parameters" and kind in PARAMETERS:
        before, after = ({"kind": kind, "parameters": node} for node in PARAMETERS[kind])
    if key == "per_example":
        with pytest.raises(JumpMLError, match="expected one loss of the whole batch from square, a scalar"):
            look(after)
        return
    see = live if kind in {"ewc", "si", "l2_sp", "lwf"} else look
    assert see(before) != see(after)


@pytest.mark.parametrize(("key", "value"), [("start", 0.5), ("end", 2), ("after", 3), ("over", 2), ("shape", "cosine")])
def test_no_key_of_a_moving_weight_is_dead(key: str, value: Any) -> None:
    def way(weight: dict[str, Any]) -> list[float]:
        objective = {"kind": "l2", "inputs": "code", "weight": weight}
        nodes, inputs = {"code": NODES["code"]}, {"x": {"shape": [5]}}
        model = jumpml.load_model({"inputs": inputs, "nodes": nodes, "objectives": {"o": objective}})
        schedule = model.objectives["o"].schedule
        assert schedule is not None
        return [schedule.at(epoch, 10) for epoch in (0, 1, 4, 12)]

    before = {"start": 0.1, "end": 1.0}
    assert {key, *before} <= WeightSpec.model_fields.keys()
    assert way(before) != way({**before, key: value})


def test_every_kind_has_a_case() -> None:
    assert CASES.keys() == OBJECTIVE_SPECS.keys()


def test_a_change_that_nobody_reads_is_noticed() -> None:
    objective = {"kind": "mse", "inputs": PAIR}
    assert look(objective) == look(objective)
