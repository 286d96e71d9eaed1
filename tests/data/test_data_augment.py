"""Augmentation draws for each row on its own, from nothing but the generator that it is given."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import FieldInfo, ValueInfo
from jumpml.data import Augmentation, Erase, Noise, Rotate, Shift

STEPS = [Shift(2), Rotate(40.0), Noise(0.3), Erase(0.4, 0.7)]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def image(*shape: int) -> FieldInfo:
    return FieldInfo(name="f", kind="image", value=ValueInfo(shape=shape))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_steps_are_functions_of_values_and_generator(step: Augmentation) -> None:
    values = torch.rand(9, 3, 6, 5, generator=seeded(0))
    before = values.clone()
    torch.manual_seed(1)
    first = step(values, seeded(3))
    torch.manual_seed(2)
    assert torch.equal(first, step(values, seeded(3)))
    assert not torch.equal(first, step(values, seeded(4)))
    assert torch.equal(values, before)
    assert first.shape == values.shape
    assert first.dtype == torch.float32


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_equal_rows_are_changed_differently_and_channels_alike(step: Augmentation) -> None:
    values = torch.rand(1, 1, 6, 6, generator=seeded(0)).expand(40, 2, 6, 6)
    out = step(values, seeded(0))
    assert len(out.flatten(1).unique(dim=0)) > 5
    if not isinstance(step, Noise):
        assert torch.equal(out[:, 0], out[:, 1])


@given(pixels=st.integers(1, 4), seed=st.integers(0, 99))
def test_shift_moves_by_whole_pixels_and_brings_in_zeros(pixels: int, seed: int) -> None:
    values = torch.rand(30, 2, 6, 7, generator=seeded(seed)) + 0.1
    out = Shift(pixels)(values, seeded(seed))
    padded = torch.nn.functional.pad(values, (pixels,) * 4)
    moved = 2 * pixels + 1
    for before, after in zip(padded, out, strict=True):
        places = [before[:, y : y + 6, x : x + 7] for y in range(moved) for x in range(moved)]
        assert sum(torch.equal(place, after) for place in places) == 1


def test_shift_uses_its_whole_range_evenly() -> None:
    values = torch.zeros(9000, 1, 5, 5)
    values[:, 0, 2, 2] = 1
    counts = Shift(1)(values, seeded(0)).sum(0)[0]
    inner = counts[1:4, 1:4]
    assert inner.sum() == 9000
    # Nine places, each binomial with a standard deviation of 30 around 1000.
    assert (inner - 1000).abs().max() < 4 * 30


def test_rotate_keeps_the_centre_and_turns_by_the_angle() -> None:
    height, width, degrees = 33, 65, 30.0
    values = torch.zeros(500, 1, height, width)
    values[:, 0, 15:18, 15:18] = 1  # a spot 16 pixels left of the centre, three wide
    out = Rotate(degrees)(values, seeded(0))[:, 0]
    y = torch.arange(height) - 16.0
    x = torch.arange(width) - 32.0
    mass = out.sum((1, 2))
    at_y = (out.sum(2) * y).sum(1) / mass
    at_x = (out.sum(1) * x).sum(1) / mass
    # In an oblong picture too, the spot stays at its distance from the centre: nothing is sheared.
    torch.testing.assert_close((at_x**2 + at_y**2).sqrt(), torch.full((500,), 16.0), atol=0.1, rtol=0)
    turned = torch.atan2(-at_y, -at_x).rad2deg()
    assert turned.abs().max() < degrees + 0.3
    # Uniform in [-30, 30]: a standard deviation of 60 / sqrt(12) = 17.3, and the mean of 500 within 4 * .77.
    assert abs(turned.std() - 60 / math.sqrt(12)) < 1
    assert abs(turned.mean()) < 3.1


def test_rotate_interpolates_and_brings_in_zeros() -> None:
    out = Rotate(180.0)(torch.ones(200, 1, 8, 8), seeded(0))
    assert out.min() == 0
    torch.testing.assert_close(out[:, :, 3:5, 3:5], torch.ones(200, 1, 2, 2))


def test_noise_has_its_standard_deviation_and_suits_any_numbers() -> None:
    values = torch.tensor([[1.0], [torch.nan]]).repeat(10_000, 1)
    out = Noise(0.3)(values, seeded(0))
    assert out[1::2].isnan().all()
    # The standard error of a deviation from 10,000 draws is .3 / sqrt(20000) = .002.
    assert abs((out[::2] - 1).std() - 0.3) < 4 * 0.0022


@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    area=st.floats(0.05, 0.99),
    probability=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_erase_blanks_one_rectangle_of_at_most_its_area(
    height: int, width: int, area: float, probability: float
) -> None:
    step = Erase(area, probability)
    if step.problem(image(1, height, width)):
        return
    out = step(torch.ones(60, 2, height, width), seeded(1))
    assert torch.equal(out[:, 0], out[:, 1])
    gone = out[:, 0] == 0
    pixels = gone.sum((1, 2))
    assert (pixels <= area * height * width).all()
    assert (pixels == gone.any(2).sum(1) * gone.any(1).sum(1)).all()
    touched = (pixels > 0).float().mean()
    # A binomial share of 60 rows stays within 4 * .065 of one half.
    assert abs(touched - probability) < (0.26 if probability == 0.5 else 1e-6)


def test_erase_reaches_every_pixel() -> None:
    out = Erase(0.3, 1.0)(torch.ones(2000, 1, 6, 9), seeded(0))
    assert (out == 0).any(0).all()


@pytest.mark.parametrize(
    ("step", "field", "text"),
    [
        (
            Shift(1),
            FieldInfo(name="f", kind="number", value=ValueInfo(shape=(1,))),
            "shift is for images; this field is a number.",
        ),
        (
            Rotate(1),
            FieldInfo(name="f", kind="tensor", value=ValueInfo(shape=(3,))),
            "rotate is for images; this field is a tensor.",
        ),
        (
            Erase(0.1),
            FieldInfo(name="f", kind="tensor", value=ValueInfo(shape=(3,))),
            "erase is for images; this field is a tensor.",
        ),
        (
            Noise(1),
            FieldInfo(name="f", kind="category", value=ValueInfo(shape=(), dtype="int64")),
            "noise is for numbers; this field is a category.",
        ),
        (Shift(4), image(1, 4, 8), "expected fewer pixels than the picture's shorter side, 4; got 4."),
        (Erase(0.01), image(1, 8, 8), "expected an area of at least one of the picture's 64 pixels, got 0.01 of them."),
        (Noise(1), image(1, 8, 8), ""),
        (Shift(3), image(1, 4, 8), ""),
        (Rotate(3), image(1, 4, 8), ""),
        (Erase(0.02), image(1, 8, 8), ""),
    ],
)
def test_steps_say_what_they_cannot_change(step: Augmentation, field: FieldInfo, text: str) -> None:
    assert step.problem(field) == text
