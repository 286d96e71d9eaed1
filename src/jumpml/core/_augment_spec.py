"""The data file's random changes, for training and for views."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, model_validator

from jumpml.core._spec import Fraction, OneOf, Spec, as_tuple

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"expected the lower end first, got [{ends[0]:g}, {ends[1]:g}]")
    return ends


Shares = Annotated[tuple[Share, Share], BeforeValidator(as_tuple), AfterValidator(_ascending)]
Range = Annotated[tuple[Positive, Positive], BeforeValidator(as_tuple), AfterValidator(_ascending)]


class _SomeStrength(Spec):
    """A step with several strengths, each of which may stay at rest, but not all."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        strengths = {name: info.default for name, info in type(self).model_fields.items() if name != "probability"}
        if all(getattr(self, name) == rest for name, rest in strengths.items()):
            raise ValueError(f"nothing would change; give at least one of {', '.join(strengths)}")
        return self


class Shift(Spec):
    """Move the picture by a random whole number of pixels along each axis; what comes in is zero."""

    pixels: Annotated[int, Field(ge=1)]
    """The most that it moves, along each axis."""


class Rotate(Spec):
    """Turn the picture by a random angle around its centre, with bilinear interpolation."""

    degrees: Annotated[float, Field(gt=0, le=180)]
    """The most that it turns, either way."""


class Flip(_SomeStrength):
    """Mirror the picture."""

    horizontal: Fraction = 0.0
    """The share of rows whose left and right change places."""
    vertical: Fraction = 0.0
    """The share of rows whose top and bottom change places."""


class Crop(Spec):
    """Cut a random rectangle out of the picture and stretch it to the picture's size.

    See Szegedy et al. 2015, https://arxiv.org/abs/1409.4842.
    """

    scale: Shares
    """The smallest and the largest area, as shares of the picture's."""
    ratio: Range = (3 / 4, 4 / 3)
    """The smallest and the largest ratio of width to height, in pixels."""


class Affine(_SomeStrength):
    """Shear, scale, turn and move the picture around its centre, with bilinear interpolation; zeros come in."""

    degrees: Annotated[float, Field(ge=0, le=180)] = 0.0
    """The most that it turns, either way."""
    translate: Fraction = 0.0
    """The most that it moves along each axis, as a share of its width and of its height."""
    scale: Range = (1.0, 1.0)
    """The smallest and the largest factor of its size."""
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0
    """The most that its upright edges lean, in degrees, either way."""


class Colour(_SomeStrength):
    """Change the picture's brightness, contrast, saturation and hue, in this order."""

    brightness: Fraction = 0.0
    """Every value is multiplied by a factor of at least 1 less this, and at most 1 and this."""
    contrast: Fraction = 0.0
    """Likewise the distance from the picture's mean grey."""
    saturation: Fraction = 0.0
    """Likewise the distance from each pixel's own grey."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """The most that hues turn, either way, as a share of the colour circle. Needs the extra `vision`."""
    probability: Share = 1.0
    """The share of rows that are touched."""


class Blur(Spec):
    """Blur the picture with a Gaussian."""

    sigma: Range
    """The smallest and the largest standard deviation, in pixels."""
    probability: Share = 1.0
    """The share of rows that are touched."""


class Erase(Spec):
    """Set a random rectangle of the picture to zero (Zhong et al. 2020, https://arxiv.org/abs/1708.04896)."""

    area: Annotated[float, Field(gt=0, lt=1)]
    """The most that is erased, as a share of the picture's area."""
    probability: Fraction = 0.5
    """The share of rows that are touched."""


class RandAugment(Spec):
    """Change the picture in a few ways, each drawn from 14: turns, shears, moves, light, sharpness, tones, none.

    See Cubuk et al. 2020, https://arxiv.org/abs/1909.13719. Needs the extra `vision`.
    """

    number: PositiveInt = 2
    """Changes a row, one after the other."""
    magnitude: Annotated[float, Field(gt=0, le=30)] = 9.0
    """Their strength, of 30 at most."""


class Mixup(Spec):
    """Each row becomes a weighted mean of itself and another, label and all: `"image, label": [{mixup: {}}]`.

    See Zhang et al. 2018, https://arxiv.org/abs/1710.09412.
    """

    alpha: Positive = 0.2
    """A row's own weight follows the distribution Beta(alpha, alpha): the larger, the nearer to a half."""
    probability: Share = 1.0
    """The share of rows that are mixed."""


class CutMix(Spec):
    """A rectangle of each picture comes from another row, and its share of the label: `"image, label": [{cutmix: {}}]`.

    See Yun et al. 2019, https://arxiv.org/abs/1905.04899.
    """

    alpha: Positive = 1.0
    """The picture's own share, before the rectangle is cut at the border, follows Beta(alpha, alpha)."""
    probability: Share = 1.0
    """The share of rows that are changed."""


class Noise(Spec):
    """Add Gaussian noise."""

    std: Annotated[float, Field(gt=0)]
    """Its standard deviation, in the decoded field's units."""
    relative: bool = False
    """Whether `std` is a share of the standard deviation that each row's own values have."""


class SwapNoise(Spec):
    """Give each row some values of other rows, each in its own column.

    See Yoon et al. 2020, https://proceedings.neurips.cc/paper/2020/hash/7d97667a3e056acab9aaf653807b4a03-Abstract.html.
    """

    probability: Share
    """The share of values that are replaced."""


class TimeShift(Spec):
    """Move the recording to an earlier or a later time; silence comes in."""

    share: Share
    """The most that it moves, as a share of its length."""


class Gain(Spec):
    """Make the recording louder or quieter; what leaves [-1, 1] is cut."""

    decibels: Positive
    """The most that it changes, either way."""


class MaskSpectrogram(Spec):
    """Hide stretches of time, or bands of frequencies, of the spectrogram that the field's features give.

    SpecAugment: Park et al. 2019, https://arxiv.org/abs/1904.08779.
    """

    share: Share
    """The widest of them, as a share of the axis."""
    number: PositiveInt = 1
    """How many; they may overlap."""


class Scale(Spec):
    """Multiply each channel of the series by a factor (Um et al. 2017, https://arxiv.org/abs/1706.00527)."""

    std: Positive
    """The factor is normal with mean 1 and this standard deviation."""


class Permute(Spec):
    """Cut the series into segments and put them in random order (Um et al. 2017, https://arxiv.org/abs/1706.00527)."""

    segments: Annotated[int, Field(ge=2)]
    """How many."""


class MaskSteps(Spec):
    """Hide stretches of the series behind the channel's mean."""

    share: Share
    """The longest of them, as a share of the steps."""
    number: PositiveInt = 1
    """How many; they may overlap."""


class CropSteps(Spec):
    """Cut a random stretch out of the series and stretch it to the series' length.

    See Le Guennec et al. 2016, https://shs.hal.science/halshs-01357973.
    """

    scale: Shares
    """The smallest and the largest length, as shares of the series'."""


class ChangeTokens(Spec):
    """Make tokens of the text unknown, or leave them out, but for one.

    See Bowman et al. 2016, https://arxiv.org/abs/1511.06349, and Wei and Zou 2019, https://arxiv.org/abs/1901.11196.
    """

    probability: Share
    """The share of tokens that are touched."""


PatchSide = PositiveInt | Literal["all"]


class Hide(Spec):
    """Hide parts of each row, for an objective that asks what stood there: `masked: {image: [{hide: {share: 0.75}}]}`.

    Only in views, and after the features. At least one part is hidden, and at least one is left.
    """

    share: Annotated[float, Field(gt=0, lt=1)]
    """How much is hidden: of the patches, of a text's tokens, of a table's columns."""
    patch: PositiveInt | Annotated[tuple[PatchSide, PatchSide], BeforeValidator(as_tuple)] = 1
    """The size of a part: pixels, steps; of a spectrogram also [frequencies, times], `all` for the whole of an axis."""
    fill: Literal["zero", "mean", "noise", "others", "token"] | None = None
    """What comes in its place: zero, the mean of what is left, normal noise, what another row has there; of texts
    `token`, BERT's rule: 80% the token for hidden ones, 10% another token, 10% as it was. Where nothing is said, token
    for texts and zero for all else."""


class QuarterTurn(Spec):
    """Turn each picture by 0, 90, 180 or 270 degrees, and tell which. Only in views.

    See Gidaris et al. 2018, https://arxiv.org/abs/1803.07728.
    """


class Jigsaw(Spec):
    """Cut each picture into pieces, put them in another order, and tell in which. Only in views.

    See Noroozi and Favaro 2016, https://arxiv.org/abs/1603.09246.
    """

    pieces: Annotated[int, Field(ge=2, le=5)]
    """How many along each side; they must divide it."""
    permutations: Annotated[int, Field(ge=2, le=1000)] = 24
    """How many orders there are to tell apart; they are far from each other."""


class Reorder(Spec):
    """Cut the series or recording into segments, put them in any of their orders, and tell in which. Only in views.

    See Misra et al. 2016, https://arxiv.org/abs/1603.08561.
    """

    segments: Annotated[int, Field(ge=2, le=5)]
    """How many."""


class AugmentStep(OneOf):
    """One random change, drawn for every row on its own, on whole batches."""

    shift: Shift | None = None
    """Move a picture by whole pixels."""
    rotate: Rotate | None = None
    """Turn a picture."""
    flip: Flip | None = None
    """Mirror a picture."""
    crop: Crop | None = None
    """Cut a rectangle out of a picture and stretch it."""
    affine: Affine | None = None
    """Shear, scale, turn and move a picture."""
    colour: Colour | None = None
    """Change a picture's light and colours."""
    blur: Blur | None = None
    """Blur a picture."""
    erase: Erase | None = None
    """Blank a rectangle of a picture."""
    rand_augment: RandAugment | None = None
    """A few changes of a picture, drawn from many."""
    mixup: Mixup | None = None
    """Mix rows and their labels."""
    cutmix: CutMix | None = None
    """Paste a part of another picture, and of its label."""
    noise: Noise | None = None
    """Add Gaussian noise to numbers of any shape."""
    swap_noise: SwapNoise | None = None
    """Give columns of a table values of other rows."""
    time_shift: TimeShift | None = None
    """Move a recording in time."""
    gain: Gain | None = None
    """Make a recording louder or quieter."""
    mask_time: MaskSpectrogram | None = None
    """Hide stretches of time of a spectrogram, after the features."""
    mask_frequency: MaskSpectrogram | None = None
    """Hide bands of frequencies of a spectrogram, after the features."""
    scale: Scale | None = None
    """Multiply the channels of a series."""
    permute: Permute | None = None
    """Put segments of a series in another order."""
    mask_steps: MaskSteps | None = None
    """Hide stretches of a series."""
    crop_steps: CropSteps | None = None
    """Cut a stretch out of a series and stretch it."""
    mask_tokens: ChangeTokens | None = None
    """Make tokens of a text unknown."""
    drop_tokens: ChangeTokens | None = None
    """Leave tokens of a text out."""
    hide: Hide | None = None
    """Hide parts of anything, and tell which; in views, after the features."""
    quarter_turn: QuarterTurn | None = None
    """Turn a picture by quarters, and tell how; in views."""
    jigsaw: Jigsaw | None = None
    """Put pieces of a picture in another order, and tell in which; in views."""
    order: Reorder | None = None
    """Put segments of a series or a recording in another order, and tell in which; in views."""
