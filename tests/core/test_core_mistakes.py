"""Every text that a wrong file is answered with: line, column, key, what was expected, what came, the near miss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jumpml.core import DataSpec, DeploySpec, FileSpec, LearnerSpec, ModelSpec, SpecError, load_spec
from jumpml.core._feature_spec import FeatureStep
from jumpml.core._objective_spec import OBJECTIVE_SPECS

if TYPE_CHECKING:
    from pathlib import Path


def mistakes(folder: Path, cls: type[FileSpec], text: str) -> list[str]:
    path = folder / "some.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_spec(cls, path)
    head, *lines = str(caught.value).splitlines()
    assert head == f"{path}: {len(lines)} mistake{'s' if len(lines) > 1 else ''}"
    return [line.strip() for line in lines]


NAMES = r"a name must not be empty, unprintable or hold any of . @ , / \ : * ? [ ]"
STEPS = f"expected exactly one step, one of: {', '.join(FeatureStep.model_fields)}"
OBJECTIVES = ", ".join(OBJECTIVE_SPECS)

DATA = r"""
datasets:
  digits:
    source: {kind: sklern, name: digits}
    fields:
      two: {kind: image, shape: [8, 8]}
      four: {kind: image, shape: [8, 8, 1, 1], range: 3}
      zero: {kind: image, shape: [8, 8, 0], range: [16, 0]}
      label: {kind: category, classes: [no, 1]}
      untold: {column: 3}
      bare: number
    split: {train: 1.5, val: -0.1, stratfy: label, duplicates: no, seed: 1e3}
  other: {source: {kind: csv, path: a.csv, delimiter: ";;"}, fields: {}}
features:
  image: [standardize, 1]
  a: [{standardize: }]
  b: [{standardize: {}, one_hot: {}}, {}]
  d: [{onehot: {}}]
  e: {standardize: {}}
augment:
  image: [{shift: {pixels: 0}}, {rotate: {degrees: .inf}}, {rotate: 10}, {noise: {}}]
views:
  strong: [{shift: {pixels: 2}}]
  "a.b": {}
batch_size: 0
about: {descripton: x, source: [a]}
"""


def test_all_mistakes_of_a_data_file_are_told_at_once(tmp_path: Path) -> None:
    fields = "datasets.digits.fields"
    kinds = "audio, category, date, image, mask, multilabel, number, series, table, tensor, text, token_labels"
    assert mistakes(tmp_path, DataSpec, DATA) == [
        "line 4, column 14: datasets.digits.source.kind: expected one of sklearn, csv, parquet, json, arrow, npz, npy, "
        "idx, images, audio, text, sql, huggingface, webdataset, python, got 'sklern'. Did you mean 'sklearn'?",
        f"line 6, column 26: {fields}.two.shape: expected a list of 3, got a list of 2.",
        f"line 7, column 27: {fields}.four.shape: expected a list of 3, got a list of 4.",
        f"line 7, column 48: {fields}.four.range: expected a list, got 3.",
        f"line 8, column 41: {fields}.zero.shape[2]: expected a number above 0, got 0.",
        f"line 8, column 45: {fields}.zero.range: expected the lower end first, such as [0, 255], got [16, 0].",
        f'line 9, column 45: {fields}.label.classes[1]: expected text, got 1. Write it in quotes: "1".',
        f"line 10, column 7: {fields}.untold.kind: this key is missing; expected one of {kinds}.",
        f"line 11, column 7: {fields}.bare: expected a mapping, got 'number'.",
        "line 12, column 13: datasets.digits.split.train: expected a number of at most 1, got 1.5.",
        "line 12, column 25: datasets.digits.split.val: expected a number of at least 0, got -0.1.",
        "line 12, column 36: datasets.digits.split.stratfy: this key is unknown. Did you mean 'stratify'?",
        "line 12, column 52: datasets.digits.split.duplicates: expected one of refuse, together, allow, got 'no'.",
        "line 12, column 68: datasets.digits.split.seed: expected a whole number, got 1000.0.",
        "line 13, column 44: datasets.other.source.delimiter: expected at most 1 character, got ';;'.",
        "line 13, column 62: datasets.other.fields: expected at least 1 entry, got an empty mapping.",
        "line 15, column 11: features.image[0]: a step is a mapping; write {standardize: {}} with its options inside.",
        "line 15, column 24: features.image[1]: expected a mapping, got 1.",
        "line 16, column 7: features.a[0]: standardize has no options; write {standardize: {}} where it needs none.",
        f"line 17, column 7: features.b[0]: {STEPS}; got standardize, one_hot.",
        f"line 17, column 39: features.b[1]: {STEPS}; got none.",
        "line 18, column 8: features.d[0].onehot: this key is unknown. Did you mean 'one_hot'?",
        "line 19, column 3: features.e: expected a list, got a mapping (standardize). Put it in [ ] for a list of one.",
        "line 21, column 20: augment.image[0].shift.pixels: expected a number of at least 1, got 0.",
        "line 21, column 43: augment.image[1].rotate.degrees: expected a finite number, got inf.",
        "line 21, column 61: augment.image[2].rotate: expected a mapping, got 10.",
        "line 21, column 75: augment.image[3].noise.std: this key is missing.",
        "line 23, column 3: views.strong: expected a mapping, got a list of 1.",
        f"line 24, column 3: views.a.b: {NAMES}; got 'a.b'.",
        "line 25, column 1: batch_size: expected a number of at least 1, got 0.",
        "line 26, column 9: about.descripton: this key is unknown. Did you mean 'description'?",
        "line 26, column 24: about.source: expected text, got a list of 1.",
    ]


MODEL = """
seed: 4294967296
nodes:
  a: {module: torch.nn.ReLU, inputs: 3}
  b: {module: torch.nn.ReLU, inputs: [1, b]}
  c: {modul: torch.nn.ReLU, inputs: {x: 1}}
  all: {module: torch.nn.ReLU, inputs: null, args: [1]}
inputs: {image: {shape: [1, 8.5], dtype: float64}, x: {shape: 8}}
tasks:
  one: {kind: multi, output: digit, target: label}
  two: {kind: binary, output: digit, target: label, objective: {label_smoothing: 0.1}}
  three: {kind: binary, output: digit, target: label, objective: {label_smoothing: 1, weght: 3}, metrics: accuracy}
objectives:
  v: {kind: vicreg, inputs: [a], views: [a, b, c], when: supervised}
  w: {kind: vicreg, inputs: a, views: [a], projector: [0]}
  x: {kind: cross_entropy, inputs: [a]}
  y: {kind: cross_entropy, inputs: a, weight: .nan}
  z: {inputs: a}
  q: {kind: L1, inputs: a, when: [1]}
  e: {kind: ewc, parameters: {upto: [a]}}
  f: {kind: ewc, parameters: 3}
about: hello
"""


def test_all_mistakes_of_a_model_file_are_told_at_once(tmp_path: Path) -> None:
    assert mistakes(tmp_path, ModelSpec, MODEL) == [
        "line 2, column 1: seed: expected a number below 4294967296, got 4294967296.",
        'line 4, column 30: nodes.a.inputs: expected text, a list or a mapping, got 3. Write it in quotes: "3".',
        'line 5, column 39: nodes.b.inputs[0]: expected text, got 1. Write it in quotes: "1".',
        "line 6, column 7: nodes.c.modul: this key is unknown. Did you mean 'module'?",
        'line 6, column 38: nodes.c.inputs.x: expected text, got 1. Write it in quotes: "1".',
        "line 7, column 3: nodes.all: the name 'all' is taken: it means every one.",
        "line 7, column 32: nodes.all.inputs: expected text, a list or a mapping, got null.",
        "line 7, column 46: nodes.all.args: expected a mapping, got a list of 1.",
        "line 8, column 29: inputs.image.shape[1]: expected a whole number, got 8.5.",
        "line 8, column 35: inputs.image.dtype: expected one of float32, int64, bool, got 'float64'. "
        "Did you mean 'float32'?",
        "line 8, column 56: inputs.x.shape: expected a list, got 8.",
        "line 10, column 9: tasks.one.kind: expected one of multiclass, binary, multilabel, ordinal, "
        "regression, forecasting, retrieval, reconstruction, segmentation, token_labelling, language_modelling, got "
        "'multi'. Did you mean 'multilabel' or 'multiclass'?",
        "line 11, column 3: tasks.two: objective.label_smoothing is an option of cross_entropy; the objective of "
        "this binary task is binary_cross_entropy.",
        "line 12, column 67: tasks.three.objective.label_smoothing: expected a number below 1, got 1.",
        "line 12, column 87: tasks.three.objective.weght: this key is unknown. Did you mean 'weight'?",
        "line 12, column 98: tasks.three.metrics: expected a list, got 'accuracy'. Put it in [ ] for a list of one.",
        "line 14, column 21: objectives.v.inputs: expected text, got a list of 1.",
        "line 14, column 34: objectives.v.views: expected text or a list of 2, got a list of 3.",
        "line 14, column 52: objectives.v.when: expected a list or 'all', got 'supervised'. "
        "Put it in [ ] for a list of one.",
        "line 15, column 32: objectives.w.views: expected text or a list of 2, got a list of 1.",
        "line 15, column 56: objectives.w.projector[0]: expected a number above 0, got 0.",
        "line 16, column 28: objectives.x.inputs: expected a list of 2, got a list of 1.",
        "line 17, column 28: objectives.y.inputs: expected a list, got 'a'. Put it in [ ] for a list of one.",
        "line 17, column 39: objectives.y.weight: expected a finite number or a mapping, got nan.",
        "line 18, column 3: objectives.z.kind: this key is missing; expected one of "
        f"{', '.join(sorted(OBJECTIVE_SPECS))}.",
        f"line 19, column 7: objectives.q.kind: expected one of {OBJECTIVES}, got 'L1'. Did you mean 'l1'?",
        "line 20, column 18: objectives.e.parameters: expected a pattern as text, {upto: name} or {only: task}.",
        'line 21, column 18: objectives.f.parameters: expected text or a list, got 3. Write it in quotes: "3".',
        "line 22, column 1: about: expected a mapping, got 'hello'.",
    ]


LEARNER = """
optimizer: {kind: 3, lr: 0}
seed: -1
clip_norm: -1e-4
schedule: {kind: cosin}
record_examples: no
phases:
  a/b: {epochs: -1, freeze: encoder, lr: yes}
  "": {}
  c: {schedule: {max_lr: 1}, consolidate: 1}
  d: {schedule: cosine, train: [{up: x}], epochs: 1.5}
  e: {schedule: {kind: one_cycle, max_lr: 1, warmup: 1}}
  f: {schedule: {kind: cosine, max_lr: 1}}
  g: null
ema: true
checkpoint: {every: {epochs: 1, steps: 2}, keep: 0, best: {mode: maximum}}
log: [progress, cvs]
"""


def test_all_mistakes_of_a_learner_file_are_told_at_once(tmp_path: Path) -> None:
    assert mistakes(tmp_path, LearnerSpec, LEARNER) == [
        'line 2, column 13: optimizer.kind: expected text, got 3. Write it in quotes: "3".',
        "line 2, column 22: optimizer.lr: expected a number above 0, got 0.",
        "line 3, column 1: seed: expected a number of at least 0, got -1.",
        "line 4, column 1: clip_norm: expected a number above 0, got -0.0001.",
        "line 5, column 12: schedule.kind: expected one of one_cycle, cosine, constant, linear, plateau, torch, got "
        "'cosin'. Did you mean 'cosine'?",
        "line 6, column 1: record_examples: expected true or false, got 'no'.",
        f"line 8, column 3: phases.a/b: {NAMES}; got 'a/b'.",
        "line 8, column 9: phases.a/b.epochs: expected a number of at least 0, got -1.",
        "line 8, column 21: phases.a/b.freeze: expected a list, got 'encoder'. Put it in [ ] for a list of one.",
        "line 8, column 38: phases.a/b.lr: expected a number, got 'yes'.",
        f"line 9, column 3: phases.'': {NAMES}; got ''.",
        "line 10, column 7: phases.c.schedule.kind: this key is missing; expected one of constant, cosine, linear, "
        "one_cycle, plateau, torch.",
        "line 10, column 30: phases.c.consolidate: expected true or false, got 1.",
        "line 11, column 7: phases.d.schedule: expected a mapping, got 'cosine'.",
        "line 11, column 33: phases.d.train[0]: expected a pattern as text, {upto: name} or {only: task}.",
        "line 11, column 43: phases.d.epochs: expected a whole number, got 1.5.",
        "line 12, column 46: phases.e.schedule.warmup: expected a number below 1, got 1.",
        "line 13, column 32: phases.f.schedule.max_lr: this key is unknown. Did you mean 'min_lr'?",
        "line 14, column 3: phases.g: expected a mapping, got null.",
        "line 15, column 1: ema: expected a mapping, got true.",
        "line 16, column 14: checkpoint.every: expected either epochs or steps, got both.",
        "line 16, column 44: checkpoint.keep: expected a number of at least 1, got 0.",
        "line 16, column 53: checkpoint.best.metric: this key is missing.",
        "line 16, column 60: checkpoint.best.mode: expected one of auto, max, min, got 'maximum'. Did you mean 'max'?",
        "line 17, column 17: log[1]: expected one of progress, jsonl, csv, tensorboard, mlflow, wandb, got 'cvs'. Did "
        "you mean 'csv'?",
    ]


DEPLOY = """
variants:
  a: {}
  b: {quantize: {}, factorize: {rank: 0.5}}
  c: {quantize: {scheme: int4, calibration_rows: 0}}
  d: {quantize: {}, fine_tune: {epochs: 1}}
  e: {factorize: {rank: 0}}
  f: {distill: {epochs: 1, temprature: 3}}
gate: {metric: digit/accuracy, max_drop: -1, accept_undecided: "yes"}
bundle: null
"""


def test_all_mistakes_of_a_deploy_file_are_told_at_once(tmp_path: Path) -> None:
    one = "expected exactly one of quantize, factorize, distill"
    assert mistakes(tmp_path, DeploySpec, DEPLOY) == [
        f"line 3, column 3: variants.a: {one}; got none.",
        f"line 4, column 3: variants.b: {one}; got quantize, factorize.",
        "line 5, column 18: variants.c.quantize.scheme: expected 'int8_static', got 'int4'.",
        "line 5, column 32: variants.c.quantize.calibration_rows: expected a number of at least 1, got 0.",
        "line 6, column 3: variants.d: fine_tune goes with factorize: quantize cannot be trained, "
        "distill trains already.",
        "line 7, column 19: variants.e.factorize.rank: expected a number above 0, got 0.",
        "line 8, column 7: variants.f.distill.into: this key is missing.",
        "line 8, column 28: variants.f.distill.temprature: this key is unknown. Did you mean 'temperature'?",
        "line 9, column 32: gate.max_drop: expected a number of at least 0, got -1.",
        "line 9, column 46: gate.accept_undecided: expected true or false, got 'yes'.",
        "line 10, column 1: bundle: expected text, got null.",
    ]


DATASET = "{source: {kind: sklearn, name: iris}, fields: {x: {kind: number}}}"


@pytest.mark.parametrize(
    ("cls", "text", "told"),
    [
        (DeploySpec, "zzz: 1", "zzz: this key is unknown. There is: bundle, gate, variants."),
        (LearnerSpec, "checkpoint: {every: {}}", "checkpoint.every: expected either epochs or steps, got neither."),
        (LearnerSpec, "phases: [a]", "phases: expected a mapping, got a list of 1."),
        (LearnerSpec, f"ema: {'x' * 200}", f"ema: expected a mapping, got '{'x' * 79}...."),
        (DataSpec, "datasets: {}", "datasets: expected at least 1 entry, got an empty mapping."),
        (DataSpec, "datasets: {a: {}}", "datasets.a.source: this key is missing."),
        (ModelSpec, 'nodes: {"a\\nb": {module: x, inputs: y}}', f"{NAMES}; got 'a\\nb'."),
    ],
)
def test_single_mistakes(tmp_path: Path, cls: type[FileSpec], text: str, told: str) -> None:
    assert any(told in line for line in mistakes(tmp_path, cls, text))


UNKNOWN = "this key is unknown."
NO_MORE = "There is nothing to say beside its kind."
NOT_OF = "the algorithm 'online' has no"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("teacher: {kind: exp3s, etta: 1}, arms: tasks", f"37: curriculum.teacher.etta: {UNKNOWN} Did you mean 'eta'?"),
        ("teacher: {kind: uniform, eta: 1}, arms: tasks", f"39: curriculum.teacher.eta: {UNKNOWN} {NO_MORE}"),
        (
            "teacher: {kind: temperature, temprature: 1}, arms: tasks",
            f"43: curriculum.teacher.temprature: {UNKNOWN} Did you mean 'temperature'?",
        ),
        (
            "teacher: {kind: ppo, window: 3}, arms: tasks",
            f"35: curriculum.teacher.window: {UNKNOWN} There is: clip, discount, entropy, epochs, horizon, lr.",
        ),
        (
            "pacing: rot",
            "14: curriculum.pacing: expected one of linear, root, exponential, step, baby_step or a mapping, "
            "got 'rot'. Did you mean 'root'?",
        ),
        (
            "examples: 3",
            "14: curriculum.examples: expected one of self_paced, super_loss, prioritized, data_parameters "
            "or a mapping, got 3.",
        ),
        ("teacher: exp3s, arms: {clases: a}", f"37: curriculum.arms.clases: {UNKNOWN} Did you mean 'classes'?"),
        (
            "teacher: exp3s, arms: [tasks, {view: [a, b]}]",
            f"45: curriculum.arms[1].view: {UNKNOWN} Did you mean 'views'?",
        ),
        (
            "teacher: exp3s, arms: tasks, reward: {kind: metric_gain, of: [a]}",
            f"71: curriculum.reward.of: {UNKNOWN} {NO_MORE}",
        ),
        ("pacing: root, order: random", f"28: curriculum.order: {UNKNOWN} It is a key of pacing."),
        (
            "teacher: exp3s, arms: tasks, rows: 9",
            f"43: curriculum.rows: {UNKNOWN} It is a key of reward and of examples.",
        ),
        ("difficulty: {rn: a}, pacing: {kind: root}", f"27: curriculum.difficulty.rn: {UNKNOWN} Did you mean 'run'?"),
        (
            "teacher: {kind: tscl, algorithm: online, window: 3}, arms: tasks",
            f"14: curriculum.teacher: {NOT_OF} window; leave it out.",
        ),
    ],
)
def test_what_one_of_a_curriculums_kinds_does_not_know(tmp_path: Path, said: str, told: str) -> None:
    lines = mistakes(tmp_path, LearnerSpec, f"seed: 1\ncurriculum: {{{said}}}")
    assert f"line 2, column {told}" in lines


def test_an_empty_delimiter_is_too_short(tmp_path: Path) -> None:
    text = "datasets: {a: {source: {kind: csv, path: x, delimiter: ''}, fields: {x: {kind: number}}}}"
    assert mistakes(tmp_path, DataSpec, text) == [
        "line 1, column 45: datasets.a.source.delimiter: expected at least 1 character, got ''."
    ]


def test_names_may_be_in_any_script_and_hold_spaces(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("nodes:\n  größe 🙂-1_b: {module: torch.nn.ReLU, inputs: 画像}\n")
    assert list(load_spec(ModelSpec, path).nodes) == ["größe 🙂-1_b"]


def test_the_helper_that_expects_mistakes_can_fail(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception):
        mistakes(tmp_path, LearnerSpec, "seed: 1")


def test_an_argument_that_stands_beside_its_module_is_told_where_it_belongs(tmp_path: Path) -> None:
    text = "nodes:\n  trunk: {module: jumpml.blocks.MLP, inputs: x, widths: [4]}\n"
    told = "this key is unknown. Did you mean 'weights'? What the module takes stands under `args`."
    assert mistakes(tmp_path, ModelSpec, text) == [f"line 2, column 49: nodes.trunk.widths: {told}"]
