"""Answers of slow modules, kept on disk under what they were computed from."""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from jumpml.core import write_file
from jumpml.data._cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def kept(key: str, compute: Callable[[], Tensor]) -> Tensor:
    """An answer from the cache, or computed and put there.

    A file that is damaged is told of and made anew. A cache that cannot be written is told of, and the answer stands.

    Args:
        key: A digest of everything that the answer depends on.
        compute: Makes the answer.
    """
    path = cache_folder() / "features" / key[:2] / f"{key}.safetensors"
    found = _read(path)
    if found is not None:
        return found
    answer = compute()
    try:
        write_file(path, _packed(answer))
    except OSError as error:
        warnings.warn(
            f"the cache {cache_folder()} cannot be written ({error.strerror or error}); pretrained features are "
            "computed at every start. Set the environment variable JUMPML_CACHE to another folder.",
            stacklevel=2,
        )
    return answer


def digest_of(*parts: Tensor | str) -> str:
    """A SHA-256 over texts and tensors, with their types and shapes."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(f"text {len(part)}:{part}".encode())
            continue
        digest.update(f"tensor {part.dtype} {tuple(part.shape)}:".encode())
        digest.update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fingerprint(module: nn.Module) -> str:
    """A digest of a module's structure and weights, and of the version of torch, whose kernels round their own way."""
    parts: list[Tensor | str] = [
        torch.__version__,
        f"{type(module).__module__}.{type(module).__qualname__}",
        repr(module),
    ]
    for name, values in module.state_dict().items():
        parts += [name, values]
    return digest_of(*parts)


def _packed(answer: Tensor) -> bytes:
    from safetensors.torch import save

    answer = answer.detach().cpu().contiguous()
    return save({"answer": answer}, metadata={"sha256": digest_of(answer)})


def _read(path: Path) -> Tensor | None:
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            answer = file.get_tensor("answer")
            told = (file.metadata() or {}).get("sha256")
        problem = "" if told == digest_of(answer) else "its checksum is another"
    except (SafetensorError, OSError) as error:
        problem = str(error)
    else:
        if not problem:
            return answer
    warnings.warn(f"the cached features in {path} are damaged ({problem}); they are computed anew.", stacklevel=3)
    return None
