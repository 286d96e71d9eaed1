"""What a model was, so that a surgery can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn


@final
class Snapshot:
    """All modules of a model as they are: which modules and tensors each holds, and every other attribute.

    Tensors are held, not copied: a surgery puts others in their place and leaves them alone.

    Args:
        model: The model.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [(module, _own_values(vars(module))) for module in model.modules()]

    def tensors(self) -> Iterator[Tensor]:
        """The parameters and buffers that there were."""
        for _, attributes in self._modules:
            for tensor in (*attributes["_parameters"].values(), *attributes["_buffers"].values()):
                if tensor is not None:
                    yield tensor

    def restore(self) -> None:
        """Put everything back."""
        for module, attributes in self._modules:
            vars(module).clear()
            vars(module).update(_own_values(attributes))


def _own_values(attributes: dict[str, Any]) -> dict[str, Any]:
    """The same, with copies of containers, which later changes do not reach."""
    return {key: value.copy() if isinstance(value, (dict, list, set)) else value for key, value in attributes.items()}
