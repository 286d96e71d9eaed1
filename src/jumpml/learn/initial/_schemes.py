"""How weights are drawn before anything is learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from torch import nn

if TYPE_CHECKING:
    from torch import Generator, Tensor

Distribution = Literal["normal", "uniform"]


@dataclass(frozen=True, kw_only=True)
class Scheme(ABC):
    """A way to draw weights.

    Attributes:
        biases: ``zeros`` sets the biases beside the weights to zero, ``keep`` leaves them.
    """

    biases: Literal["zeros", "keep"] = "zeros"

    @abstractmethod
    def draw(self, weight: Tensor, generator: Generator) -> None:
        """Fill a weight.

        Args:
            weight: ``[made, read, *]``: what it makes along the first axis, what it reads along the second.
            generator: What is drawn from, on the CPU.
        """

    @abstractmethod
    def __str__(self) -> str:
        """In words."""


@final
@dataclass(frozen=True, kw_only=True)
class Kaiming(Scheme):
    """So wide that the size of activations stays behind a nonlinearity (He et al. 2015, https://arxiv.org/abs/1502.01852).

    Attributes:
        distribution: ``normal`` or ``uniform``.
        mode: ``fan_in`` keeps the size of activations, ``fan_out`` that of gradients.
        nonlinearity: What stands behind the layers, as ``torch.nn.init.calculate_gain`` names it.

    Example:
        >>> str(Kaiming(mode="fan_out"))
        'kaiming (normal, fan_out, relu)'
    """

    distribution: Distribution = "normal"
    mode: Literal["fan_in", "fan_out"] = "fan_in"
    nonlinearity: Literal["relu", "leaky_relu", "linear", "tanh", "sigmoid", "selu"] = "relu"

    def draw(self, weight: Tensor, generator: Generator) -> None:
        """Fill a weight."""
        fill = nn.init.kaiming_normal_ if self.distribution == "normal" else nn.init.kaiming_uniform_
        fill(weight, mode=self.mode, nonlinearity=self.nonlinearity, generator=generator)

    def __str__(self) -> str:
        return f"kaiming ({self.distribution}, {self.mode}, {self.nonlinearity})"


@final
@dataclass(frozen=True, kw_only=True)
class Xavier(Scheme):
    """Between what activations and what gradients ask for (Glorot & Bengio 2010, AISTATS).

    Attributes:
        distribution: ``uniform`` or ``normal``.
        gain: What the weights are multiplied by.
    """

    distribution: Distribution = "uniform"
    gain: float = 1.0

    def draw(self, weight: Tensor, generator: Generator) -> None:
        """Fill a weight."""
        fill = nn.init.xavier_normal_ if self.distribution == "normal" else nn.init.xavier_uniform_
        fill(weight, gain=self.gain, generator=generator)

    def __str__(self) -> str:
        return f"xavier ({self.distribution}, gain {self.gain:g})"


@final
@dataclass(frozen=True, kw_only=True)
class Orthogonal(Scheme):
    """Rows, or columns where these are fewer, that are orthogonal (Saxe et al. 2014, https://arxiv.org/abs/1312.6120).

    Attributes:
        gain: Their length.
    """

    gain: float = 1.0

    def draw(self, weight: Tensor, generator: Generator) -> None:
        """Fill a weight."""
        nn.init.orthogonal_(weight, gain=self.gain, generator=generator)

    def __str__(self) -> str:
        return f"orthogonal (gain {self.gain:g})"


@final
@dataclass(frozen=True, kw_only=True)
class Normal(Scheme):
    """Normal numbers around zero.

    Attributes:
        std: Their standard deviation.
        cut: After how many standard deviations they are cut off; nowhere where None.
    """

    std: float = 0.02
    cut: float | None = None

    def draw(self, weight: Tensor, generator: Generator) -> None:
        """Fill a weight."""
        if self.cut is None:
            nn.init.normal_(weight, std=self.std, generator=generator)
            return
        end = self.cut * self.std
        nn.init.trunc_normal_(weight, std=self.std, a=-end, b=end, generator=generator)

    def __str__(self) -> str:
        return f"normal (std {self.std:g})" if self.cut is None else f"normal (std {self.std:g}, cut at {self.cut:g})"


@final
@dataclass(frozen=True, kw_only=True)
class Zeros(Scheme):
    """Zeros: for a layer whose output is added to something else."""

    def draw(self, weight: Tensor, generator: Generator) -> None:
        """Fill a weight."""
        nn.init.zeros_(weight)

    def __str__(self) -> str:
        return "zeros"


@final
@dataclass(frozen=True, kw_only=True)
class LSUV(Scheme):
    """Orthogonal, and then scaled layer by layer until outputs have a variance of 1 on the first train batch.

    Layer-sequential unit variance (Mishkin & Matas 2016, https://arxiv.org/abs/1511.06422).

    Attributes:
        tolerance: How far from 1 a variance may stay.
        tries: How often a layer is scaled at most.
    """

    tolerance: float = 0.1
    tries: int = 10

    def draw(self, weight: Tensor, generator: Generator) -> None:
        """Fill a weight."""
        nn.init.orthogonal_(weight, generator=generator)

    def __str__(self) -> str:
        return "lsuv"
