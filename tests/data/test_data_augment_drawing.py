"""Augmented examples are drawn for every kind of field, from the batches that training would see."""

from __future__ import annotations

import pytest
import torch

from jumpml.core import DataError
from jumpml.data import (
    Affine,
    Column,
    CutMix,
    DataLoaders,
    Gain,
    MaskTime,
    MaskTokens,
    Noise,
    Shift,
    Standardize,
    SwapNoise,
    draw_examples,
    random_split,
)
from jumpml.data.augment._drawing import _words
from jumpml.data.augment._examples import examples

ROWS = 20
TEXT = {"padding": 0, "unknown": 1, "vocabulary": ["[PAD]", "[UNK]", "das", "$x$", "\N{CJK UNIFIED IDEOGRAPH-8BED}"]}


def loaders() -> DataLoaders:
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(ROWS, *shape, generator=generator)

    columns = {
        "image": Column(rand(3, 8, 8), "image"),
        "mask": Column((rand(8, 8) * 3).long() - (rand(8, 8) < 0.1).long(), "mask", classes=("a", "b", "c")),
        "label": Column(torch.arange(ROWS) % 3, "category", classes=("cat", "dog", "bird")),
        "sound": Column(rand(1, 40) * 2 - 1, "audio"),
        "series": Column(rand(12, 2), "series"),
        "spectrogram": Column(rand(6, 10), "tensor"),
        "vector": Column(rand(5), "tensor"),
        "text": Column((rand(6) * 5).long(), "text", options={"tokenizer": TEXT}),
        "age": Column(rand(1), "number"),
    }
    return DataLoaders(
        columns,
        random_split(ROWS),
        features={"spectrogram": [Standardize()]},
        augment={"image": [Shift(1)], "image, label": [CutMix()], "age": [SwapNoise(0.5)]},
        views={
            "all": {
                "image, mask": [Affine(20.0)],
                "sound": [Gain(3.0)],
                "series": [Noise(0.1)],
                "spectrogram": [MaskTime(0.5)],
                "vector": [Noise(0.1)],
                "text": [MaskTokens(0.5)],
                "label": [SwapNoise(0.5)],
            },
            "labels": {"label": [SwapNoise(0.5)]},
        },
        batch_size=8,
    )


def test_every_kind_is_drawn() -> None:
    whole = draw_examples(loaders(), rows=2)
    assert whole.startswith(b"\x89PNG")
    parts = [draw_examples(loaders(), view, rows=2) for view in ("augment", "all", "labels")]
    heights = [int.from_bytes(picture[20:24], "big") for picture in (whole, *parts)]
    assert abs(heights[0] - sum(heights[1:])) <= 3, "each policy has a part of the whole"


def test_the_examples_are_the_first_rows_of_the_first_batch() -> None:
    data = loaders()
    plain, views, _ = examples(data, None, rows=3, draws=2)
    data.train.serve(None, ["all.0"])
    batch = next(iter(data.train))
    assert [plain.title, views.title] == ["augment", "view all"]
    for versions in (*plain.fields, *views.fields):
        assert len(versions.values) == 3
    for versions in plain.fields:
        drawn = batch[versions.field.name][:3]
        assert torch.equal(versions.values[1], drawn)
    spectrogram = next(versions for versions in views.fields if versions.field.name == "spectrogram")
    assert spectrogram.featurised
    assert torch.equal(spectrogram.values[1], batch["spectrogram@all.0"][:3])
    assert torch.equal(spectrogram.values[0], batch["spectrogram"][:3]), "the original is what its features give"


def test_values_are_told_in_words() -> None:
    fields = loaders().fields
    assert _words(fields["label"], torch.tensor(1)) == "dog"
    assert _words(fields["label"], torch.tensor(-1)) == "missing"
    assert _words(fields["label"], torch.tensor([0.25, 0.75, 0.0])) == "75% dog, 25% cat"
    assert _words(fields["age"], torch.tensor([0.123456])) == "0.1235"
    assert _words(fields["text"], torch.tensor([2, 1, 3, 0])) == "das [UNK] $x$"


def test_a_view_that_is_not_there_is_told() -> None:
    with pytest.raises(DataError, match=r"there is no view 'label'. Did you mean 'labels'\?"):
        draw_examples(loaders(), "label")
