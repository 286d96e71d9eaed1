"""What each change of a picture does, against Pillow, closed forms, or the places of single pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jumpml.data import Affine, Blur, Colour, Crop, Flip, RandAugment, Rotate, Shift
from jumpml.data.augment import _rand_augment as rand

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.data import Augmentation


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photo(rows: int = 1, size: int = 32) -> Tensor:
    """Smooth pictures in red, green and blue, in whole steps of 1/255: what Pillow holds too."""
    coarse = torch.rand(rows, 3, 5, 5, generator=seeded(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)
    return (smooth.clamp(0, 1) * 255).round() / 255


# --- where pixels go --------------------------------------------------------------------------------------------------

MOVES = [Shift(2), Rotate(60.0), Flip(0.5, 0.5), Crop((0.2, 0.9)), Affine(30.0, 0.2, (0.6, 1.5), 20.0), RandAugment(3)]


@pytest.mark.parametrize("step", MOVES, ids=lambda step: type(step).__name__)
def test_a_mask_moves_with_its_picture(step: Augmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    # RandAugment without what changes the picture alone.
    monkeypatch.setattr(rand, "_blend", lambda values, *_: values)
    monkeypatch.setattr(rand, "_tone", lambda values, *_: values)
    codes = torch.zeros(60, 24, 30, dtype=torch.int64)
    codes[:, 4:20, 3:15], codes[:, 6:22, 17:28] = 1, 2
    picture = torch.nn.functional.one_hot(codes, 3).movedim(3, 1).float()
    moved, mask = step(picture, seeded(1)), step(codes, seeded(1))
    weights = torch.cat([1 - moved.sum(1, keepdim=True), moved], dim=1)  # of what lies outside, and of each class
    assert step.moves
    assert mask.dtype == torch.int64
    certain = weights.amax(1) > 0.751
    assert certain.float().mean() > 0.8
    # The nearest pixel has a bilinear weight of a quarter or more, so it has the class that holds three quarters. Two
    # readings in a row are not one, so that RandAugment's may differ at the edges.
    same = mask[certain] == weights.argmax(1)[certain] - 1
    assert same.float().mean() > (0.99 if isinstance(step, RandAugment) else 0.9999)


def test_flip_mirrors_a_share_of_the_rows() -> None:
    values = torch.rand(4000, 1, 3, 4, generator=seeded(0))
    out = Flip(horizontal=0.3)(values, seeded(1))
    mirrored = (out == values.flip(3)).all((1, 2, 3))
    assert torch.equal(out[~mirrored], values[~mirrored])
    assert abs(mirrored.float().mean() - 0.3) < 4 * math.sqrt(0.21 / 4000)
    assert torch.equal(Flip(vertical=1.0)(values, seeded(0)), values.flip(2))
    assert torch.equal(Flip(1.0, 1.0)(values, seeded(0)), values.flip(2, 3))


def test_crop_keeps_to_its_area_and_its_ratio_and_lies_inside() -> None:
    # A picture of its own coordinates tells which rectangle was read: linear, so that bilinear reading is exact.
    height, width = 40, 60
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    out = Crop((0.1, 0.4), (0.5, 2.0))(torch.stack([x, y]).expand(800, 2, height, width).contiguous(), seeded(0))
    wide = (out[:, 0, 0, -2] - out[:, 0, 0, 1]) / (width - 3) * width
    tall = (out[:, 1, -2, 0] - out[:, 1, 1, 0]) / (height - 3) * height
    share, ratio = wide * tall / (height * width), wide / tall
    assert 0.099 < float(share.min()) < 0.11
    assert 0.39 < float(share.max()) < 0.401
    assert 0.495 < float(ratio.min()) < 0.53
    assert 1.9 < float(ratio.max()) < 2.01
    assert float(out.min()) >= 0.5, "nothing comes from outside"
    # Uniform in the area: the mean of 800 lies within 4 standard errors of .3 / sqrt(12).
    assert abs(share.mean() - 0.25) < 4 * 0.3 / math.sqrt(12 * 800)


def test_crop_of_a_side_that_the_picture_cannot_hold_is_cut() -> None:
    out = Crop((1.0, 1.0), (4.0, 4.0))(torch.arange(8.0).view(1, 1, 8, 1).expand(5, 1, 8, 8), seeded(0))
    # Half the height and the whole width: two rows of the result for each that was read.
    torch.testing.assert_close(out[:, 0, 5] - out[:, 0, 3], torch.full((5, 8), 1.0))


@given(
    degrees=st.floats(0, 180), translate=st.floats(0, 0.3), shear=st.floats(0, 40), size=st.floats(0.5, 2.0),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_affine_keeps_to_its_strengths(degrees: float, translate: float, shear: float, size: float, seed: int) -> None:
    # Linear coordinates again: three pixels near the centre tell the map from the result to the picture.
    height, width = 31, 41
    y, x = torch.meshgrid(torch.arange(height) - 15.0, torch.arange(width) - 20.0, indexing="ij")
    coordinates = torch.stack([x, y]).expand(20, 2, height, width).contiguous()
    step = Affine(degrees, translate, (min(size, 1.0), max(size, 1.0)), shear)
    out = step(torch.cat([coordinates, torch.ones(20, 1, height, width)], dim=1), seeded(seed))
    inside = (out[:, 2, 14:17, 19:22] > 1 - 1e-6).all((1, 2))
    out = out[inside]
    across, down = (out[:, :2, 15, 21] - out[:, :2, 15, 19]) / 2, (out[:, :2, 16, 20] - out[:, :2, 14, 20]) / 2
    matrix = torch.stack([across, down], dim=2)  # of the result's (x, y) to the picture's
    forward = torch.linalg.inv(matrix)
    scale = forward.det().sqrt()
    assert ((scale > min(size, 1) - 1e-3) & (scale < max(size, 1) + 1e-3)).all()
    # Scaled rotation times an upper shear: the first column is the rotated x axis.
    turned = torch.atan2(forward[:, 1, 0], forward[:, 0, 0]).rad2deg()
    assert (turned.abs() <= degrees + 0.1).all()
    upright = (forward[:, :, 0] * forward[:, :, 1]).sum(1) / scale**2
    assert (upright.abs() <= math.tan(math.radians(shear)) + 2e-3).all()
    moved = -(forward @ out[:, :2, 15, 20].unsqueeze(2)).squeeze(2)
    assert (moved.abs() <= torch.tensor([translate * width, translate * height]) + 1e-2).all()


# --- what pixels show -------------------------------------------------------------------------------------------------


def test_brightness_contrast_and_saturation_are_pillows() -> None:
    pytest.importorskip("PIL")
    from PIL import Image, ImageEnhance

    picture = photo()
    pillow = Image.fromarray((picture[0].permute(1, 2, 0) * 255).byte().numpy())
    for key, enhance in {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "saturation": ImageEnhance.Color,
    }.items():
        drawn = torch.rand(5, 1, generator=seeded(5))
        factor = 1 + (float(drawn[["brightness", "contrast", "saturation"].index(key), 0]) * 2 - 1) * 0.8
        out = Colour(**{key: 0.8})(picture, seeded(5))
        expected = torch.from_numpy(np.array(enhance(pillow).enhance(factor))).permute(2, 0, 1) / 255
        # Pillow rounds to whole steps of 1/255, the grey as well as the result.
        torch.testing.assert_close(out[0], expected, atol=2.1 / 255, rtol=0)


def test_hue_turns_around_the_circle() -> None:
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(900, 3, 1, 1).contiguous()
    out = Colour(hue=1 / 3)(red, seeded(0)).flatten(1)
    torch.testing.assert_close(out.amax(1), torch.ones(900))
    torch.testing.assert_close(out.amin(1), torch.zeros(900), atol=1e-6, rtol=0)
    # A third of the circle reaches from red to green and to blue.
    assert (out[:, 1] > 0.95).any()
    assert (out[:, 2] > 0.95).any()


def test_a_probability_is_the_share_of_rows_that_are_touched() -> None:
    values = torch.rand(3000, 1, 4, 4, generator=seeded(0))
    for step in (Colour(brightness=0.5, probability=0.2), Blur((1.0, 2.0), probability=0.2)):
        touched = (step(values, seeded(1)) != values).flatten(1).any(1).float().mean()
        assert abs(touched - 0.2) < 4 * math.sqrt(0.16 / 3000)


def test_blur_spreads_a_point_as_a_gaussian() -> None:
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    out = Blur((2.0, 2.0))(point, seeded(0))[0, 0]
    torch.testing.assert_close(out.sum(), torch.tensor(1.0))
    distance = torch.arange(41) - 20.0
    # The variance of a Gaussian of sigma 2, sampled at whole pixels.
    torch.testing.assert_close((out.sum(0) * distance**2).sum(), torch.tensor(4.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(out, out.T)


def _pillow(name: str, strength: float) -> Tensor:
    """A change of RandAugment as Pillow makes it."""
    from PIL import Image, ImageEnhance, ImageOps

    picture = Image.fromarray((photo()[0].permute(1, 2, 0) * 255).byte().numpy())
    size = strength * 0.9
    made = {
        "brightness": lambda: ImageEnhance.Brightness(picture).enhance(1 + size),
        "contrast": lambda: ImageEnhance.Contrast(picture).enhance(1 + size),
        "saturation": lambda: ImageEnhance.Color(picture).enhance(1 + size),
        "sharpness": lambda: ImageEnhance.Sharpness(picture).enhance(1 + size),
        "posterize": lambda: ImageOps.posterize(picture, 8 - round(4 * strength)),
        "solarize": lambda: ImageOps.solarize(picture, math.ceil(255 * (1 - strength))),
        "auto_contrast": lambda: ImageOps.autocontrast(picture),
        "equalize": lambda: ImageOps.equalize(picture),
        "identity": lambda: picture,
    }[name]()
    return torch.from_numpy(np.array(made)).permute(2, 0, 1) / 255


@pytest.mark.parametrize("name", (*rand.BLENDS, *rand.TONES, "identity"))
def test_the_changes_of_rand_augment_are_pillows(name: str) -> None:
    pytest.importorskip("PIL")
    change, strength = torch.tensor([rand.CHANGES.index(name)]), torch.tensor([0.5])
    values = rand._tone(rand._blend(photo(), change, strength), change, strength)
    torch.testing.assert_close(values[0], _pillow(name, 0.5), atol=2.1 / 255, rtol=0)
    assert torch.equal(rand._move(photo(), change, strength), photo())


@pytest.mark.parametrize("name", rand.MOVES)
def test_a_move_of_rand_augment_goes_both_ways(name: str) -> None:
    change = torch.tensor([rand.CHANGES.index(name)])
    there = rand._move(photo(), change, torch.tensor([0.4]))
    back = rand._move(there, change, torch.tensor([-0.4]))
    inner = (slice(None), slice(None), slice(12, 20), slice(12, 20))
    assert not torch.allclose(there, photo(), atol=0.02)
    torch.testing.assert_close(back[inner], photo()[inner], atol=0.05, rtol=0)


def test_rand_augment_draws_every_change_for_some_row() -> None:
    values = photo(600)
    out = RandAugment(1, 9.0)(values, seeded(0))
    change = (torch.rand(2, 600, generator=seeded(0))[0] * len(rand.CHANGES)).long()
    assert change.unique().tolist() == list(range(len(rand.CHANGES)))
    still = (out == values).flatten(1).all(1)
    assert torch.equal(still, change == rand.CHANGES.index("identity"))
