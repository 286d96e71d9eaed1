"""Steps on pictures, recordings and series."""

from __future__ import annotations

import math
import warnings
from typing import TypeVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from jumpml.core import DataError, FieldInfo, ValueInfo
from jumpml.data import (
    MFCC,
    CenterCrop,
    Difference,
    Feature,
    Greyscale,
    Lags,
    LogMel,
    Normalize,
    Resize,
    TrainRows,
    ZNorm,
)

Step = TypeVar("Step", bound=Feature)


def fitted(step: Step, values: Tensor, kind: str, **options: int) -> Step:
    value = ValueInfo(shape=tuple(values.shape[1:]))
    step.fit(TrainRows(values), FieldInfo(name="x", kind=kind, value=value, options=options))
    return step


def pictures(height: int = 9, width: int = 7) -> Tensor:
    return torch.rand(4, 3, height, width, generator=torch.Generator().manual_seed(height))


@given(st.integers(1, 20), st.integers(2, 20))  # torch 2.13's own answer for width 1 depends on the memory layout
def test_resize_is_torchs_own(height: int, width: int) -> None:
    values = pictures()
    expected = F.interpolate(values, (height, width), mode="bilinear", antialias=True)
    torch.testing.assert_close(fitted(Resize(height, width), values, "image")(values), expected, rtol=1e-5, atol=1e-5)


def test_colours() -> None:
    values = pictures()
    step = Normalize([0.1, 0.2, 0.3], [1, 2, 4])
    torch.testing.assert_close(step(values)[:, 2], (values[:, 2] - 0.3) / 4)
    torch.testing.assert_close(step.inverse(step(values)), values)
    grey = values[:, 0] * 0.299 + values[:, 1] * 0.587 + values[:, 2] * 0.114
    torch.testing.assert_close(Greyscale()(values)[:, 0], grey)
    assert CenterCrop(3, 4)(values).equal(values[:, :, 3:6, 1:5])


@pytest.mark.parametrize(
    ("step", "values", "text"),
    [
        (CenterCrop(10, 2), pictures(), "crop to 10 x 2: the pictures have only 9 x 7 pixels."),
        (Resize(2, 2), torch.rand(2, 3), "resize: expected [batch, channels, height, width], got [2, 3]."),
        (Normalize([1], [1]), pictures(), "normalize: got 1 means for pictures of 3 channels; give one each."),
        (Greyscale(), pictures()[:, :1], "greyscale: expected 3 channels, red, green and blue; got 1."),
        (LogMel(rate=8000), torch.rand(2, 3), "log_mel: expected [batch, channels, samples], got [2, 3]."),
        (Lags([2]), torch.rand(2, 2, 1), "lags: expected more than 2 steps, got 2."),
        (Difference(2, 3), torch.rand(2, 6, 1), "difference: expected more than 6 steps, got 6."),
        (ZNorm(), torch.rand(2, 3), "z_norm: expected [batch, steps, channels], got [2, 3]."),
    ],
)
def test_what_comes_in_must_fit(step: Feature, values: Tensor, text: str) -> None:
    with pytest.raises(DataError) as error:
        fitted(step, values, "tensor")(values)
    assert str(error.value) == text


def test_what_its_settings_must_be() -> None:
    with pytest.raises(DataError, match=r"^normalize: expected as many deviations as means, got 1 and 2\.$"):
        Normalize([1, 2], [1])
    with pytest.raises(DataError, match=r"^mfcc: expected at most as many coefficients as mels, 8; got 9\.$"):
        MFCC(9, mels=8)


def test_each_step_is_for_its_kind() -> None:
    number = FieldInfo(name="x", kind="number", value=ValueInfo(shape=(1,)))
    steps = {
        "images": [Resize(1, 1), CenterCrop(1, 1), Normalize([0], [1]), Greyscale()],
        "audio": [LogMel(), MFCC()],
        "series": [Lags([1]), Difference(), ZNorm()],
    }
    for kind, listed in steps.items():
        for step in listed:
            assert step.problem(number, {}) == f"{step.name} is for {kind}; this field is a number."


# --- recordings -------------------------------------------------------------------------------------------------------


def sounds(samples: int = 3000) -> Tensor:
    time = torch.arange(samples) / 8000
    noise = 0.05 * torch.randn(2, 2, samples, generator=torch.Generator().manual_seed(0))
    return (2 * math.pi * 440 * time).sin() + noise


def test_log_mel_by_the_formula() -> None:
    values = sounds()
    step = fitted(LogMel(20, window=200, hop=80), values, "audio", rate=8000)
    window = torch.hann_window(200, periodic=True)
    spectrum = torch.stft(values.flatten(0, 1), 200, 80, window=window, pad_mode="constant", return_complex=True)
    expected = (step.bands @ spectrum.abs().square()).clamp(min=1e-10).log().view(2, 2, 20, -1)
    torch.testing.assert_close(step(values), expected, rtol=1e-3, atol=1e-3)
    loudest = step(values).mean(dim=(0, 1, 3)).argmax()
    centre = (step.bands[loudest] * torch.arange(101) * 40).sum() / step.bands[loudest].sum()
    assert abs(centre - 440) < 80  # two frequencies of the window apart at most
    assert step(torch.zeros(1, 1, 400)).unique().item() == pytest.approx(math.log(1e-10))


def test_log_mel_and_mfcc_are_librosas() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own imports warn
        librosa = pytest.importorskip("librosa")
    values = sounds()
    settings = {"window": 256, "hop": 100, "low": 50.0, "high": 3500.0}
    step = fitted(LogMel(24, **settings), values, "audio", rate=8000)  # pyright: ignore[reportArgumentType]
    theirs = librosa.feature.melspectrogram(
        y=values.numpy(), sr=8000, n_fft=256, hop_length=100, n_mels=24, fmin=50, fmax=3500, pad_mode="constant"
    )
    np.testing.assert_allclose(step(values), np.log(np.maximum(theirs, 1e-10)), rtol=1e-3, atol=1e-3)
    mfcc = fitted(MFCC(7, mels=24, **settings), values, "audio", rate=8000)  # pyright: ignore[reportArgumentType]
    expected = librosa.feature.mfcc(S=step(values).numpy(), n_mfcc=7)
    np.testing.assert_allclose(mfcc(values), expected, rtol=1e-3, atol=1e-3)


def test_the_sampling_rate_is_the_fields_or_given() -> None:
    values = sounds()
    of_field = fitted(LogMel(8), values, "audio", rate=8000)
    assert torch.equal(of_field(values), fitted(LogMel(8, rate=8000), values, "audio")(values))
    assert not torch.equal(of_field(values), fitted(LogMel(8, rate=6000), values, "audio", rate=8000)(values))


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (LogMel(), "field 'x': log_mel needs the sampling rate; give it as `rate`."),
        (
            LogMel(rate=8000, high=4001),
            "field 'x': log_mel goes from 0 to 4001 Hz; at a rate of 8000 Hz expected two frequencies from 0 to 4000, "
            "the lower one first.",
        ),
        (
            MFCC(rate=8000, window=100),
            "field 'x': 3 of log_mel's 64 mels hold no frequency of a window of 100 samples. Take fewer mels or a "
            "longer window.",
        ),
    ],
)
def test_bands_that_do_not_fit(step: Feature, text: str) -> None:
    with pytest.raises(DataError) as error:
        fitted(step, sounds(), "audio")
    assert str(error.value) == text


# --- series -----------------------------------------------------------------------------------------------------------


def test_lags_and_differences() -> None:
    series = torch.arange(5.0).square().view(1, 5, 1).repeat(2, 1, 2)
    lagged = Lags([1, 3])(series)
    assert lagged[0].tolist() == [[9, 9, 4, 4, 0, 0], [16, 16, 9, 9, 1, 1]]
    assert Difference(2)(series)[1, :, 0].tolist() == [4, 8, 12]
    assert Difference(1, 2)(series)[1, :, 0].tolist() == [2, 2, 2]


def test_z_norm_by_row_and_channel() -> None:
    series = torch.randn(3, 50, 2, generator=torch.Generator().manual_seed(0)) * 5 + 100
    series[0, :, 1] = 0.1  # a constant
    series[1, 3, 0] = torch.nan
    out = ZNorm()(series)
    known = torch.cat([out[1, :3, 0], out[1, 4:, 0]])
    torch.testing.assert_close(known.std(correction=0), torch.tensor(1.0), rtol=1e-4, atol=0)
    assert out[0, :, 1].tolist() == [0] * 50
    assert out[1, 3, 0] == 0
    torch.testing.assert_close(out[2].mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(out[2], ZNorm()(series * 7 - 3)[2], atol=1e-4, rtol=0)
