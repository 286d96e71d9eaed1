"""What a model file says of models and weights that were made elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import model_validator

from jumpml.core._spec import Spec, exactly_one

if TYPE_CHECKING:
    from pathlib import Path

_ORIGINS = ("transformers", "sentences", "timm", "onnx", "run")


class WeightsSpec(Spec):
    """Weights that a node begins with."""

    file: str
    """Weights (safetensors, or `torch.save`'s), or the folder of a checkpoint or a run, from this file's folder. A run
    stands for its best checkpoint where it has one, else for its newest."""
    node: str | None = None
    """In a JumpML model's weights, the node whose they are; the one of the same name where it is left out."""
    part: str | None = None
    """In a file of several state_dicts, which; of a checkpoint `average`, for the averaged weights."""
    strip: str = ""
    """What the file's names begin with and the module's do not, such as `module.`; the others are passed over."""
    prefix: str = ""
    """What the module's names begin with and the file's do not."""
    strict: bool = True
    """Whether file and module must have the same weights; otherwise what fits is taken, and the rest is told."""


class PretrainedNode(Spec):
    """A model that was made elsewhere."""

    model_config = {"json_schema_extra": exactly_one(*_ORIGINS)}

    transformers: str | None = None
    """A model of the Hugging Face hub, or a folder from this file's (`./name`)."""
    pool: bool = True
    """Of `transformers`: whether one vector a row, the mean over what is no padding, or one a position."""
    sentences: str | None = None
    """Or a model of sentences, as `sentence-transformers` saves one: a name on the hub, or a folder (`./name`)."""
    timm: str | None = None
    """Or a model of timm, by its name. It reads pictures in [0, 1]."""
    args: dict[str, Any] = {}
    """Of `timm`: what else the model is made with."""
    onnx: str | None = None
    """Or an ONNX file, from this file's folder. It never trains, and no gradient flows through it."""
    run: str | None = None
    """Or a node of another JumpML model, with its module and its weights: a run's folder, from this file's."""
    node: str | None = None
    """Of `run`: the node; the one of the same name where it is left out."""

    @property
    def origin(self) -> str:
        """Where it comes from: the one key of them that is there."""
        return next(name for name in _ORIGINS if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        said = [name for name in _ORIGINS if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"expected exactly one of {', '.join(_ORIGINS)}; got {' and '.join(said) or 'none'}")
        for key, origin in (("pool", "transformers"), ("args", "timm"), ("node", "run")):
            if getattr(self, key) != type(self).model_fields[key].default and said != [origin]:
                raise ValueError(f"{key} goes with {origin}; this model is of {said[0]}")
        return self


def local(name: str, folder: Path) -> str:
    """A model's name on a hub, or the path of a folder, which is written with a dot before it.

    Args:
        name: What a file says.
        folder: The file's.

    Example:
        >>> from pathlib import Path
        >>> local("bert-base-uncased", Path("here")), Path(local("./bert", Path("here"))).parts
        ('bert-base-uncased', ('here', 'bert'))
    """
    return str(folder / name) if name.startswith(".") else name


def anchored(node: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A node of a model file, as plain values, that finds what lies outside from anywhere.

    Args:
        node: As it is dumped.
        folder: Where its paths start.
    """
    found = dict(node)
    if found.get("weights"):
        found["weights"] = found["weights"] | {"file": str((folder / found["weights"]["file"]).resolve())}
    if found.get("pretrained"):
        told = found["pretrained"]
        files = {key: str((folder / told[key]).resolve()) for key in ("onnx", "run") if told[key] is not None}
        names = {key: told[key] for key in ("transformers", "sentences") if told[key] is not None}
        near = {key: local(name, folder.resolve()) for key, name in names.items()}
        found["pretrained"] = told | files | near
    return found
