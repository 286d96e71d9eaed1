"""Nearly equal rows of two splits: copies that are planted are found, what only looks alike is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits

from jumpml.core import FieldInfo, ValueInfo
from jumpml.data import Column, DataLoaders, random_split
from jumpml.data.splits import _overlap
from jumpml.data.splits._minhash import NONE, jaccard, minhash_candidates, shingles
from jumpml.data.splits._near import near_numbers, near_pictures, near_texts, near_vectors

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    bunch: Any = load_digits()
    return torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 16


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_noisy_and_paler_copies_of_digits_are_found_and_no_other(digits: torch.Tensor) -> None:
    train, others = digits[:1400], digits[1400:]
    noisy = (train[:20] + 0.02 * torch.randn(20, 1, 8, 8, generator=random())).clamp(0, 1)
    paler = train[20:40] * 0.8 + 0.1
    pairs = near_pictures(torch.cat([others, noisy, paler]), train)
    assert pairs.tolist() == [[len(others) + row, row] for row in range(40)]


def test_large_pictures_are_compared_by_their_thumbnails(digits: torch.Tensor) -> None:
    large = torch.nn.functional.interpolate(digits[:60], size=(70, 90)).repeat(1, 3, 1, 1)
    noisy = (large[:5] + 0.1 * torch.randn(large[:5].shape, generator=random())).clamp(0, 1)
    assert near_pictures(noisy, large).tolist() == [[row, row] for row in range(5)]


def test_pictures_of_one_colour_or_none_are_near_to_none() -> None:
    grey = torch.stack([torch.full((1, 4, 4), 0.5), torch.full((1, 4, 4), torch.nan)])
    assert len(near_pictures(grey, grey)) == 0


# --- vectors and numbers ----------------------------------------------------------------------------------------------


def test_perturbed_vectors_are_found() -> None:
    bunch: Any = load_breast_cancer()
    values = torch.tensor(bunch.data, dtype=torch.float32)
    train, others = values[:400], values[400:]
    noise = torch.randn(10, 30, generator=random())
    pairs = near_vectors(torch.cat([others, train[:10] + 0.02 * train.std(0) * noise]), train)
    assert pairs.tolist() == [[len(others) + row, row] for row in range(10)]
    far = train[:10] + 0.2 * train.std(0) * noise
    assert len(near_vectors(far, train)) == 0


def test_vectors_with_missing_values_are_near_to_none() -> None:
    values = torch.randn(30, 8, generator=random())
    values[3] = torch.nan
    values[:, 5] = 2.0  # the same everywhere
    assert near_vectors(values, values)[:, 0].tolist() == [row for row in range(30) if row != 3]
    assert len(near_vectors(values, values[3:4])) == 0


def test_numbers_in_the_same_cells_are_near() -> None:
    numbers = torch.randn(500, 6, generator=random(), dtype=torch.float64)
    numbers[::9, 2] = torch.nan
    codes = torch.randint(0, 4, (500, 2), generator=random(1))
    copies = numbers[:40] + 0.0005 * torch.randn(40, 6, generator=random(2))  # a hundredth of a cell
    pairs = near_numbers((copies, codes[:40]), (numbers, codes))
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert len(pairs) >= 36  # a cell's border is seldom between two such values on both grids
    other_codes = (codes[:40] + 1) % 4
    assert len(near_numbers((copies, other_codes), (numbers, codes))) == 0
    apart = numbers[:40] + 0.06  # more than a cell
    assert len(near_numbers((apart, codes[:40]), (numbers, codes))) == 0


# --- texts ------------------------------------------------------------------------------------------------------------


def tokens(texts: list[str], length: int = 40) -> torch.Tensor:
    words = {word: 2 + at for at, word in enumerate(sorted({word for text in texts for word in text.split()}))}
    ids = [[words[word] for word in text.split()][:length] for text in texts]
    return torch.tensor([[*row, *[0] * (length - len(row))] for row in ids])


def test_messages_with_a_word_more_are_found(shared_data: Path) -> None:
    lines = (shared_data / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8").splitlines()
    texts = [text for line in lines if len((text := line.partition("\t")[2]).split()) > 20][:600]
    ids = tokens([*texts, *(f"{text} thanks" for text in texts[:100])])
    pairs = near_texts(ids[600:], ids[:600])
    # A text of 21 words has 19 shingles, its copy 20: a similarity of 0.95, which 12 bands miss once in ten million.
    assert pairs[:, 0].tolist() == list(range(100))
    by_row = {int(row): int(other) for row, other in pairs}
    assert all(len(set(texts[row].split()) ^ set(texts[other].split())) <= 4 for row, other in by_row.items())
    unlike = near_texts(ids[:100], ids[300:600])
    assert all(jaccard(shingles(ids[:100]), shingles(ids[300:600]), unlike) >= 0.8)


def test_similarity_is_the_shared_part_of_all_shingles() -> None:
    ids = torch.tensor([[5, 6, 7, 8, 9, 0], [5, 6, 7, 8, 4, 0], [5, 6, 5, 6, 5, 6], [5, 0, 0, 0, 0, 0]])
    sets = shingles(ids)
    assert [(row != NONE).sum() for row in sets] == [3, 3, 2, 0]
    assert jaccard(sets, sets, np.array([[0, 1], [0, 0], [0, 2]])).tolist() == [0.5, 1.0, 0.0]  # 2 of 4
    assert len(minhash_candidates(sets, sets)) == 0  # fewer than five shingles
    assert len(near_texts(ids[:, :2], ids)) == 0


# --- what is told -----------------------------------------------------------------------------------------------------


def test_near_rows_are_findings_and_equal_ones_are_told_apart(
    digits: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = digits[:300].clone()
    splits = random_split(300)
    train, test = splits["train"], splits["test"]
    images[test[:4]] = images[train[:4]] * 0.9
    images[test[4]] = images[train[4]]
    column = Column(images, "image", range=(0.0, 1.0))

    def findings() -> list[str]:
        found = DataLoaders({"image": column}, splits).findings()
        return [finding for finding in found if "equal" in finding or "also stand" in finding]

    told = ", ".join(f"row {row} (train row {other})" for row, other in zip(test[:3].tolist(), train, strict=False))
    near = f"image: test rows that nearly equal one of train: 4, such as {told}."
    assert findings() == [
        f"test rows that also stand in train: 1, such as row {test[4]} (train row {train[4]}).",
        near,
    ]
    monkeypatch.setattr(_overlap, "WORK", 64 * 210 * 10)
    (sampled,) = [finding for finding in findings() if "nearly" in finding]
    assert "nearly equal one of train: 1 (10 were compared with 210), such as row" in sampled


def test_columns_of_numbers_are_compared_together_and_texts_by_their_tokens() -> None:
    numbers = torch.randn(200, 4, generator=random())
    numbers[190:] = numbers[:10] + 1e-5
    columns = {f"n{at}": Column(numbers[:, at : at + 1], "number") for at in range(4)}
    columns["kind"] = Column(torch.arange(200) % 190 % 3, "category", classes=("a", "b", "c"))
    words = torch.randint(2, 50, (200, 30), generator=random(1))
    words[190:] = words[:10]
    words[190:, 29] = 51
    rows = torch.arange(200)
    splits = {"train": rows[:150], "val": rows[150:190], "test": rows[190:]}
    fields = {name: column.info(name) for name, column in columns.items()}
    fields["text"] = FieldInfo(name="text", kind="text", value=ValueInfo(shape=(30,), dtype="int64"))
    values = {name: column.values for name, column in columns.items()} | {"text": words}
    found = list(_overlap.overlap_findings(fields, values, splits))
    first = "row 190 (train row 0), row 191 (train row 1), row 192 (train row 2)."
    assert found == [
        f"text: test rows that nearly equal one of train: 10, such as {first}",
        f"numbers: test rows that nearly equal one of train: 10, such as {first}",
    ]
    few = {name: columns[name].values for name in ("n0", "n1", "n2", "kind")}
    assert list(_overlap.overlap_findings(fields, few, splits)) == []  # three numbers are near by chance
    assert list(_overlap.overlap_findings(fields, {}, splits)) == []


def test_rows_whose_data_set_has_no_numbers_are_not_near_each_other() -> None:
    """What both lack is equal in all of them, and tells nothing."""
    values = {"facts": torch.randn(40, 5, generator=random()), "picture": torch.rand(40, 2, generator=random(1))}
    values["facts"][20:] = torch.nan
    fields = {
        "facts": FieldInfo(name="facts", kind="table", value=ValueInfo(shape=(5,))),
        "picture": FieldInfo(name="picture", kind="mask", value=ValueInfo(shape=(2,))),
    }
    splits = {"train": torch.arange(0, 40, 2), "test": torch.arange(1, 40, 2)}
    assert list(_overlap.overlap_findings(fields, values, splits)) == []
