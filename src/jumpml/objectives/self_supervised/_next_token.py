"""The next token of a text, foretold at each of its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from torch import nn

from jumpml.core import NEXT, ValueInfo
from jumpml.objectives._cross_entropy import CrossEntropy
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives.self_supervised._causal import check_steps, refuse_peeking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Loss, Weight
    from jumpml.graph import IndexMap, Model


@final
class NextToken(ObjectiveModule):
    """A causal node foretells at each token of a text the next one.

    A linear layer of the vector at each token gives logits of the vocabulary; a row's loss is the mean cross entropy
    over its tokens that another follows (Radford et al. 2018,
    https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf). The layer belongs to
    the objective and is not deployed: where the next token is what the model is for, take a task of kind
    ``language_modelling``.

    When the model is built, the last token is changed: a node that moves at an earlier one has read what it is to
    foretell, and is refused.

    Args:
        inputs: The node, ``[batch, length, width]``, and the text.
        vocabulary: How many tokens there are; what the data says where None.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> import torch
        >>> objective = NextToken(("past", "message"))
        >>> objective.connect([ValueInfo(shape=(3, 8)), ValueInfo(shape=(3,), dtype="int64", classes=5)], {})
        >>> _ = [nn.init.zeros_(p) for p in objective.parameters()]
        >>> objective(torch.zeros(1, 3, 8), torch.tensor([[4, 2, -1]])).value.detach()  # ln 5
        tensor([1.6094])
    """

    roles = ("past", "text")
    needs_learning = True
    if_collapsed = "lower the learning rate, and see whether tokens that hardly differ fill the texts"

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        vocabulary: int | None = None,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        self.inputs = (self.inputs[0], self.inputs[1].removesuffix(NEXT) + NEXT)
        self.vocabulary = vocabulary
        self.predictor = nn.Sequential()
        self._distance = CrossEntropy(self.inputs, classes_last=True)

    def reach(self, fields: Sequence[str]) -> None:
        """Only the text matters, whatever else the node reads."""

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for a vector a token, and make the layer."""
        super().connect(values, parameters)
        past, text = values
        check_steps(self, 0, past)
        if past is None:
            raise self.error(f"the shape of {self.inputs[0]!r} must be known. Name a node.")
        if text and (text.dtype != "int64" or text.shape != past.shape[:1]):
            raise self.wrong_shape(1, f"tokens of a text, [batch, {past.shape[0]}] int64", text, "Name a text field.")
        tokens = self.vocabulary or (text.classes if text else None)
        if tokens is None:
            fix = "Give the model its data, or say it by vocabulary."
            raise self.error(f"how many tokens {self.inputs[1]!r} may hold is not known. {fix}")
        self.predictor.append(nn.Linear(past.shape[1], tokens))

    def remember(self, model: Model) -> None:
        """Refuse a node that reads ahead."""
        refuse_peeking(self, model, self.inputs[1].removesuffix(NEXT), self.inputs[0])

    def outgrow(self, model: Model, index_map: IndexMap) -> None:
        """Nothing is kept of the model."""

    def forward(self, past: Tensor, following: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row; one of a single token does not count.

        Args:
            past: ``[batch, length, width]``.
            following: At each token the next one, int64 ``[batch, length]``; -1 where none follows.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        return self._distance(self.predictor(past), following, present=present)

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """The rows in which a token follows another."""
        return self._distance.counted(*inputs, present=present)
