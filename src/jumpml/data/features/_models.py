"""Pretrained models from files and hubs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor, nn

from jumpml.core import DataError, DeploymentError, MissingExtraError, resolve_class

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}


def new_module(name: str, arguments: Mapping[str, Any], trust: Collection[str]) -> nn.Module:
    """A module by its class's name.

    Raises:
        UntrustedNameError: The name is unknown, is no module, or is not trusted.
        DataError: The class does not take such arguments.
    """
    cls = resolve_class(name, nn.Module, trust)
    try:
        return cls(**arguments)
    except Exception as error:  # a user's class may fail in any way
        told = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise DataError(f"{name}({told}) fails: {type(error).__name__}: {error}") from error


def load_weights(module: nn.Module, path: Path) -> nn.Module:
    """Fill a module from a file of weights, of which nothing is run.

    Args:
        module: It must have exactly the weights of the file.
        path: A safetensors file, or one that ``torch.save`` wrote of a ``state_dict``.

    Raises:
        DataError: The file is no such file, or holds other weights.
    """
    try:
        state = _state(path)
    except Exception as error:
        raise DataError(f"{path}: no weights can be read: {_first_line(error)}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: expected a state_dict, tensors by name; got a {type(state).__name__}.")
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        told = " ".join(str(error).split())
        raise DataError(f"{path}: the weights are not those of {type(module).__name__}: {told}") from error
    return module


@final
class OnnxModel(nn.Module):
    """An ONNX file as a module, run by ONNX Runtime on the CPU.

    It cannot be put into an exported model; only features computed from it in Python can be used.

    Args:
        content: The file's bytes.

    Attributes:
        content: uint8, the file's bytes, so that they are saved, copied and compared like weights.

    Raises:
        DataError: The bytes are no such model, or one that reads several values.
        MissingExtraError: ONNX Runtime is not installed.
    """

    content: Tensor

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.register_buffer("content", torch.frombuffer(bytearray(content), dtype=torch.uint8))
        self._session: Any = None
        inputs = self._started().get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES:
            told = ", ".join(f"{value.name}: {value.type}" for value in inputs)
            raise DataError(f"an ONNX file as a feature reads one value of floats or int64; this one reads {told}.")

    def forward(self, values: Tensor) -> dict[str, Tensor]:
        """The model's outputs by name.

        Raises:
            DeploymentError: The model around it is being exported.
        """
        if torch.compiler.is_exporting():
            raise DeploymentError(
                "a pretrained feature reads an ONNX file, which cannot become a part of an exported model. Take the "
                "model's torch weights (safetensors), or compute its features before and read them from the data."
            )
        session = self._started()
        told = session.get_inputs()[0]
        array = values.cpu().numpy().astype(_TYPES[told.type])
        fixed = told.shape[0] if told.shape and isinstance(told.shape[0], int) else len(array)
        parts = [session.run(None, {told.name: part}) for part in _in_parts(array, fixed)]
        joined = (np.concatenate(part)[: len(array)] for part in zip(*parts, strict=True))
        names = [output.name for output in session.get_outputs()]
        return {name: torch.from_numpy(part).to(values.device) for name, part in zip(names, joined, strict=True)}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}

    def _started(self) -> Any:
        if self._session is None:
            try:
                import onnxruntime
            except ModuleNotFoundError as error:
                raise MissingExtraError("onnxruntime", "deploy", "a pretrained ONNX file") from error
            try:
                content = self.content.cpu().numpy().tobytes()
                self._session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
            except Exception as error:  # the runtime has its own errors, one a cause
                raise DataError(f"ONNX Runtime cannot read the file: {_first_line(error)}") from error
        return self._session


@final
class TransformersModel(nn.Module):
    """A model of ``transformers`` that makes one vector of a row: the mean over what is no padding.

    Args:
        name: A name on the Hugging Face hub, or a folder. Only weights in safetensors are read, and no code is run.

    Raises:
        DataError: There is no such model, or it cannot be fetched.
        MissingExtraError: transformers is not installed.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            # The tests do without the extra `hub`.
            from transformers import AutoModel  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError as error:
            raise MissingExtraError("transformers", "hub", "a pretrained model of the hub") from error
        try:
            # Eager attention is plain arithmetic, which every exporter knows.
            self.model = AutoModel.from_pretrained(
                name, use_safetensors=True, trust_remote_code=False, attn_implementation="eager"
            )
        except Exception as error:  # offline, unknown, damaged: one error each
            raise DataError(f"transformers cannot load {name!r}: {_first_line(error)}") from error

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, width]`` of token ids ``[batch, length]``, of images, or of recordings.

        Token ids must be those of the model's own tokenizer, padding among them; 0 where the model names none.
        """
        if values.dtype == torch.int64:
            mask = (values != (self.model.config.pad_token_id or 0)).long()
            hidden = self.model(input_ids=values, attention_mask=mask).last_hidden_state
            weights = mask.unsqueeze(-1).to(hidden.dtype)
            return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        if values.dim() == 4:
            hidden = self.model(pixel_values=values).last_hidden_state
            return hidden.mean(dim=1) if hidden.dim() == 3 else hidden.mean(dim=(2, 3))
        return self.model(input_values=values.mean(dim=1)).last_hidden_state.mean(dim=1)


def _state(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _in_parts(array: np.ndarray, size: int) -> list[np.ndarray]:
    """Pieces of exactly so many rows; the last one is filled up with its last row."""
    if size == len(array):
        return [array]
    lacking = -len(array) % size
    filled = np.concatenate([array, np.repeat(array[-1:], lacking, axis=0)])
    return np.split(filled, len(filled) // size)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
