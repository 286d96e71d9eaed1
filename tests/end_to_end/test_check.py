"""What `jumpml check` finds before training, through real files: each answer with its file, line and key."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

import jumpml
from jumpml.cli import app
from jumpml.core import JumpMLError, SpecError

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

FLOWERS = {
    "p.data.yaml": """\
datasets:
  flowers:
    source: {kind: sklearn, name: iris}
    fields:
      x: {kind: tensor, column: data, shape: [4]}
      species: {kind: category, column: target}
    split: {stratify: species, duplicates: together}
views:
  strong: {x: [{noise: {std: 0.1}}]}
batch_size: 32
""",
    "p.model.yaml": """\
seed: 0
nodes:
  body: {module: jumpml.blocks.MLP, inputs: x, args: {widths: [8]}}
  out: {module: torch.nn.LazyLinear, inputs: body, args: {out_features: 3}}
tasks:
  species: {kind: multiclass, output: out, target: species}
objectives:
  agree: {kind: vicreg, inputs: body, views: strong, projector: [8], when: [self_supervised]}
""",
    "p.learner.yaml": """\
optimizer: {kind: adam, lr: 0.01}
phases:
  self_supervised: {epochs: 1, train: [upto: body]}
  supervised: {epochs: 1}
checkpoint: {best: {metric: val/species/accuracy}}
""",
    "p.deploy.yaml": """\
variants:
  small: {distill: {into: small.model.yaml, epochs: 1}}
gate: {metric: species/accuracy}
""",
    "small.model.yaml": """\
inputs: {x: {shape: [4]}}
nodes: {out: {module: torch.nn.LazyLinear, inputs: x, args: {out_features: 3}}}
tasks: {species: {kind: multiclass, output: out, target: species}}
""",
}

PARTS = {"train": range(20), "val": range(20, 30), "test": range(30, 40)}
ROWS = [f"{row / 100},{row % 7},{'no' if row % 2 else 'yes'},{part}" for part, rows in PARTS.items() for row in rows]
TABLE = {
    "p.data.yaml": """\
datasets:
  table:
    source: {kind: csv, path: table.csv}
    fields:
      a: {kind: number}
      b: {kind: number}
      label: {kind: category}
    split: {column: part}
views:
  noisy: {b: [{noise: {std: 0.1}}]}
batch_size: 8
""",
    "p.model.yaml": """\
seed: 0
nodes:
  norm: {module: torch.nn.BatchNorm1d, inputs: a, args: {num_features: 1}}
  out: {module: jumpml.blocks.Head, inputs: norm}
tasks:
  label: {kind: multiclass, output: out, target: label}
""",
    "p.learner.yaml": """\
phases: {supervised: {epochs: 1}}
checkpoint: {best: {metric: val/label/accuracy}}
""",
    "table.csv": "\n".join(["a,b,label,part", *ROWS, ""]),
}


class Change(NamedTuple):
    """A text in one of the files, and what stands there instead."""

    file: str
    old: str
    new: str


class Case(NamedTuple):
    """Files with mistakes in them, and what is told of them."""

    name: str
    changes: tuple[Change, ...]
    told: str


def data(old: str, new: str) -> Change:
    return Change("p.data.yaml", old, new)


def model(old: str, new: str) -> Change:
    return Change("p.model.yaml", old, new)


def learner(old: str, new: str) -> Change:
    return Change("p.learner.yaml", old, new)


def deploy(old: str, new: str) -> Change:
    return Change("p.deploy.yaml", old, new)


def student(old: str, new: str) -> Change:
    return Change("small.model.yaml", old, new)


def table(old: str, new: str) -> Change:
    return Change("table.csv", old, new)


def write(folder: Path, files: dict[str, str], *changes: Change) -> Path:
    """Put files into a folder, with changes; a change that would change nothing is refused."""
    texts = dict(files)
    for change in changes:
        if change.old not in texts[change.file]:
            raise AssertionError(f"{change.file} does not hold {change.old!r}")
        texts[change.file] = texts[change.file].replace(change.old, change.new)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def told(folder: Path) -> str:
    """What `check` answers, without the folder's own name; it must have left no trace."""
    before = contents(folder)
    with pytest.raises(JumpMLError) as caught:
        jumpml.Project.find(folder).check()
    if contents(folder) != before:
        raise AssertionError(f"check has written: {contents(folder).keys() - before.keys()}")
    return str(caught.value).replace(f"{folder}/", "").replace(f"{str(folder)!r}", "the folder")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder is one where a stray `runs` would show."""
    monkeypatch.chdir(tmp_path)


def test_the_helpers_can_fail(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"p\.data\.yaml does not hold 'nothing'"):
        write(tmp_path, FLOWERS, data("nothing", ""))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        told(write(tmp_path, FLOWERS))
    code = 'data = {"datasets": {}}\nopen(__file__ + ".log", "w").close()\n'
    (tmp_path / "p.data.yaml").rename(tmp_path / "p.data.py")
    (tmp_path / "p.data.py").write_text(code)
    with pytest.raises(AssertionError, match=r"check has written: .*p\.data\.py\.log"):
        told(tmp_path)


def test_what_a_key_does_not_do_here_is_worth_knowing(tmp_path: Path) -> None:
    learner = {**TABLE, "p.learner.yaml": TABLE["p.learner.yaml"] + "device: cpu\nprecision: float16\naccumulate: 4\n"}
    write(tmp_path, learner)
    assert jumpml.Project.find(tmp_path).check().findings == (
        "precision: a CPU multiplies in float16 many times more slowly than in float32. Take bfloat16 or float32 on "
        "this machine.",
        "accumulate: an epoch has 3 batches, which make one update, and not 4. Say 3 at most.",
    )


@pytest.mark.parametrize("files", [FLOWERS, TABLE])
def test_the_files_are_right_as_they_stand_and_check_writes_nothing(files: dict[str, str], tmp_path: Path) -> None:
    before = contents(write(tmp_path, files))
    report = jumpml.Project.find(tmp_path).check()
    assert report.findings == ()
    assert report.summary().endswith("worth knowing:\n  nothing")
    assert contents(tmp_path) == before
    assert not (tmp_path / "runs").exists()


WRONG_FILES = (
    Case(
        "unknown keys in two files, and one missing",
        (data("batch_size", "batchsize"), model("{module: torch", "{modul: torch")),
        "p.data.yaml: 1 mistake\n"
        "  line 10, column 1: batchsize: this key is unknown. Did you mean 'batch_size'?\n"
        "p.model.yaml: 1 mistake\n"
        "  line 4, column 9: nodes.out.modul: this key is unknown. Did you mean 'module'?",
    ),
    Case(
        "wrong types in all four files",
        (
            data("batch_size: 32", "batch_size: 0"),
            model("seed: 0", "seed: zero"),
            learner("supervised: {epochs: 1}", "supervised: {epochs: [1]}"),
            deploy("metric: species/accuracy", "metric: species/accuracy, max_drop: much"),
        ),
        "p.data.yaml: 1 mistake\n"
        "  line 10, column 1: batch_size: expected a number of at least 1, got 0.\n"
        "p.model.yaml: 1 mistake\n"
        "  line 1, column 1: seed: expected a whole number, got 'zero'.\n"
        "p.learner.yaml: 1 mistake\n"
        "  line 4, column 16: phases.supervised.epochs: expected a whole number, got a list of 1.\n"
        "p.deploy.yaml: 1 mistake\n"
        "  line 3, column 34: gate.max_drop: expected a number, got 'much'.",
    ),
    Case(
        "gate without variants",
        (deploy("variants:\n  small: {distill: {into: small.model.yaml, epochs: 1}}\n", ""),),
        "p.deploy.yaml: 1 mistake\n  line 1, column 1: the gate judges variants, and there are none.",
    ),
    Case(
        "unknown module",
        (model("torch.nn.LazyLinear", "torch.nn.LazyLinea"),),
        "p.model.yaml: 1 mistake\n"
        "  line 4, column 9: nodes.out.module: 'torch.nn' has no 'LazyLinea'. Did you mean 'LazyLinear' or 'Linear'?",
    ),
    Case(
        "module outside the trusted packages",
        (model("torch.nn.LazyLinear", "timm.layers.Mlp"),),
        "p.model.yaml: 1 mistake\n"
        "  line 4, column 9: nodes.out.module: 'timm.layers.Mlp' is outside the trusted packages (torch.nn, jumpml). "
        "If you trust the package that defines it, say so: trust=['timm'] in Python, --trust timm in a shell.",
    ),
    Case(  # spelled as torch's own, and a module too: only what the name resolves to lies elsewhere
        "alias of a class that lies outside",
        (model("torch.nn.LazyLinear", "torch.nn.quantizable.LSTM"),),
        "p.model.yaml: 1 mistake\n"
        "  line 4, column 9: nodes.out.module: 'torch.nn.quantizable.LSTM' leads to "
        "torch.ao.nn.quantizable.modules.rnn.LSTM, which is outside the trusted packages (torch.nn, jumpml).",
    ),
    Case(
        "module that a trusted package has imported",
        (model("torch.nn.LazyLinear", "jumpml._project.shlex.quote"),),
        "p.model.yaml: 1 mistake\n"
        "  line 4, column 9: nodes.out.module: 'jumpml._project.shlex.quote' leads to the module shlex, which is "
        "outside the trusted packages (torch.nn, jumpml).",
    ),
    Case(
        "trusted name that is no module",
        (model("torch.nn.LazyLinear", "torch.nn.functional.relu"),),
        "p.model.yaml: 1 mistake\n"
        "  line 4, column 9: nodes.out.module: 'torch.nn.functional.relu' is a function; expected a class that derives "
        "from Module.",
    ),
    Case(
        "missing columns",
        (data("column: data", "column: dat"), data("column: target", "column: targe")),
        "p.data.yaml: 2 mistakes\n"
        "  line 5, column 25: datasets.flowers.fields.x.column: the source has no column 'dat'. Did you mean 'data'?\n"
        "  line 6, column 33: datasets.flowers.fields.species.column: the source has no column 'targe'. Did you mean "
        "'target'?",
    ),
    Case(
        "empty split by shares",
        (data("{stratify: species, ", "{train: 0.8, val: 0.2, test: 0, "),),
        "p.data.yaml: 1 mistake\n"
        "  line 7, column 5: datasets.flowers.split: the test split is empty: a share of 0 of 150 rows.",
    ),
)

WRONG_GRAPHS = (
    Case(
        "cycle",
        (model("inputs: x", "inputs: out"),),
        "p.model.yaml: 1 mistake\n"
        "  line 3, column 37: nodes.body.inputs: its output depends on itself: body reads out reads body. Nodes must "
        "form a graph without circles.",
    ),
    Case(
        "input that does not exist",
        (model("inputs: x", "inputs: specie"),),
        "p.model.yaml: 1 mistake\n"
        "  line 3, column 37: nodes.body.inputs: reads 'specie', which is neither a field nor a node. Did you mean "
        "'species'?",
    ),
    Case(
        "shapes that do not fit",
        (model("torch.nn.LazyLinear", "torch.nn.Linear"), model("{out_f", "{in_features: 7, out_f")),
        "p.model.yaml: 1 mistake\n"
        "  line 4, column 3: nodes.out: torch.nn.Linear fails on body [batch, 8] float32. In a pass of 2 rows, "
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x8 and 7x3). It has in_features=7, and is given 8 "
        "along the last axis: make them equal.",
    ),
    Case(
        "class count that disagrees with the head",
        (model("out_features: 3", "out_features: 4"),),
        "p.model.yaml: 1 mistake\n"
        "  line 6, column 31: tasks.species.output: the output 'out' is [batch, 4] float32, 4 wide, and the target "
        "'species' has 3 classes. In a model file jumpml.blocks.Head is as wide as its task needs.",
    ),
    Case(
        "objective whose field no dataset has",
        (model("agree: {", "near: {kind: mse, inputs: [body, height]}\n  agree: {"),),
        "p.model.yaml: 1 mistake\n"
        "  line 8, column 36: objectives.near.inputs[1]: reads 'height', which is neither a field nor a node. There "
        "is: body, out, species, x.",
    ),
    Case(
        "objective that does not fit what it reads",
        (model("agree: {", "near: {kind: mse, inputs: [body, x]}\n  agree: {"),),
        "p.model.yaml: 1 mistake\n"
        "  line 8, column 3: objectives.near: MeanSquaredError: expected prediction as [batch, 4] float32 like 'x'; "
        "'body' is [batch, 8] float32. Give 'body' the target's shape.",
    ),
    Case(
        "target with features",
        (data("views:", "features:\n  species: [{one_hot: {}}]\nviews:"),),
        "p.model.yaml: 1 mistake\n"
        "  line 6, column 44: tasks.species.target: classes must stay codes, and 'species' has features. Take it out "
        "of `features`; where a node reads it, let another field have its column.",
    ),
    Case(
        "unknown metrics",
        (model("target: species}", "target: species, metrics: [acuracy, accuracy, rmse]}"),),
        "p.model.yaml: 2 mistakes\n"
        "  line 6, column 71: tasks.species.metrics[0]: there is no metric 'acuracy' for multiclass tasks. Did you "
        "mean 'accuracy' or 'auroc'?\n"
        "  line 6, column 90: tasks.species.metrics[2]: there is no metric 'rmse' for multiclass tasks. There is: "
        "accuracy, auroc, average_precision, balanced_accuracy, brier, cohen_kappa, log_loss, macro_f1, matthews.",
    ),
    Case(
        "all of a file's mistakes at once",
        (
            model("seed: 0", "seed: 0\ninputs: {x: {shape: [4]}}"),
            model("jumpml.blocks.MLP", "jumpml.blocks.MLPs"),
            model("output: out, target: species", "output: ot, target: specis, metrics: [acc]"),
            model("agree: {", "species: {kind: l1, inputs: boddy}\n  agree: {"),
        ),
        "p.model.yaml: 6 mistakes\n"
        "  line 4, column 10: nodes.body.module: 'jumpml.blocks' has no 'MLPs'. Did you mean 'MLP'?\n"
        "  line 7, column 31: tasks.species.output: there is no node 'ot'. Did you mean 'out'?\n"
        "  line 7, column 43: tasks.species.target: the data has no field 'specis'. Did you mean 'species'?\n"
        "  line 7, column 69: tasks.species.metrics[0]: there is no metric 'acc' for multiclass tasks. There is: "
        "accuracy, auroc, average_precision, balanced_accuracy, brier, cohen_kappa, log_loss, macro_f1, matthews.\n"
        "  line 9, column 3: objectives.species: 'species' is a task already, whose own objective has its name. Tasks "
        "and objectives have one set of names: rename it, or change the task's own under its key `objective`.\n"
        "  line 9, column 23: objectives.species.inputs: reads 'boddy', which is neither a field nor a node. Did you "
        "mean 'body'?",
    ),
)

WRONG_PHASES = (
    Case(
        "unknown phase, which leaves another idle",
        (model("[self_supervised]", "[self_supervise]"),),
        "p.model.yaml: 1 mistake\n"
        "  line 8, column 70: objectives.agree.when: there is no phase 'self_supervise'. Did you mean "
        "'self_supervised' or 'supervised'?\n"
        "p.learner.yaml: 1 mistake\n"
        "  line 3, column 3: phases.self_supervised: no objective is active in this phase. Give an objective `when: "
        "[self_supervised]`, or leave the phase out (`epochs: 0`).",
    ),
    Case(
        "unknown view",
        (model("views: strong", "views: [strong, strng]"),),
        "p.model.yaml: 1 mistake\n"
        "  line 8, column 39: objectives.agree.views: the data has no view 'strng'. Did you mean 'strong'?",
    ),
    Case(
        "a view whose draws are equal",
        (data("[{noise: {std: 0.1}}]", "[]"),),
        "p.model.yaml: 1 mistake\n"
        "  line 8, column 39: objectives.agree.views: no step of the view 'strong' changes x: its draws are equal. "
        "Give it steps; or a node that is read dropout, which differs from draw to draw.",
    ),
    Case(
        "self-supervised phase without objectives",
        (model("[self_supervised]", "[supervised]"),),
        "p.learner.yaml: 1 mistake\n"
        "  line 3, column 3: phases.self_supervised: no objective is active in this phase. Give an objective `when: "
        "[self_supervised]`, or leave the phase out (`epochs: 0`).",
    ),
    Case(
        "supervised phase without objectives",
        (model("target: species}", "target: species, objective: null}"),),
        "p.learner.yaml: 1 mistake\n"
        "  line 4, column 3: phases.supervised: no objective is active in this phase. Give an objective `when: "
        "[supervised]`, or leave the phase out (`epochs: 0`).",
    ),
    Case(
        "unknown node",
        (learner("upto: body", "upto: bodi"),),
        "p.learner.yaml: 1 mistake\n"
        "  line 3, column 32: phases.self_supervised.train: the pattern 'upto:bodi' names no node. Did you mean "
        "'body'?",
    ),
    Case(
        "phase in which nothing trains",
        (learner("{epochs: 1}", "{epochs: 1, freeze: [all]}"),),
        "p.learner.yaml: 1 mistake\n"
        "  line 4, column 3: phases.supervised.train: nothing trains in this phase: its nodes have no parameters that "
        "the optimizer holds.",
    ),
    Case(
        "learner and deployment at once",
        (
            learner("adam, lr: 0.01", "adan"),
            learner("upto: body", "bodi"),
            learner("species/accuracy", "species/acuracy"),
            deploy("species/accuracy", "species/acuracy"),
        ),
        "p.learner.yaml: 3 mistakes\n"
        "  line 1, column 13: optimizer.kind: torch.optim has no optimizer 'adan'. Did you mean 'adam' or 'radam' or "
        "'nadam'?\n"
        "  line 3, column 32: phases.self_supervised.train: the pattern 'bodi' names no node. Did you mean 'body'?\n"
        "  line 5, column 21: checkpoint.best.metric: the validation has no figure 'val/species/acuracy'. Did you mean "
        "'val/species/accuracy' or 'val/species/auroc' or 'val/species/macro_f1'?\n"
        "p.deploy.yaml: 1 mistake\n"
        "  line 3, column 8: gate.metric: expected a figure that is measured, as task/metric; got 'species/acuracy'. "
        "Did you mean 'species/accuracy' or 'species/auroc' or 'species/macro_f1'?",
    ),
    Case(
        "argument that the optimizer does not take",
        (learner("adam, lr: 0.01", "sgd, momentun: 0.9"),),
        "p.learner.yaml: 1 mistake\n"
        "  line 1, column 24: optimizer.momentun: SGD takes no such argument. Did you mean 'momentum'?",
    ),
    Case(  # 105 of iris's 150 rows train
        "last batch of one row for VICReg",
        (data("batch_size: 32", "batch_size: 104"),),
        "p.data.yaml: 1 mistake\n"
        "  line 10, column 1: batch_size: 105 train rows in batches of 104 leave a last batch of one row, and "
        "objective 'agree' (VICReg) needs two. Take another batch_size, such as 103.",
    ),
)

WRONG_STUDENTS = (
    Case(
        "distill file that is missing",
        (deploy("small.model", "smal.model"),),
        "p.deploy.yaml: 1 mistake\n"
        "  line 2, column 21: variants.small.distill.into: there is no file smal.model.yaml. Did you mean "
        "'small.model.yaml' or 'p.model.yaml'?",
    ),
    Case(
        "distill file with mistakes of its own",
        (student("LazyLinear", "LazyLinea"), student("[4]", "[5]"), student("output: out", "output: ot")),
        "small.model.yaml: 3 mistakes\n"
        "  line 1, column 10: inputs.x: the file says [batch, 5] float32, and the data has [batch, 4] float32. "
        "Leave it out.\n"
        "  line 2, column 15: nodes.out.module: 'torch.nn' has no 'LazyLinea'. Did you mean 'LazyLinear' or 'Linear'?\n"
        "  line 3, column 37: tasks.species.output: there is no node 'ot'. Did you mean 'out'?",
    ),
    Case(
        "distill file that does not fit the data",
        (student("out_features: 3", "out_features: 2"),),
        "small.model.yaml: 1 mistake\n"
        "  line 3, column 37: tasks.species.output: the output 'out' is [batch, 2] float32, 2 wide, and the target "
        "'species' has 3 classes. In a model file jumpml.blocks.Head is as wide as its task needs.",
    ),
    Case(
        "distill file with other tasks",
        (student("tasks: {species", "tasks: {flower"),),
        "p.deploy.yaml: 1 mistake\n"
        "  line 2, column 21: variants.small.distill.into: small.model.yaml: expected the same tasks as the model's; "
        "there is no task 'species'. There is: flower.",
    ),
)


@pytest.mark.parametrize(
    "case", [*WRONG_FILES, *WRONG_GRAPHS, *WRONG_PHASES, *WRONG_STUDENTS], ids=lambda case: case.name
)
def test_a_mistake_is_told_with_file_line_and_key(case: Case, tmp_path: Path) -> None:
    assert told(write(tmp_path, FLOWERS, *case.changes)) == case.told


WRONG_ROWS = (
    Case(
        "missing file",
        (data("table.csv", "tabel.csv"),),
        "p.data.yaml: 1 mistake\n"
        "  line 3, column 25: datasets.table.source.path: there is no file 'tabel.csv' in the folder the folder. Did "
        "you mean 'table.csv'?",
    ),
    Case(
        "empty split by a column",
        (table("test", "val"),),
        "p.data.yaml: 1 mistake\n  line 8, column 13: datasets.table.split.column: the test split is empty.",
    ),
    Case(
        "target that is all missing",
        (table("yes", ""), table("no", "")),
        "p.data.yaml: 1 mistake\n"
        "  line 7, column 7: datasets.table.fields.label: the field is missing in all 20 train rows. Leave it out, or "
        "mend its column.",
    ),
    Case(
        "target that is missing in all test rows",
        (table("yes,test", ",test"), table("no,test", ",test")),
        "p.model.yaml: 1 mistake\n"
        "  line 6, column 42: tasks.label.target: 'label' is missing in all test rows, so that nothing could be "
        "measured.",
    ),
    Case(
        "target that is missing in all rows that choose the best",
        (table("yes,val", ",val"), table("no,val", ",val")),
        "p.learner.yaml: 1 mistake\n"
        "  line 2, column 21: checkpoint.best.metric: 'label' is missing in all val rows, so that no checkpoint could "
        "be the best.",
    ),
    Case(
        "row that stands in both train and test",
        (table(ROWS[39], ROWS[3].replace("train", "test")),),
        "p.data.yaml: 1 mistake\n"
        "  line 8, column 5: datasets.table.split.duplicates: test rows that also stand in train: 1; the first is row "
        "39 (line 41 of table.csv), equal to row 3 (line 5 of table.csv) of train. Write `duplicates: allow` to "
        "let them be.",
    ),
    Case(
        "value that is no number",
        (table("0.39,", "many,"),),
        "data set 'table', field 'a', row 39 (line 41 of table.csv): expected a number, got 'many'. If it stands for a "
        "missing value, list it under the source's `missing`.",
    ),
    Case(
        "view that changes nothing that the node reads",
        (model("tasks:", "objectives:\n  agree: {kind: vicreg, inputs: out, views: noisy}\ntasks:"),),
        "p.model.yaml: 1 mistake\n"
        "  line 6, column 38: objectives.agree.views: the view 'noisy' changes b, and out depends on nothing of that "
        "but on a. Let the view change what the node reads, or name another node.",
    ),
    Case(
        "last batch of one row for batch normalization",
        (data("batch_size: 8", "batch_size: 19"),),
        "p.data.yaml: 1 mistake\n"
        "  line 11, column 1: batch_size: 20 train rows in batches of 19 leave a last batch of one row, and batch "
        "normalization in node 'norm' needs two. Take another batch_size, such as 18.",
    ),
    Case(
        "batches of one row",
        (data("batch_size: 8", "batch_size: 1"),),
        "p.data.yaml: 1 mistake\n"
        "  line 11, column 1: batch_size: every batch has one row, and batch normalization in node 'norm' needs two. "
        "Take another batch_size, such as 2.",
    ),
    Case(
        "model without tasks",
        (
            model("tasks:\n  label: {kind: multiclass, output: out, target: label}", "objectives: {}"),
            model("objectives: {}", "objectives:\n  near: {kind: mse, inputs: [out, b]}"),
            model("jumpml.blocks.Head, inputs: norm", "torch.nn.LazyLinear, inputs: norm, args: {out_features: 1}"),
            learner("val/label/accuracy", "val/loss"),
        ),
        "p.model.yaml: 1 mistake\n"
        "  line 1, column 1: tasks: the model has none, so that nothing could be measured or deployed. A task names an "
        "output node, a target field and a kind.",
    ),
    Case(
        "regression whose target's features cannot be undone",
        (
            data("views:", "features:\n  b: [{module: {name: torch.nn.ReLU}}]\nviews:"),
            model("multiclass, output: out, target: label", "regression, output: out, target: b"),
        ),
        "p.model.yaml: 1 mistake\n"
        "  line 6, column 42: tasks.label.target: predictions are told in raw units, and the features of 'b' cannot be "
        "undone. Take it out of `features`; where a node reads it, let another field have its column.",
    ),
    Case(
        "regression whose target's features change its shape",
        (
            data("views:", "features:\n  b: [{impute: {indicator: true}}]\nviews:"),
            model("multiclass, output: out, target: label", "regression, output: out, target: b"),
        ),
        "p.model.yaml: 1 mistake\n"
        "  line 6, column 42: tasks.label.target: predictions are [batch, 1] float32 as in the data, and the features "
        "of 'b' give [batch, 2] float32. Take it out of `features`; where a node reads it, let another field have its "
        "column.",
    ),
    Case(
        "yes and no as a number that a node reads too, for which it is standardized",
        (model("multiclass, output: out, target: label", "binary, output: out, target: a"),),
        "p.model.yaml: 1 mistake\n"
        "  line 6, column 38: tasks.label.target: classes must stay codes, and 'a' has features. Take it out of "
        "`features`; where a node reads it, let another field have its column.",
    ),
    Case(  # what no shape tells of: an index feature has one code more than there are classes
        "first batch that fails",
        (
            data("views:", "features:\n  label: [{index: {}}]\nviews:"),
            model("torch.nn.BatchNorm1d, inputs: a", "torch.nn.Embedding, inputs: label"),
            model("{num_features: 1}", "{num_embeddings: 2, embedding_dim: 3}"),
            model("multiclass, output: out, target: label", "regression, output: out, target: b"),
            learner("val/label/accuracy", "val/loss"),
        ),
        "the first batch fails in the phase 'supervised', in node 'norm' (torch.nn.Embedding), which was given label "
        "[8] int64: IndexError: index out of range in self",
    ),
)


@pytest.mark.parametrize("case", WRONG_ROWS, ids=lambda case: case.name)
def test_a_mistake_in_the_rows_is_told(case: Case, tmp_path: Path) -> None:
    assert told(write(tmp_path, TABLE, *case.changes)) == case.told


def test_a_phase_of_no_epochs_needs_no_objective(tmp_path: Path) -> None:
    changes = (
        model("[self_supervised]", "[supervised]"),
        learner("self_supervised: {epochs: 1", "self_supervised: {epochs: 0"),
    )
    jumpml.Project.find(write(tmp_path, FLOWERS, *changes)).check()


def test_frozen_batch_normalization_takes_a_single_row(tmp_path: Path) -> None:
    changes = data("batch_size: 8", "batch_size: 19"), learner("{epochs: 1}", "{epochs: 1, freeze: [norm]}")
    jumpml.Project.find(write(tmp_path, TABLE, *changes)).check()


def test_what_is_trusted_by_name_may_be_distilled_into_as_well(tmp_path: Path) -> None:
    write(tmp_path, FLOWERS, student("torch.nn.LazyLinear", "torch.ao.nn.qat.Linear"))
    with pytest.raises(SpecError, match=r"^.*small\.model\.yaml: 1 mistake\n.*outside the trusted packages"):
        jumpml.Project.find(tmp_path).check()
    with pytest.raises(SpecError, match=r"^.*small\.model\.yaml: 1 mistake\n.*nodes\.out\.args: torch\.ao\.nn\.qat\."):
        jumpml.Project.find(tmp_path, trust=["torch.ao.nn.qat"]).check()


@pytest.mark.parametrize(
    "case", [WRONG_FILES[0], WRONG_FILES[5], WRONG_GRAPHS[2], WRONG_PHASES[-1]], ids=lambda case: case.name
)
def test_a_shell_is_told_the_same_and_exits_2(case: Case, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(write(tmp_path, FLOWERS, *case.changes))], prog_name="jumpml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.replace(f"{tmp_path}/", "") == f"error: {case.told}\n"


def test_a_shell_is_told_of_a_batch_that_fails_without_a_traceback(tmp_path: Path) -> None:
    write(tmp_path, TABLE, *WRONG_ROWS[-1].changes)
    result = CliRunner().invoke(app, ["check", str(tmp_path)], prog_name="jumpml")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"error: {WRONG_ROWS[-1].told}\n")


def test_the_digits_are_right_and_check_leaves_no_trace(tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    shutil.copytree(DIGITS, folder, ignore=shutil.ignore_patterns("runs", "bundles", "__pycache__"))
    before = contents(tmp_path)
    result = CliRunner().invoke(app, ["check", str(folder)], prog_name="jumpml")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("digits: no mistakes found\n\n")
    assert result.stderr == ""
    assert contents(tmp_path) == before
    assert not list(tmp_path.glob("**/runs"))


def test_a_finding_is_told_once(tmp_path: Path) -> None:
    rows = [line if line.startswith("a,") else f"0.5,{line.partition(',')[2]}" for line in ["a,b,label,part", *ROWS]]
    write(tmp_path, TABLE | {"table.csv": "\n".join([*rows, ""])}, data("split: {", "split: {duplicates: allow, "))
    report = jumpml.Project.find(tmp_path).check()
    finding = next(finding for finding in report.findings if "all train rows have the same value" in finding)
    assert report.summary().count(finding) == 1


def test_a_run_reads_its_data_once_and_trains_as_one_that_was_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    build = jumpml.create_dataloader
    monkeypatch.setattr(
        "jumpml._project.create_dataloader", lambda *args, **options: built.append(args) or build(*args, **options)
    )
    monkeypatch.setattr("jumpml._project.Project._report", lambda *_: None)  # all that comes after learning
    files = {name: text for name, text in FLOWERS.items() if name != "p.deploy.yaml"}
    project = jumpml.Project.find(write(tmp_path, files), {"learner.log": []})
    checked = project.run(tmp_path / "runs")
    assert len(built) == 1
    fresh = tmp_path / "fresh"
    shutil.copytree(checked / "specs", fresh / "specs")
    again = jumpml.Project.find(fresh / "specs")
    again.go_on(fresh, again)
    assert len(built) == 2
    saved = [sorted((run / "checkpoints").rglob("model.safetensors")) for run in (checked, fresh)]
    assert len(saved[0]) == len(saved[1]) > 1
    assert [path.read_bytes() for path in saved[0]] == [path.read_bytes() for path in saved[1]]
