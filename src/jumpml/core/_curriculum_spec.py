"""What the learner file says of what is learned from next."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from jumpml.core._pacing_spec import DifficultySpec, ExamplesSpec, PacingSpec
from jumpml.core._spec import Spec


class CurriculumSpec(Spec):
    """What is learned from next."""

    difficulty: DifficultySpec = "data"
    """What says how hard rows are, where that is asked for: `data`, the data file's `difficulty`; `own`, this model's
    own last loss of each row; or `{run: FOLDER}`, a reference model's."""
    pacing: PacingSpec | None = None
    """Which rows may come yet, by how hard they are: more and more of them."""
    examples: ExamplesSpec | None = None
    """What single rows count, or how often they come, by their losses."""
    when: Annotated[tuple[str, ...], Field(min_length=1)] | Literal["all"] = "all"
    """The phases in which it is so; each begins afresh."""

    @model_validator(mode="after")
    def _asked(self) -> Self:
        paced = self.pacing is not None and self.pacing.order != "random"
        if self.difficulty != "data" and not paced:
            raise ValueError("nothing asks how hard rows are: leave `difficulty` out, or say `pacing`")
        return self
