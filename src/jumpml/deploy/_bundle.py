"""The folder that is deployed: written beside its place, proved, and only then put there."""

from __future__ import annotations

import io
import os
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from jumpml.core import DeploymentError, sha256_of, sync_folder, write_file, write_json
from jumpml.deploy import _runtime
from jumpml.deploy._readme import readme
from jumpml.deploy._rows import golden_rows
from jumpml.graph import decide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.core import FieldInfo, Task
    from jumpml.data import DataLoaders
    from jumpml.deploy._measure import Measured

MANIFEST = "manifest.json"
PACKAGES = ("jumpml", "torch", "onnx", "onnxruntime")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_place(bundle: Path) -> None:
    """See whether a bundle may be written there: nothing stands there yet, or an older bundle.

    Raises:
        DeploymentError: Something else stands there.
    """
    if bundle.is_dir() and ((bundle / MANIFEST).is_file() or not any(bundle.iterdir())):
        return
    if bundle.exists() or bundle.is_symlink():
        raise DeploymentError(
            f"{bundle} is there already and is no bundle (it holds no {MANIFEST}), so it is not replaced. "
            "Name another folder under the key `bundle`, or remove it."
        )


def write_bundle(
    bundle: Path, tasks: Mapping[str, Task], loaders: DataLoaders, variants: Mapping[str, Measured]
) -> None:
    """Write a bundle, let its own runtime predict the golden rows, and put it in its place.

    Args:
        bundle: The folder. An older bundle there is replaced.
        tasks: What is predicted.
        loaders: Say how raw values are decoded.
        variants: What goes in, by name; the first is the default.

    Raises:
        DeploymentError: Something else stands there, the runtime does not predict what it should, or the disk is full
            or read-only.
    """
    check_place(bundle)
    folder = bundle.with_name(f".{bundle.name}.{os.getpid()}.tmp")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        _write_files(folder, tasks, loaders, variants)
        _seal(folder, [path.name for path in folder.iterdir()])
        _prove(folder, variants)
        _replace(bundle, folder)
    except OSError as error:
        raise DeploymentError(f"the bundle could not be written to {bundle}: {error}.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def add_file(bundle: Path, name: str, content: bytes | str) -> None:
    """Add a file to a sealed bundle, such as the report card, and seal it again.

    Args:
        bundle: The bundle.
        name: The file's, without a folder. One that was added before is replaced.
        content: Text is written as UTF-8.

    Raises:
        DeploymentError: The bundle is damaged, or the name is taken by a part of it or leads elsewhere.

    Example:
        ``add_file(deployment.bundle, "card.html", card.html)``
    """
    try:
        files = _runtime.SealedFiles(bundle)
        manifest = files.json(MANIFEST)
    except _runtime.BundleError as error:
        raise DeploymentError(str(error)) from None
    if not _FILE_NAME.fullmatch(name) or name in {*manifest["parts"], MANIFEST, _runtime.SUMS}:
        raise DeploymentError(f"{bundle}: expected the name of a new file, such as card.html; got {name!r}.")
    write_file(bundle / name, content)
    _seal(bundle, {*files.names, name})


def _write_files(
    folder: Path, tasks: Mapping[str, Task], loaders: DataLoaders, variants: Mapping[str, Measured]
) -> None:
    decoding = loaders.decoding()
    fields = sorted({field for measured in variants.values() for field in measured.fields})
    inputs = {field: decoding[field] for field in fields}
    for name, measured in variants.items():
        shutil.copyfile(measured.file, folder / f"{name}.onnx")
        write_file(folder / f"{name}.npz", _spread(measured))
    golden = _golden(tasks, loaders, variants, fields)
    write_json(folder / "golden.json", golden)
    write_file(folder / "runtime.py", Path(_runtime.__file__).read_bytes())
    manifest = {
        "format": _runtime.FORMAT,
        "data": loaders.name,
        "tasks": {name: _task(task, loaders) for name, task in tasks.items()},
        "inputs": inputs,
        "missing": list(loaders.missing_texts),
        "variants": {name: _variant(name, measured) for name, measured in variants.items()},
        "default": next(iter(variants)),
        "versions": {package: metadata.version(package) for package in PACKAGES},
    }
    write_file(folder / "README.md", readme(manifest, golden["rows"][0]))
    write_json(folder / MANIFEST, manifest | {"parts": sorted(path.name for path in folder.iterdir())})


def _task(task: Task, loaders: DataLoaders) -> dict[str, Any]:
    field = loaders.fields[task.target]
    told: dict[str, Any] = {"kind": task.kind, "target": task.target}
    if task.brings.decides == "embedding":
        return told
    if task.brings.decides == "numbers":
        options = {
            "columns": [column.name for column in field.columns],
            "quantiles": list(task.quantiles),
            "range": list(field.range or ()),
        }
        return told | {"shape": list(field.value.shape)} | {key: value for key, value in options.items() if value}
    if task.brings.at == "row":
        return told | {"classes": list(field.classes or ("0", "1"))}
    return told | _at_positions(task, field, loaders)


def _at_positions(task: Task, field: FieldInfo, loaders: DataLoaders) -> dict[str, Any]:
    if task.brings.at == "pixels":
        return {"at": "pixels", "classes": list(field.classes)}
    text = loaders.fields[str(field.options.get("text", task.target))]
    how: Any = text.options.get("tokenizer", {})
    vocabulary = list(how.get("vocabulary", ())) or [str(code) for code in range(text.value.classes or 0)]
    told = {"at": "tokens", "text": text.name, "padding": how.get("padding", 0), "tokens": vocabulary}
    return told | {"classes": list(field.classes) or vocabulary} | ({"next": True} if task.brings.truth else {})


def _variant(name: str, measured: Measured) -> dict[str, Any]:
    return {
        "file": f"{name}.onnx",
        "spread": f"{name}.npz",
        "change": measured.record.change,
        "inputs": list(measured.fields),
        "out_of_domain": {
            task: {"node": domain.node, "threshold": domain.threshold} for task, domain in measured.domains.items()
        },
        "gate": measured.record.gate and measured.record.gate.model_dump(mode="json"),
    }


def _spread(measured: Measured) -> bytes:
    arrays = {}
    for task, domain in measured.domains.items():
        arrays |= {f"{task}.mean": domain.spread.mean.numpy(), f"{task}.precision": domain.spread.precision.numpy()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _golden(
    tasks: Mapping[str, Task], loaders: DataLoaders, variants: Mapping[str, Measured], fields: Sequence[str]
) -> dict[str, Any]:
    """Some test rows as a user sends them, with what each variant says of them."""
    positions = golden_rows(len(loaders.test.rows))
    told = {name: _task(task, loaders) for name, task in tasks.items()}
    rows = [{field: row[field] for field in fields} for row in loaders.raw("test", positions)]
    expected = {}
    for name, measured in variants.items():
        outputs = {task: _runtime.sampled(told[task], measured.golden[task]) for task in tasks}
        expected[name] = {
            "tolerance": measured.tolerance,
            "outputs": {task: values.tolist() for task, values in outputs.items()},
            "predictions": {name: _named(task, outputs[name], loaders) for name, task in tasks.items()},
        }
    return {"rows": rows, "variants": expected}


def _named(task: Task, output: Any, loaders: DataLoaders) -> list[Any]:
    if task.brings.decides == "embedding":
        return output.tolist()
    if task.brings.at != "row":  # at some positions, with the classes last
        names = _task(task, loaders)["classes"]
        return [[names[code] for code in row] for row in output.argmax(-1).tolist()]
    decided, told = decide(task.kind, torch.from_numpy(output), task.quantiles), _task(task, loaders)
    if task.brings.decides == "numbers":
        low, high = told.get("range", (0, 1))
        raw = decided.reshape(-1, *told["shape"]) * (high - low) + low
        return [_numbers(value, told.get("columns", ())) for value in raw]
    classes = told["classes"]
    if task.brings.decides == "labels":
        return [[name for name, has in zip(classes, row, strict=True) if has] for row in decided.tolist()]
    return [classes[code] for code in decided.tolist()]


def _numbers(value: torch.Tensor, names: Sequence[str]) -> Any:
    if names:
        return dict(zip(names, value.tolist(), strict=True))
    return value.item() if value.numel() == 1 else value.tolist()


def _seal(folder: Path, names: Sequence[str] | set[str]) -> None:
    """Write the checksums of all files, in the form that ``sha256sum --check`` reads."""
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in sorted(names)]
    write_file(folder / _runtime.SUMS, "".join(lines))


def _prove(folder: Path, variants: Mapping[str, Measured]) -> None:
    for name in variants:
        try:
            _runtime.Predictor(folder, name).check_golden()
        except _runtime.BundleError as error:
            raise DeploymentError(f"the bundle does not predict what the model predicts: {error}") from error


def _replace(bundle: Path, folder: Path) -> None:
    """Put the new bundle where the old one stands; a crash leaves one of them, under its name or as ``.old``."""
    old = folder.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)  # what a process of the same number left that was killed right here
    if bundle.exists():
        bundle.rename(old)
    folder.rename(bundle)
    shutil.rmtree(old, ignore_errors=True)
    sync_folder(bundle.parent)
