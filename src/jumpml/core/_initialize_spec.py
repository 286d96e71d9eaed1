"""What the learner file says of the weights that learning begins with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from jumpml.core._spec import NodePattern, Spec

Positive = Annotated[float, Field(gt=0)]
Nonlinearity = Literal["relu", "leaky_relu", "linear", "tanh", "sigmoid", "selu"]


class _SchemeSpec(Spec):
    biases: Literal["zeros", "keep"] = "zeros"
    """What the biases beside the weights begin with: zeros, or what their modules draw."""


class DefaultScheme(Spec):
    """What the modules draw themselves, by the model file's seed."""

    kind: Literal["default"]
    """The scheme's kind."""


class KaimingScheme(_SchemeSpec):
    """So wide that the size of activations stays behind a nonlinearity (He et al. 2015, https://arxiv.org/abs/1502.01852)."""

    kind: Literal["kaiming"]
    """The scheme's kind."""
    distribution: Literal["normal", "uniform"] = "normal"
    """How the weights are distributed."""
    mode: Literal["fan_in", "fan_out"] = "fan_in"
    """Whether the size of activations is to stay, or that of gradients."""
    nonlinearity: Nonlinearity = "relu"
    """What stands behind the layers."""


class XavierScheme(_SchemeSpec):
    """Between what activations and what gradients ask for (Glorot & Bengio 2010, AISTATS)."""

    kind: Literal["xavier"]
    """The scheme's kind."""
    distribution: Literal["normal", "uniform"] = "uniform"
    """How the weights are distributed."""
    gain: Positive = 1.0
    """What they are multiplied by."""


class OrthogonalScheme(_SchemeSpec):
    """Rows, or columns, that are orthogonal (Saxe et al. 2014, https://arxiv.org/abs/1312.6120)."""

    kind: Literal["orthogonal"]
    """The scheme's kind."""
    gain: Positive = 1.0
    """Their length."""


class NormalScheme(_SchemeSpec):
    """Normal numbers around zero."""

    kind: Literal["normal"]
    """The scheme's kind."""
    std: Positive = 0.02
    """Their standard deviation."""


class TruncatedNormalScheme(_SchemeSpec):
    """Normal numbers around zero, none beyond two standard deviations, as transformers begin."""

    kind: Literal["trunc_normal"]
    """The scheme's kind."""
    std: Positive = 0.02
    """The standard deviation before the cut."""


class ZerosScheme(_SchemeSpec):
    """Zeros: for a layer whose output is added to something, such as the last one of a residual branch."""

    kind: Literal["zeros"]
    """The scheme's kind."""


class LSUVScheme(_SchemeSpec):
    """Orthogonal, and then scaled layer by layer until the outputs on the first train batch have a variance of 1.

    Layer-sequential unit variance (Mishkin & Matas 2016, https://arxiv.org/abs/1511.06422).
    """

    kind: Literal["lsuv"]
    """The scheme's kind."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """How far from 1 a variance may stay."""
    tries: Annotated[int, Field(ge=1)] = 10
    """How often a layer is scaled at most."""


_Schemes = (
    DefaultScheme
    | KaimingScheme
    | XavierScheme
    | OrthogonalScheme
    | NormalScheme
    | TruncatedNormalScheme
    | ZerosScheme
    | LSUVScheme
)


def _whole(value: object) -> object:
    """A scheme that is only named, with its options left out."""
    return {"kind": value} if isinstance(value, str) else value


SchemeSpec = Annotated[_Schemes, Field(discriminator="kind"), BeforeValidator(_whole)]


class StartSpec(Spec):
    """Another run's weights, node by node."""

    file: str
    """The folder of a run or of a checkpoint, or a file of a JumpML model's weights, from this file's folder. A run
    stands for its best checkpoint where it has one, else for its newest."""
    part: str | None = None
    """Of a checkpoint `average`, for the averaged weights."""
    nodes: NodePattern | Annotated[tuple[NodePattern, ...], Field(min_length=1)] = "all"
    """The nodes that begin with the weights of their namesakes."""
    strict: bool = True
    """Whether each of these nodes must have a namesake with the same weights; otherwise what fits is taken, and what
    does not is told."""


class InitializeSpec(Spec):
    """The weights that learning begins with. What `weights` and `pretrained` of the model file give, nodes keep."""

    scheme: SchemeSpec = DefaultScheme(kind="default")
    """How weights are drawn: of linear, convolutional, recurrent, attention and embedding layers. A name, or a mapping
    with options."""
    nodes: dict[str, SchemeSpec] = {}
    """Another scheme for some nodes, by pattern; where several name a node, the last counts."""
    checkpoint: StartSpec | None = None
    """Weights of another run, which are not drawn then."""
