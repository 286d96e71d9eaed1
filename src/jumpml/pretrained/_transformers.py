"""Models of `transformers`, and sentence embedders made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from jumpml.core import PretrainedError
from jumpml.pretrained._hub import settings, transformer
from jumpml.pretrained._scale import Scale
from jumpml.pretrained._vocabulary import vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Mapping

POOLS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max"}


@final
class TransformersModel(nn.Module):
    """A model of ``transformers`` that makes one vector of a row: the mean over what is no padding.

    Args:
        name: A name on the Hugging Face hub, or a folder. Only weights in safetensors are read, and no code is run.
        pool: Whether to take that mean; False for a vector a position.

    Attributes:
        vocabulary: The tokens by id that texts must be written in; None where the model has none that can be read.

    Raises:
        PretrainedError: There is no such model, or it cannot be fetched.
        MissingExtraError: transformers is not installed.
    """

    def __init__(self, name: str, *, pool: bool = True) -> None:
        super().__init__()
        self.model = transformer(name)
        self.pool = pool
        self.vocabulary = vocabulary_of(name)
        pictures = settings(name, "preprocessor_config.json") or {}
        scaled = "image_mean" in pictures and pictures.get("do_normalize", True)
        self.scale = Scale(pictures["image_mean"], pictures["image_std"]) if scaled else None

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Float32 ``[batch, width]``, or ``[batch, positions, width]`` without pooling.

        Args:
            values: Token ids ``[batch, length]`` of the model's own tokenizer, images ``[batch, channels, height,
                width]`` in [0, 1], which are brought to the mean and deviation that the model knows, or recordings.
            mask: bool ``[batch, length]``, true where a token is; where an id is not the model's padding, or not 0
                where it names none, if nothing is said.
        """
        if values.dtype == torch.int64:
            present = _present(self.model, values, mask)
            hidden = self.model(input_ids=values, attention_mask=present).last_hidden_state
            return _mean(hidden, present) if self.pool else hidden
        if values.dim() == 4:
            scaled = values if self.scale is None else self.scale(values)
            hidden = self.model(pixel_values=scaled).last_hidden_state
            hidden = hidden if hidden.dim() == 3 else hidden.flatten(2).transpose(1, 2)
        else:
            hidden = self.model(input_values=values.mean(dim=1)).last_hidden_state
        return hidden.mean(dim=1) if self.pool else hidden


@final
class SentenceModel(nn.Module):
    """A model that embeds sentences, as the package `sentence-transformers` saves one; that package is not needed.

    Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084: a transformer, pooling over its tokens, and
    normalisation to length 1 where the model has it.

    Args:
        name: A folder with ``modules.json``, or such a name on the Hugging Face hub.

    Attributes:
        vocabulary: The tokens by id that texts must be written in.

    Raises:
        PretrainedError: There is no such model, or one with other parts.
        MissingExtraError: transformers is not installed.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.model = transformer(name)
        self.vocabulary = vocabulary_of(name)
        parts = settings(name, "modules.json")
        if parts is None:
            raise PretrainedError(
                f"{name} has no modules.json, as a model of sentences has. Take `transformers` for it."
            )
        kinds = [part["type"].rpartition(".")[2] for part in parts]
        if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
            known = "a Transformer, a Pooling and perhaps a Normalize"
            raise PretrainedError(f"{name}: expected a model of sentences of {known}; got {', '.join(kinds)}.")
        self.normalize = kinds[-1] == "Normalize"
        self.pool = _pooling(name, settings(name, f"{parts[1]['path']}/config.json") or {})

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """Float32 ``[batch, width]``.

        Args:
            values: Token ids ``[batch, length]`` of the model's own tokenizer.
            mask: bool ``[batch, length]``, true where a token is; where an id is not the model's padding if nothing is
                said.
        """
        present = _present(self.model, values, mask)
        hidden = self.model(input_ids=values, attention_mask=present).last_hidden_state
        if self.pool == "cls":
            pooled = hidden[:, 0]
        elif self.pool == "max":
            pooled = hidden.masked_fill(present.unsqueeze(-1) == 0, torch.finfo(hidden.dtype).min).amax(dim=1)
        else:
            pooled = _mean(hidden, present)
        return nn.functional.normalize(pooled, dim=1) if self.normalize else pooled


def _present(model: Any, tokens: Tensor, mask: Tensor | None) -> Tensor:
    """int64 ``[batch, length]``, 1 where a token is."""
    found = tokens != (model.config.pad_token_id or 0) if mask is None else mask
    return found.to(torch.int64)


def _mean(hidden: Tensor, present: Tensor) -> Tensor:
    weights = present.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def _pooling(name: str, told: Mapping[str, Any]) -> str:
    asked = [key for key, value in told.items() if key.startswith("pooling_mode") and value is True]
    named = told.get("pooling_mode")  # the form of newer versions
    found = [named] if isinstance(named, str) else [POOLS.get(key, key) for key in asked]
    if len(found) != 1 or found[0] not in POOLS.values():
        got = ", ".join(map(str, found)) or "nothing"
        raise PretrainedError(f"{name}: expected to pool by {' or '.join(POOLS.values())}; got {got}.")
    return found[0]
