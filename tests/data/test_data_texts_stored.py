"""Texts that lie on disk: what is written is read, and everything made of them is as in memory."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import jumpml
from jumpml.core import DataError
from jumpml.data._disk import lies_on_disk
from jumpml.data._texts import StoredTexts
from jumpml.data.splits._keys import codes_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jumpml.data import DataLoaders

WORDS = ("free", "call", "now", "später", "lunch", "home", "ß", "中文", "ok")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUMPML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def stored(texts: Sequence[str | None], block: int = 3) -> StoredTexts:
    made = StoredTexts(len(texts))
    for start in range(0, len(texts), block):
        made.write(texts[start : start + block])
    return made


@given(texts=st.lists(st.none() | st.text(st.characters(exclude_categories=())), min_size=1), data=st.data())
def test_what_is_written_is_read(texts: list[str | None], data: st.DataObject) -> None:
    made = stored(texts, data.draw(st.integers(1, 10)))
    assert list(made) == texts
    assert [made[row] for row in range(len(made))] == texts
    assert made[-1] == texts[-1]
    some = data.draw(st.slices(len(texts)))
    assert made[some] == texts[some]
    rows = np.array(data.draw(st.lists(st.integers(0, len(texts) - 1))), dtype=np.int64)
    assert list(made.at(rows)) == [texts[row] for row in rows]
    assert list(made.filled()) == [text or "" for text in texts]
    copied = StoredTexts(len(texts))
    copied.write_all(made)
    assert list(copied) == texts


@given(texts=st.lists(st.none() | st.sampled_from(["", "a", "b", "ab", "ÿ"]), min_size=1))
def test_different_texts_are_numbered_as_in_memory(texts: list[str | None]) -> None:
    assert stored(texts).codes().tolist() == codes_of(np.array([*texts, None], dtype=object)[:-1]).tolist()


def test_nothing_is_left_on_the_disk(cache: Path) -> None:
    made = stored(["a", "b"])
    assert list(cache.iterdir()) == []
    assert made[1] == "b"


def test_rows_are_counted_from_either_end_and_no_further() -> None:
    made = stored(["a", "b"])
    with pytest.raises(IndexError):
        made[2]


@pytest.mark.parametrize("moment", ["write", "flush"])
def test_a_disk_without_room_is_named(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    made = StoredTexts(2)

    class Full:
        def __getattr__(self, name: str) -> Any:
            if name == moment:
                raise OSError(errno.ENOSPC, "No space left on device")
            return lambda *_: None

    monkeypatch.setattr(made, "_file", Full())
    with pytest.raises(DataError, match=r"no room for 0 MB of decoded values in .*cache: No space left on device"):
        made.write(["a", "b"])


# --- data files -------------------------------------------------------------------------------------------------------


def messages(seed: int, rows: int = 60, bad: Sequence[int] = ()) -> list[dict[str, Any]]:
    generator = np.random.default_rng(seed)
    made: list[dict[str, Any]] = []
    for row in range(rows):
        words = [WORDS[word] for word in generator.integers(0, len(WORDS), generator.integers(1, 8))]
        text: Any = 5 if row in bad else None if row % 17 == 5 else " ".join(words)
        tags = [word[0] for word in words] if isinstance(text, str) and row % 11 else None
        made.append({"text": text, "tags": tags, "label": "xy"[row % 2], "price": row / 4})
    return made


def write(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


FIELDS = {
    "text": {"kind": "text", "length": 6, "tokenizer": {"kind": "words"}},
    "tags": {"kind": "token_labels", "text": "text"},
    "label": {"kind": "category"},
    "price": {"kind": "number"},
}


def load(path: str, storage: str, *, fields: Any = None, dataset: Any = None) -> DataLoaders:
    told = {"source": {"kind": "json", "path": path}, "fields": fields or FIELDS, **(dataset or {})}
    return jumpml.create_dataloader({"datasets": {"m": told}, "batch_size": 8, "storage": storage})


def load_mixed(rows: Sequence[dict[str, Any]], storage: str, **dataset: Any) -> DataLoaders:
    """From a source that gives whatever it likes."""
    text = json.dumps({name: [row[name] for row in rows] for name in rows[0]})
    told = {"source": {"kind": "python", "function": "json:loads", "args": {"s": text}}, "fields": FIELDS, **dataset}
    data = {"datasets": {"m": told}, "batch_size": 8, "storage": storage}
    return jumpml.create_dataloader(data, trust=["json"])


def assert_alike(memory: DataLoaders, disk: DataLoaders) -> None:
    """Equal fields, findings, batches, and what a user would send."""
    assert memory.fields == disk.fields
    assert memory.findings() == disk.findings()
    assert memory.left_out.keys() == disk.left_out.keys()
    assert memory.decoding() == disk.decoding()
    for split in ("train", "val", "test"):
        one, other = (getattr(loaders, split) for loaders in (memory, disk))
        assert torch.equal(one.rows, other.rows)
        everything = range(len(one.rows))
        assert memory.raw(split, everything) == disk.raw(split, everything)
        for left, right in zip(one, other, strict=True):
            assert left.keys() == right.keys()
            for key in left:
                torch.testing.assert_close(left[key], right[key], rtol=0, atol=0, equal_nan=True)


@pytest.fixture(params=[5, 1 << 13])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("jumpml.data._part.TEXT_ROWS", request.param)
    monkeypatch.setattr("jumpml.data._texts.BLOCK_ROWS", request.param)
    monkeypatch.setattr("jumpml.data._disk.BLOCK_ROWS", request.param)
    return request.param


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    one, other = (load(write(tmp_path / f"{seed}.jsonl", messages(seed)), "memory") for seed in (0, 1))
    with pytest.raises(AssertionError):
        assert_alike(one, other)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("kind", ["words", "characters", "bpe"])
def test_texts_on_disk_are_those_in_memory(tmp_path: Path, kind: str) -> None:
    if kind == "bpe":
        pytest.importorskip("tokenizers")
    tokenizer: dict[str, Any] = {"kind": kind} | ({"size": 40} if kind == "bpe" else {})
    fields = {name: told for name, told in FIELDS.items() if kind == "words" or name != "tags"}
    fields["text"] = fields["text"] | {"tokenizer": tokenizer}
    path = write(tmp_path / "a.jsonl", messages(0))
    memory, disk = (load(path, storage, fields=fields) for storage in ("memory", "disk"))
    for loaders in (memory, disk):
        loaders.bind(["text", "text.mask"])
    assert_alike(memory, disk)
    held = disk._table.values
    assert all(lies_on_disk(held[name]) for name in ("text", "tags") if name in held)
    assert isinstance(disk._originals["text"], StoredTexts)


@pytest.mark.usefixtures("block")
def test_texts_of_several_data_sets_lie_on_disk_too(tmp_path: Path) -> None:
    known = {name: FIELDS[name] for name in ("label", "price")}
    parts = {"a": (FIELDS, 0), "b": (known, 1), "c": (FIELDS, 2)}
    datasets = {
        name: {
            "source": {"kind": "json", "path": write(tmp_path / f"{name}.jsonl", messages(seed))},
            "fields": fields,
        }
        for name, (fields, seed) in parts.items()
    }
    memory, disk = (
        jumpml.create_dataloader({"datasets": datasets, "batch_size": 8, "storage": storage})
        for storage in ("memory", "disk")
    )
    assert_alike(memory, disk)


@pytest.mark.usefixtures("block")
def test_rows_without_a_text_are_skipped_alike() -> None:
    rows = messages(0, bad=[3, 40])
    memory, disk = (load_mixed(rows, storage, on_error="skip") for storage in ("memory", "disk"))
    assert_alike(memory, disk)
    assert "2 rows cannot be decoded and are skipped (on_error: skip)." in "\n".join(disk.findings())


@pytest.mark.parametrize("storage", ["memory", "disk"])
@pytest.mark.usefixtures("block")
def test_a_row_without_a_text_is_named(storage: str) -> None:
    with pytest.raises(DataError, match=r"field 'text', row 40: expected a text, got 5"):
        load_mixed(messages(0, bad=[40]), storage)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("storage", ["memory", "disk"])
def test_a_label_that_is_no_class_is_told_where_rows_are_skipped(storage: str) -> None:
    rows = [{"text": "a b", "tags": ["X", "Q" if row in {4, 9} else "Y"], "label": "xy"[row % 2]} for row in range(40)]
    fields = {name: FIELDS[name] for name in ("text", "label")} | {"tags": FIELDS["tags"] | {"classes": ["X", "Y"]}}
    split = {"duplicates": "allow"}
    with pytest.raises(DataError, match=r"field 'tags', row 4: expected one of the 2 classes, got 'Q'"):
        load_mixed(rows, storage, fields=fields, split=split)
    loaders = load_mixed(rows, storage, fields=fields, split=split, on_error="skip")
    told = (
        "tags: 2 rows have a label that is no class, which counts as not known (on_error: skip); the first is row 4: "
    )
    assert [finding for finding in loaders.findings() if finding.startswith(told)]
    known = torch.cat([getattr(loaders, name).decoded("tags") for name in ("train", "val", "test")])
    assert int((known[:, :2] == -1).sum()) == 2


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("duplicates", ["together", "refuse"])
def test_equal_texts_are_found_on_disk_as_in_memory(tmp_path: Path, duplicates: str) -> None:
    fields, rows = {"text": FIELDS["text"]}, messages(0, 40)
    path = write(tmp_path / "a.jsonl", [*rows, *rows] if duplicates == "together" else rows)
    split = {"split": {"duplicates": duplicates}}
    said = []
    for storage in ("memory", "disk"):
        try:
            loaders = load(path, storage, fields=fields, dataset=split)
        except jumpml.core.SpecError as error:
            said.append(str(error))
        else:
            said.append(torch.cat([loaders.train.rows, loaders.val.rows, loaders.test.rows]).tolist())
    assert said[0] == said[1]
