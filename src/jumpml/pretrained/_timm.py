"""Models of `timm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from torch import Tensor, nn

from jumpml.core import PretrainedError
from jumpml.pretrained._hub import only_weights
from jumpml.pretrained._scale import Scale
from jumpml.pretrained._weights import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILES = ("checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay")  # would read files on another way


@final
class TimmModel(nn.Module):
    """A model of ``timm``, which reads pictures in [0, 1]: they are brought to the mean and deviation that it knows.

    Args:
        name: As ``timm.create_model`` takes it.
        arguments: Of ``timm.create_model``; the head is left out (``num_classes: 0``) and the weights are pretrained
            unless they say otherwise.

    Raises:
        PretrainedError: timm is not installed or does not work, knows no such model, or cannot fetch its weights.
    """

    def __init__(self, name: str, arguments: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        arguments = {"pretrained": True, "num_classes": 0, **(arguments or {})}
        for key in _FILES:
            if key in arguments:
                raise PretrainedError(
                    f"timm's {key} would read a file on a way of its own. Use `weights` in its place."
                )
        timm = _timm()
        try:
            with only_weights():
                self.model = timm.create_model(name, **arguments)
        except Exception as error:  # unknown, offline, arguments that the model does not take
            told = f"timm cannot make {name!r}: {type(error).__name__}: {first_line(error)}."
            raise PretrainedError(f"{told} `timm.list_models()` lists what there is.") from error
        told = getattr(self.model, "pretrained_cfg", None) or {}
        self.scale = Scale(told["mean"], told["std"]) if told.get("mean") and told.get("std") else None

    def forward(self, values: Tensor) -> Any:
        """What the model gives: float32 ``[batch, width]`` without a head.

        Args:
            values: ``[batch, channels, height, width]`` in [0, 1].
        """
        return self.model(values if self.scale is None else self.scale(values))


def _timm() -> Any:
    try:
        import timm  # pyright: ignore[reportMissingImports]
    except Exception as error:  # a torchvision that was built for another torch fails in its own ways
        raise PretrainedError(
            f"`timm` cannot be imported ({type(error).__name__}: {first_line(error)}). No extra of JumpML brings it, "
            "since it needs a torchvision that fits your torch: pip install timm torchvision."
        ) from error
    return timm
