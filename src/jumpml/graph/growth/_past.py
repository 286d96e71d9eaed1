"""The shapes that a model has had."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from torch import Size, Tensor, nn

    from jumpml.graph.growth._snapshot import Snapshot
    from jumpml.graph.growth._surgery import Growth


@final
class Past:
    """What takes a model's last surgeries back.

    The tensors that a surgery put others in the place of stay what optimizers and maps know them by, but their values
    can be let go: what comes back in a former shape has its weights loaded.
    """

    def __init__(self) -> None:
        self._shapes: list[tuple[Snapshot, Growth]] = []  # what each surgery was done to, and what it did
        self._empty: dict[int, tuple[Tensor, Size]] = {}  # tensors that were let go, with their sizes

    def __len__(self) -> int:
        return len(self._shapes)

    def add(self, before: Snapshot, growth: Growth) -> None:
        """Remember a surgery."""
        self._shapes.append((before, growth))

    def let_go(self, model: nn.Module) -> None:
        """Free the values of all tensors that only former shapes have; in a shape that is restored they are zeros."""
        held = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
        for snapshot, _ in self._shapes:
            for tensor in snapshot.tensors():
                if id(tensor) not in held and id(tensor) not in self._empty:
                    self._empty[id(tensor)] = (tensor, tensor.shape)
                    tensor.grad = None
                    tensor.data = tensor.new_empty([0] * tensor.ndim)

    def restore(self, surgeries_back: int) -> None:
        """Put everything back as it was before so many of the last surgeries."""
        snapshot, _ = self._shapes[-surgeries_back]
        for tensor in snapshot.tensors():
            _, size = self._empty.pop(id(tensor), (tensor, None))
            if size is not None:
                tensor.data = tensor.new_zeros(size)
        snapshot.restore()

    def take_back(self) -> Growth:
        """Undo the last surgery.

        Returns:
            What it had done.
        """
        self.restore(1)
        return self._shapes.pop()[1]
