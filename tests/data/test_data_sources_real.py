"""Sources on real data sets; the figures stand in each set's own description."""

from __future__ import annotations

import wave
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from jumpml.data.sources import (
    AUDIO_SUFFIXES,
    IMAGE_SUFFIXES,
    CsvSource,
    FilesSource,
    IdxSource,
    JsonSource,
    PathPattern,
    TextSource,
)

if TYPE_CHECKING:
    from pathlib import Path

MISSING = ("", "NA", "?")


def test_adult(shared_data: Path) -> None:
    folder = shared_data / "adult"
    with (folder / "adult-train.csv").open() as file:
        width = len(file.readline().split(","))
    names = [f"c{index}" for index in range(width)]
    source = CsvSource(folder / "adult-train.csv", missing=MISSING, header=names)
    read = source.read(["c0", "c1", "c14"])
    assert len(read["c0"]) == 32561  # adult.names
    assert set(read["c14"]) == {"<=50K", ">50K"}
    assert sum(value is None for value in read["c1"]) == 1836
    assert source.read(["c1"], 30000, 30010)["c1"].tolist() == read["c1"][30000:30010].tolist()


def test_penguins(shared_data: Path) -> None:
    read = CsvSource(shared_data / "penguins" / "penguins.csv", missing=MISSING).read(["species", "sex"])
    assert {name: int((read["species"] == name).sum()) for name in set(read["species"])} == {
        "Adelie": 152,
        "Gentoo": 124,
        "Chinstrap": 68,
    }
    assert sum(value is None for value in read["sex"]) == 11


def test_sms_spam(shared_data: Path) -> None:
    """Quotes are letters here: read as a csv's, they would swallow rows."""
    path = shared_data / "sms_spam" / "SMSSpamCollection"
    labels = CsvSource(path, "\t", header=("label", "text"), quote=None).read(["label", "text"])["label"]
    assert {name: int((labels == name).sum()) for name in set(labels)} == {"ham": 4827, "spam": 747}


def test_goemotions(shared_data: Path) -> None:
    source = CsvSource(shared_data / "goemotions" / "train.tsv", "\t", quote=None)
    assert list(source.schema) == ["text", "label", "id"]
    assert len(source.read(["id"])["id"]) == 43410


def test_ett(shared_data: Path) -> None:
    source = CsvSource(shared_data / "ett_small" / "ETTh1.csv")
    assert list(source.schema) == ["date", "HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
    assert len(source.read(["OT"])["OT"]) == 17420


def test_fashion_mnist(shared_data: Path) -> None:
    folder = shared_data / "fashion_mnist"
    source = IdxSource({"image": folder / "t10k-images-idx3-ubyte.gz", "label": folder / "t10k-labels-idx1-ubyte.gz"})
    assert source.schema == {"image": "uint8 [28, 28]", "label": "uint8"}
    assert np.bincount(source.read(["label"])["label"]).tolist() == [1000] * 10


def test_spoken_digits(shared_data: Path) -> None:
    path = shared_data / "fsdd_spoken_digits" / "fsdd_recordings.zip"
    pattern = PathPattern("{digit}_{speaker}_{take}.wav")
    source = FilesSource(path, content="audio", suffixes=AUDIO_SUFFIXES, pattern=pattern)
    read = source.read(["digit", "speaker", "take", "audio"])
    assert source.length == 3000
    assert {len(set(read["digit"])), len(set(read["speaker"])), len(set(read["take"]))} == {10, 6, 50}
    with wave.open(BytesIO(read["audio"][1234].read())) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (8000, 1)


def test_nlvr(shared_data: Path) -> None:
    source = JsonSource(shared_data / "nlvr" / "test.json.gz")
    assert source.length == 990
    assert set(source.read(["label"])["label"]) == {"true", "false"}
    pattern = PathPattern("test-{number}-{variant}-{permutation}.png")
    path = shared_data / "nlvr" / "test_images_perm0.zip"
    pictures = FilesSource(path, content="image", suffixes=IMAGE_SUFFIXES, pattern=pattern)
    assert pictures.length == 990
    assert pictures.read(["image"], 5, 6)["image"][0].read().startswith(b"\x89PNG")


def test_tiny_shakespeare(shared_data: Path) -> None:
    path = shared_data / "tiny_shakespeare" / "input.txt"
    letters = TextSource(path, 256).read(["text"])["text"]
    assert sum(map(len, letters)) == 1115394
    speeches = TextSource(path, "paragraph")
    assert speeches.read(["text"], 0, 1)["text"][0].startswith("First Citizen:\nBefore we proceed")
    assert speeches.place(1) == "row 1 (line 4 of input.txt)"
