"""Objectives that compare a prediction with a target."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from jumpml.core._objective_base import ClassWeights, ObjectiveBase, Positive, PositiveWeight, Power


class CrossEntropySpec(ObjectiveBase):
    """Softmax cross entropy of logits `[batch, classes, *]` against class codes `[batch, *]`.

    A row's loss is the mean over its positions (pixels, tokens) whose code is there.
    """

    kind: Literal["cross_entropy"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The logits and the target field."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of the target that is spread over all classes."""
    class_weights: ClassWeights | None = None
    """What the loss of each class is multiplied by: a list, weights by the classes' names (1 where one is left out), or
    `balanced`, by the counts of the train rows."""
    focal: Power = 0.0
    """The power of one minus a class's probability that its loss is multiplied by, so that what is learned already
    counts less (Lin et al. 2017, https://arxiv.org/abs/1708.02002, who take 2); 0 switches it off."""


class BinaryCrossEntropySpec(ObjectiveBase):
    """Sigmoid cross entropy of logits against 0 and 1: one a row, or one a label, whose losses are averaged."""

    kind: Literal["binary_cross_entropy"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The logits and the target field."""
    positive_weight: PositiveWeight = 1.0
    """What the loss of a positive row, or of a label that a row has, is multiplied by; with `balanced` the train rows'
    negatives over their positives, of a category of two classes or of each label of a multilabel."""
    focal: Power = 0.0
    """The power of one minus the probability of what is true that a loss is multiplied by, so that what is learned
    already counts less (Lin et al. 2017, https://arxiv.org/abs/1708.02002, who take 2); 0 switches it off."""


class CornSpec(ObjectiveBase):
    """Classes in an order, told by whether each next one is reached (Shi et al. 2021, https://arxiv.org/abs/2111.08851)."""

    kind: Literal["corn"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The logits `[batch, classes - 1]` and the target field."""


class MeanSquaredErrorSpec(ObjectiveBase):
    """Squared difference, averaged over each row's elements."""

    kind: Literal["mse"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The prediction and the target."""


class MeanAbsoluteErrorSpec(ObjectiveBase):
    """Absolute difference, averaged over each row's elements."""

    kind: Literal["mae"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The prediction and the target."""


class HuberSpec(ObjectiveBase):
    """Half the square of small differences, a straight line beyond (Huber 1964, https://doi.org/10.1214/aoms/1177703732)."""

    kind: Literal["huber"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The prediction and the target."""
    delta: Positive = 1.0
    """The difference at which the line begins."""


class GaussianNLLSpec(ObjectiveBase):
    """Negative log-likelihood under a normal distribution whose mean and variance are predicted.

    Nix & Weigend 1994, https://doi.org/10.1109/ICNN.1994.374138.
    """

    kind: Literal["gaussian_nll"]
    """The objective's kind."""
    inputs: tuple[str, str, str]
    """The mean, the logarithm of the variance, and the target."""


class PoissonNLLSpec(ObjectiveBase):
    """Negative log-likelihood of counts under a Poisson distribution whose logarithm of the rate is predicted.

    Nelder & Wedderburn 1972, https://doi.org/10.2307/2344614.
    """

    kind: Literal["poisson_nll"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The logarithm of the rate, and the counts."""


class QuantileSpec(ObjectiveBase):
    """Pinball loss, whose least is at the quantiles of the target (Koenker & Bassett 1978, https://doi.org/10.2307/1913643)."""

    kind: Literal["quantile"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The prediction, one number for each element and quantile (the last axis, or the innermost of a flat row), and the
    target."""
    quantiles: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)] = (0.1, 0.5, 0.9)
    """In (0, 1), rising."""


class KullbackLeiblerSpec(ObjectiveBase):
    """Divergence of predicted classes from a distribution over them that is given.

    Kullback & Leibler 1951, https://doi.org/10.1214/aoms/1177729694. The target gets no gradient.
    """

    kind: Literal["kl"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """Logits `[batch, classes, *]`, and the target of that shape: a field of shares, or another node."""
    target: Literal["probabilities", "logits"] = "probabilities"
    """What the target holds."""


class CTCSpec(ObjectiveBase):
    """Connectionist temporal classification: every alignment of a sequence with the steps counts.

    Graves et al. 2006, https://doi.org/10.1145/1143844.1143891.
    """

    kind: Literal["ctc"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """Logits `[batch, steps, codes]`, and the sequence `[batch, length]`."""
    blank: NonNegativeInt = 0
    """The code between labels; it also pads shorter sequences, and so is no label."""


class DiceSpec(ObjectiveBase):
    """One minus the Dice coefficient of predicted and true pixels, averaged over the classes.

    Milletari et al. 2016, https://arxiv.org/abs/1606.04797.
    """

    kind: Literal["dice"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """Logits `[batch, classes, *]`, and class codes `[batch, *]`."""
    smooth: Positive = 1.0
    """What is added above and below, so that a class that is neither predicted nor there loses nothing."""
