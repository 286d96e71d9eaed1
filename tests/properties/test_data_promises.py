"""What the data room promises of every way of splitting, drawing and holding rows, through real files."""

from __future__ import annotations

import io
import tarfile
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import jumpml

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.data import DataLoaders

Batch = dict[str, torch.Tensor]
ROWS = 120
few = settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

SPLITS: dict[str, dict[str, Any]] = {
    "chance": {"train": 0.6, "val": 0.2, "test": 0.2},
    "strata": {"stratify": ["kind", "x"], "bins": 3},
    "groups": {"group": "who"},
    "time": {"time": "day", "gap": 2_000_000},
    "fold": {"fold": {"of": 4, "use": 1}, "val": 0.2},
    "stable": {"stable": "id"},
    "column": {"column": "part"},
    "other words": {"column": "kind", "values": {"val": ["b"], "test": ["c"]}},
}
SEEDLESS = {"time", "column", "other words"}
SAMPLES: dict[str, dict[str, Any] | None] = {
    "all": None,
    "balance": {"balance": "kind"},
    "weight": {"weight": "weight"},
    "buffer": {"buffer": 16},
}


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUMPML_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows with something for every way of splitting and drawing them."""
    lines = ["id,x,kind,who,day,part,weight"]
    for row in range(ROWS):
        day, part = f"2020-{row % 12 + 1:02}-{row % 27 + 1:02}", ("train", "train", "val", "test")[row % 4]
        lines.append(f"{row},{row * 7 % ROWS}.5,{'aabc'[row % 4]},{row // 3},{day},{part},{row % 5 + 1}")
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tar files of 20 pictures each, with their labels."""
    folder, generator = tmp_path_factory.mktemp("shards"), np.random.default_rng(0)
    for shard in range(3):
        with tarfile.open(folder / f"{shard}.tar", "w", format=tarfile.GNU_FORMAT) as archive:
            for row in range(20):
                picture = io.BytesIO()
                Image.fromarray(generator.integers(0, 255, (8, 8), dtype=np.uint8)).save(picture, "PNG")
                for suffix, content in (("png", picture.getvalue()), ("cls", b"01"[row % 2 : row % 2 + 1])):
                    member = tarfile.TarInfo(f"{shard}{row:02}.{suffix}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    return folder


def load_table(path: Path, *, data: dict[str, Any] | None = None, **dataset: Any) -> DataLoaders:
    fields = {"x": {"kind": "number"}, "kind": {"kind": "category"}, "weight": {"kind": "number"}}
    told = {"source": {"kind": "csv", "path": str(path)}, "fields": fields, **dataset}
    return jumpml.create_dataloader({"datasets": {"t": told}, "batch_size": 16, **(data or {})})


def assert_resumes(whole: DataLoaders, again: DataLoaders, epoch: int, share: float) -> None:
    """From any batch on, other loaders serve what the first ones served, to the bit, and the next epoch after it."""
    batch = int(share * len(whole.train))
    whole.train.epoch = epoch
    expected = [*whole.train, *whole.train][batch:]
    again.train.load_state_dict({"epoch": epoch, "batch": batch})
    for one, other in zip([*again.train, *again.train], expected, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            assert torch.equal(one[key].nan_to_num(), other[key].nan_to_num())


def test_the_comparison_can_fail(table: Path) -> None:
    with pytest.raises(AssertionError):
        assert_resumes(load_table(table), load_table(table, data={"augment": {"x": [{"noise": {"std": 0.1}}]}}), 0, 0.5)


@pytest.mark.parametrize("way", SPLITS)
@few
@given(seed=st.integers(0, 2**32 - 1))
def test_every_row_is_in_one_split_or_told_to_be_in_none(table: Path, way: str, seed: int) -> None:
    split = SPLITS[way] if way in SEEDLESS else SPLITS[way] | {"seed": seed}
    loaders = load_table(table, split=split)
    parts = [loader.rows for loader in (loaders.train, loaders.val, loaders.test)]
    told = [*parts, *loaders.left_out.values()]
    assert torch.cat(told).sort().values.tolist() == list(range(ROWS))
    assert all(len(part) for part in parts)
    assert bool(loaders.left_out) == (way == "time")


@pytest.mark.parametrize(("storage", "sample"), [*product(("memory", "disk"), SAMPLES)])
@few
@given(epoch=st.integers(0, 3), share=st.floats(0, 1))
def test_a_table_resumes_at_any_batch(table: Path, storage: str, sample: str, epoch: int, share: float) -> None:
    data = {"storage": storage, "augment": {"x": [{"noise": {"std": 0.1}}]}}
    whole, again = (load_table(table, data=data, sample=SAMPLES[sample]) for _ in range(2))
    assert_resumes(whole, again, epoch, share)


@pytest.mark.parametrize("sample", ["all", "buffer"])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_shards_resume_at_any_batch_with_any_workers(shards: Path, sample: str, workers: int) -> None:
    def load(count: int) -> DataLoaders:
        fields = {"image": {"kind": "image", "column": "png", "shape": [1, 8, 8]}, "label": {"kind": "category"}}
        fields["label"]["column"] = "cls"
        source = {"kind": "webdataset", "path": [str(path) for path in sorted(shards.glob("*.tar"))]}
        told = {"source": source, "fields": fields, "sample": SAMPLES[sample]}
        data = {"datasets": {"s": told}, "batch_size": 8, "storage": "source", "workers": count}
        return jumpml.create_dataloader(data | {"augment": {"image": [{"noise": {"std": 0.1}}]}})

    for epoch, share in ((0, 0.4), (2, 0.99)):
        assert_resumes(load(0), load(workers), epoch, share)
