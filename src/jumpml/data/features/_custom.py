"""A user's own module as a feature step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from jumpml.core import DataError
from jumpml.data.features._feature import WORDS, Feature
from jumpml.data.features._statistics import missing_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows


@final
class Custom(Feature):
    """Any module as a step: ``[batch, ...]`` in, ``[batch, ...]`` out.

    Where the module has a method ``fit(values)``, it is called once with the train rows, or with 100,000 of them where
    there are more; what it learns must be its buffers or parameters, so that it is saved and exported with the model.

    Args:
        module: The module; it is not trained with the model.

    Example:
        >>> Custom(torch.nn.Flatten())(torch.zeros(5, 2, 3)).shape
        torch.Size([5, 6])
    """

    name = "module"
    reads = WORDS

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Let the module learn, and see whether it fills what is missing.

        Raises:
            DataError: The module cannot learn from such rows, or does not give a row for each.
        """
        learn = getattr(self.module, "fit", None)
        try:
            if learn is not None:
                learn(train.sample())
            self.fills = fills(self, train, field)
        except DataError:
            raise
        except Exception as error:
            what = f"{type(self.module).__name__} failed on the train rows: {type(error).__name__}: {error}"
            raise DataError(f"field {field.name!r}: {what}") from error

    def forward(self, values: Tensor) -> Tensor:
        """What the module gives."""
        return self.module(values)

    @property
    def undoable(self) -> bool:
        """Whether the module has an ``inverse``."""
        return hasattr(self.module, "inverse")

    def inverse(self, values: Tensor) -> Tensor:
        """What the module's own ``inverse`` gives.

        Raises:
            DataError: It has none.
        """
        undo: Any = self.module.inverse if self.undoable else super().inverse
        return undo(values)


def as_features(steps: Mapping[str, Sequence[nn.Module]]) -> dict[str, list[Feature]]:
    """Steps by field, with plain modules as `Custom` steps.

    Raises:
        DataError: A step is no module, or a class in the place of an instance.
    """
    return {field: [_as_feature(step, field) for step in listed] for field, listed in steps.items()}


def fills(step: Feature, train: TrainRows, field: FieldInfo) -> bool:
    """Whether nothing missing comes out, and whether as many rows come out as go in.

    Where no train row lacks a value, a row of nothing else is tried: other rows, or a deployed model's, may lack some.

    Raises:
        DataError: Something else than a tensor with a row for each row comes out.
    """
    filled, tried = True, False
    for block in train.blocks():
        out = step.serve(block, keep=True)
        if not isinstance(out, Tensor) or out.dim() == 0 or len(out) != len(block):
            got = f"a tensor {list(out.shape)}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
            raise DataError(
                f"field {field.name!r}: {step.name} gives {got} for {len(block)} rows; expected a tensor [batch, ...]."
            )
        filled, tried = filled and not _lacks(out), tried or _lacks(block)
        if not missing_values(field):
            break  # nothing to fill; one block has shown the shape
    return filled and (tried or _fills_a_row(step, next(train.blocks())[:1]))


def _lacks(values: Tensor) -> bool:
    return values.is_floating_point() and bool(torch.isnan(values).any())


def _fills_a_row(step: Feature, row: Tensor) -> bool:
    if not row.is_floating_point():
        return True
    try:
        return not _lacks(step.serve(torch.full_like(row, torch.nan), keep=True))
    except Exception:  # a user's module may refuse such a row in any way
        return False


def _as_feature(step: object, field: str) -> Feature:
    if isinstance(step, Feature):
        return step
    if isinstance(step, nn.Module):
        return Custom(step)
    fix = f"Write {step.__name__}()." if isinstance(step, type) else "Give it a Feature or a torch.nn.Module."
    raise DataError(f"features, {field!r}: expected steps that are modules, got {step!r}. {fix}")
