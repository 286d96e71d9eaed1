"""The base of objectives that ask the model what a view did."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import nn

from jumpml.core import ValueInfo
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives.self_supervised._patches import grid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jumpml.core import ObjectiveError, Weight


class ToldByView(ObjectiveModule):
    """A loss on a node on one draw of a view, and on what that view tells of a field.

    Args:
        inputs: The node, and the field; what is read of the field is what `tells` says.
        views: The view, which is drawn once.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There are not one node and one field, or not one view.
    """

    needs_learning = True
    draws: int | tuple[int, int] = 1
    tells: ClassVar[tuple[str, ...]]
    """What it reads of the field, as what stands behind its name; empty text for the field itself."""

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        views: str | Sequence[str],
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        given = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        node, field = given if len(given) == 2 else ("", "")
        super().__init__((node, *(field + suffix for suffix in self.tells)), views=views, weight=weight, when=when)
        if len(given) != 2:
            raise self.error(f"expected a node and a field, got {', '.join(given) or 'nothing'}.")
        if len(self.views) != 1:
            raise self.error(f"expected one view, which is drawn once; got {', '.join(self.views) or 'none'}.")
        self.field = field

    def embedding(self, value: ValueInfo | None, dims: Sequence[int]) -> tuple[int, ...]:
        """The shape of what the node gives for a row.

        Args:
            value: What is known of it.
            dims: How many axes it may have.

        Raises:
            ObjectiveError: It is not known, no numbers, or of other axes.
        """
        if value is None:
            raise self.error(f"the shape of {self.inputs[0]!r} must be known. Name a node.")
        if len(value.shape) not in dims or value.dtype != "float32":
            forms = {1: "[batch, width]", 2: "[batch, positions, width]", 3: "[batch, width, rows, columns]"}
            fix = "Flatten or pool it in a node first, such as torch.nn.Flatten."
            raise self.wrong_shape(0, f"{' or '.join(forms[n] for n in dims)} float32", value, fix)
        return value.shape

    def told(self, value: ValueInfo | None, place: int) -> ValueInfo:
        """What is known of one of the values that the view tells.

        Raises:
            ObjectiveError: Nothing is.
        """
        if value is None:
            raise self.error(f"what is known of {self.inputs[place]!r}? Name a field that nodes read.")
        return value

    def patches(self, embedding: Sequence[int], whole: ValueInfo) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Along which axes the field is cut into what each position of the node stands for, and into how many patches.

        Args:
            embedding: The shape of what the node gives for a row; one vector stands for all of it.
            whole: What is known of the field as it was.

        Raises:
            ObjectiveError: There are no such patches of equal size.
        """
        axes = whole.axes or ((0,) if len(whole.shape) < 3 else (-2, -1))
        grid = grid_of(whole.shape, axes, embedding, timed=whole.timed)
        if grid is None:
            sizes = " x ".join(str(whole.shape[axis]) for axis in axes)
            many = f"with as many positions as {sizes} of {self.field!r} has equal patches"
            raise self.misfit(f"[batch, positions, width], {many}", embedding)
        return tuple(axes), grid

    def misfit(self, expected: str, embedding: Sequence[int]) -> ObjectiveError:
        """An error that says what a node with several positions would have to give."""
        fix = "Or let the node give one vector a row."
        return self.wrong_shape(0, expected, ValueInfo(shape=tuple(embedding)), fix)


def make_layers(width: int, widths: Sequence[int], last: Callable[[int], nn.Module]) -> nn.Sequential:
    """Linear layers with ReLU behind each, and a last one.

    Args:
        width: Of what they read.
        widths: Of all but the last.
        last: Makes that, given the width that it reads.

    Example:
        >>> make_layers(8, (4,), lambda width: nn.Linear(width, 2))
        Sequential(
          (0): Linear(in_features=8, out_features=4, bias=True)
          (1): ReLU()
          (2): Linear(in_features=4, out_features=2, bias=True)
        )
    """
    layers = nn.Sequential()
    for made in widths:
        layers.extend([nn.Linear(width, made), nn.ReLU()])
        width = made
    return layers.append(last(width))
