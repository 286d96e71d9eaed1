"""Kinds whose raw values may be files: pictures, masks and sounds, decoded here and by the deployed model."""

from __future__ import annotations

import base64
import io
import json
import pickle
import wave
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image
from pydantic import TypeAdapter

from jumpml.core import DataError
from jumpml.core._field_spec import FieldSpec
from jumpml.data.kinds import KINDS, Column, RawColumn, decode, decoding, raw_rows
from jumpml.data.kinds._encoded import EncodedKind
from jumpml.data.kinds._sound import resample
from jumpml.data.sources import BytesBlob
from jumpml.deploy._runtime import BundleError, decoder_of
from jumpml.deploy._runtime import decode as decode_deployed

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = {"kind": "image", "shape": [3, 4, 6]}
MASK = {"kind": "mask", "shape": [2, 3], "classes": ["sky", "road", "car"]}
AUDIO = {"kind": "audio", "rate": 8000, "samples": 50}


def made(values: Any, folder: Path | None = None, /, **told: Any) -> Column:
    """Decodes a column as a data file in that folder would say."""
    array = values
    if not isinstance(values, np.ndarray):
        array = np.empty(len(values), dtype=object)
        for row, value in enumerate(values):
            array[row] = value
    where = "data set 'd', field 'f'"
    raw = RawColumn(values=array, where=where, place=lambda row: f"row {row}", folder=folder)
    return decode([raw], TypeAdapter(FieldSpec).validate_python(told))


def deployed(column: Column, values: list[Any], files: Path | None = None) -> np.ndarray:
    how = json.loads(json.dumps(decoding(column.info("f"))))
    return decode_deployed("f", decoder_of(how, files), values)


def same_bits(column: Column, other: np.ndarray) -> None:
    assert other.dtype == column.values.numpy().dtype
    np.testing.assert_array_equal(other, column.values.numpy())


def round_trip(column: Column, **told: Any) -> None:
    """Raw values, decoded again here and by the runtime, give the same bits."""
    rows = json.loads(json.dumps(raw_rows({"f": (column.info("f"), column.values)}, {})))
    raw = [row["f"] for row in rows]
    same_bits(column, deployed(column, raw))
    same_bits(column, made(raw, **told).values.numpy())


def test_the_comparison_can_fail() -> None:
    column = made([[[0, 1, 2], [0, 0, 0]]], **MASK)
    with pytest.raises(AssertionError):
        same_bits(column, deployed(column, [[[0, 1, 1], [0, 0, 0]]]))


def png(pixels: np.ndarray, mode: str | None = None, form: str = "png") -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(buffer, form)
    return buffer.getvalue()


def data_url(content: bytes) -> str:
    return "data:;base64," + base64.b64encode(content).decode()


def complaint(values: Any, folder: Path | None = None, /, **told: Any) -> str:
    with pytest.raises(DataError) as error:
        made(values, folder, **told)
    return str(error.value)


# --- pictures ---------------------------------------------------------------------------------------------------------


@given(npst.arrays(np.uint8, (4, 6, 3)))
def test_a_picture_of_the_field_s_size_keeps_its_pixels(pixels: np.ndarray) -> None:
    content = png(pixels)
    column = made([BytesBlob(content, "a.png"), None], **IMAGE)
    arrays = made([pixels.transpose(2, 0, 1).tolist(), None], **IMAGE)
    same_bits(column, arrays.values.numpy())
    same_bits(column, deployed(column, [data_url(content), None]))
    same_bits(column, deployed(column, [content, None]))
    round_trip(column, **IMAGE)
    assert column.info("f").missing == 1


@pytest.mark.parametrize(
    ("mode", "form"), [("L", "png"), ("P", "png"), ("1", "png"), ("RGBA", "png"), ("CMYK", "tiff")]
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_converted_and_stretched(mode: str, form: str, channels: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / f"a.{form}").write_bytes(png(pixels, mode, form))
    told = {"kind": "image", "shape": [channels, 4, 5]}
    column = made([f"a.{form}"], tmp_path, folder="pictures", **told)
    assert column.values.shape == (1, channels, 4, 5)
    same_bits(column, deployed(column, [f"a.{form}"], tmp_path / "pictures"))
    round_trip(column, **told)


def test_a_picture_is_turned_as_its_camera_was() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    buffer = io.BytesIO()
    Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).save(buffer, "png", exif=exif)
    column = made([BytesBlob(buffer.getvalue(), "a")], kind="image", shape=[1, 1, 2])
    assert column.values.flatten().tolist() == [1, 0]
    same_bits(column, deployed(column, [buffer.getvalue()]))


def test_a_picture_of_16_bits_has_a_range_of_its_own() -> None:
    content = png(np.array([[0, 1000], [65535, 5]], dtype=np.uint16))
    told = {"kind": "image", "shape": [1, 2, 2], "range": [0, 65535]}
    column = made([BytesBlob(content, "a.png")], **told)
    assert column.values.flatten().tolist() == [np.float32(value / 65535) for value in (0, 1000, 65535, 5)]
    same_bits(column, deployed(column, [content]))
    text = "a.png: expected values in the field's range [0, 255], got 1000."
    assert text in complaint([BytesBlob(content, "a.png")], kind="image", shape=[1, 2, 2])
    text = "such a file has more than 8 bits a pixel and one channel, and the field 3 channels"
    assert text in complaint([BytesBlob(content, "a.png")], kind="image", shape=[3, 2, 2])


def test_damaged_and_missing_pictures_are_named(tmp_path: Path) -> None:
    whole = png(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    (tmp_path / "half.png").write_bytes(whole[:1000])
    (tmp_path / "text.png").write_bytes(b"hello")
    for name, text in [
        ("half.png", "row 0: half.png: the picture cannot be read: "),
        ("text.png", "row 0: text.png: the picture cannot be read: cannot identify image file"),
        ("none.png", "none.png"),
        ("../a.png", "row 0: the path '../a.png' leads out of the folder"),
    ]:
        assert text in complaint([name], tmp_path, **IMAGE), name
    assert "row 1: expected a file or its path, got 3." in complaint([BytesBlob(whole, "a"), 3], **IMAGE)
    text = "such a file has 1, 3 or 4 channels, and the field 2 channels"
    assert text in complaint([BytesBlob(whole, "a")], kind="image", shape=[2, 4, 4])


def test_a_deployed_model_opens_files_only_where_it_may(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(png(pixels))
    (tmp_path / "in").mkdir()
    column = made(["a.png"], tmp_path, **IMAGE)
    for value, files, text in [
        ("a.png", None, "expected numbers, or a file as 'data:;base64,...'; paths are not opened here."),
        ("../a.png", tmp_path / "in", "the path '../a.png' leads out of the folder"),
        ("b.png", tmp_path, "expected a list of numbers as JSON, or a file; the path 'b.png' cannot be read: No such"),
        (data_url(b"hello"), None, "the picture cannot be read: cannot identify image file"),
        (
            data_url(png(np.zeros((2, 3), np.int32), form="tiff")),
            None,
            "the picture cannot be read: expected 3 channels, and this picture is of mode I",
        ),
        ("data:;base64,!!", None, "Only base64 data is allowed"),
        ("[" * 100_000, None, "expected a list of numbers as JSON, got '[[["),
    ]:
        with pytest.raises(BundleError) as error:
            deployed(column, [value], files)
        assert str(error.value).startswith(f"row 0, field 'f': {text}")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_of_far_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(np.zeros((4, 6, 3), dtype=np.uint8)))
    column = made(["a.png"], tmp_path, **IMAGE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow itself refuses twice as many, and warns before
    assert "row 0: a.png: the picture cannot be read: Image size (24 pixels)" in complaint(["a.png"], tmp_path, **IMAGE)
    with pytest.raises(BundleError, match="the picture cannot be read: it has 6 x 4 pixels, far too many"):
        deployed(column, ["a.png"], tmp_path)


@pytest.mark.parametrize("told", [IMAGE, AUDIO])
def test_files_can_be_decoded_one_by_one_in_other_processes(told: dict[str, Any]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    content = png(pixels) if told["kind"] == "image" else wav(np.arange(60, dtype=np.int16))
    blob = BytesBlob(content, "a")
    kind, spec = KINDS[told["kind"]], TypeAdapter(FieldSpec).validate_python(told)
    assert isinstance(kind, EncodedKind)
    whole = made([blob], **told)
    one = np.empty(whole.values.shape, dtype=np.float32)
    pickle.loads(pickle.dumps(kind.decoder(spec)))(blob, one[0])
    same_bits(whole, one)
    with pytest.raises(DataError, match=r"b: the .* cannot be read"):
        kind.decoder(spec)(BytesBlob(b"", "b"), one[0])


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 300), (0, 1000), (-255, 255), (1, 255), (0, 254), (0.5, 7.25)])
def test_a_picture_in_any_range_is_scaled_to_the_same_bits(low: float, high: float) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pixels = pixels.clip(ceil(low) if low > 0 else 0, int(high))
    exact = ((pixels.astype(np.float64) - low) / (high - low)).astype(np.float32)
    column = made([BytesBlob(png(pixels), "a")], kind="image", shape=[1, 16, 16], range=[low, high])
    same_bits(column, exact[np.newaxis, np.newaxis])


# --- masks ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.none() | npst.arrays(np.int64, (2, 3), elements=st.integers(-1, 2)), min_size=1, max_size=4))
def test_masks_come_back_as_they_were(rows: list[np.ndarray | None]) -> None:
    raw = [None if row is None else np.where(row < 0, 255, row).tolist() for row in rows]
    column = made(raw, **MASK, ignore=255)
    expected = [np.full((2, 3), -1) if row is None else row for row in rows]
    same_bits(column, np.array(expected))
    present = column.present()
    assert (torch.ones(len(rows)) if present is None else present).tolist() == [
        bool((row >= 0).any()) for row in expected
    ]
    round_trip(column, **MASK)


def test_masks_from_pictures() -> None:
    codes = np.array([[0, 1, 2], [2, 255, 0]], dtype=np.uint8)
    palette = Image.fromarray(codes).convert("P")
    palette.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    buffer = io.BytesIO()
    Image.fromarray(codes).save(buffer, "png")
    column = made([BytesBlob(buffer.getvalue(), "a.png")], **MASK, ignore=255)
    assert column.values.tolist() == [[[0, 1, 2], [2, -1, 0]]]
    assert column.info("f").value.classes == 3
    same_bits(column, deployed(column, [buffer.getvalue()]))
    wide = made([BytesBlob(png(codes.repeat(3, axis=0).repeat(3, axis=1)), "a.png")], **MASK, ignore=255)
    same_bits(column, wide.values.numpy())


@pytest.mark.parametrize(
    ("values", "told", "text"),
    [
        ([[[0, 1, 3], [0, 0, 0]]], {}, "row 0: expected codes of the 3 classes, got 3."),
        ([[[0, 1, 0.5], [0, 0, 0]]], {"ignore": 9}, "of the 3 classes, or 9 where the class is not known, got 0.5."),
        (
            [BytesBlob(png(np.full((2, 3), 7, np.uint8)), "m.png")],
            {},
            "row 0: m.png: expected codes of the 3 classes, g",
        ),
        (
            [BytesBlob(png(np.zeros((2, 3, 3), np.uint8)), "m.png")],
            {},
            "m.png: the picture cannot be read: a mask has one channel of codes, and this picture is of mode RGB.",
        ),
    ],
)
def test_bad_masks(values: Any, told: dict[str, Any], text: str) -> None:
    assert text in complaint(values, **MASK, **told)
    if not told:
        column = made([[[0, 1, 2], [0, 0, 0]]], **MASK)
        with pytest.raises(BundleError, match=r"expected codes of the 3 classes, got 3\."):
            deployed(column, [[[0, 1, 3], [0, 0, 0]]])
        with pytest.raises(BundleError, match="expected 1 channels, and this picture is of mode RGB"):
            deployed(column, [data_url(png(np.zeros((2, 3, 3), np.uint8)))])


def test_classes_that_no_train_mask_has_are_told() -> None:
    column = made([[[0, 0, 0], [2, 2, 2]]], **MASK)
    assert list(KINDS["mask"].findings(column.info("f"), [column.values], 1)) == ["no train row has the class road."]


# --- sounds -----------------------------------------------------------------------------------------------------------


def wav(samples: np.ndarray, rate: int = 8000, width: int = 2) -> bytes:
    """A wav file of whole numbers ``[samples]`` or ``[samples, channels]``."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


@given(st.lists(st.none() | npst.arrays(np.int16, st.integers(1, 80)), min_size=1, max_size=4))
def test_sounds_are_what_their_files_hold(rows: list[np.ndarray | None]) -> None:
    files = [None if row is None else wav(row) for row in rows]
    column = made([content and BytesBlob(content, "a.wav") for content in files], **AUDIO)
    for row, values in zip(rows, column.values, strict=True):
        if row is not None:
            expected = np.zeros(50, dtype=np.float32)
            expected[: min(50, len(row))] = row[:50] / 32768
            np.testing.assert_array_equal(values[0].numpy(), expected)
    assert column.info("f").missing == sum(row is None for row in rows)
    same_bits(column, deployed(column, [content and data_url(content) for content in files]))
    round_trip(column, **AUDIO)


@pytest.mark.parametrize(("width", "subtype"), [(1, "PCM_U8"), (2, "PCM_16"), (3, "PCM_24"), (4, "PCM_32")])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_runtime_reads_every_wav_of_whole_numbers(width: int, subtype: str, channels: int, tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (40, 2))
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getsampwidth() == width
    column = made(["a.wav"], tmp_path, **AUDIO, channels=channels)
    assert float((column.values[0, :, :40] - torch.tensor(sound.T).mean(0)).abs().max()) < (
        1.1 if channels > 1 else 0.01
    )
    same_bits(column, deployed(column, ["a.wav"], tmp_path))


def test_how_many_sounds_were_cut_and_how_many_were_short_is_told() -> None:
    column = made([[0.1] * 60, [0.2] * 50, [0.3], None], **AUDIO)
    assert column.notes == (
        "1 of 4 sounds are longer than 50 samples and were cut.",
        "1 of 4 sounds are shorter than 50 samples and go on in silence.",
    )
    assert column.values[2, 0, :2].tolist() == [np.float32(0.3), 0]
    same_bits(column, deployed(column, [[0.1] * 60, [[0.2] * 50], "[0.3]", None]))


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 16000), (44100, 16000), (16000, 8000), (22050, 8000)])
def test_another_rate_is_converted(rate: int, wanted: int) -> None:
    """A tone below both rates' limits stays the tone; one above the new limit goes."""
    low, high = 1000, 0.49 * rate
    time, new_time = np.arange(rate) / rate, np.arange(wanted) / wanted
    tone = np.sin(2 * np.pi * low * time)[np.newaxis].astype(np.float32)
    inner = slice(wanted // 10, -wanted // 10)  # the ends have no neighbours
    converted = resample(tone, rate, wanted)
    assert converted.shape == (1, wanted)
    np.testing.assert_allclose(converted[0, inner], np.sin(2 * np.pi * low * new_time)[inner], atol=1e-3)
    if wanted < rate / 2:
        noise = np.sin(2 * np.pi * high * time)[np.newaxis].astype(np.float32)
        assert np.abs(resample(noise, rate, wanted)[0, inner]).max() < 1e-3
    content = wav((tone[0, :200] * 32767).astype(np.int16), rate)
    column = made([BytesBlob(content, "a.wav")], kind="audio", rate=wanted, samples=20)
    with pytest.raises(BundleError, match=f"expected {wanted} samples a second, got {rate}. Convert the file first."):
        deployed(column, [content])


def test_several_channels_become_one_and_one_becomes_several() -> None:
    stereo = np.array([[100, 300], [0, 2]], dtype=np.int16)
    told = {"kind": "audio", "rate": 8000, "samples": 2}
    column = made([BytesBlob(wav(stereo), "a.wav")], **told)
    assert column.values.tolist() == [[[200 / 32768, 1 / 32768]]]
    same_bits(column, deployed(column, [wav(stereo)]))
    both = made([BytesBlob(wav(stereo[:, 0]), "a.wav")], **told, channels=2)
    assert both.values[0, 0].tolist() == both.values[0, 1].tolist() == [100 / 32768, 0]
    same_bits(both, deployed(both, [wav(stereo[:, 0])]))
    text = "a.wav: expected 3 channels, got 2."
    assert text in complaint([BytesBlob(wav(stereo), "a.wav")], **told, channels=3)


@pytest.mark.parametrize("told", [0xFFFFFFFF, 0x7FFFF000])
def test_a_sound_whose_writer_did_not_know_its_length_is_read(told: int) -> None:
    content = bytearray(wav(np.arange(50, dtype=np.int16)))
    content[40:44] = told.to_bytes(4, "little")
    whole = made([BytesBlob(wav(np.arange(50, dtype=np.int16)), "a.wav")], **AUDIO)
    column = made([BytesBlob(bytes(content), "a.wav")], **AUDIO)
    assert torch.equal(column.values, whole.values)
    same_bits(column, deployed(column, [data_url(bytes(content))]))


def test_bad_sounds(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF????WAVE")
    buffer = io.BytesIO()
    soundfile.write(buffer, np.array([2.0, np.nan]), 8000, "FLOAT", format="WAV")
    for values, text in [
        (["a.wav"], "row 0: a.wav: the sound cannot be read: "),
        (
            [BytesBlob(wav(np.arange(60, dtype=np.int16))[:-8], "b.wav")],
            "row 0: b.wav: the sound cannot be read: the file",
        ),
        ([BytesBlob(buffer.getvalue(), "loud.wav")], "row 0: loud.wav: expected samples in [-1, 1]."),
        ([[0.5], [[0.5], [0.5]]], "row 1: expected 1 lists of samples, equally long, got [[0.5], [0.5]]."),
        ([[0.5], [0.5, 2]], "row 1: expected samples in [-1, 1], got 2."),
        ([[0.5, float("nan")]], "row 0: expected samples in [-1, 1], got nan."),
        ([[0.5], [{}]], "row 1: expected 1 lists of samples, equally long, got [{}]."),
        (np.array(["2001"], "datetime64[s]"), "expected sounds, as files or as lists of numbers, got datetime64[s]."),
    ]:
        assert text in complaint(values, tmp_path, **AUDIO)
    column = made([[0.5]], **AUDIO)
    for value, text in [
        (data_url(b"RIFF"), "expected a wav file of whole numbers: "),
        (data_url(wav(np.zeros((3, 2), np.int16))[:-2]), "expected a wav file of whole numbers: cannot reshape"),
        (
            data_url(wav(np.zeros(30, np.int16))[:-8]),
            "expected a wav file of whole numbers: it ends before its samples do",
        ),
        ([[0.5], [0.5, 0.5]], "expected a list of samples, or equally long ones a channel, got [[0.5], [0.5, 0.5]]."),
        ({"a": 1}, "expected a list of samples, or equally long ones a channel, got {'a': 1}."),
        ([[0.5], [0.5]], "expected 1 lists of samples, got shape [2, 1]."),
        ([3], "expected samples in [-1, 1], got 3."),
    ]:
        with pytest.raises(BundleError) as error:
            deployed(column, [value])
        assert str(error.value).startswith(f"row 0, field 'f': {text}")
