"""Fields of every kind on real data sets, from the data file to what a deployed model would decode."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from jumpml.core import DataSpec, load_spec
from jumpml.data import DataLoaders, build_dataloader
from jumpml.deploy._runtime import decode, decoder_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def opened(shared_data: Path) -> Callable[..., DataLoaders]:
    """Opens a data set of the shared folder with some fields."""

    def build(source: dict[str, Any], fields: dict[str, Any], split: dict[str, Any] | None = None) -> DataLoaders:
        if "path" in source:
            source = source | {"path": str(shared_data / source["path"])}
        dataset = {"source": source, "fields": fields, "split": {"duplicates": "allow", **(split or {})}}
        return build_dataloader(load_spec(DataSpec, {"datasets": {"d": dataset}}))

    return build


def agrees(loaders: DataLoaders, rows: int = 20) -> list[dict[str, Any]]:
    """The runtime decodes what a user would send of the first test rows to the very same bits; returns those rows."""
    sent = json.loads(json.dumps(loaders.raw("test", range(rows))))
    for field, how in loaders.decoding().items():
        decoded = decode(field, decoder_of(json.loads(json.dumps(how))), [row[field] for row in sent])
        expected = loaders.test.decoded(field)[:rows].numpy()
        assert decoded.dtype == expected.dtype
        np.testing.assert_array_equal(decoded, expected, err_msg=field)
    return sent


def test_penguins_as_a_table(opened: Callable[..., DataLoaders]) -> None:
    source = {"kind": "csv", "path": "penguins/penguins.csv"}
    fields = {"body": {"kind": "table", "columns": "infer"}, "species": {"kind": "category"}}
    loaders = opened(source, fields, {"stratify": "species"})
    columns = loaders.fields["body"].columns
    assert {column.name: column.kind for column in columns} == {
        "island": "category",
        "bill_length_mm": "number",
        "bill_depth_mm": "number",
        "flipper_length_mm": "number",
        "body_mass_g": "number",
        "sex": "category",
        "year": "number",
    }
    # palmerpenguins: 2 birds were not measured, of 11 the sex is not known
    assert {column.name: column.missing for column in columns if column.missing} == {
        "bill_length_mm": 2,
        "bill_depth_mm": 2,
        "flipper_length_mm": 2,
        "body_mass_g": 2,
        "sex": 11,
    }
    told = (
        "body: guessed from the values: category: island, sex; number: bill_length_mm, bill_depth_mm, flipper_length_mm"
    )
    assert told in loaders.summary()
    assert set(agrees(loaders)[0]["body"]) == {column.name for column in columns}


def test_when_penguins_laid_their_eggs(opened: Callable[..., DataLoaders]) -> None:
    loaders = opened(
        {"kind": "csv", "path": "penguins/penguins_raw.csv"},
        {
            "laid": {"kind": "date", "column": "Date Egg"},
            "mass": {"kind": "number", "column": "Body Mass (g)"},
            "remark": {"kind": "text", "column": "Comments", "length": 8, "tokenizer": {"kind": "words"}},
        },
    )
    laid = torch.cat([loader.decoded("laid") for loader in (loaders.train, loaders.val, loaders.test)])
    years = laid.numpy().astype("datetime64[s]").astype("datetime64[Y]").astype(int) + 1970
    assert np.bincount(years)[2007:].tolist() == [110, 114, 120]  # palmerpenguins: rows by year
    assert agrees(loaders)[0]["laid"].endswith("T00:00:00")


def test_emotions_of_comments(opened: Callable[..., DataLoaders]) -> None:
    fields = {
        "text": {"kind": "text", "length": 24, "tokenizer": {"kind": "wordpiece", "size": 1000, "lowercase": True}},
        "label": {"kind": "multilabel"},
    }
    loaders = opened({"kind": "csv", "path": "goemotions/dev.tsv", "delimiter": "\t", "quote": None}, fields)
    assert loaders.fields["label"].classes == tuple(map(str, range(28)))  # 27 emotions and none
    assert loaders.fields["text"].value.classes == 1000
    assert any("are longer than 24 tokens and were cut" in finding for finding in loaders.findings())
    sent = agrees(loaders, 200)
    assert all(isinstance(row["text"], str) and row["label"] for row in sent)


def test_messages_by_their_characters(opened: Callable[..., DataLoaders]) -> None:
    source = {"kind": "csv", "path": "sms_spam/SMSSpamCollection", "delimiter": "\t", "header": ["label", "text"]}
    fields = {
        "label": {"kind": "category"},
        "text": {"kind": "text", "length": 160, "tokenizer": {"kind": "bpe", "size": 600}},
    }
    loaders = opened(source | {"quote": None}, fields, {"stratify": "label"})
    assert loaders.fields["label"].classes == ("ham", "spam")
    assert int(loaders.train.decoded("text").max()) == 599
    agrees(loaders, 200)


def test_spoken_digits(opened: Callable[..., DataLoaders]) -> None:
    source = {
        "kind": "audio",
        "path": "fsdd_spoken_digits/fsdd_recordings.zip",
        "pattern": "{digit}_{speaker}_{take}.wav",
    }
    fields = {"audio": {"kind": "audio", "rate": 8000, "samples": 4000}, "digit": {"kind": "category"}}
    loaders = opened(source, fields, {"stratify": "digit"})
    assert sum(len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test)) == 3000
    assert loaders.fields["digit"].classes == tuple("0123456789")
    values = loaders.train.decoded("audio")
    assert values.shape[1:] == (1, 4000)
    assert 0.1 < float(values.abs().max()) <= 1
    assert [finding.split(" of ")[1] for finding in loaders.fields["audio"].notes] == [
        "3000 sounds are longer than 4000 samples and were cut.",
        "3000 sounds are shorter than 4000 samples and go on in silence.",
    ]
    agrees(loaders, 5)


def test_electricity_as_windows(opened: Callable[..., DataLoaders]) -> None:
    fields = {
        "past": {"kind": "series", "columns": ["OT", "HUFL"], "window": [-336, 0]},
        "future": {"kind": "series", "columns": ["OT"], "window": [0, 24]},
        "date": {"kind": "date"},
    }
    loaders = opened({"kind": "csv", "path": "ett_small/ETTh1.csv"}, fields, {"time": "date"})
    served = sum(len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test))
    rows = 17420  # the data set's own count
    assert served < rows - 336 - 23
    assert any("have no whole window" in finding for finding in loaders.fields["past"].notes)
    # Where one row's past ends, its future begins; no window of a test row looks into the train rows.
    row = 400
    past, future = loaders.test.decoded("past"), loaders.test.decoded("future")
    assert torch.equal(past[row + 24, -24:, 0], future[row, :, 0])
    first = int(loaders.test.rows.min())
    assert first - 336 > int(loaders.train.rows.max()) + 23
    agrees(loaders, 3)


def test_clothes_as_pictures(opened: Callable[..., DataLoaders], shared_data: Path) -> None:
    files = {"image": "t10k-images-idx3-ubyte.gz", "label": "t10k-labels-idx1-ubyte.gz"}
    columns = {name: str(shared_data / "fashion_mnist" / file) for name, file in files.items()}
    fields = {"image": {"kind": "image", "shape": [1, 28, 28]}, "label": {"kind": "category"}}
    loaders = opened({"kind": "idx", "columns": columns}, fields, {"stratify": "label"})
    assert torch.bincount(loaders.train.decoded("label")).tolist() == [700] * 10  # 1000 of each class, 0.7 to train
    assert float(loaders.train.decoded("image").max()) == 1
    agrees(loaders)
