"""An ONNX file inside an exported ONNX model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import DeploymentError
from jumpml.pretrained._onnx import DOMAIN, OPERATOR, OnnxModel
from jumpml.pretrained._weights import first_line

if TYPE_CHECKING:
    from torch import nn


def put_files_in(exported: Any, module: nn.Module) -> None:
    """Replace each place that an `OnnxModel` left in an exported model by the graph of its file.

    Args:
        exported: An ``onnx.ModelProto``; it is changed.
        module: What was exported.

    Raises:
        DeploymentError: A file is written for newer operators than the exported model, or cannot be raised to them.
    """
    files = {part.key: part.content for part in module.modules() if isinstance(part, OnnxModel)}
    nodes: list[Any] = []
    for place, node in enumerate(exported.graph.node):
        if (node.domain, node.op_type) == (DOMAIN, OPERATOR):
            nodes += _spliced(exported, node, files[node.attribute[0].s.decode()], f"file{place}/")
        else:
            nodes.append(node)
    kept = [opset for opset in exported.opset_import if opset.domain != DOMAIN]
    del exported.graph.node[:], exported.opset_import[:]
    exported.graph.node.extend(nodes)
    exported.opset_import.extend(kept)


def _spliced(exported: Any, node: Any, content: bytes, prefix: str) -> list[Any]:
    """The nodes of a file's graph between the inputs and outputs of the node that stands for it."""
    from onnx import compose, helper

    inner = _raised(content, exported)
    constants = {tensor.name for tensor in inner.graph.initializer}
    read = [value.name for value in inner.graph.input if value.name not in constants]
    given = [value.name for value in inner.graph.output]
    inner = compose.add_prefix(inner, prefix=prefix)
    exported.graph.initializer.extend(inner.graph.initializer)
    exported.graph.sparse_initializer.extend(inner.graph.sparse_initializer)
    exported.graph.value_info.extend(inner.graph.value_info)
    exported.ir_version = max(exported.ir_version, inner.ir_version)
    # a runtime takes these away again
    entries = [helper.make_node("Identity", [o], [prefix + i]) for o, i in zip(node.input, read, strict=True)]
    wanted = [(o, i) for o, i in zip(node.output, given, strict=False) if o]  # torch leaves out what nothing reads
    exits = [helper.make_node("Identity", [prefix + i], [o]) for o, i in wanted]
    return [*entries, *inner.graph.node, *exits]


def _raised(content: bytes, exported: Any) -> Any:
    """A file's model with the operators' version of the exported one, and without functions."""
    import onnx
    from onnx import inliner, version_converter

    inner = onnx.load_model_from_string(content)
    if inner.functions:
        inner = inliner.inline_local_functions(inner)
    known = {opset.domain or "ai.onnx": opset for opset in exported.opset_import}
    for opset in inner.opset_import:
        domain, version = opset.domain or "ai.onnx", opset.version
        if domain not in known:
            exported.opset_import.append(opset)
        elif domain == "ai.onnx" and version < known[domain].version:
            try:
                inner = version_converter.convert_version(inner, known[domain].version)
            except Exception as error:  # the converter has its own errors, one an operator
                raise DeploymentError(f"{_name(version)} cannot be raised: {first_line(error)}.") from error
        elif version != known[domain].version:
            told = f"the model around it has version {known[domain].version} of {domain}"
            raise DeploymentError(
                f"{_name(version)} cannot become a part of it: {told}. Write the file for that version."
            )
    return inner


def _name(version: int) -> str:
    return f"the pretrained ONNX file, which is written for version {version} of its operators,"
