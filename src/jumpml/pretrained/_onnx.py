"""An ONNX file as a module."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor, nn

from jumpml.core import DeploymentError, MissingExtraError, PretrainedError, did_you_mean
from jumpml.pretrained._places import check_is_there
from jumpml.pretrained._weights import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DOMAIN, OPERATOR = "jumpml", "File"  # what stands in an exported model until `put_files_in` puts the file there
_TYPES = {
    "tensor(float)": torch.float32,
    "tensor(double)": torch.float64,
    "tensor(float16)": torch.float16,
    "tensor(int64)": torch.int64,
    "tensor(int32)": torch.int32,
    "tensor(bool)": torch.bool,
}


@final
class OnnxModel(nn.Module):
    """An ONNX file as a module, run by ONNX Runtime on the CPU. No gradient flows through it, and it never trains.

    Where the model around it is exported to ONNX, the file becomes a part of what is exported.

    Args:
        content: The file's bytes.

    Attributes:
        content: The file's bytes.
        key: Their SHA-256.
        input_names: What it reads, in order.
        digest: uint8 ``[32]``, the content's SHA-256: a checkpoint knows which file it was trained with.

    Raises:
        PretrainedError: The bytes are no such model, or one that reads other things than tensors.
        MissingExtraError: ONNX Runtime is not installed.
    """

    digest: Tensor

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = bytes(content)
        self.key = hashlib.sha256(self.content).hexdigest()
        self.register_buffer("digest", torch.tensor([*bytes.fromhex(self.key)], dtype=torch.uint8))
        self._session: Any = None
        self._rows: dict[tuple[tuple[int, ...], ...], list[tuple[int, ...]]] = {}
        told = self._started()
        self.input_names: tuple[str, ...] = tuple(value.name for value in told.get_inputs())
        values = [*told.get_inputs(), *told.get_outputs()]
        strange = [f"{value.name}: {value.type}" for value in values if value.type not in _TYPES]
        strange += [f"{value.name} without rows" for value in values if len(value.shape) == 0]
        if strange or not self.input_names:
            raise PretrainedError(
                f"an ONNX file that reads and gives tensors with the rows first is expected, of {', '.join(_TYPES)}; "
                f"this one has {', '.join(strange) or 'no input'}."
            )

    @classmethod
    def from_file(cls, path: Path) -> OnnxModel:
        """Read a file.

        Raises:
            PretrainedError: There is no such file, or it is no such model.
            MissingExtraError: ONNX Runtime is not installed.
        """
        check_is_there(path)
        try:
            return cls(path.read_bytes())
        except (PretrainedError, OSError) as error:
            raise PretrainedError(f"{path}: {error}") from error

    def extra_repr(self) -> str:
        """What tells one file from another."""
        return f"{', '.join(self.input_names)}, sha256={self.key[:16]}"

    def forward(self, *values: Tensor, **named: Tensor) -> Tensor | dict[str, Tensor]:
        """The file's output, or its outputs by name where there are several.

        Args:
            values: ``[batch, ...]`` each, in the order of `input_names`.
            named: The others, by name.

        Raises:
            PretrainedError: An input is missing, or is not the file's.
            DeploymentError: The model around it is exported, and not to ONNX.
        """
        if torch.compiler.is_dynamo_compiling() and not torch.compiler.is_exporting():
            return _apart(self, values, named)
        read = self._in_order(values, named)
        if torch.onnx.is_in_onnx_export():
            outputs = self._exported(read)
        elif torch.compiler.is_exporting():
            raise DeploymentError(
                "an ONNX file can become a part of an exported ONNX file, and of no other. Take the model's torch "
                "weights (safetensors) for this node, or export to ONNX."
            )
        elif any(value.is_meta or type(value) is not Tensor for value in read):
            outputs = [read[0].new_empty((read[0].shape[0], *s), dtype=d) for s, d in self._described(read)]
        else:
            outputs = self._computed(read)
        names = [output.name for output in self._started().get_outputs()]
        return outputs[0] if len(outputs) == 1 else dict(zip(names, outputs, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        saved = state_dict.get(f"{prefix}digest")
        if saved is not None and not torch.equal(saved.cpu(), self.digest.cpu()):
            raise PretrainedError("these weights were trained beside another ONNX file than the one that is here now.")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)  # type: ignore[arg-type]

    def _in_order(self, values: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> list[Tensor]:
        read = dict(zip(self.input_names, values, strict=False)) | dict(named)
        strange = [name for name in named if name not in self.input_names]
        if strange:
            near = did_you_mean(strange[0], self.input_names)
            raise PretrainedError(f"the ONNX file has no input {strange[0]!r}. {near}".rstrip())
        if len(values) + len(named) != len(self.input_names) or len(read) != len(self.input_names):
            told = f"the ONNX file reads {len(self.input_names)} values ({', '.join(self.input_names)})"
            raise PretrainedError(f"{told}, and got {len(values) + len(named)}.")
        return [read[name].to(_TYPES[value.type]) for name, value in self._inputs()]

    def _computed(self, read: list[Tensor]) -> list[Tensor]:
        arrays = [value.detach().cpu().numpy() for value in read]
        told = self._inputs()[0][1].shape[0]
        fixed = told if isinstance(told, int) else len(arrays[0])
        parts = [self._run(part) for part in zip(*(_in_parts(array, fixed) for array in arrays), strict=True)]
        outputs = [np.concatenate(part)[: len(arrays[0])] for part in zip(*parts, strict=True)]
        return [torch.from_numpy(output).to(read[0].device) for output in outputs]

    def _exported(self, read: list[Tensor]) -> list[Tensor]:
        for name, value in self._inputs():
            if isinstance(value.shape[0], int):
                raise DeploymentError(
                    f"the ONNX file reads {value.shape[0]} rows of {name!r} at a time, and a deployed model any "
                    "number. Write the file again with a dynamic batch."
                )
        shapes, types = zip(*self._described(read), strict=True)
        return list(
            torch.onnx.ops.symbolic_multi_out(
                f"{DOMAIN}::{OPERATOR}",
                read,
                attrs={"sha256": self.key},
                dtypes=types,
                shapes=[(read[0].shape[0], *shape) for shape in shapes],
                version=1,
            )
        )

    def _described(self, read: list[Tensor]) -> list[tuple[tuple[int, ...], torch.dtype]]:
        """Shape (of one row) and type of each output, found by a pass of two rows of zeros."""
        if not all(isinstance(size, int) for value in read for size in value.shape[1:]):
            raise DeploymentError("an ONNX file can be exported where all sizes but the batch's are fixed.")
        rows = tuple(tuple(value.shape[1:]) for value in read)
        if rows not in self._rows:
            fixed = self._inputs()[0][1].shape[0]
            count = fixed if isinstance(fixed, int) else 2
            zeros = [np.zeros((count, *row), _numpy(value.dtype)) for row, value in zip(rows, read, strict=True)]
            self._rows[rows] = [output.shape[1:] for output in self._run(zeros)]
        return list(zip(self._rows[rows], (_TYPES[v.type] for v in self._started().get_outputs()), strict=True))

    def _run(self, arrays: Any) -> list[Any]:
        return self._started().run(None, dict(zip(self.input_names, arrays, strict=True)))

    def _inputs(self) -> list[tuple[str, Any]]:
        return [(value.name, value) for value in self._started().get_inputs()]

    def _started(self) -> Any:
        if self._session is None:
            try:
                import onnxruntime
            except ModuleNotFoundError as error:
                raise MissingExtraError("onnxruntime", "deploy", "a pretrained ONNX file") from error
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            try:
                self._session = onnxruntime.InferenceSession(self.content, options, providers=["CPUExecutionProvider"])
            except Exception as error:  # the runtime has its own errors, one a cause
                raise PretrainedError(f"ONNX Runtime cannot read the file: {first_line(error)}.") from error
        return self._session


def _apart(module: OnnxModel, values: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> Any:
    """Where ``torch.compile`` traces, one break of its graph: the runtime is none of torch's business."""
    disable: Any = torch.compiler.disable
    return disable(module.forward)(*values, **named)


# what torch.compiler.disable sets; but that imports the compiler, for a second
_apart._torchdynamo_disable = True  # pyright: ignore[reportFunctionMemberAccess]
_apart._torchdynamo_disable_msg = "an ONNX file runs in ONNX Runtime, which torch cannot trace"  # pyright: ignore


def has_onnx(module: nn.Module) -> bool:
    """Whether an ONNX file is among a module's parts, so that no gradient flows through it."""
    return any(isinstance(part, OnnxModel) for part in module.modules())


def _numpy(dtype: torch.dtype) -> Any:
    return np.dtype(str(dtype).removeprefix("torch."))


def _in_parts(array: np.ndarray, size: int) -> list[np.ndarray]:
    """Pieces of exactly so many rows; the last one is filled up with its last row."""
    if size == len(array):
        return [array]
    lacking = -len(array) % size
    filled = np.concatenate([array, np.repeat(array[-1:], lacking, axis=0)])
    return np.split(filled, len(filled) // size)
