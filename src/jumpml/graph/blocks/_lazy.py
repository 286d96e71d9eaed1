"""Sizes that are inferred from the first input."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def lazy_layers_are_meant() -> Iterator[None]:
    """Silence torch's warning that they are young: sizes are inferred once, before anyone sees the parameters."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Lazy modules are a new feature", category=UserWarning)
        yield


class SizedByInput(LazyModuleMixin, nn.Module, ABC):
    """A block whose layers are all as wide as its input: it makes them when the first one comes.

    To the graph it is a lazy module like torch's own. It is on the input's device from then on, in its precision.
    """

    def __init__(self) -> None:
        with lazy_layers_are_meant():
            super().__init__()  # type: ignore[misc]  # torch's protocol for the mixin's self is not its own module's
        self.unseen = UninitializedParameter()  # torch tells lazy modules by such a parameter

    @abstractmethod
    def build(self, values: Tensor) -> None:
        """Make the layers for inputs such as this one.

        Raises:
            ValueError: The block does not read such.
        """

    def initialize_parameters(self, values: Tensor, *rest: Any, **named: Any) -> None:
        """What torch calls before the first forward."""
        self.build(values)
        del self.unseen
        self.to(device=values.device, dtype=values.dtype if values.is_floating_point() else None)
        self.train(self.training)
