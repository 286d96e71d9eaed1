"""An ONNX file as a module, alone and inside an exported model."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from jumpml.core import DeploymentError, MissingExtraError, PretrainedError
from jumpml.pretrained import OnnxModel, has_onnx, put_files_in

if TYPE_CHECKING:
    from collections.abc import Callable

onnx: Any = pytest.importorskip("onnx")
onnxruntime: Any = pytest.importorskip("onnxruntime")

# torch.export's own, in torch 2.13
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning", "ignore:.*axis name.*:UserWarning")


def rows(count: int = 10) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1))


class Pair(nn.Module):
    """Two inputs, two outputs, weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.inner(a) + self.inner(b), (a * b).sum(1)


@pytest.fixture(scope="module")
def pair() -> tuple[Pair, bytes]:
    """The module, and torch's own ONNX file of it."""
    module = Pair().eval()
    program = torch.onnx.export(
        module,
        (rows(4), rows(4)),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},) * 2,
        input_names=["a", "b"],
        output_names=["out", "sum"],
        verbose=False,
    )
    if program is None:
        pytest.fail("torch.onnx.export returned nothing")
    return module, program.model_proto.SerializeToString()


def graph(nodes: list[Any], reads: dict[str, int], gives: dict[str, int], opset: int = 18) -> bytes:
    values = [[onnx.helper.make_tensor_value_info(n, t, ["n", 3]) for n, t in part.items()] for part in (reads, gives)]
    made = onnx.helper.make_graph(nodes, "g", *values)
    version = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(made, opset_imports=version, ir_version=10).SerializeToString()


FLOAT = onnx.TensorProto.FLOAT


# --- alone ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fixed", [None, 4])
def test_it_computes_what_the_module_computed(linear_file: Callable[..., bytes], fixed: int | None) -> None:
    module = nn.Linear(3, 2)
    model = OnnxModel(linear_file(module, rows=fixed))
    for count in (1, 4, 10):
        found = model(rows(count))
        assert not found.requires_grad
        torch.testing.assert_close(found, module(rows(count)).detach(), rtol=1e-5, atol=1e-6)
    assert model(rows().double()).equal(model(rows()))  # what comes in is brought to the file's type


def test_several_inputs_and_outputs_have_names(pair: tuple[Pair, bytes]) -> None:
    module, model = pair[0], OnnxModel(pair[1])
    a, b = rows(4), rows(4).flip(0)
    expected = [value.detach() for value in module(a, b)]
    for found in (model(a, b), model(b=b, a=a), model(a, b=b)):
        assert isinstance(found, dict)
        for value, wanted in zip(found.values(), expected, strict=True):
            torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-6)
    with pytest.raises(PretrainedError, match=r"^the ONNX file reads 2 values \(a, b\), and got 1\.$"):
        model(a)
    with pytest.raises(PretrainedError, match=r"^the ONNX file has no input 'A'\. Did you mean 'a'\?$"):
        model(b, A=a)
    with pytest.raises(PretrainedError, match=r"^the ONNX file reads 2 values \(a, b\), and got 2\.$"):
        model(a, a=b)


def test_copies_and_pickles_compute_the_same(linear_file: Callable[..., bytes]) -> None:
    model = OnnxModel(linear_file(nn.Linear(3, 2)))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other(rows()).equal(model(rows()))
        other.load_state_dict(model.state_dict())
    with pytest.raises(PretrainedError, match=r"^these weights were trained beside another ONNX file than the"):
        OnnxModel(linear_file(nn.Linear(3, 2))).load_state_dict(model.state_dict())
    assert f"sha256={model.key[:16]}" in repr(model)


def test_shapes_are_known_without_running_it(pair: tuple[Pair, bytes], linear_file: Callable[..., bytes]) -> None:
    found = OnnxModel(pair[1])(torch.empty(7, 3, device="meta"), torch.empty(7, 3, device="meta"))
    assert {name: tuple(value.shape) for name, value in found.items()} == {"out": (7, 2), "sum": (7,)}
    assert all(value.is_meta for value in found.values())
    fixed = OnnxModel(linear_file(nn.Linear(3, 2), rows=4))
    assert fixed(torch.empty(7, 3, device="meta")).shape == (7, 2)


def test_it_is_found_in_a_module(linear_file: Callable[..., bytes]) -> None:
    assert has_onnx(nn.Sequential(nn.ReLU(), OnnxModel(linear_file(nn.Linear(3, 2)))))
    assert not has_onnx(nn.Sequential(nn.ReLU()))


def test_what_is_no_onnx_file_or_reads_no_tensors() -> None:
    with pytest.raises(PretrainedError, match=r"^ONNX Runtime cannot read the file: .*\.$"):
        OnnxModel(b"no model")
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    text = graph([node], {"a": 8}, {"b": 8})
    with pytest.raises(PretrainedError, match=r"this one has a: tensor\(string\), b: tensor\(string\)\.$"):
        OnnxModel(text)
    constant = onnx.helper.make_node("Constant", [], ["b"], value=onnx.numpy_helper.from_array(np.zeros((1, 3), "f4")))
    value = onnx.helper.make_tensor_value_info
    scalar = onnx.helper.make_graph([node], "g", [value("a", FLOAT, [])], [value("b", FLOAT, [])])
    version = [onnx.helper.make_opsetid("", 18)]
    with pytest.raises(PretrainedError, match=r"this one has a without rows, b without rows\.$"):
        OnnxModel(onnx.helper.make_model(scalar, opset_imports=version, ir_version=10).SerializeToString())
    with pytest.raises(PretrainedError, match=r"this one has no input\.$"):
        OnnxModel(graph([constant], {}, {"b": FLOAT}))


def test_a_missing_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'jumpml\[deploy\]'"):
        OnnxModel(b"")


# --- exported ---------------------------------------------------------------------------------------------------------


class Around(nn.Module):
    """A model with a file in its middle, twice."""

    def __init__(self, file: OnnxModel) -> None:
        super().__init__()
        self.file, self.first, self.last = file, nn.Linear(3, 3), nn.Linear(2, 2)

    def forward(self, values: Tensor) -> Tensor:
        read = self.first(values)
        found = self.file(read, values), self.file(values, read)
        return sum(self.last(value["out"]) + value["sum"].unsqueeze(1) for value in found)  # pyright: ignore


def exported(module: nn.Module) -> Any:
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(module.eval(), (rows(2),), dynamo=True, dynamic_shapes=shapes, verbose=False)
    if program is None:
        pytest.fail("torch.onnx.export returned nothing")
    return program.model_proto


def test_it_becomes_a_part_of_what_is_exported(pair: tuple[Pair, bytes]) -> None:
    module = Around(OnnxModel(pair[1]))
    model = exported(module)
    put_files_in(model, module)
    onnx.checker.check_model(model, full_check=True)
    assert {opset.domain for opset in model.opset_import} == {""}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for count in (1, 5):
        (found,) = session.run(None, {session.get_inputs()[0].name: rows(count).numpy()})
        torch.testing.assert_close(torch.from_numpy(found), module(rows(count)).detach(), rtol=1e-5, atol=1e-6)


class Second(nn.Module):
    """A file's second output alone."""

    def __init__(self, file: OnnxModel) -> None:
        super().__init__()
        self.file = file

    def forward(self, values: Tensor) -> Tensor:
        return self.file(values, values)["sum"] * 2


def test_outputs_that_nothing_reads_are_left_out(pair: tuple[Pair, bytes]) -> None:
    module = Second(OnnxModel(pair[1]))
    model = exported(module)
    put_files_in(model, module)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: rows(5).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), module(rows(5)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [9, 13, 20])
def test_older_operators_are_raised(opset: int) -> None:
    # Softmax of version 9 flattens from its axis on; 13 does not
    nodes = [onnx.helper.make_node("Softmax", ["a"], ["s"], axis=1), onnx.helper.make_node("Relu", ["s"], ["b"])]
    module = nn.Sequential(nn.Linear(3, 3), OnnxModel(graph(nodes, {"a": FLOAT}, {"b": FLOAT}, opset)))
    model = exported(module)
    put_files_in(model, module)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: rows(5).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), module[0](rows(5)).softmax(1).detach(), rtol=1e-5, atol=1e-6)


def test_newer_operators_are_refused() -> None:
    nodes = [onnx.helper.make_node("Relu", ["a"], ["b"])]
    module = nn.Sequential(OnnxModel(graph(nodes, {"a": FLOAT}, {"b": FLOAT}, 23)))
    text = (
        r"^the pretrained ONNX file, which is written for version 23 of its operators, cannot become a part of it: the "
        r"model around it has version \d+ of ai\.onnx\. Write the file for that version\.$"
    )
    with pytest.raises(DeploymentError, match=text):
        put_files_in(exported(module), module)


def test_a_fixed_number_of_rows_cannot_be_exported(linear_file: Callable[..., bytes]) -> None:
    module = nn.Sequential(OnnxModel(linear_file(nn.Linear(3, 2), rows=4)))
    with pytest.raises(Exception, match=r"reads 4 rows of '.*' at a time, and a deployed model any number"):
        exported(module)


def test_another_export_than_to_onnx_is_refused(linear_file: Callable[..., bytes]) -> None:
    module = nn.Sequential(OnnxModel(linear_file(nn.Linear(3, 2))))
    with pytest.raises(Exception, match="can become a part of an exported ONNX file, and of no other"):
        torch.export.export(module, (rows(),))


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of torch's compiler, where a graph breaks
def test_compiled_it_computes_the_same(linear_file: Callable[..., bytes]) -> None:
    module = nn.Sequential(nn.Linear(3, 3), OnnxModel(linear_file(nn.Linear(3, 2))))
    compiled = torch.compile(module, backend="eager")
    torch.testing.assert_close(compiled(rows()), module(rows()))
    torch.testing.assert_close(compiled(rows()[:1]), module(rows()[:1]))
    torch.compiler.reset()
    with pytest.raises(Exception, match=r"reason: an ONNX file runs in ONNX Runtime, which torch cannot trace"):
        torch.compile(module, backend="eager", fullgraph=True)(rows())
