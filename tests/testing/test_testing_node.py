"""Every check of `check_node` finds a module that breaks exactly its rule."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from jumpml.testing import ConformanceError, check_node
from jumpml.testing._node import NODE_CHECKS  # the names of the checks, so that none is forgotten here

if TYPE_CHECKING:
    from collections.abc import Callable

X = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 1, 1, 1, 0]]).bool()


class Base(nn.Module):
    """Keeps every rule."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Any:
        return self.linear(x).tanh()


class ManyRows(Base):
    """Its output's second axis is the number of rows."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :1, :1].expand(-1, x.shape[0], -1)


class Centred(Base):
    """A row less the mean of all rows."""

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        return out - out.mean(0)


class Placed(Base):
    """Adds where in the batch a row stands."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.arange(x.shape[0], device=x.device).view(-1, 1, 1)


class Noisy(Base):
    """Draws in evaluation, a little: less than rounding, so that only the check for bits sees it."""

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        return out if torch.is_grad_enabled() else out + 1e-7 * torch.rand(()).to(x)


class Counting(Base):
    """Counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x)


class Leaky(nn.Module):
    """Takes the mean over all positions, whatever the mask says."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x.mean(1) * mask.any(1, keepdim=True)


class Doubled(torch.autograd.Function):
    """A gradient twice too large."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None: ...

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return 2 * grads[0]


class WrongGradient(Base):
    """Does not differentiate what it computes."""

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        return Doubled.apply(out) if torch.is_grad_enabled() else out  # type: ignore[return-value]


class Detached(Base):
    """Passes no gradient on."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).detach()


class Forgetful(Base):
    """Keeps a scale where no state sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = float(torch.rand(()))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


class Renaming(Base):
    """Another instance has another parameter."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        Renaming.made += 1
        self.register_parameter(f"p{Renaming.made}", nn.Parameter(torch.zeros(())))


class Shared(Base):
    """A copy that has the module's own buffer."""

    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def __deepcopy__(self, memo: Any) -> Shared:
        other = Shared()
        other.linear = copy.deepcopy(self.linear, memo)
        other.register_buffer("steps", self.steps)
        return other.train(self.training)


class Fixed(Base):
    """Answers in float32, whatever comes."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).to(x.dtype) if x.dtype == torch.float32 else super().forward(x).float()


class Homebound(Base):
    """Has a tensor that `to` does not move."""

    def __init__(self) -> None:
        super().__init__()
        self.held = [torch.ones(2)]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.held[0]


class Reading(Base):
    """Looks at a number on the way, which no graph can."""

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        if x.is_meta or torch.onnx.is_in_onnx_export():
            return out
        return out if float(out.detach().sum()) > -1e9 else -out


class Unknown(Base):
    """Computes what ONNX has no word for."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.special.i1(super().forward(x)) * 0.1


BROKEN: list[tuple[str, Callable[[], nn.Module], str]] = [
    ("shapes", ManyRows, "expected output of 1 rows to be [1, 4, 1], got [1, 1, 1]."),
    ("rows", Centred, "expected the first 1 rows to give the same alone as among 4; output differs by "),
    (
        "permutation",
        Placed,
        "expected the rows' outputs in the rows' order; output differs by 3, where rounding explains",
    ),
    ("evaluation", Noisy, "expected two calls to give the same bits; output differs. Does it draw random numbers?"),
    ("evaluation", Counting, "expected a call to change nothing; 'calls' is another afterwards."),
    ("gradient", WrongGradient, "expected gradients as finite differences say; "),
    ("gradient", Detached, "expected a gradient by inputs or parameters; no output has one. Is something detached?"),
    ("saving", Forgetful, "expected another instance to compute the same with the same state; output differs by "),
    (
        "saving",
        Renaming,
        "expected another instance to load the state; Error(s) in loading state_dict for Renaming: Miss",
    ),
    ("copying", Shared, "expected a copy to have tensors of its own; 'steps' is the module's."),
    ("moving", Fixed, "expected output to be float64 where inputs and parameters are, got [4, 5, 2] float32."),
    ("moving", Homebound, "expected it to run on another device (meta, which knows shapes only); RuntimeError: "),
    ("compiling", Reading, "expected one graph without a break; "),
    ("export", Unknown, "expected it to be exported to ONNX for batches of any size; the model cannot be exported to"),
]


@pytest.mark.parametrize(("check", "module", "text"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_module_that_breaks_one_rule_fails_that_check(check: str, module: Any, text: str) -> None:
    without = [] if check == "export" else ["export"]  # the slow one
    with pytest.raises(ConformanceError) as caught:
        check_node(module, X, without=without)
    assert list(caught.value.findings) == [check]
    assert caught.value.findings[check].startswith(text)
    count = len(NODE_CHECKS) - len(without)
    assert str(caught.value).startswith(f"check_node: {module.__name__} fails 1 of {count} checks.\n  {check}: {text}")


def test_a_mask_that_counts_for_nothing() -> None:
    with pytest.raises(ConformanceError) as caught:
        check_node(Leaky, {"x": X, "mask": MASK})
    assert list(caught.value.findings) == ["masks"]
    text = "expected values where the mask, input 'mask', is false to count for nothing; output differs by "
    assert caught.value.findings["masks"].startswith(text)


def test_every_check_has_a_module_that_breaks_it() -> None:
    assert {check for check, _, _ in BROKEN} | {"masks"} == set(NODE_CHECKS)


class Everything(nn.Module):
    """Named arguments, several outputs, a lazy layer, tokens, a mask of them and of what comes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.out = nn.LazyLinear(2)

    def forward(self, tokens: Tensor, mask: Tensor) -> dict[str, Any]:
        found = self.embed(tokens).masked_fill(~mask.unsqueeze(2), 0.0)
        return {"each": self.out(found), "all": self.out(found.sum(1)), "kind": "no tensor"}


def test_a_module_that_keeps_all_rules_passes() -> None:
    tokens, base = torch.arange(20).view(4, 5) % 9, Base()
    state = torch.get_rng_state()
    check_node(Everything, {"tokens": tokens, "mask": MASK})
    check_node(base, X, without=["export"])
    check_node(
        lambda: nn.LSTM(3, 2, batch_first=True), [X], without=["rows", "shapes", "permutation", "export", "compiling"]
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_the_module_itself_is_left_alone() -> None:
    module = Base()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    check_node(module, X, without=["export", "compiling"])
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize(
    ("inputs", "without", "text"),
    [
        (X, ["gradients"], r"^there is no check 'gradients'\. Did you mean 'gradient'\?$"),
        (X[:1], [], r"^expected inputs \[batch, \.\.\.\] of the same two rows or more, got \[1, 5, 3\]\.$"),
        ([X, X[:3]], [], r"of the same two rows or more, got \[4, 5, 3\], \[3, 5, 3\]\.$"),
        ([], [], r"of the same two rows or more, got none\.$"),
        (
            torch.ones(4, 3),
            [],
            r"^expected rows that differ: of equal ones no check can tell whether a node mixes them\.$",
        ),
        ([X, torch.ones(4, 5).bool()], [], r"^input 1 is a mask that is true everywhere: make it false somewhere\.$"),
    ],
)
def test_an_example_that_shows_nothing_is_refused(inputs: Any, without: list[str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_node(Base, inputs, without=without)


def test_a_module_that_does_not_run_at_all() -> None:
    with pytest.raises(
        ConformanceError, match=r"shapes: expected it to run on its inputs; RuntimeError: mat1 and mat2"
    ):
        check_node(Base, torch.arange(14.0).view(2, 7))
    with pytest.raises(ConformanceError, match=r"TypeError: expected a tensor, or a tuple or dict of them, got a str$"):
        check_node(lambda: Answering("no"), X)


class Answering(Base):
    """Answers what it is told to."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Any:
        return self.answer


class Changing(Base):
    """Gives other parts for one row."""

    def forward(self, x: Tensor) -> Any:
        out = super().forward(x)
        return (out, out) if x.shape[0] == 1 else (out,)


def test_parts_that_come_and_go() -> None:
    with pytest.raises(ConformanceError) as caught:
        check_node(Changing, X, without=["export", "compiling"])
    assert caught.value.findings["shapes"] == "expected 1 of 1 rows to be no such part, got [1, 5, 2]."


class Stumbling(Base):
    """Cannot be copied."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError("not me")


def test_a_check_that_stumbles_is_a_finding() -> None:
    with pytest.raises(ConformanceError) as caught:
        check_node(Stumbling, X, without=["export", "compiling"])
    assert caught.value.findings["copying"] == "expected it to run; RuntimeError: not me"
