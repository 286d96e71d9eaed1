"""What model files wire together, through whole projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import jumpml
from jumpml import Project
from jumpml.core import JumpMLError, ModelSpec, load_spec

if TYPE_CHECKING:
    from pathlib import Path

DATA = """
datasets:
  flowers:
    source: {kind: sklearn, name: iris}
    fields:
      x: {kind: tensor, column: data, shape: [4]}
      species: {kind: category, column: target}
    split: {stratify: species, duplicates: together}
batch_size: 32
"""
INNER = """
nodes:
  wide: {module: torch.nn.LazyLinear, inputs: size, args: {out_features: 8}}
  deep: {graph: block.model.yaml, inputs: wide}
"""
BLOCK = """
inputs: {x: {shape: [8]}}
nodes:
  rows: {layers: [{module: torch.nn.LazyLinear, args: {out_features: 8}}, torch.nn.ReLU], inputs: x, repeat: 2}
"""
MODEL = """
seed: 0
nodes:
  body: {graph: parts/body.model.yaml, inputs: {size: x}}
  again: {shares: body, inputs: {size: x}}
  both: {module: jumpml.blocks.Concat, inputs: [body, again.wide]}
  out: {module: jumpml.blocks.Head, inputs: both}
tasks:
  species: {kind: multiclass, output: out, target: species}
objectives:
  small: {kind: l1, inputs: body.deep.rows.0, weight: 0.001}
"""
LEARNER = """
optimizer: {kind: adam, lr: 0.02}
phases: {supervised: {epochs: 8, freeze: [body.wide]}}
log: [jsonl]
"""


def write(folder: Path, model: str = MODEL, learner: str = LEARNER) -> Path:
    (folder / "parts").mkdir()
    for name, text in (
        ("p.data.yaml", DATA),
        ("p.model.yaml", model),
        ("p.learner.yaml", learner),
        ("parts/body.model.yaml", INNER),
        ("parts/block.model.yaml", BLOCK),
    ):
        (folder / name).write_text(text)
    return folder


def test_a_run_of_nested_files_repeats_from_its_folder_alone(tmp_path: Path) -> None:
    """The files that a file nests, and those that these nest, go along; the run resumes where they are gone."""
    folder = write(tmp_path)
    run = Project.find(folder).run(folder / "runs")
    for file in folder.rglob("*.model.yaml"):
        if run not in file.parents:
            file.unlink()
    (model_file,) = (run / "specs").glob("*.model.yaml")
    model = jumpml.load_model(model_file, Project.find(run / "specs").build()[0])
    assert model.node_names == ("body.wide", "body.deep.rows", "again.wide", "both", "out")
    assert load_spec(ModelSpec, model_file).nodes["body"].graph == "body/body.model.yaml"
    assert jumpml.resume(run) == run


def test_what_is_frozen_in_a_nested_graph_stays(tmp_path: Path) -> None:
    loaders, model = Project.find(write(tmp_path)).build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learner = jumpml.create_learner(loaders, model, None, tmp_path / "p.learner.yaml", run=tmp_path / "run")
    learner.fit()
    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    # `again.wide` shares the weights of `body.wide` and trains, so that they do
    assert {name.split(".")[0] for name in moved} == {"node_body__wide", "node_body__deep__rows", "node_out"}


def findings(folder: Path) -> tuple[str, ...]:
    return Project.find(folder).check().findings


def test_an_output_that_nobody_trains_is_told(tmp_path: Path) -> None:
    model = """
nodes:
  out: {module: jumpml.blocks.Head, inputs: x}
  other: {module: jumpml.blocks.Head, inputs: x}
tasks:
  species: {kind: multiclass, output: out, target: species}
  twice: {kind: multiclass, output: other, target: species, objective: null}
"""
    folder = write(tmp_path, model, "phases: {supervised: {epochs: 1}}")
    told = (
        "task 'twice': no objective of any phase trains its output 'other'. Give the task an objective, or another one "
    )
    assert findings(folder) == (f"{told}that reads it.",)


def test_an_optional_field_that_the_data_lacks_is_told(tmp_path: Path) -> None:
    """A typo in an optional name reads as None; this is where it shows."""
    data = DATA.replace("name: iris", "name: digits").replace(
        "column: data, shape: [4]", "column: images, shape: [8, 8]"
    )
    model = """
nodes:
  look:
    module: torch.nn.MultiheadAttention
    inputs: {query: x, key: x, value: x, key_padding_mask: "padding?"}
    args: {embed_dim: 8, num_heads: 1, batch_first: true}
  out: {layers: [torch.nn.Flatten, jumpml.blocks.Head], inputs: look.0}
tasks:
  species: {kind: multiclass, output: out, target: species}
"""
    folder = write(tmp_path, model, "phases: {supervised: {epochs: 1}}")
    (folder / "p.data.yaml").write_text(data)
    assert findings(folder)[-1] == "look gets None for 'padding', which this data does not have."


def test_a_shape_error_three_nodes_deep_names_its_node(tmp_path: Path) -> None:
    """Everything above it fits, and so would everything below."""
    model = """
nodes:
  a: {module: torch.nn.LazyLinear, inputs: x, args: {out_features: 8}}
  b: {module: torch.nn.ReLU, inputs: a}
  c: {module: torch.nn.Linear, inputs: b, args: {in_features: 9, out_features: 3}}
  d: {module: torch.nn.ReLU, inputs: c}
  out: {module: jumpml.blocks.Head, inputs: d}
tasks: {species: {kind: multiclass, output: out, target: species}}
"""
    with pytest.raises(JumpMLError) as caught:
        Project.find(write(tmp_path, model)).check()
    (_, mistake) = str(caught.value).splitlines()
    assert mistake.startswith(
        "  line 5, column 3: nodes.c: torch.nn.Linear fails on b [batch, 8] float32. In a pass of 2 "
    )
    assert mistake.endswith("It has in_features=9, and is given 8 along the last axis: make them equal.")


def test_a_yaml_file_runs_no_python_file(tmp_path: Path) -> None:
    folder = write(tmp_path, f"data: run.py\n{MODEL}")
    (folder / "run.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()\ndata = {{}}\n")
    with pytest.raises(JumpMLError) as caught:
        jumpml.load_model(folder / "p.model.yaml")
    assert str(caught.value).splitlines()[1] == (
        "  line 1, column 1: data: expected a file that ends in .yaml, .yml, .json; got 'run.py'. Only you can run a "
        ".py file, by naming it."
    )
    assert not (folder / "ran").exists()
