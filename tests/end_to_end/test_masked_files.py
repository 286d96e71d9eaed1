"""What a view hid or did, asked of models of every kind of data, from files to the bundle."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from torch import nn

import jumpml
from jumpml import Project
from jumpml.core import JumpMLError
from jumpml.data import Column, DataLoaders, Hide, QuarterTurn, random_split
from jumpml.graph import Node
from jumpml.objectives import VIME, Masked, Pretext
from jumpml.testing import check_self_supervised

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 96
FIELDS: dict[str, Any] = {
    "image": {"kind": "image", "shape": [1, 8, 8], "range": [0, 1]},
    "series": {"kind": "series"},
    "sound": {"kind": "audio", "rate": 800, "samples": 400},
    "words": {"kind": "text", "length": 8, "tokenizer": {"kind": "words"}},
    "label": {"kind": "category"},
}
FEATURES: dict[str, Any] = {
    "image": [{"standardize": {}}],
    "series": [{"standardize": {}}],
    "sound": [{"log_mel": {"mels": 8, "window": 64, "hop": 50}}, {"standardize": {}}],
}
TABLE: dict[str, Any] = {
    "body": {"kind": "table", "columns": {"age": "number", "pay": "number", "sex": "category"}},
    "label": {"kind": "category", "column": "yes"},
}
MLP = {"module": "jumpml.blocks.MLP", "args": {"widths": [32, 16]}}
VIT = {"module": "jumpml.blocks.ViT", "args": {"patch": 2, "width": 16, "depth": 1, "heads": 2, "tokens": True}}
HIDE, OTHERS = {"share": 0.5}, {"share": 0.5, "fill": "others"}


def reads(node: dict[str, Any], inputs: Any) -> dict[str, Any]:
    return {**node, "inputs": inputs}


FLAT = {"module": "torch.nn.Flatten"}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # by name: the field, the step of the view, the nodes up to `encoder`, the objective
    "patches of pictures": (
        "image",
        {"hide": {"share": 0.75, "patch": 2}},
        {"encoder": reads(VIT, "image")},
        {"kind": "masked", "decoder": [], "layers": 1, "heads": 2, "normalize": True},
    ),
    "pictures as vectors": (
        "image",
        {"hide": {"share": 0.5, "patch": 4, "fill": "noise"}},
        {"flat": reads(FLAT, "image"), "encoder": reads(MLP, "flat")},
        {"kind": "masked"},
    ),
    "stretches of a series": (
        "series",
        {"hide": {"share": 0.5, "patch": 3, "fill": "mean"}},
        {"flat": reads(FLAT, "series"), "encoder": reads(MLP, "flat")},
        {"kind": "masked"},
    ),
    "steps of a series": (
        "series",
        {"hide": HIDE},
        {
            "wide": {"module": "torch.nn.LazyLinear", "inputs": "series", "args": {"out_features": 16}},
            "encoder": {
                "module": "jumpml.blocks.TransformerEncoder",
                "inputs": "wide",
                "args": {"depth": 1, "heads": 2},
            },
        },
        {"kind": "masked", "decoder": []},
    ),
    "frames of a spectrogram": (
        "sound",
        {"hide": {"share": 0.5, "patch": ["all", 2]}},
        {"flat": reads(FLAT, "sound"), "encoder": reads(MLP, "flat")},
        {"kind": "masked"},
    ),
    "tokens of a text": (
        "words",
        {"hide": {"share": 0.3}},
        {
            "vectors": {"module": "jumpml.blocks.Embedding", "inputs": "words", "args": {"width": 16}},
            "encoder": {
                "module": "jumpml.blocks.TransformerEncoder",
                "inputs": ["vectors", "words.mask"],
                "args": {"depth": 1, "heads": 2},
            },
        },
        {"kind": "masked", "decoder": []},
    ),
    "columns of a table": ("body", {"hide": HIDE}, {"encoder": reads(MLP, "body")}, {"kind": "masked"}),
    "columns of a table as vectors": (
        "body",
        {"hide": OTHERS},
        {
            "elements": {"module": "jumpml.blocks.TabularEmbedding", "inputs": "body", "args": {"width": 8}},
            "encoder": {
                "module": "jumpml.blocks.TransformerEncoder",
                "inputs": "elements",
                "args": {"depth": 1, "heads": 2, "rotary": False},
            },
        },
        {"kind": "masked", "decoder": []},
    ),
    "which columns are another row's": (
        "body",
        {"hide": OTHERS},
        {"encoder": reads(MLP, "body")},
        {"kind": "vime"},
    ),
    "quarter turns": (
        "image",
        {"quarter_turn": {}},
        {"flat": reads(FLAT, "image"), "encoder": reads(MLP, "flat")},
        {"kind": "pretext"},
    ),
    "jigsaws": (
        "image",
        {"jigsaw": {"pieces": 2, "permutations": 6}},
        {"flat": reads(FLAT, "image"), "encoder": reads(MLP, "flat")},
        {"kind": "pretext", "classifier": [16]},
    ),
    "order of a recording": (
        "sound",
        {"order": {"segments": 2}},
        {"flat": reads(FLAT, "sound"), "encoder": reads(MLP, "flat")},
        {"kind": "pretext"},
    ),
    "order of a series": (
        "series",
        {"order": {"segments": 3}},
        {"flat": reads(FLAT, "series"), "encoder": reads(MLP, "flat")},
        {"kind": "pretext"},
    ),
}
each = pytest.mark.parametrize("name", CASES)


def write_rows(folder: Path) -> None:
    """Rows of two kinds, whose parts tell of each other in every field."""
    generator = np.random.default_rng(0)
    kind = np.arange(ROWS) % 2
    phase, time = generator.uniform(0, 6, (ROWS, 1)), np.arange(12)
    wave = np.sin(phase + time * (1 + kind[:, None]) / 2)
    rows, columns = np.mgrid[0:8, 0:8] / 8
    image = np.where(kind[:, None, None], rows, columns) * generator.uniform(0.5, 1, (ROWS, 1, 1))
    tone = np.sin(np.arange(400) * np.where(kind, 0.3, 0.9)[:, None] * np.linspace(0.5, 1.5, 400))
    words = ["one two three", "four five six seven eight"]
    np.savez(
        folder / "rows.npz",
        image=image[:, None],
        series=np.stack([wave, -wave], 2),
        sound=tone * 0.5,
        words=np.array([words[k] + (" nine" if row % 3 else "") for row, k in enumerate(kind)]),
        label=kind,
    )
    lines = ["age,pay,sex,yes"]
    for row, k in enumerate(kind):
        age = "" if row % 7 == 0 else f"{20 + 30 * k + row % 5}"
        lines.append(f"{age},{100 * k + row % 11},{'fm'[k]},{k}")
    (folder / "rows.csv").write_text("\n".join(lines))


def write(folder: Path, name: str) -> Path:
    field, step, nodes, objective = copy.deepcopy(CASES[name])
    table = field == "body"
    index = "TabularEmbedding" in str(nodes)
    source = {"kind": "csv", "path": "rows.csv"} if table else {"kind": "npz", "path": "rows.npz"}
    features = {"body": [{"encode": {"categories": "index"}}]} if index else {} if table else FEATURES
    data = {
        "datasets": {"d": {"source": source, "fields": TABLE if table else FIELDS}},
        "features": features,
        "views": {"v": {field: [step]}},
        "batch_size": 16,
    }
    pooled = {"module": "jumpml.blocks.Pool", "inputs": "encoder"}
    several = "heads" in str(nodes)
    nodes |= {"pooled": pooled} if several else {}
    nodes["out"] = {"module": "jumpml.blocks.Head", "inputs": "pooled" if several else "encoder"}
    model = {
        "seed": 0,
        "nodes": nodes,
        "tasks": {"label": {"kind": "multiclass", "output": "out", "target": "label"}},
        "objectives": {"o": {**objective, "inputs": ["encoder", field], "views": "v", "when": ["self_supervised"]}},
    }
    learner = {
        "optimizer": {"kind": "adam", "lr": 0.01},
        "phases": {"self_supervised": {"epochs": 12}, "supervised": {"epochs": 1}},
        "log": [],
    }
    write_rows(folder)
    for key, content in (("data", data), ("model", model), ("learner", learner)):
        (folder / f"p.{key}.yaml").write_text(yaml.safe_dump(content))
    return folder


@each
def test_it_learns_from_files(name: str, tmp_path: Path) -> None:
    learner = Project.find(write(tmp_path, name)).make_learner()
    losses = [record.losses["o"] for record in learner.fit().epochs if "o" in record.losses]
    assert len(losses) == 12
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    assert all(np.isfinite(losses))


def test_scarf_is_a_row_and_itself_with_columns_of_others(tmp_path: Path) -> None:
    write(tmp_path, "which columns are another row's")
    for kind in ("data", "model"):
        path = tmp_path / f"p.{kind}.yaml"
        content = yaml.safe_load(path.read_text())
        if kind == "data":
            content["views"] = {"plain": {"body": []}, "corrupted": {"body": [{"hide": {**OTHERS, "share": 0.6}}]}}
        else:
            scarf = {"kind": "nt_xent", "inputs": "encoder", "views": ["plain", "corrupted"], "temperature": 1.0}
            content["objectives"] = {"o": {**scarf, "projector": [16, 16], "when": ["self_supervised"]}}
        path.write_text(yaml.safe_dump(content))
    loaders, model = Project.find(tmp_path).build()
    assert model.draws("self_supervised") == ("plain.0", "corrupted.0")
    loaders.train.serve([], model.draws("self_supervised"))
    batch = next(iter(loaders.train))
    rows = torch.cat([each["body"] for each in loaders.train.plain()])
    plain, corrupted = batch["body@plain.0"], batch["body@corrupted.0"]
    assert all(bool((rows == row).all(1).any()) for row in plain), "one view is the row as it is"
    assert set(corrupted[:, 0].tolist()) <= set(plain[:, 0].tolist()), "what came in stood in another row"
    assert not torch.equal(plain, corrupted)
    learner = Project.find(tmp_path).make_learner()
    losses = [record.losses["o"] for record in learner.fit().epochs if "o" in record.losses]
    assert sum(losses[-3:]) < sum(losses[:3])


@pytest.mark.parametrize(
    "name", ["patches of pictures", "tokens of a text", "columns of a table as vectors", "jigsaws"]
)
def test_a_run_that_stops_in_the_middle_ends_with_the_same_bits(name: str, tmp_path: Path) -> None:
    project = Project.find(write(tmp_path, name))
    options = tmp_path / "p.learner.yaml"

    def make(run: str) -> Any:
        loaders, model = project.build()
        return jumpml.create_learner(loaders, model, None, options, run=tmp_path / run)

    whole, first = make("whole"), make("run")
    whole.fit()
    step = first.step

    def stop(batch: Any) -> None:
        if first.progress.step == 20:
            raise KeyboardInterrupt
        step(batch)

    first.step = stop
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    second = make("run")
    second.fit()
    states = [learner.model.state_dict() for learner in (whole, second)]
    assert any(key.startswith("objective_o.") for key in states[0]), "the decoder is in the checkpoint"
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_what_is_deployed_knows_nothing_of_it(tmp_path: Path) -> None:
    write(tmp_path, "patches of pictures")
    loaders, model = Project.find(tmp_path).build()
    learner = jumpml.create_learner(loaders, model, None, tmp_path / "p.learner.yaml", run=tmp_path / "run")
    learner.fit()
    jumpml.deploy_model(jumpml.eval_model(loaders, model), model, {"variants": {}, "bundle": "b"}, folder=tmp_path)
    (file,) = (tmp_path / "b").rglob("*.onnx")
    session = onnxruntime.InferenceSession(file)
    assert [value.name for value in session.get_inputs()] == ["image"]
    batch = next(iter(loaders.test))
    raw = loaders.test.take("image", torch.arange(len(batch["image"])))
    (found,) = session.run(None, {"image": raw.numpy()})[:1]
    expected = model.eval()(batch)["label"]
    torch.testing.assert_close(torch.from_numpy(np.asarray(found)), expected.detach(), atol=1e-4, rtol=1e-4)
    own = [name for name, _ in model.named_parameters() if name.startswith("objective_")]
    assert own
    names = [value.name for value in onnx.load(file).graph.initializer]
    assert not any("objective" in name for name in names)


# --- check_self_supervised --------------------------------------------------------------------------------------------


def loaders_of(views: dict[str, Any], shape: tuple[int, ...], kind: str = "tensor") -> DataLoaders:
    generator = torch.Generator().manual_seed(0)
    middles = torch.randn(4, *shape, generator=generator)
    rows = middles[torch.arange(96) % 4] + 0.3 * torch.randn(96, *shape, generator=generator)
    rows = rows.sigmoid() if kind == "image" else rows
    return DataLoaders({"x": Column(rows, kind)}, random_split(96), views=views, features={}, batch_size=16)


@pytest.mark.parametrize(
    ("objective", "view", "shape", "kind"),
    [
        (Masked(("encoder", "x"), views="v"), Hide(0.5, 2), (1, 6, 6), "image"),
        (VIME(("encoder", "x"), views="v"), Hide(0.3, fill="others"), (12,), "tensor"),
        (Pretext(("encoder", "x"), views="v"), QuarterTurn(), (1, 6, 6), "image"),
    ],
)
def test_they_conform(objective: Any, view: Any, shape: tuple[int, ...], kind: str) -> None:
    width = int(np.prod(shape))
    net = nn.Sequential(nn.Flatten(), nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 16))
    check_self_supervised(objective, loaders_of({"v": {"x": [view]}}, shape, kind), {"encoder": Node(net, "x")})


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        (
            "pictures as vectors",
            {"data": ("hide", "noise"), "to": {"std": 0.1}},
            "objectives.o.views: the view 'v' does not tell 'image.hidden': it has no step `hide` on 'image'. No "
            "view of the data has one.",
        ),
        (
            "pictures as vectors",
            {"objective": {"inputs": ["encoder", "series"]}},
            "objectives.o.views: the view 'v' does not tell 'series.hidden': it has no step `hide` on 'series'. No "
            "view of the data has one.",
        ),
        (
            "patches of pictures",
            {"data": ("hide", "hide"), "to": {"share": 0.5, "patch": 8}},
            "view 'v', 'image': a row of [1, 8, 8] is one part, so that nothing would be left. Take a smaller `patch`.",
        ),
        (
            "order of a series",
            {"objective": {"inputs": ["encoder", "sreies"]}},
            "objectives.o.inputs[1]: reads 'sreies', which is neither a field nor a node. Did you mean 'series'?",
        ),
    ],
)
def test_what_does_not_fit_is_told_before_training(
    name: str, change: dict[str, Any], text: str, tmp_path: Path
) -> None:
    write(tmp_path, name)
    for kind in ("data", "model"):
        path = tmp_path / f"p.{kind}.yaml"
        content = yaml.safe_load(path.read_text())
        if kind == "data" and "data" in change:
            (steps,) = content["views"]["v"].values()
            steps[:] = [{change["data"][1]: change["to"]}]
        if kind == "model":
            content["objectives"]["o"] |= change.get("objective", {})
        path.write_text(yaml.safe_dump(content))
    with pytest.raises(JumpMLError) as caught:
        Project.find(tmp_path).make_learner()
    assert text in str(caught.value)
