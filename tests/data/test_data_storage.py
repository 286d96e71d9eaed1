"""Wherever decoded values are held, batches are the same bits: in memory, on disk, or in their files."""

from __future__ import annotations

import errno
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import jumpml
from jumpml.core import DataError, SpecError
from jumpml.data import Column, DataLoaders, Epoch, Order, Round, Standardize, random_split
from jumpml.data._disk import empty_on_disk, gather, in_blocks, let_go, lies_on_disk
from jumpml.data._table import Table
from jumpml.data.kinds._tensor import TensorKind
from jumpml.data.splits._duplicates import row_keys
from jumpml.data.splits._overlap import overlap_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

Batch = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUMPML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 digits as PNG files, a folder a class."""
    folder = tmp_path_factory.mktemp("pictures")
    digits: Any = load_digits()
    for row in range(60):
        path = folder / str(digits.target[row]) / f"{row:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((digits.images[row] * 15).astype(np.uint8)).save(path)
    return folder


def load_pictures(folder: Path, **keys: Any) -> DataLoaders:
    fields = {"image": {"kind": "image", "shape": [1, 8, 8]}, "label": {"kind": "category"}}
    dataset = {"source": {"kind": "images", "path": str(folder)}, "fields": fields, **keys.pop("dataset", {})}
    augment = {"image": [{"noise": {"std": 0.1}}]}
    return jumpml.create_dataloader({"datasets": {"p": dataset}, "augment": augment, "batch_size": 8, **keys})


def load_table(path: Path, **keys: Any) -> DataLoaders:
    columns = {"columns": {"a": "number", "b": "number"}, "kind": "table"}
    fields = {"x": columns, "c": {"kind": "category"}, "d": {"kind": "category", "classes": ["u", "v"]}}
    dataset = {"source": {"kind": "csv", "path": str(path)}, "fields": fields}
    return jumpml.create_dataloader({"datasets": {"t": dataset}, "batch_size": 16, **keys})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = np.random.default_rng(0).normal(size=(200, 2)).round(3)
    lines = [f"{a},{'' if i % 9 == 0 else b},{'xyz'[i % 3]},{'uv'[i % 2]}" for i, (a, b) in enumerate(rows)]
    (tmp_path / "table.csv").write_text("a,b,c,d\n" + "\n".join(lines))
    return tmp_path / "table.csv"


def epochs(loaders: DataLoaders, count: int = 2) -> Iterator[Batch]:
    for _ in range(count):
        yield from loaders.train


def assert_same(left: Iterator[Batch] | list[Batch], right: Iterator[Batch] | list[Batch]) -> None:
    for one, other in zip(left, right, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            torch.testing.assert_close(one[key], other[key], rtol=0, atol=0, equal_nan=True)


def test_the_comparison_can_fail(table: Path) -> None:
    with pytest.raises(AssertionError):
        assert_same(epochs(load_table(table)), epochs(load_table(table, batch_size=8)))


@pytest.mark.parametrize("block", [7, 1 << 16])
def test_values_on_disk_are_those_in_memory(table: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr("jumpml.data._part.BLOCK_ROWS", block)
    memory, disk = load_table(table), load_table(table, storage="disk")
    for loaders in (memory, disk):
        loaders.bind(["x", "c", "d"])
    assert memory.fields == disk.fields
    assert memory.findings() == disk.findings()
    assert_same(epochs(memory), epochs(disk))
    assert_same(memory.test.plain(), disk.test.plain())


def test_nothing_is_left_on_the_disk(table: Path, cache: Path) -> None:
    next(iter(load_table(table, storage="disk").train))
    assert list(cache.iterdir()) == []


def test_a_disk_without_room_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        DataError, match=r"no room for 4 MB of decoded values in .*No space left on device.*JUMPML_CACHE"
    ):
        empty_on_disk([1000, 1000], torch.float32)


class Piecewise(Order):
    """Another order's epochs, some batches at a time.

    Attributes:
        asked: How many rounds were asked for.
    """

    def __init__(self, order: Order, batches: int) -> None:
        self._order, self._batches, self.asked = order, batches, 0

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        return self._order.epoch(seed, epoch, batch_size)

    def batches(self, batch_size: int) -> int:
        return self._order.batches(batch_size)

    def rounds(self, seed: int, epoch: int, batch_size: int, first: int = 0) -> Iterator[Round]:
        left = self.epoch(seed, epoch, batch_size).since(first)
        while left.sizes:
            self.asked += 1
            sizes = left.sizes[: self._batches]
            yield Round(Epoch(left.positions[: sum(sizes)], sizes))
            left = left.since(self._batches)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_files_decoded_each_epoch_give_the_bits_of_those_decoded_once(pictures: Path, workers: int) -> None:
    memory = load_pictures(pictures)
    source = load_pictures(pictures, storage="source", workers=workers)
    assert memory.fields == source.fields
    assert_same(epochs(memory), epochs(source))
    assert_same(memory.val.plain(), source.val.plain())


@pytest.mark.parametrize("before", [0, 2])
def test_any_batch_resumes_with_any_number_of_workers(pictures: Path, before: int) -> None:
    state = torch.random.get_rng_state()
    whole = list(epochs(load_pictures(pictures, storage="source", workers=before)))
    per_epoch = len(whole) // 2
    for workers in (0, 1, 2):
        loaders = load_pictures(pictures, storage="source", workers=workers)
        for batch in (0, 3, per_epoch - 1):
            loaders.train.load_state_dict({"epoch": 1, "batch": batch})
            assert_same(list(loaders.train), whole[per_epoch + batch :])
    assert torch.equal(state, torch.random.get_rng_state())


def test_an_iteration_that_was_left_does_not_disturb_the_next(pictures: Path) -> None:
    loaders = load_pictures(pictures, storage="source", workers=2)
    next(iter(loaders.train))
    assert_same(list(loaders.train), list(epochs(load_pictures(pictures)))[len(loaders.train) :])


@pytest.mark.parametrize("workers", [0, 1])
def test_two_iterations_at_once_do_not_disturb_each_other(pictures: Path, workers: int) -> None:
    whole = list(load_pictures(pictures).train)
    loaders = load_pictures(pictures, storage="source", workers=workers)
    batches = iter(loaders.train)
    first = next(batches)
    assert_same(loaders.train.plain(), load_pictures(pictures).train.plain())
    assert_same([first, *batches], whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_rounds_are_asked_for_one_by_one_and_give_the_same_bits(pictures: Path, workers: int) -> None:
    whole = list(load_pictures(pictures).train)
    loaders = load_pictures(pictures, storage="source", workers=workers)
    order = Piecewise(loaders.train.drawing(), 2)
    loaders.train.serve(None, (), order=order)
    for place, (batch, wanted) in enumerate(zip(loaders.train, whole, strict=True)):
        assert_same([batch], [wanted])  # augmentation knows the batch's number in the epoch
        assert order.asked == place // 2 + 1
    loaders.train.load_state_dict({"epoch": 0, "batch": 3})
    assert_same(list(loaders.train), whole[3:])


@pytest.fixture
def damaged(pictures: Path, tmp_path: Path) -> Path:
    """The pictures, one of them cut off."""
    for path in pictures.rglob("*.png"):
        copy = tmp_path / "damaged" / path.relative_to(pictures)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes()[: 60 if path.name == "05.png" else None])
    return tmp_path / "damaged"


def test_a_damaged_file_is_named(damaged: Path) -> None:
    with pytest.raises(DataError, match=r"data set 'p', field 'image', row \d+ .*05\.png"):
        load_pictures(damaged)
    for workers in (0, 2):
        loaders = load_pictures(damaged, storage="source", workers=workers)
        with pytest.raises(DataError, match=r"^data set 'p', field 'image', row \d+: .*05\.png"):
            for loader in (loaders.train, loaders.val, loaders.test):
                list(loader)


@pytest.mark.parametrize("size", [1, 1 << 28])
@pytest.mark.parametrize("storage", ["memory", "disk", "source"])
def test_a_damaged_file_is_skipped_counted_and_listed(
    damaged: Path, storage: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jumpml.data._part.BLOCK_BYTES", size)
    loaders = load_pictures(damaged, storage=storage, dataset={"on_error": "skip"})
    assert loaders.fields["image"].missing == 0
    loaders.bind(["image"])  # refuses values that are missing
    assert sum(len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test)) == 59
    told = "\n".join(loaders.findings())
    assert "1 rows cannot be decoded and are skipped (on_error: skip)." in told
    assert "05.png" in told
    for loader in (loaders.train, loaders.val, loaders.test):
        assert all(bool(batch["image"].isfinite().all()) for batch in loader)


def test_files_that_are_not_looked_at_make_no_rows_equal(pictures: Path) -> None:
    assert "also stand in train" not in "\n".join(load_pictures(pictures, storage="source").findings())


def test_a_source_of_which_no_row_can_be_decoded_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p" / "a").mkdir(parents=True)
    (tmp_path / "p" / "a" / "1.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"^no row can be decoded; data set 'p', field 'image', row 0 \(a/1.png\): a/1"):
        load_pictures(tmp_path / "p", dataset={"on_error": "skip"})


def test_several_files_go_to_the_disk(tmp_path: Path) -> None:
    parquet, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    for part in range(3):
        parquet.write_table(pa.table({"a": np.arange(20.0) + 20 * part}), tmp_path / f"{part}.parquet")
    source = {"kind": "parquet", "path": str(tmp_path / "*.parquet")}
    data = {"datasets": {"d": {"source": source, "fields": {"a": {"kind": "number"}}}}}
    memory, disk = (jumpml.create_dataloader({**data, "storage": storage}) for storage in ("memory", "disk"))
    assert_same(epochs(memory), epochs(disk))


def test_windows_are_never_written_out() -> None:
    values = torch.randn(1003, 2, generator=torch.Generator().manual_seed(0)).unfold(0, 4, 1).movedim(-1, 1)
    column = Column(values, "series")
    loaders = DataLoaders({"x": column}, random_split(1000), features={"x": [Standardize()]})
    loaders.bind(["x"])
    kept = DataLoaders(
        {"x": replace(column, values=values.contiguous())}, random_split(1000), features={"x": [Standardize()]}
    )
    assert_same(epochs(loaders), epochs(kept))
    table = loaders.to("meta")._table
    assert table.values["x"].shape == (1000, 4, 2)
    assert table.values["x"].untyped_storage().nbytes() == 1003 * 2 * 4


def test_what_is_looked_at_together_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"x": Column(torch.zeros(10, 3), "tensor")}
    table = Table(fields, {name: column.info(name) for name, column in fields.items()})
    monkeypatch.setattr("jumpml.data._table.BLOCK_BYTES", 100)
    assert [len(block) for block in table.blocks("x", torch.arange(10))] == [4, 4, 2]


def test_systems_without_posix_fallocate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    values = empty_on_disk([2, 3], torch.float32)
    values[:] = 1
    assert values.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_fields_that_are_no_files_cannot_stay_in_them(table: Path) -> None:
    with pytest.raises(SpecError, match="only fields of kind audio and image can stay in their source"):
        load_table(table, storage="source")


@pytest.mark.parametrize("piece", [1, 100, 1 << 20])
def test_rows_on_disk_are_gathered_in_the_order_asked_for(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr("jumpml.data._disk.PIECE_BYTES", piece)
    values = empty_on_disk([1000, 3], torch.float32)
    values.copy_(torch.arange(3000).reshape(1000, 3))
    for rows in (torch.randperm(1000), torch.randint(1000, (50,)), torch.tensor([999, 0, 999]), torch.arange(0)):
        assert torch.equal(gather(values, rows), values.index_select(0, rows))


def pages_of_files_without_a_name() -> int:
    """Kilobytes of such files that are mapped into this process and in memory."""
    lines, total, counts = Path("/proc/self/smaps").read_text().splitlines(), 0, False
    for line in lines:
        if "-" in line.split()[0]:
            counts = line.endswith("(deleted)")
        elif counts and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def test_what_was_gathered_from_the_disk_is_let_go() -> None:
    before = pages_of_files_without_a_name()
    values = empty_on_disk([4096, 256], torch.float32)
    values.fill_(1)
    assert pages_of_files_without_a_name() - before >= 4096
    gather(values, torch.randperm(4096))
    assert pages_of_files_without_a_name() - before < 100


def test_what_looks_at_all_rows_holds_a_block_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jumpml.data._disk.PIECE_BYTES", 1 << 18)
    before, seen, problem = pages_of_files_without_a_name(), [0], TensorKind.problem

    def watched(kind: TensorKind, values: torch.Tensor, column: Column) -> str:
        found = problem(kind, values, column)
        seen.append(pages_of_files_without_a_name() - before)
        return found

    monkeypatch.setattr(TensorKind, "problem", watched)
    values = empty_on_disk([4096, 256], torch.float32)
    values.copy_(torch.randn(4096, 256))
    let_go(values)
    column = Column(values, "tensor")
    rows = random_split(4096)
    info = column.info("x", torch.arange(4096), rows["train"])
    row_keys([values])
    assert not list(overlap_findings({"x": info}, {"x": values}, rows))
    assert len(seen) == 17 and 256 <= max(seen) <= 512, "17 blocks of 256 kB, in kB"
    assert pages_of_files_without_a_name() - before < 100


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_a_bad_value_is_found_in_whatever_block_it_stands(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr("jumpml.data._disk.BLOCK_ROWS", rows)
    values = torch.zeros(8, 1)
    for bad in range(8):
        values[:], values[bad] = 0, torch.inf
        with pytest.raises(DataError, match=r"a column of kind number: expected finite values"):
            Column(values, "number")
    values[:], values[5], values[7] = 0, torch.nan, torch.nan
    column = Column(values, "number")
    assert column.info("x", torch.tensor([5, 0, 1])).missing == 1
    assert column.info("x").missing == 2
    assert [block.shape for block in in_blocks(values, torch.arange(0))] == [(0, 1)]


def test_values_on_disk_stay_there_when_the_rest_goes_to_a_device(table: Path) -> None:
    loaders = load_table(table, storage="disk")
    values = loaders.to("meta")._table.values
    assert {str(held.device) for held in values.values()} == {"cpu"}
    assert all(lies_on_disk(held) for held in values.values())
    batch = next(loaders.train.plain())
    assert {str(held.device) for held in batch.values()} == {"meta"}
    assert {str(held.device) for held in load_table(table).to("meta")._table.values.values()} == {"meta"}


def test_workers_stand_apart_from_the_terminals_group_so_that_ctrl_c_is_the_learners(pictures: Path) -> None:
    before = {process.pid for process in multiprocessing.active_children()}
    loaders = load_pictures(pictures, storage="source", workers=2)
    assert len(list(loaders.train)) > 2  # each has served one, so that each has begun
    workers = {process.pid for process in multiprocessing.active_children()} - before
    assert len(workers) == 2
    assert all(os.getpgid(worker or 0) == worker for worker in workers)
