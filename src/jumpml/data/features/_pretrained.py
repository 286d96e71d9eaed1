"""A pretrained model as a feature step."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from jumpml.core import DataError, did_you_mean
from jumpml.data.features._custom import fills
from jumpml.data.features._feature import WORDS, Feature
from jumpml.data.features._kept import digest_of, fingerprint, kept
from jumpml.data.features._train_rows import ROWS_AT_A_TIME
from jumpml.pretrained import tokens_problem

if TYPE_CHECKING:
    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows

ROWS_A_CALL = 256  # what a large model's activations leave room for


@final
class Pretrained(Feature):
    """What a frozen model makes of a field; its answers are kept on disk, so that the next start reads them.

    An answer is found by a digest of the rows, the model's weights and structure, and what is taken of its output. The
    model's code is not part of it: after a change there, empty the cache. Rows that augmentation touches are computed
    anew each time. The cache lies in ``JUMPML_CACHE``, else in the user's cache folder.

    Args:
        model: ``[batch, ...]`` in; a tensor, or a sequence or a mapping of such, out.
        output: Which of several outputs, by its name or place; None for the first.

    Example:
        >>> Pretrained(torch.nn.Linear(3, 2))(torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """

    name = "pretrained"
    reads = WORDS

    def __init__(self, model: nn.Module, *, output: str | int | None = None) -> None:
        super().__init__()
        self.model = model.requires_grad_(False).eval()
        self.output = output
        self._print: tuple[Any, str] | None = None

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Learn nothing, but see what comes out of the train rows.

        Raises:
            DataError: The model cannot read them, or does not give a row for each; or a text is written in the ids of
                another tokenizer than the model's.
        """
        problem = tokens_problem(self.model, field)
        if problem:
            raise DataError(problem)
        try:
            self.fills = fills(self, train, field)
        except DataError:
            raise
        except Exception as error:
            what = f"the pretrained model cannot read the train rows: {type(error).__name__}: {error}"
            raise DataError(f"field {field.name!r}: {what}") from error

    def forward(self, values: Tensor) -> Tensor:
        """One of the model's outputs, ``[batch, ...]``."""
        return _chosen(self.model(values), self.output)

    def serve(self, values: Tensor, train_rows: Tensor | None = None, *, keep: bool = False) -> Tensor:
        """The same, read from disk where the rows come again."""
        if not keep:
            return self(values)
        parts = []
        for block in values.split(ROWS_AT_A_TIME):
            key = digest_of(self._fingerprint(), str(self.output), block)
            parts.append(kept(key, lambda block=block: self._in_calls(block)).to(values.device))
        return torch.cat(parts)

    def _in_calls(self, values: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([self(part) for part in values.split(ROWS_A_CALL)])

    def _fingerprint(self) -> str:
        state = self.model.state_dict(keep_vars=True)
        version = [(name, id(values), values._version) for name, values in state.items()]
        if self._print is None or self._print[0] != version:
            self._print = version, fingerprint(self.model)
        return self._print[1]


def _chosen(outputs: Any, which: str | int | None) -> Tensor:
    """One tensor of what a model gives."""
    if isinstance(outputs, Tensor):
        if which not in {None, 0}:
            raise DataError(f"pretrained: the model gives one tensor, and no output {which!r}. Leave `output` out.")
        return outputs
    if isinstance(outputs, AnyMapping):
        name = next(iter(outputs)) if which is None else which
        if name not in outputs:
            raise DataError(
                f"pretrained: the model has no output {name!r}. {did_you_mean(str(name), map(str, outputs))}"
            )
        return outputs[name]
    place = which or 0
    if not isinstance(outputs, (list, tuple)) or not isinstance(place, int) or place >= len(outputs):
        got = f"{len(outputs)} outputs" if isinstance(outputs, (list, tuple)) else f"a {type(outputs).__name__}"
        raise DataError(f"pretrained: expected an output {place!r} of the model, got {got}.")
    return outputs[place]
