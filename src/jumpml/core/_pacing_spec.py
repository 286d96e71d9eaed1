"""What the learner file says of which rows may come yet, and of what single rows count."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jumpml.core._spec import ByName, Spec

_Positive = Annotated[float, Field(gt=0)]
_Share = Annotated[float, Field(gt=0, le=1)]
_Objectives = Annotated[tuple[str, ...], Field(min_length=1)]


class RunDifficulty(Spec):
    """A reference model's loss of each train row: the higher, the harder."""

    run: str
    """The folder of a finished run on the same data, from this file's folder; its best checkpoint is taken where it has
    one, else its newest."""


class _Pacing(Spec):
    order: Literal["easy_first", "hard_first", "random"] = "easy_first"
    """Which rows come first: the easy ones; the hard ones, which is the anti-curriculum; or any, as few at first, which
    asks for no difficulty. What the first brings is to be compared with the others."""


class _Function(_Pacing):
    start: _Share = 0.2
    """The share of the rows that may come at first."""
    over: _Share = 0.5
    """The share of a phase's epochs after which all rows may come."""


class LinearPacingSpec(_Function):
    """As many rows more in each batch (Wu et al. 2021, https://arxiv.org/abs/2012.03107)."""

    kind: Literal["linear"]
    """The kind."""


class RootPacingSpec(_Function):
    """The more rows there are, the slower they grow (Platanios et al. 2019, https://arxiv.org/abs/1903.09848)."""

    kind: Literal["root"]
    """The kind."""
    degree: Annotated[float, Field(ge=1)] = 2.0
    """The root's."""


class ExponentialPacingSpec(_Function):
    """Hardly more rows for long, and then all (Wu et al. 2021, https://arxiv.org/abs/2012.03107)."""

    kind: Literal["exponential"]
    """The kind."""


class StepPacingSpec(_Function):
    """More rows in steps of one size (Wu et al. 2021, https://arxiv.org/abs/2012.03107)."""

    kind: Literal["step"]
    """The kind."""
    steps: Annotated[int, Field(ge=1)] = 1
    """How many."""


class BabyStepSpec(_Pacing):
    """Buckets of equal size; the next joins when those so far are learned.

    After Spitkovsky et al. 2010 (https://aclanthology.org/N10-1116) and Cirik et al. 2016
    (https://arxiv.org/abs/1611.06204).
    """

    kind: Literal["baby_step"]
    """The kind."""
    buckets: Annotated[int, Field(ge=1)] = 5
    """How many."""
    patience: Annotated[int, Field(ge=1)] = 1
    """Epochs in which the loss of the rows that come may fail to fall before the next bucket joins."""
    epochs: Annotated[int, Field(ge=1)] = 3
    """After so many epochs it joins in any case."""


PacingSpec = Annotated[
    LinearPacingSpec | RootPacingSpec | ExponentialPacingSpec | StepPacingSpec | BabyStepSpec,
    Field(discriminator="kind"),
    ByName(),
]


class _Examples(Spec):
    of: _Objectives | None = None
    """The objectives whose rows are meant; all that have a loss a row where nothing is said."""


class SelfPacedSpec(_Examples):
    """Rows count whose loss is among the lower ones, more and more of them.

    After Kumar et al. 2010 (https://proceedings.neurips.cc/paper/2010/hash/e57c6b956a6521b28495f2886ca0977a-Abstract.html).
    """

    kind: Literal["self_paced"]
    """The kind."""
    form: Literal["hard", "linear"] = "hard"
    """`hard`: a row counts or does not; `linear`: the less the nearer its loss is to the limit (Jiang et al. 2014)."""
    start: _Share = 0.5
    """The share of the rows whose losses lie below the limit at first."""
    end: _Share = 1.0
    """The share in the end; with 1 every row counts then, with less the worst never do."""
    over: _Share = 0.5
    """The share of a phase's epochs over which the one becomes the other."""


class SuperLossSpec(_Examples):
    """Rows of a loss above the usual count less, those below more.

    After Castells et al. 2020 (https://proceedings.neurips.cc/paper/2020/hash/2cfa8f9e50e0f510ede9d12338a5f564-Abstract.html).
    """

    kind: Literal["super_loss"]
    """The kind."""
    threshold: Literal["average", "classes"] | float | None = None
    """The usual loss: its running average; the logarithm of the number of classes; or a number. Left out: `classes`
    for a cross entropy without `focal`, `average` elsewhere."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Where the threshold is the average: the share of the old average that stays at each batch."""
    regularization: _Positive = 1.0
    """The lower, the further weights are from 1."""


class PrioritizedSpec(_Examples):
    """Rows of a high last loss come more often, and count as much less.

    After Schaul et al. 2016 (https://arxiv.org/abs/1511.05952).
    """

    kind: Literal["prioritized"]
    """The kind."""
    alpha: Annotated[float, Field(ge=0)] = 0.6
    """The power of the loss that a row's probability is proportional to; with 0 all rows come alike."""
    beta: Annotated[float, Field(ge=0, le=1)] = 0.4
    """How far weights make up for it at first: by one over the probability to this power. At the phase's end it is 1,
    which makes up for it in full."""


class DataParametersSpec(_Examples):
    """Logits are divided by learned temperatures of a row and of its class.

    After Saxena et al. 2019 (https://proceedings.neurips.cc/paper/2019/hash/926ffc0ca56636b9e73c565cf994ea5a-Abstract.html).
    """

    kind: Literal["data_parameters"]
    """The kind."""
    rows: bool = True
    """Whether each train row has a temperature."""
    classes: bool = True
    """Whether each class has one."""
    lr: _Positive = 0.1
    """The learning rate of the temperatures' logarithms."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0001
    """What pulls them back to 1."""


ExamplesSpec = Annotated[
    SelfPacedSpec | SuperLossSpec | PrioritizedSpec | DataParametersSpec,
    Field(discriminator="kind"),
    ByName(),
]
DifficultySpec = Literal["data", "own"] | RunDifficulty
