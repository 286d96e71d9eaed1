"""What holds for every random change, whatever it changes: one table, and properties over it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch

from jumpml.core import FieldInfo, MissingExtraError, ValueInfo
from jumpml.data import (
    Affine,
    Augmentation,
    Blur,
    Colour,
    Crop,
    CropSteps,
    CutMix,
    DropTokens,
    Erase,
    Flip,
    Gain,
    MaskFrequency,
    MaskSteps,
    MaskTime,
    MaskTokens,
    Mixing,
    Mixup,
    Noise,
    Permute,
    RandAugment,
    Rotate,
    Scale,
    Shift,
    SwapNoise,
    TimeShift,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

ROWS = 24
SIZES = {"image": (3, 9, 7), "mask": (9, 7), "audio": (2, 40), "series": (12, 3), "text": (10,), "number": (1,)}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(kind: str, rows: int = ROWS, seed: int = 0) -> Tensor:
    """Decoded values of a kind; tokens end in padding."""
    generator, size = seeded(seed), SIZES[kind]
    if kind == "mask":
        return torch.randint(0, 5, (rows, *size), generator=generator)
    if kind == "text":
        tokens = torch.randint(2, 90, (rows, *size), generator=generator)
        length = torch.randint(2, size[0] + 1, (rows, 1), generator=generator)
        return tokens.where(torch.arange(size[0]) < length, 0)
    values = torch.rand(rows, *size, generator=generator)
    return values * 2 - 1 if kind in {"audio", "series"} else values


def info(kind: str, name: str = "f", *, shape: tuple[int, ...] | None = None, missing: int = 0) -> FieldInfo:
    shape = SIZES.get(kind, ()) if shape is None else shape
    classes = ("a", "b", "c") if kind == "category" else ()
    return FieldInfo(name=name, kind=kind, value=ValueInfo(shape=shape), classes=classes, missing=missing)


@dataclass(frozen=True)
class Case:
    """A change at some strength and at none, and what it is made for."""

    step: Augmentation
    still: Augmentation
    kinds: tuple[str, ...]
    ends: tuple[float, float] | None = None  # what values never leave


PICTURE = ("image", "mask")
CASES = {
    "shift": Case(Shift(2), Shift(0), PICTURE, (0, 1)),
    "rotate": Case(Rotate(40.0), Rotate(0.0), PICTURE, (0, 1)),
    "flip": Case(Flip(0.5, 0.5), Flip(), PICTURE, (0, 1)),
    "crop": Case(Crop((0.3, 0.9)), Crop((1.0, 1.0), (7 / 9, 7 / 9)), PICTURE, (0, 1)),
    "affine": Case(Affine(20.0, 0.2, (0.7, 1.4), 15.0), Affine(), PICTURE, (0, 1)),
    "colour": Case(Colour(0.4, 0.4, 0.4, 0.2), Colour(), ("image",), (0, 1)),
    "blur": Case(Blur((0.5, 2.0)), Blur((1e-3, 1e-3)), ("image",), (0, 1)),
    "erase": Case(Erase(0.4, 0.7), Erase(0.4, 0.0), ("image",), (0, 1)),
    "rand_augment": Case(RandAugment(2, 12.0), RandAugment(0), PICTURE, (0, 1)),
    "noise": Case(Noise(0.3), Noise(0.0), ("image", "audio", "series", "number")),
    "relative_noise": Case(Noise(0.3, relative=True), Noise(0.0, relative=True), ("image", "audio", "series")),
    "swap_noise": Case(SwapNoise(0.5), SwapNoise(0.0), ("number",), (0, 1)),
    "time_shift": Case(TimeShift(0.4), TimeShift(0.0), ("audio",), (-1, 1)),
    "gain": Case(Gain(12.0), Gain(0.0), ("audio",), (-1, 1)),
    "mask_time": Case(MaskTime(0.5, 2), MaskTime(0.0), ("audio",), (-1, 1)),
    "mask_frequency": Case(MaskFrequency(1.0), MaskFrequency(0.0), ("audio",), (-1, 1)),
    "scale": Case(Scale(0.3), Scale(0.0), ("series",)),
    "permute": Case(Permute(5), Permute(1), ("series",), (-1, 1)),
    "mask_steps": Case(MaskSteps(0.5, 2), MaskSteps(0.0), ("series",), (-1, 1)),
    "crop_steps": Case(CropSteps((0.4, 0.9)), CropSteps((1.0, 1.0)), ("series",), (-1, 1)),
    "mask_tokens": Case(MaskTokens(0.4), MaskTokens(0.0), ("text",), (0, 89)),
    "drop_tokens": Case(DropTokens(0.4), DropTokens(0.0), ("text",), (0, 89)),
}
EACH = [pytest.param(case, kind, id=f"{name}-{kind}") for name, case in CASES.items() for kind in case.kinds]
each = pytest.mark.parametrize(("case", "kind"), EACH)


@each
def test_a_change_is_a_function_of_values_and_generator(case: Case, kind: str) -> None:
    values = drawn(kind)
    before = values.clone()
    first = case.step(values, seeded(3))
    assert torch.equal(first, case.step(values, seeded(3)))
    assert not torch.equal(first, case.step(values, seeded(4)))
    assert torch.equal(values, before), "what came in was written to"
    assert (first.shape, first.dtype) == (values.shape, values.dtype)


@each
def test_the_global_generator_is_left_alone(case: Case, kind: str) -> None:
    state = torch.get_rng_state()
    case.step(drawn(kind), seeded(0))
    assert torch.equal(state, torch.get_rng_state())


@each
def test_equal_rows_are_drawn_differently(case: Case, kind: str) -> None:
    values = drawn(kind)
    values = drawn("number") if kind == "number" else values[:1].expand_as(values)
    assert len(case.step(values, seeded(0)).flatten(1).unique(dim=0)) > 2


@pytest.mark.parametrize(("case", "kind"), [each for each in EACH if each.id != "swap_noise-number"])
def test_a_row_changes_no_other(case: Case, kind: str) -> None:
    values, other = drawn(kind), drawn(kind, seed=1)
    changed = values.clone()
    changed[5] = other[5]
    first, second = (case.step(each, seeded(2)) for each in (values, changed))
    kept = torch.arange(ROWS) != 5
    assert torch.equal(first[kept], second[kept])


@each
def test_without_strength_nothing_changes(case: Case, kind: str) -> None:
    values = drawn(kind)
    torch.testing.assert_close(case.still(values, seeded(0)), values, atol=2e-6, rtol=0)


@each
def test_values_stay_where_they_are_promised_to(case: Case, kind: str) -> None:
    if case.ends is not None:
        low, high = case.ends if kind != "mask" else (-1, 4)
        for seed in range(5):
            values = case.step(drawn(kind), seeded(seed))
            assert low - 1e-6 <= float(values.min()) <= float(values.max()) <= high + 1e-6


@each
def test_a_change_suits_the_kinds_that_it_is_made_for(case: Case, kind: str) -> None:
    assert case.step.problem(info(kind)) == ""
    assert case.step.problem(info(kind, shape=tuple(0 for _ in SIZES[kind]))) == "", "a size may be unknown yet"


MIXING: dict[str, Mixing] = {"mixup": Mixup(0.5), "cutmix": CutMix(1.0)}
mixing = pytest.mark.parametrize("step", MIXING.values(), ids=MIXING)


@mixing
def test_mixing_is_a_function_of_values_and_generator(step: Mixing) -> None:
    state = torch.get_rng_state()
    values = [drawn("image"), torch.eye(ROWS)]
    before = [each.clone() for each in values]
    first, second, third = (step(values, seeded(seed)) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], third[0])
    assert all(torch.equal(a, b) for a, b in zip(values, before, strict=True))
    assert torch.equal(state, torch.get_rng_state())


# --- what cannot be changed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "field", "text"),
    [
        (Flip(0.5), info("series"), "flip is for images; this field is a series."),
        (Crop((0.5, 1)), info("number"), "crop is for images; this field is a number."),
        (Affine(5.0), info("text"), "affine is for images; this field is a text."),
        (Shift(1), info("text"), "shift is for images; this field is a text."),
        (Colour(0.1), info("mask"), "colour is for images; this field is a mask."),
        (Blur((1, 2)), info("mask"), "blur is for images; this field is a mask."),
        (
            Colour(saturation=0.1),
            info("image", shape=(1, 8, 8)),
            "saturation is for pictures in red, green and blue; this one has 1 channel.",
        ),
        (
            Colour(hue=0.1),
            info("image", shape=(4, 8, 8)),
            "hue is for pictures in red, green and blue; this one has 4 channels.",
        ),
        (Colour(0.1, 0.1), info("image", shape=(1, 8, 8)), ""),
        (RandAugment(), info("audio"), "rand_augment is for images; this field is an audio."),
        (
            RandAugment(),
            info("image", shape=(2, 8, 8)),
            "rand_augment is for pictures of 1 or 3 channels; this one has 2.",
        ),
        (Noise(0.1), info("text"), "noise is for numbers; this field is a text."),
        (
            Noise(0.1),
            info("table", shape=(4,)),
            "noise is for numbers, and a table may hold codes of categories; take swap_noise.",
        ),
        (
            Noise(0.1, relative=True),
            info("number"),
            "relative noise needs several values a row; this field is a number. Leave `relative` out.",
        ),
        (SwapNoise(0.1), info("image"), "swap_noise is for numbers, categories and tables; this field is an image."),
        (TimeShift(0.1), info("series"), "time_shift is for audio; this field is a series."),
        (Gain(3), info("series"), "gain is for audio; this field is a series."),
        (
            MaskTime(0.1),
            info("series"),
            "mask_time is for spectrograms: audio with features, tensors; this field is a series.",
        ),
        (
            MaskFrequency(0.1),
            info("image"),
            "mask_frequency is for spectrograms: audio with features, tensors; this field is an image.",
        ),
        (Scale(0.1), info("audio"), "scale is for series; this field is an audio."),
        (Permute(2), info("number"), "permute is for series; this field is a number."),
        (Permute(13), info("series"), "expected no more segments than the series has steps, 12; got 13."),
        (MaskSteps(0.1), info("text"), "mask_steps is for series; this field is a text."),
        (CropSteps((0.1, 1)), info("audio"), "crop_steps is for series; this field is an audio."),
        (MaskTokens(0.1), info("category"), "mask_tokens is for texts; this field is a category."),
        (DropTokens(0.1), info("image"), "drop_tokens is for texts; this field is an image."),
    ],
)
def test_a_change_says_what_it_cannot_change(step: Augmentation, field: FieldInfo, text: str) -> None:
    assert step.problem(field) == text


@pytest.mark.parametrize(
    ("step", "fields", "text"),
    [
        (
            Mixup(),
            [info("image", "image")],
            'mixup mixes rows, so their label has to be mixed alike: name both in one key, such as "image, label".',
        ),
        (
            Mixup(),
            [info("category", "label"), info("number", "y")],
            "mixup needs a field of kind image or tensor or audio or series beside the label.",
        ),
        (
            Mixup(),
            [info("image", "image"), info("text", "words")],
            "'words': mixup is for fields of kind image, tensor, audio, series and their labels; this field is a text.",
        ),
        (
            CutMix(),
            [info("tensor", "x", shape=(3,)), info("category", "label")],
            "'x': cutmix is for fields of kind image, mask and their labels; this field is a tensor.",
        ),
        (
            CutMix(),
            [info("image", "image"), info("category", "label", missing=3)],
            "'label': 3 values are missing, and a row cannot be mixed with what is not there. "
            "Leave those rows out, or take another step.",
        ),
        (Mixup(), [info("image", "image"), info("category", "label"), info("multilabel", "tags", shape=(4,))], ""),
        (CutMix(), [info("image", "image"), info("mask", "mask"), info("category", "label")], ""),
    ],
)
def test_a_mixing_step_says_what_it_cannot_mix(step: Mixing, fields: list[FieldInfo], text: str) -> None:
    assert step.problem(fields) == text


@pytest.mark.parametrize(
    ("make", "purpose"), [(lambda: Colour(hue=0.1), "colour with a hue"), (RandAugment, "rand_augment")]
)
def test_without_kornia_the_extra_is_named(
    make: Callable[[], object], purpose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    with pytest.raises(MissingExtraError) as caught:
        make()
    assert str(caught.value) == (
        f"{purpose} needs the package 'kornia', which is not installed: pip install 'jumpml[vision]'"
    )
    Colour(0.4, 0.4, 0.4)  # the others need nothing
