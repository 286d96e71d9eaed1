"""What a momentum encoder makes of a row, foretold from the row with parts of it hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from torch import nn

from jumpml.objectives.self_supervised._latents import Latents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import Weight


@final
class LatentPrediction(Latents):
    """The vectors of hidden positions are to become those that the momentum encoder gives of the whole row.

    After data2vec (Baevski et al. 2022, https://arxiv.org/abs/2202.03555): the model reads a view that hides parts, and
    a linear layer of its vector at each hidden position foretells the momentum encoder's normalized one. The authors
    average the targets over the last layers of a transformer; here they are the node's own.

    Args:
        inputs: The node, ``[batch, width]``, ``[batch, positions, width]`` or ``[batch, width, rows, columns]``, and
            the field that the view hides parts of.
        views: The view, which is drawn once.
        predictor: Widths of the layers before the linear one, with GELU behind each. They belong to the objective and
            are not deployed.
        beta: The difference at which a square becomes a line (smooth L1); 0 for squares everywhere.
        momentum: The share of the momentum encoder that stays at each update, from 0 to 1, or a schedule of it.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There are not one node, one field and one view, ``beta`` is below 0, or the momentum is not
            from 0 to 1.

    Example:
        >>> import torch
        >>> from jumpml.core import ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> objective = LatentPrediction(("code", "x"), views="part")
        >>> model = Model(inputs={"x": ValueInfo(shape=(6, 2))}, nodes={"code": Node(nn.Linear(2, 4), "x")},
        ...     objectives={"latent": objective})
        >>> objective.inputs
        ('code', 'x.hidden', 'x.whole', 'x')
        >>> x, hidden = torch.rand(3, 6, 2), torch.arange(6).expand(3, 6).unsqueeze(2).expand(3, 6, 2) < 2
        >>> batch = {"x@part.0": x.masked_fill(hidden, 0.0), "x.hidden@part.0": hidden, "x.whole@part.0": x}
        >>> model.losses(batch)["latent"].shape
        torch.Size([3])
    """

    if_collapsed = "raise `momentum`, hide more, or give the node a normalization behind it"

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        views: str | Sequence[str],
        predictor: Sequence[int] = (),
        beta: float = 0.0,
        momentum: Weight = 0.999,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, beta=beta, momentum=momentum, weight=weight, when=when)
        self.widths = tuple(predictor)
        self.predictor = nn.Sequential()

    def build(self, positions: int, width: int) -> None:
        """The layers, each position's for itself."""
        read = width
        for made in self.widths:
            self.predictor.extend([nn.Linear(read, made), nn.GELU()])
            read = made
        self.predictor.append(nn.Linear(read, width))

    def foretell(self, embedding: Tensor, hidden: Tensor) -> Tensor:
        """Of each position's own vector."""
        return self.predictor(embedding)
