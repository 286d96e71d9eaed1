"""What the learner file says of what is learned from next."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from jumpml.core._pacing_spec import DifficultySpec, ExamplesSpec, PacingSpec
from jumpml.core._spec import ByName, Spec, exactly_one
from jumpml.core._teacher_spec import TeacherSpec

_Objectives = Annotated[tuple[str, ...], Field(min_length=1)]


class ArmsBySpec(Spec):
    """Arms by what rows are, or by how they are changed; one key alone."""

    model_config = ConfigDict(json_schema_extra=exactly_one("classes", "difficulty", "views"))

    classes: str | None = None
    """A category: an arm for each of its classes."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """With `classes`, .5 unless said: the share of a batch that is of the arm's class. The other rows come from all
    classes, since a net that tells them apart learns nothing by batches of one."""
    difficulty: Annotated[int, Field(ge=2)] | None = None
    """So many bins of as many rows, from easy to hard by what `curriculum.difficulty` says: an arm each."""
    views: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """Views of the data file, whose changes are made in the place of its `augment`: an arm each. `augment` is that
    itself, and `plain` changes nothing."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        said = [key for key in ("classes", "difficulty", "views") if getattr(self, key) is not None]
        if len(said) != 1:
            raise ValueError(f"expected one of classes, difficulty and views, got {' and '.join(said) or 'none'}")
        if self.share is not None and self.classes is None:
            raise ValueError("`share` does nothing without `classes`")
        return self


ArmAxis = Literal["datasets", "tasks", "objectives"] | ArmsBySpec
ArmsSpec = ArmAxis | Annotated[tuple[ArmAxis, ...], Field(min_length=2)]


class _Reward(Spec):
    of: _Objectives | None = None
    """The objectives whose losses tell; those of the arm where nothing is said."""


class SPGSpec(_Reward):
    """How much an update lowers the loss of other rows of the arm (Graves et al. 2017, https://arxiv.org/abs/1704.03003)."""

    kind: Literal["spg"]
    """The kind."""


class PredictionGainSpec(_Reward):
    """How much an update lowers the loss of the rows that it learned from (Bellemare et al. 2016, https://arxiv.org/abs/1606.01868)."""

    kind: Literal["prediction_gain"]
    """The kind."""


class TargetGainSpec(_Reward):
    """How much an update lowers the loss of some validation rows, always the same ones (Graves et al. 2017)."""

    kind: Literal["target_gain"]
    """The kind."""
    rows: Annotated[int, Field(ge=1)] = 256
    """How many rows."""


class LossDropSpec(_Reward):
    """How much lower the loss is than at the arm's last update (Matiisen et al. 2017, https://arxiv.org/abs/1707.00183)."""

    kind: Literal["loss_drop"]
    """The kind."""


class MetricGainSpec(Spec):
    """How much better the first figure of the arm's task is on the validation rows than an epoch before."""

    kind: Literal["metric_gain"]
    """The kind."""


class LossRewardSpec(_Reward):
    """The loss itself: what is bad yet comes more often."""

    kind: Literal["loss"]
    """The kind."""


class GradientNormSpec(Spec):
    """How long the gradient of the update is."""

    kind: Literal["gradient_norm"]
    """The kind."""


RewardSpec = Annotated[
    SPGSpec | PredictionGainSpec | TargetGainSpec | LossRewardSpec | LossDropSpec | MetricGainSpec | GradientNormSpec,
    Field(discriminator="kind"),
    ByName(),
]


class CurriculumSpec(Spec):
    """What is learned from next."""

    teacher: TeacherSpec | None = None
    """What chooses the arm of each update."""
    arms: ArmsSpec | None = None
    """What it chooses from: `datasets`, `tasks`, `objectives`, `{classes: FIELD}`, `{difficulty:
    BINS}`, `{views: [...]}`, or several of these: then each combination is an arm."""
    reward: RewardSpec = SPGSpec(kind="spg")
    """What an update is rewarded by."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The share of the updates that all arms have between them, evenly, so that none dies."""
    every: Annotated[int, Field(ge=1)] = 1
    """Updates after which rewards are read from the device, and told."""
    difficulty: DifficultySpec = "data"
    """What says how hard rows are, where that is asked for: `data`, the data file's `difficulty`; `own`, this model's
    own last loss of each row, which pacing alone can go by; or `{run: FOLDER}`, a reference model's."""
    pacing: PacingSpec | None = None
    """Which rows may come yet, by how hard they are: more and more of them."""
    examples: ExamplesSpec | None = None
    """What single rows count, or how often they come, by their losses."""
    when: Annotated[tuple[str, ...], Field(min_length=1)] | Literal["all"] = "all"
    """The phases in which it is so; each begins afresh. A teacher has no choice in one with fewer than two arms."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.teacher is not None and self.arms is None:
            raise ValueError("a teacher needs arms to choose from: say `arms: datasets`, `arms: tasks`, ...")
        if self.teacher is None and self.arms is not None:
            raise ValueError("nobody chooses from the arms: say `teacher: exp3s`, `teacher: uniform`, ...")
        paced = self.pacing is not None and self.pacing.order != "random"
        arms = self.arms if isinstance(self.arms, tuple) else (self.arms,)
        binned = any(isinstance(one, ArmsBySpec) and one.difficulty is not None for one in arms)
        if self.difficulty != "data" and not (paced or binned):
            if self.pacing is not None:
                raise ValueError(
                    "nothing asks how hard rows are where they come in random order: leave `difficulty` out, or say "
                    "another `order` in `pacing`"
                )
            raise ValueError(
                "nothing asks how hard rows are: leave `difficulty` out, or say `pacing` or `arms: {difficulty: 4}`"
            )
        if self.difficulty == "own" and binned:
            raise ValueError(
                "bins of difficulty are made before anything is learned, and `own` losses are not there yet: "
                "say `data`, or `{run: FOLDER}`"
            )
        return self
