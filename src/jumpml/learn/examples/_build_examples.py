"""From what a file says of pacing and single rows to hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jumpml.core import JumpMLError, LearnerError, Problem, derive_seed, refusal, with_lines
from jumpml.curriculum import build_pacing, build_row_weights
from jumpml.learn.examples._pace import DIFFICULTY, Pace
from jumpml.learn.examples._prioritizing import Prioritizing
from jumpml.learn.examples._reference import difficulty_of_run
from jumpml.learn.examples._tempering import Tempering
from jumpml.learn.examples._weighing import Weighing

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from jumpml.core import CurriculumSpec, LearnerSpec
    from jumpml.data import DataLoaders
    from jumpml.learn._hook import Hook

    HowHard = Callable[[], Tensor | Literal["data", "own"]]


def build_example_hooks(spec: LearnerSpec, how_hard: HowHard) -> list[Hook]:
    """What the file says of which rows may come yet, and of what single rows count.

    Args:
        spec: The learner file.
        how_hard: Tells how hard rows are.

    Raises:
        SpecError: It cannot.
    """
    said = spec.curriculum
    if said is None:
        return []
    hooks: list[Hook] = [] if said.examples is None else [_of_examples(said)]
    if said.pacing is not None:
        difficulty = "data" if said.pacing.order == "random" else how_hard()
        seed = derive_seed(spec.seed, "pacing")
        hooks.append(Pace(build_pacing(said.pacing), difficulty, when=said.when, seed=seed))
    return hooks


def build_difficulty(spec: LearnerSpec, loaders: DataLoaders) -> Tensor | Literal["data", "own"]:
    """How hard rows are, as the file says: what the loaders say, the model's own losses, or those of a reference model.

    Args:
        spec: The learner file.
        loaders: The data.

    Raises:
        SpecError: The reference run is none, or does not fit the data.
    """
    said = spec.curriculum.difficulty if spec.curriculum else "data"
    if isinstance(said, str):
        return said
    try:
        return difficulty_of_run(spec.folder / said.run, loaders)
    except JumpMLError as error:
        problem = Problem((*DIFFICULTY, "run"), str(error))
        raise with_lines(refusal(LearnerError, [problem]), spec) from None


def _of_examples(said: CurriculumSpec) -> Hook:
    told = said.examples
    if told is None:
        raise ValueError("nothing is said of examples")
    weights = build_row_weights(told)
    if weights is not None:
        return Weighing(weights, told.of, when=said.when)
    made = Prioritizing if told.kind == "prioritized" else Tempering
    return made(**told.model_dump(exclude={"kind"}), when=said.when)
