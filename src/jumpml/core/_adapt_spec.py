"""What the learner file says of adapting to the rows to predict."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jumpml.core._spec import Name, NodePattern, Spec

Positive = Annotated[float, Field(gt=0)]
Rows = Annotated[float, Field(ge=0)]
Nodes = NodePattern | Annotated[tuple[NodePattern, ...], Field(min_length=1)]


class StatisticsProbeSpec(Spec):
    """What an adaptation is undone for: decisions that collapse, and rows that differ from training by class alone."""

    rows: Annotated[int, Field(ge=0)] = 256
    """How many rows of the validation split are known, in whole batches; by them it is told whether a batch differs
    from training by the classes of its rows alone, and must not be normalized by its own statistics."""


class ProbeSpec(StatisticsProbeSpec):
    """What an adaptation is undone for: the same, and known rows that are decided wrongly now."""

    tolerance: Annotated[float, Field(ge=0)] = 0.05
    """By how much more of the known rows may be decided wrongly than before, as a share of them; of a task that decides
    numbers, by how much more its error may be, as a share of what it was."""


class _OnlineSpec(Spec):
    episodic: bool = False
    """Begin each batch with the unadapted model; otherwise what was adapted stays."""


class _StepsSpec(Spec):
    nodes: Nodes = "all"
    """Patterns of the nodes that may move."""
    lr: Positive = 1e-3
    """The learning rate, with a momentum of .9."""
    steps: Annotated[int, Field(ge=1)] = 1
    """Steps a batch."""
    probe: ProbeSpec | None = ProbeSpec()
    """What it is undone for, batch by batch; `null` undoes nothing."""


class StatisticsAdaptSpec(_OnlineSpec):
    """Batch normalization by the statistics of the rows that come.

    Schneider et al. 2020, https://arxiv.org/abs/2006.16971; Nado et al. 2020, https://arxiv.org/abs/2006.10963.
    """

    kind: Literal["statistics"]
    """The method."""
    prior: Rows = 0.0
    """So many rows the statistics of training count as; 16 or so help small batches."""
    memory: Rows | None = None
    """So many rows at most what was seen before a batch counts as; all of it where left out."""
    probe: StatisticsProbeSpec | None = StatisticsProbeSpec()
    """What it is undone for, batch by batch; `null` undoes nothing."""


class EntropyAdaptSpec(_OnlineSpec, _StepsSpec):
    """Answers made more certain by the scales and shifts of normalization layers.

    TENT (Wang et al. 2021, https://arxiv.org/abs/2006.10726), with the guards of SAR (Niu et al. 2023,
    https://arxiv.org/abs/2302.12400).
    """

    kind: Literal["entropy"]
    """The method."""
    guarded: bool = True
    """Leave uncertain rows out, step where the entropy is flat, and take all back where the model seems to collapse;
    without, it is TENT."""
    reliable: Annotated[float, Field(gt=0, le=1)] = 0.4
    """With guards: the share of the highest possible entropy below which a row is learned from."""
    prior: Rows | None = 0.0
    """As `statistics` has it; `null` leaves batch normalization with the statistics of training."""
    memory: Rows | None = 0.0
    """As `statistics` has it; by default each batch goes by its own statistics, as in TENT."""


class TTTAdaptSpec(_OnlineSpec, _StepsSpec):
    """Test-time training: a step on the objectives with `when: [test_time]` for each batch, which is then predicted.

    Sun et al. 2020, https://arxiv.org/abs/1909.13231. They need no targets; best they are learned beside the task:
    `when: [supervised, test_time]`.
    """

    kind: Literal["ttt"]
    """The method."""


class MEMOAdaptSpec(_StepsSpec):
    """A lower entropy of the mean answer over several draws of each row; each batch begins with the unadapted model.

    Zhang et al. 2022, https://arxiv.org/abs/2110.09506.
    """

    kind: Literal["memo"]
    """The method."""
    view: Name
    """The view that is drawn."""
    copies: Annotated[int, Field(ge=2)] = 8
    """How often."""


AdaptSpec = Annotated[
    StatisticsAdaptSpec | EntropyAdaptSpec | TTTAdaptSpec | MEMOAdaptSpec, Field(discriminator="kind")
]
