"""What each change of recordings, series, texts and tables does, and how rows are mixed."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import FieldInfo, ValueInfo
from jumpml.data import (
    CropSteps,
    CutMix,
    DropTokens,
    Gain,
    MaskFrequency,
    MaskSteps,
    MaskTime,
    MaskTokens,
    Mixup,
    Noise,
    Permute,
    Scale,
    SwapNoise,
    TimeShift,
)

if TYPE_CHECKING:
    from pydantic import JsonValue

NAN = float("nan")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- recordings -------------------------------------------------------------------------------------------------------


@given(share=st.floats(0.01, 1.0), seed=st.integers(0, 99))
def test_time_shift_moves_by_whole_samples_and_brings_in_silence(share: float, seed: int) -> None:
    values = torch.rand(20, 2, 30, generator=seeded(seed)) + 0.1
    out = TimeShift(share)(values, seeded(seed))
    reach = round(share * 30)
    padded = torch.nn.functional.pad(values, (reach, reach))
    for before, after in zip(padded, out, strict=True):
        assert any(torch.equal(before[:, start : start + 30], after) for start in range(2 * reach + 1))


def test_gain_is_uniform_in_decibels_and_cuts_what_is_too_loud() -> None:
    out = Gain(6.0)(torch.full((4000, 1, 1), 0.1), seeded(0)).flatten()
    decibels = 20 * torch.log10(out / 0.1)
    assert float(decibels.abs().max()) <= 6.001
    # Uniform in [-6, 6]: a standard deviation of 12 / sqrt(12), a standard error of .055.
    assert abs(decibels.mean()) < 4 * 12 / math.sqrt(12 * 4000)
    assert abs(decibels.std() - 12 / math.sqrt(12)) < 0.1
    assert Gain(40.0)(torch.tensor([[[0.9, -0.9]]]).expand(50, 1, 2), seeded(0)).abs().max() == 1


def test_relative_noise_is_as_loud_as_the_row() -> None:
    values = torch.randn(3, 1, 20_000, generator=seeded(0)) * torch.tensor([0.01, 1.0, 0.0]).view(3, 1, 1)
    values[0, 0, 0] = NAN
    added = Noise(0.5, relative=True)(values, seeded(1)) - values
    # The standard error of a deviation from 20,000 draws is half a percent of it.
    assert abs(added[0].flatten()[1:].std() / 0.01 - 0.5) < 0.01
    assert abs(added[1].std() - 0.5) < 0.01
    assert (added[2] == 0).all()


@pytest.mark.parametrize(("step", "axis"), [(MaskTime(0.3, 2), 3), (MaskFrequency(0.5), 2), (MaskSteps(0.4, 3), 1)])
def test_a_mask_hides_whole_windows_behind_the_mean(step: MaskTime | MaskSteps, axis: int) -> None:
    values = torch.rand(400, *((10, 3) if axis == 1 else (2, 8, 20)), generator=seeded(0)) + torch.arange(400.0).view(
        -1, *[1] * (2 if axis == 1 else 3)
    )
    out = step(values, seeded(1))
    mean = values.mean(1, keepdim=True) if axis == 1 else values.mean((1, 2, 3), keepdim=True)
    hidden = (out - mean).abs() < 1e-4
    assert torch.equal(out[~hidden], values[~hidden])
    other = [dim for dim in range(1, values.dim()) if dim != axis]
    along = hidden.all(other[0], keepdim=True)
    for dim in other[1:]:
        along = along.all(dim, keepdim=True)
    along = along.flatten(1)
    starts = along[:, :1].int() + (along[:, 1:] & ~along[:, :-1]).sum(1, keepdim=True)
    assert int(starts.max()) <= step.number
    assert int(along.sum(1).max()) <= step.number * int(step.share * values.shape[axis])
    assert along.any(0).all(), "every place is hidden in some row"
    assert bool((along.sum(1) == 0).any()), "a window may be empty"


def test_masked_steps_leave_missing_values_out_of_the_mean() -> None:
    values = torch.tensor([[[1.0], [NAN], [3.0]]]).expand(200, 3, 1)
    out = MaskSteps(1.0)(values, seeded(0))
    assert set(out[~out.isnan()].tolist()) == {1.0, 2.0, 3.0}


# --- series -----------------------------------------------------------------------------------------------------------


def test_scale_multiplies_each_channel_by_one_factor() -> None:
    values = torch.rand(3000, 4, 2, generator=seeded(0)) + 1
    factor = Scale(0.2)(values, seeded(1)) / values
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    # 6000 draws: a standard error of .2 / sqrt(6000) of the mean.
    assert abs(factor[:, 0].mean() - 1) < 4 * 0.2 / math.sqrt(6000)
    assert abs(factor[:, 0].std() - 0.2) < 0.01
    assert not torch.equal(factor[:, 0, 0], factor[:, 0, 1])


@given(steps=st.integers(2, 15), segments=st.integers(2, 5), seed=st.integers(0, 50))
def test_permute_keeps_segments_whole(steps: int, segments: int, seed: int) -> None:
    if segments > steps:
        return
    out = Permute(segments)(torch.arange(steps).view(1, steps, 1).expand(12, steps, 2), seeded(seed))
    assert torch.equal(out[..., 0], out[..., 1])
    cuts = {step for step in range(1, steps) if step * segments // steps != (step - 1) * segments // steps}
    for row in out[..., 0].tolist():
        assert sorted(row) == list(range(steps))
        assert all(after == before + 1 or after in cuts | {0} for before, after in pairwise(row))


def test_crop_of_steps_reads_a_stretch_evenly() -> None:
    out = CropSteps((0.25, 0.5))(torch.arange(41.0).view(1, 41, 1).expand(500, 41, 1), seeded(0))[..., 0]
    speed = (out[:, -1] - out[:, 0]) / 40
    torch.testing.assert_close(out.diff(), speed[:, None].expand(500, 40), atol=1e-4, rtol=0)
    assert 0.25 <= float(speed.min()) < 0.26
    assert 0.49 < float(speed.max()) <= 0.5
    assert float(out.min()) < 1
    assert float(out.max()) > 39


def test_crop_of_steps_hands_no_missing_value_on_where_it_reads_a_step_itself() -> None:
    values = torch.tensor([[[1.0], [NAN], [3.0]]])
    torch.testing.assert_close(CropSteps((1.0, 1.0))(values, seeded(0)), values, equal_nan=True)


# --- texts ------------------------------------------------------------------------------------------------------------

TEXTS = torch.tensor([[5, 6, 7, 8, 0, 0], [9, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]).repeat(500, 1)


def test_masked_tokens_are_unknown_and_padding_is_not_masked() -> None:
    out = MaskTokens(0.3)(TEXTS, seeded(0))
    masked = out == 1
    assert torch.equal(out[~masked], TEXTS[~masked])
    assert not (masked & (TEXTS == 0)).any()
    # 2500 tokens.
    assert abs(masked[TEXTS != 0].float().mean() - 0.3) < 4 * math.sqrt(0.21 / 2500)


@given(probability=st.sampled_from([0.1, 0.5, 1.0]), seed=st.integers(0, 99))
def test_dropped_tokens_close_up_and_one_is_kept(probability: float, seed: int) -> None:
    for before, after in zip(TEXTS.tolist(), DropTokens(probability)(TEXTS, seeded(seed)).tolist(), strict=True):
        kept = [token for token in after if token]
        assert after == kept + [0] * (6 - len(kept))
        assert kept == [token for token in before if token in kept], "the order is kept"
        assert bool(kept) == any(before)
        if probability == 1.0:
            assert len(kept) <= 1


@pytest.mark.parametrize("make", [MaskTokens, DropTokens])
def test_a_tokenizers_own_ids_are_known(make: type[MaskTokens | DropTokens]) -> None:
    how: JsonValue = {"padding": 9, "unknown": 8, "start": [2], "end": [3]}
    value = ValueInfo(shape=(6,), dtype="int64")
    step = make(1.0).suited(FieldInfo(name="text", kind="text", value=value, options={"tokenizer": how}))
    out = step(torch.tensor([[2, 0, 1, 3, 9, 9], [2, 3, 9, 9, 9, 9]]), seeded(0)).tolist()
    assert out[1] == [2, 3, 9, 9, 9, 9]
    if make is MaskTokens:
        assert out[0] == [2, 8, 8, 3, 9, 9]
    else:
        assert out[0] in ([2, 0, 3, 9, 9, 9], [2, 1, 3, 9, 9, 9]), "one token of the text is kept"


# --- tables -----------------------------------------------------------------------------------------------------------


def test_swap_noise_gives_values_of_other_rows_of_the_same_column() -> None:
    values = torch.arange(600.0).view(200, 3)
    values[::7, 1] = NAN
    out = SwapNoise(0.4)(values, seeded(0))
    assert torch.equal(out.isnan(), values.isnan()), "what is missing stays so, and is not handed on"
    swapped = (out != values) & ~values.isnan()
    assert (out[swapped] % 3 == values[swapped] % 3).all()
    share = swapped[:, [0, 2]].float().mean()
    assert abs(share - 0.4) < 4 * math.sqrt(0.24 / 400)
    codes = torch.arange(50) % 5 - 1
    assert torch.equal(SwapNoise(1.0)(codes, seeded(0)) == -1, codes == -1)


def test_swap_noise_of_one_row_has_nothing_to_give() -> None:
    assert torch.equal(SwapNoise(1.0)(torch.ones(1, 3), seeded(0)), torch.ones(1, 3))


# --- rows mixed with each other -----------------------------------------------------------------------------------


@given(alpha=st.floats(0.05, 5), seed=st.integers(0, 99))
def test_mixup_mixes_all_fields_by_one_weight(alpha: float, seed: int) -> None:
    rows = 12
    label = torch.eye(rows)
    picture, shares, number = Mixup(alpha)(
        [label.view(rows, 1, 3, 4).clone(), label, torch.arange(12.0)[:, None]], seeded(seed)
    )
    torch.testing.assert_close(shares.sum(1), torch.ones(rows))
    assert torch.equal(picture.flatten(1), shares)
    torch.testing.assert_close(number[:, 0], shares @ torch.arange(12.0))
    assert ((shares > 0).sum(1) <= 2).all()


def test_mixup_weights_follow_their_distribution() -> None:
    own = Mixup(2.0)([torch.eye(2)[torch.arange(6000) % 2]], seeded(0))[0]
    different = own.amax(1) < 1
    own = own[torch.arange(6000), torch.arange(6000) % 2][different]
    # Beta(2, 2): mean 1/2, variance 1/20; half of the partners have the other label.
    assert abs(different.float().mean() - 0.5) < 0.03
    assert abs(own.mean() - 0.5) < 4 * math.sqrt(0.05 / 3000)
    assert abs(own.var() - 0.05) < 0.005


def test_a_probability_is_the_share_of_rows_that_are_mixed() -> None:
    label = torch.eye(3000)
    for step in (Mixup(1.0, probability=0.3), CutMix(1.0, probability=0.3)):
        mixed = step([torch.rand(3000, 1, 16, 16, generator=seeded(0)), label], seeded(0))[1]
        share = (mixed.diagonal() < 1).float().mean()
        # A rectangle of a small share may hold no pixel: a little less for cutmix.
        assert 0.3 - 4 * 0.0084 - (0.03 if isinstance(step, CutMix) else 0) < share < 0.3 + 4 * 0.0084


@given(alpha=st.floats(0.2, 3), seed=st.integers(0, 99))
def test_cutmix_pastes_a_rectangle_and_its_share_of_the_label(alpha: float, seed: int) -> None:
    rows, height, width = 10, 7, 9
    picture = torch.arange(float(rows)).view(rows, 1, 1, 1).expand(rows, 2, height, width)
    mask = torch.arange(rows).view(rows, 1, 1).expand(rows, height, width)
    label = torch.eye(rows)
    cut, codes, shares = CutMix(alpha)([picture, mask, label], seeded(seed))
    assert torch.equal(cut[:, 0], cut[:, 1])
    assert torch.equal(cut[:, 0].long(), codes)
    pasted = codes != mask
    for row in range(rows):
        inside = pasted[row]
        assert inside.sum() == inside.any(1).sum() * inside.any(0).sum(), "a rectangle"
        assert len(codes[row][inside].unique()) <= 1
    own = 1 - pasted.float().mean((1, 2))
    torch.testing.assert_close(shares[torch.arange(rows), torch.arange(rows)], own)
    torch.testing.assert_close(shares.sum(1), torch.ones(rows))


def test_cutmix_weights_follow_their_distribution_before_the_border() -> None:
    rows = 3000
    shares = CutMix(1.0)([torch.zeros(rows, 1, 64, 64), torch.eye(rows)], seeded(0))[1]
    own = shares.diagonal()
    # Sides sqrt(1 - U), each clipped at a uniform centre: a side s keeps s - s^2 / 4 of itself on average, so that the
    # mean share that is pasted is E[(s - s^2 / 4)^2] = 1/2 - (1/2) * E[s^3] + E[s^4] / 16 = 1/2 - 1/5 + 1/48.
    assert abs((1 - own).mean() - (1 / 2 - 1 / 5 + 1 / 48)) < 0.02
