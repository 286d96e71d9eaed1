"""Several data sets in one file: one table of all fields, drawn from as the file says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import jumpml
from jumpml.core import DataError, DataSpec, SpecError, load_spec
from jumpml.data import Column, DataLoaders, build_dataloader
from jumpml.data._files import FileColumn
from jumpml.data._join import join_columns


def spec_of(folder: Any, **changes: Any) -> DataSpec:
    """Two tables that share a column and each have one of their own: 60 and 20 rows."""
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(60, 2)).round(4), generator.normal(size=(20, 2)).round(4)
    (folder / "a.csv").write_text("x,y,kind\n" + "\n".join(f"{x},{y},{'uv'[i % 2]}" for i, (x, y) in enumerate(a)))
    (folder / "b.csv").write_text("x,z,kind\n" + "\n".join(f"{x},{z},{'wv'[i % 2]}" for i, (x, z) in enumerate(b)))

    def table(name: str, own: str) -> dict[str, Any]:
        fields = {"x": {"kind": "number"}, own: {"kind": "number"}, "kind": {"kind": "category"}}
        split = {"train": 0.5, "val": 0.25, "test": 0.25}
        return {"source": {"kind": "csv", "path": str(folder / f"{name}.csv")}, "fields": fields, "split": split}

    data = {"datasets": {"a": table("a", "y"), "b": table("b", "z")}, "batch_size": 4}
    return load_spec(DataSpec, data, changes)


def sets_of(loaders: DataLoaders) -> list[set[str]]:
    """By batch, the data sets that its rows come from: those of a have y, those of b have z."""
    return [{"a" if y else "b" for y in batch["y.present"].tolist()} for batch in loaders.train]


def test_fields_of_all_data_sets_stand_side_by_side(tmp_path: Any) -> None:
    loaders = build_dataloader(spec_of(tmp_path))
    assert [len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test)] == [40, 20, 20]
    assert loaders.name == "a, b"
    assert loaders.fields["kind"].classes == ("u", "v", "w")
    assert {name: info.missing for name, info in loaders.fields.items()} == {"x": 0, "y": 20, "kind": 0, "z": 60}
    batch = next(iter(loaders.train))
    assert set(batch) == {"x", "y", "kind", "z", "y.present", "z.present", "y.covered", "z.covered"}
    assert bool((batch["y.present"] ^ batch["z.present"]).all())
    assert bool(batch["y"].isnan().flatten().eq(~batch["y.present"]).all())
    served = torch.cat([batch["x"] for batch in loaders.train]).flatten()
    assert len(served.unique()) == 40


@pytest.mark.parametrize(
    ("mix", "share"),
    [
        ({"by": "proportional"}, 0.25),
        ({"by": "uniform"}, 0.5),
        ({"by": "temperature", "temperature": 2.0}, 10**0.5 / (10**0.5 + 30**0.5)),
        ({"by": "weights", "weights": {"a": 1, "b": 3}}, 0.75),
    ],
)
def test_shares_of_an_epoch(tmp_path: Any, mix: dict[str, Any], share: float) -> None:
    """10 of the 40 train rows are b's; an epoch has 40 rows in any case."""
    loaders = build_dataloader(spec_of(tmp_path, mix=mix))
    present = torch.cat([batch["z.present"] for batch in loaders.train])
    assert len(present) == 40
    assert abs(int(present.sum()) - 40 * share) <= 1


def test_batches_of_one_data_set(tmp_path: Any) -> None:
    separate = build_dataloader(spec_of(tmp_path, mix={"by": "proportional", "batches": "separate"}))
    assert all(len(sets) == 1 for sets in sets_of(separate))
    turns = build_dataloader(spec_of(tmp_path, mix={"by": "round_robin"}))
    assert sets_of(turns) == [{"a"}, {"b"}] * 5


def test_mixed_epochs_resume_exactly(tmp_path: Any) -> None:
    for by in ({"by": "uniform"}, {"by": "round_robin"}, {"by": "proportional", "batches": "separate"}):
        loaders, again = build_dataloader(spec_of(tmp_path, mix=by)), build_dataloader(spec_of(tmp_path, mix=by))
        whole = [batch["x"] for _ in range(2) for batch in loaders.train]
        half = len(loaders.train) + 3
        again.train.load_state_dict({"epoch": 1, "batch": 3})
        rest = [batch["x"] for batch in again.train]
        assert len(rest) == len(whole) - half
        assert all(torch.equal(one, other) for one, other in zip(rest, whole[half:], strict=True))


def test_balanced_and_weighted_rows(tmp_path: Any) -> None:
    """200 rows, of which every tenth is rare and weighs 9 times the others: half of what is drawn either way."""
    rows = [f"{i},{'rare' if i % 10 == 0 else 'often'},{9 if i % 10 == 0 else 1}" for i in range(200)]
    (tmp_path / "t.csv").write_text("x,kind,heavy\n" + "\n".join(rows))
    fields = {"x": {"kind": "number"}, "kind": {"kind": "category"}, "heavy": {"kind": "number"}}
    table = {
        "source": {"kind": "csv", "path": str(tmp_path / "t.csv")},
        "fields": fields,
        "split": {"stratify": "kind"},
    }
    shares = {}
    for name, sample in (("balance", {"balance": "kind"}), ("weight", {"weight": "heavy"}), ("all", None)):
        loaders = jumpml.create_dataloader({"datasets": {"t": table | {"sample": sample}}})
        drawn = torch.cat([batch["kind"] for batch in loaders.train])
        assert len(drawn) == 140
        shares[name] = float((drawn == loaders.fields["kind"].classes.index("rare")).float().mean())
    assert shares["balance"] == 0.5
    assert abs(shares["weight"] - 0.5) < 0.13  # three standard deviations of 140 draws
    assert shares["all"] == pytest.approx(0.1)


def test_rows_that_cannot_be_drawn(tmp_path: Any) -> None:
    with pytest.raises(SpecError, match="expected weights that are finite, not negative, and not all 0"):
        build_dataloader(spec_of(tmp_path, **{"datasets.a.sample": {"weight": "y"}}))
    spec = spec_of(tmp_path, **{"datasets.a.sample": {"balance": "kind"}})
    (tmp_path / "a.csv").write_text((tmp_path / "a.csv").read_text().replace(",u", ","))
    with pytest.raises(SpecError, match=r"'kind' is missing in 1[0-9] train rows, which belong to no class to balance"):
        build_dataloader(spec)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mix": {"by": "weights", "weights": {"a": 1}}}, "mix.weights: expected a weight for each of a, b, got a."),
        ({"datasets.a.sample": {"balance": "z"}}, "datasets.a.sample.balance: there is no field 'z'"),
        ({"datasets.a.sample": {"weight": "kind"}}, "sample.weight: expected a number field, got 'kind', a category"),
        ({"storage": "source"}, "storage: only fields of kind audio and image can stay in their source"),
        ({"workers": 2}, "workers: with `storage: memory` nothing is left for them to decode"),
        ({"mix": {"by": "temperature"}}, "`by: temperature` needs `temperature`"),
        ({"mix": {"by": "uniform", "weights": {"a": 1, "b": 1}}}, "`weights` does nothing with `by: uniform`"),
        ({"mix": {"by": "round_robin", "batches": "mixed"}}, "`batches` does nothing with `by: round_robin`"),
    ],
)
def test_what_the_file_cannot_mean(tmp_path: Any, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError) as error:
        build_dataloader(spec_of(tmp_path, **changes))
    assert text in str(error.value)


def test_one_data_set_has_nothing_to_mix(tmp_path: Any) -> None:
    spec = spec_of(tmp_path, mix={"by": "uniform"})
    alone = spec.model_copy(update={"datasets": {"a": spec.datasets["a"]}})
    with pytest.raises(SpecError, match="there is one data set only, so that this key would change nothing"):
        build_dataloader(alone)


def test_data_sets_must_agree_about_a_field() -> None:
    number = Column(torch.zeros(2, 1), "number")
    for other, text in (
        (Column(torch.zeros(2, 3), "tensor"), "its kind differs: number and tensor"),
        (Column(torch.zeros(1, dtype=torch.int64), "category", ("u",)), "its kind differs: number and category"),
    ):
        with pytest.raises(DataError, match=text):
            join_columns("x", {"a": number, "b": other}, {"a": 2, "b": len(other)})


def test_files_in_one_data_set_and_arrays_in_another_are_no_one_field() -> None:
    arrays = Column(torch.zeros(2, 1, 2, 2), "image", range=(0.0, 255.0))
    files = FileColumn(
        blobs=[None],
        decode=lambda _blob, _out: None,
        where="field 'x'",
        kind="image",
        shape=(1, 2, 2),
        range=(0.0, 255.0),
    )
    for pieces in ({"a": arrays, "b": files}, {"a": files, "b": arrays}):
        with pytest.raises(DataError, match="with `storage: source` one would leave it in its files"):
            join_columns("x", pieces, {name: len(column) for name, column in pieces.items()})


def test_classes_keep_the_order_that_the_file_gives() -> None:
    first = Column(torch.tensor([0, 1]), "category", ("yes", "no"))
    second = Column(torch.tensor([0, 1, -1]), "category", ("no", "yes"))
    joined = join_columns("x", {"a": first, "b": second}, {"a": 2, "b": 3})
    assert isinstance(joined, Column)
    assert joined.classes == ("yes", "no")
    assert joined.values.tolist() == [0, 1, 1, 0, -1]


def test_two_tasks_on_two_data_sets_learn_together(tmp_path: Any) -> None:
    """y = 2 x in one table, z = -x in the other: one net with two heads learns both from mixed batches."""
    x = np.linspace(-1, 1, 200)
    (tmp_path / "a.csv").write_text("x,y\n" + "\n".join(f"{v:.4f},{2 * v:.4f}" for v in x))
    (tmp_path / "b.csv").write_text("x,z\n" + "\n".join(f"{v:.4f},{-v:.4f}" for v in x + 0.001))

    def table(name: str, target: str) -> dict[str, Any]:
        fields = {"x": {"kind": "number"}, target: {"kind": "number"}}
        return {"source": {"kind": "csv", "path": str(tmp_path / f"{name}.csv")}, "fields": fields}

    loaders = jumpml.create_dataloader(
        {"datasets": {"a": table("a", "y"), "b": table("b", "z")}, "mix": {"by": "uniform"}, "batch_size": 16}
    )
    model = jumpml.load_model(
        {
            "seed": 0,
            "nodes": {
                "double": {"module": "torch.nn.LazyLinear", "inputs": "x", "args": {"out_features": 1}},
                "minus": {"module": "torch.nn.LazyLinear", "inputs": "x", "args": {"out_features": 1}},
            },
            "tasks": {
                "y": {"kind": "regression", "output": "double", "target": "y"},
                "z": {"kind": "regression", "output": "minus", "target": "z"},
            },
        },
        loaders,
    )
    learner = jumpml.create_learner(
        loaders,
        model,
        torch.optim.Adam(model.parameters(), lr=0.05),
        {"phases": {"supervised": {"epochs": 10}}, "log": []},
    )
    learner.fit()
    figures = jumpml.eval_model(loaders, model)
    assert figures["y/rmse"].value < 0.05 and figures["z/rmse"].value < 0.05
    assert figures["y/rmse"].n == figures["z/rmse"].n == 30  # each is measured on its own data set's rows


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"kind": "category"}, "datasets.b.fields.t.kind: 't' is one field, and the data set 'a' says otherwise."),
        (
            {"kind": "text", "tokenizer": {"kind": "words"}, "length": 4},
            "datasets.b.fields.t.tokenizer: 't' is one field, and the data set 'a' says otherwise.",
        ),
    ],
)
def test_a_field_of_two_data_sets_is_read_in_one_way(tmp_path: Any, other: dict[str, Any], text: str) -> None:
    (tmp_path / "t.csv").write_text("t,u\n" + "\n".join(f"text {row},text {row}" for row in range(20)))
    told = {"kind": "text", "tokenizer": {"kind": "characters"}, "length": 4}
    sets = {"a": told, "b": {**other, "column": "u"}}
    source = {"kind": "csv", "path": str(tmp_path / "t.csv")}
    data = {"datasets": {name: {"source": source, "fields": {"t": field}} for name, field in sets.items()}}
    with pytest.raises(SpecError) as caught:
        build_dataloader(load_spec(DataSpec, data))
    assert text in str(caught.value)
    sets["b"] = {**told, "column": "u"}
    data = {"datasets": {name: {"source": source, "fields": {"t": field}} for name, field in sets.items()}}
    assert len(build_dataloader(load_spec(DataSpec, data)).train.rows) == 28


@pytest.mark.parametrize("storage", ["memory", "disk"])
def test_tables_with_missing_values_here_and_there(
    tmp_path: Any, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUMPML_CACHE", str(tmp_path / "cache"))
    for name, gaps in (("a", 2), ("b", 5)):
        rows = [f"{'' if row < gaps else row + gaps},{'uv'[row % 2]}" for row in range(20)]
        (tmp_path / f"{name}.csv").write_text("n,c\n" + "\n".join(rows))
    fields = {"t": {"kind": "table", "columns": {"n": "number", "c": "category"}}}
    split = {"duplicates": "allow"}
    sources = {name: {"kind": "csv", "path": str(tmp_path / f"{name}.csv")} for name in "ab"}
    data = {name: {"source": source, "fields": fields, "split": split} for name, source in sources.items()}
    loaders = build_dataloader(load_spec(DataSpec, {"datasets": data, "storage": storage}))
    assert [column.missing for column in loaders.fields["t"].columns] == [7, 0]
