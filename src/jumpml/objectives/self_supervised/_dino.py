"""Self-distillation without labels: telling what a slow copy decides of other crops."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F
from torch import nn

from jumpml.objectives._temperature import checked_temperature
from jumpml.objectives.self_supervised._checks import checked_count, drawn_crops
from jumpml.objectives.self_supervised._slow_views import SlowViews

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo, Weight


@final
class DINO(SlowViews):
    """Each view tells what a slow copy of the model says of the others: a distribution over prototypes.

    Caron et al. 2021, https://arxiv.org/abs/2104.14294, equations 1 to 4: projections and prototypes have length 1, and
    a distribution is the softmax of their products over a temperature. The slow copy's is centred, so that not one
    prototype takes all, and sharpened by a low temperature, so that they are not all alike. The loss is the
    cross-entropy from the one to the other, the mean over rows and over pairs of different draws. With two policies the
    slow copy sees the first one's draws alone, the global crops, and the model sees all.

    The centre is a moving average of what the slow copy gave, and moves once an update, in training only.

    Args:
        inputs: The node whose outputs, ``[batch, width]``, are compared.
        views: One policy, drawn twice, or two: of global crops and of local ones.
        crops: How often each of two policies is drawn; ``(2, 4)`` where None.
        projector: Widths of the projector's layers, as `make_projector` makes them; none where empty. It belongs to the
            objective and is not deployed.
        prototypes: How many there are.
        temperature: What the model's products are divided by; above 0.
        slow_temperature: What the slow copy's are divided by, lower than that; above 0.
        center_momentum: The share of the centre that stays at each update, from 0 to 1.
        momentum: The share of the slow copy that stays at each update, from 0 to 1, or a schedule of it.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view, or a number is out of its range.

    Example:
        >>> from jumpml.core import ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes={"encoder": Node(nn.Linear(4, 8), "x")},
        ...     objectives={"agree": DINO("encoder", views=("global", "local"), crops=(1, 2), prototypes=16)})
        >>> batch = {f"x@{draw}": torch.randn(5, 4) for draw in ("global.0", "local.0", "local.1")}
        >>> model.losses(batch)["agree"].shape
        torch.Size([])
    """

    if_collapsed = "raise `momentum`, or lower `center_momentum` or `slow_temperature`"
    slow_parts = ("projector", "prototypes")

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        crops: Sequence[int] | None = None,
        projector: Sequence[int] = (128, 64),
        prototypes: int = 256,
        temperature: float = 0.1,
        slow_temperature: float = 0.04,
        center_momentum: float = 0.9,
        momentum: Weight = 0.99,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, momentum=momentum, views=views, projector=projector, weight=weight, when=when)
        self.targets, self.draws = drawn_crops(self, crops)
        self.num_prototypes = checked_count(self, prototypes, "prototypes", least=2)
        self.temperature = checked_temperature(self, temperature)
        self.slow_temperature = checked_temperature(self, slow_temperature, "a slow_temperature")
        if not 0 <= center_momentum <= 1:
            raise self.error(f"expected a center_momentum from 0 to 1, got {center_momentum}.")
        self.center_momentum = center_momentum
        self.register_buffer("center", torch.zeros(self.num_prototypes))
        self._noted: list[tuple[Tensor, int | Tensor]] = []

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one vector a row and make projector and prototypes, from torch's global generator."""
        super().connect(values, parameters)
        self.prototypes = nn.Linear(self.width, self.num_prototypes, bias=False)

    def projections(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The projections of all draws, and the slow copy's of the first ones."""
        own, slow = self.both(inputs, self.targets)
        return [*own, *slow]

    def compare(self, *projections: Tensor) -> Tensor:
        """The loss of the projections, ``[rows, width]`` each, the slow copy's last; a scalar."""
        own, slow = projections[: -self.targets], projections[-self.targets :]
        told = [F.log_softmax(_products(view, self.prototypes) / self.temperature, dim=1) for view in own]
        with torch.no_grad():
            given = torch.stack([_products(view, self.get_submodule("slow_prototypes")) for view in slow])
            targets = ((given - self.get_buffer("center")) / self.slow_temperature).softmax(2)
        if self.training:
            self._note(given)
        pairs = [(target, other) for at, target in enumerate(targets) for to, other in enumerate(told) if at != to]
        return torch.stack([-(target * other).sum(1).mean() for target, other in pairs]).mean()

    def _note(self, given: Tensor) -> None:
        """Keep the sum of what the slow copy gave, ``[draws, rows, prototypes]``, until the update's end."""
        self._noted.append((given.sum((0, 1)), given.shape[0] * given.shape[1]))

    def pool(self, join: Callable[[Tensor], Tensor]) -> None:
        """Let the centre go by the rows of all processes."""
        told = [join(torch.cat([total, total.new_tensor([rows])])[None]).sum(0) for total, rows in self._noted]
        self._noted = [(of_all[:-1], of_all[-1]) for of_all in told]

    @torch.no_grad()
    def after_update(self, epoch: float = 0.0, epochs: float = 1.0) -> None:
        """Move the slow copy on, and the centre to what it gave."""
        super().after_update(epoch, epochs)
        if self._noted:
            mean = torch.stack([total for total, _ in self._noted]).sum(0) / sum(rows for _, rows in self._noted)
            self.get_buffer("center").lerp_(mean, 1 - self.center_momentum)
            self._noted = []


def _products(view: Tensor, prototypes: nn.Module) -> Tensor:
    """The products of a view's rows and the prototypes, both of length 1: ``[rows, prototypes]``."""
    weight: Tensor = prototypes.weight  # pyright: ignore[reportAssignmentType]: a buffer in the slow copy
    return F.normalize(view, dim=1) @ F.normalize(weight, dim=1).T
