"""Every block keeps what nodes promise: `jumpml.testing.check_node` on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from jumpml import blocks
from jumpml.testing import check_node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def numbers(*shape: int) -> Tensor:
    """The same numbers each time; no two rows alike."""
    return torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))


def codes(most: int, *shape: int) -> Tensor:
    return torch.randint(most, (3, *shape), generator=torch.Generator().manual_seed(0))


MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0], [1, 0, 1, 1, 0, 0]]).bool()
NOTHING = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]]).bool()  # a text without tokens
TABLE = torch.cat([numbers(2), codes(4, 2).float()], 1)


@dataclass(frozen=True)
class Case:
    """A block, and what it reads."""

    make: Callable[[], nn.Module]
    inputs: Any
    without: Sequence[str] = ()


CASES = {
    "MLP": Case(lambda: blocks.MLP([8, 3], dropout=0.5), numbers(2, 3)),
    "Concat": Case(blocks.Concat, [numbers(2), numbers(3)]),
    "ConvEncoder": Case(lambda: blocks.ConvEncoder([3, 4]), numbers(2, 7, 6)),
    "Head": Case(lambda: blocks.Head(3), numbers(4)),
    "PixelHead": Case(lambda: blocks.PixelHead(3), numbers(2, 4, 5)),
    "Pool": Case(blocks.Pool, [numbers(6, 4), NOTHING]),
    "Pool, max": Case(lambda: blocks.Pool("max"), [numbers(6, 4), NOTHING]),
    "Pool, last": Case(lambda: blocks.Pool("last"), [numbers(6, 4), NOTHING]),
    "Pool, attention": Case(lambda: blocks.Pool("attention"), [numbers(6, 4), NOTHING]),
    "Pool, without a mask": Case(lambda: blocks.Pool("attention"), numbers(6, 4)),
    "Pool, pictures": Case(lambda: blocks.Pool("max"), numbers(4, 2, 3)),
    "ResNet": Case(lambda: blocks.ResNet([3, 4], layers=1, dropout=0.5), numbers(2, 8, 7)),
    "ResNet, levels": Case(lambda: blocks.ResNet([3, 4], layers=[1, 2], levels=True), numbers(2, 8, 7)),
    "ResidualMLP": Case(lambda: blocks.ResidualMLP(8, depth=2, dropout=0.5), numbers(2, 3)),
    "Embedding": Case(lambda: blocks.Embedding(4, num_codes=9), codes(9, 6)),
    "Embedding, of classes": Case(lambda: blocks.Embedding(4, num_codes=9), codes(9)),
    "Embedding, backwards": Case(lambda: blocks.Embedding(4, num_codes=9), numbers(6, 4)),
    "TabularEmbedding": Case(lambda: blocks.TabularEmbedding(4, cardinalities=[0, 0, 4, 4]), TABLE),
    "TabularEmbedding, several": Case(
        lambda: blocks.TabularEmbedding(4, cardinalities=[0, 0, 4, 4, 9]), [TABLE, codes(9)]
    ),
    "TabularEmbedding, numbers": Case(lambda: blocks.TabularEmbedding(4, cardinalities=[0, 0]), numbers(2)),
    "FTTransformer": Case(lambda: blocks.FTTransformer(8, depth=2, heads=2, cardinalities=[0, 0, 4, 4]), TABLE),
    "TransformerEncoder": Case(lambda: blocks.TransformerEncoder(depth=2, heads=2, dropout=0.5), numbers(6, 8)),
    "TransformerEncoder, masked": Case(
        lambda: blocks.TransformerEncoder(depth=1, heads=2, rotary=False), [numbers(6, 8), MASK]
    ),
    "TransformerEncoder, empty": Case(lambda: blocks.TransformerEncoder(depth=1, heads=2), [numbers(6, 8), NOTHING]),
    "ConvNeXt": Case(lambda: blocks.ConvNeXt([4, 8], layers=1, dropout=0.5), numbers(2, 9, 8)),
    "ConvNeXt, levels": Case(lambda: blocks.ConvNeXt([4, 8], layers=[1, 2], levels=True), numbers(2, 9, 8)),
    "ViT": Case(lambda: blocks.ViT(4, 8, depth=2, heads=2, dropout=0.5), numbers(2, 8, 11)),
    "ViT, tokens": Case(lambda: blocks.ViT(4, 8, depth=1, heads=2, tokens=True), numbers(2, 8, 11)),
    "UNetDecoder": Case(lambda: blocks.UNetDecoder([4, 3]), [numbers(2, 8, 7), numbers(4, 4, 4), numbers(8, 2, 2)]),
    "Upsample": Case(blocks.Upsample, [numbers(4, 2, 2), numbers(1, 8, 7)]),
    "TCN": Case(lambda: blocks.TCN([4, 6, 6], dropout=0.5), numbers(6, 3)),
    "Recurrent": Case(lambda: blocks.Recurrent(4), numbers(6, 3), ["compiling"]),
    "Recurrent, masked": Case(
        lambda: blocks.Recurrent(4, depth=2, cell="lstm", dropout=0.5), [numbers(6, 3), NOTHING], ["compiling"]
    ),
    "PatchTST": Case(lambda: blocks.PatchTST(4, patch=4, stride=3, width=8, heads=2, dropout=0.5), numbers(12, 2)),
    "AudioCNN": Case(lambda: blocks.AudioCNN([3, 4], filter_size=9, stride=2, dropout=0.5), numbers(2, 61)),
    "VariationalBottleneck": Case(lambda: blocks.VariationalBottleneck(3), numbers(4)),
    "MixtureOfExperts": Case(lambda: blocks.MixtureOfExperts(3, experts=4, chosen=2), numbers(4)),
    "CrossStitch": Case(lambda: blocks.CrossStitch(["a", "b"]), [numbers(4), numbers(4).flip(0)]),
    "CrossStitch, pictures": Case(
        lambda: blocks.CrossStitch(["a", "b", "c"]), [numbers(2, 4, 3), numbers(2, 4, 3).flip(0), numbers(2, 4, 3) * 2]
    ),
    "CrossStitch, tokens": Case(lambda: blocks.CrossStitch(["a", "b"], dim=-1), [numbers(6, 4), numbers(6, 4).flip(0)]),
    "MMoE": Case(lambda: blocks.MMoE(["a", "b"], [5, 3], count=3), numbers(4)),
    "MMoE, tokens": Case(lambda: blocks.MMoE(["a"], [3]), numbers(6, 4)),
    "CGC": Case(lambda: blocks.CGC(["a", "b"], [5, 3], own=1, shared=2, passes_on=True), numbers(4)),
    "CGC, by task": Case(
        lambda: blocks.CGC(["a", "b"], [3], own=2, shared=1), [numbers(4), numbers(4).flip(0), numbers(2)]
    ),
    "PLE": Case(lambda: blocks.PLE(["a", "b"], [4, 3], layers=3), numbers(4)),
    "TaskAdapter": Case(lambda: blocks.TaskAdapter(["a", "b"], 2), numbers(6, 4)),
    "TaskAdapter, pictures": Case(lambda: blocks.TaskAdapter(["a", "b"], 2, dim=1), numbers(4, 3, 2)),
    "CausalDecoder": Case(lambda: blocks.CausalDecoder(depth=2, heads=2, dropout=0.5), numbers(6, 8)),
}


@pytest.mark.parametrize("name", CASES)
def test_it_keeps_what_nodes_promise(name: str) -> None:
    case = CASES[name]
    check_node(case.make, case.inputs, without=case.without)


def test_no_block_is_left_out() -> None:
    assert {name.partition(",")[0] for name in CASES} == set(blocks.__all__)


@pytest.mark.parametrize("name", CASES)
def test_a_seed_repeats_its_parameters(name: str) -> None:
    case = CASES[name]
    given = [case.inputs] if isinstance(case.inputs, Tensor) else case.inputs
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        module = case.make().eval()
        module(*given)
        states.append(module.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    if dict(module.named_parameters()) and not isinstance(module, blocks.CrossStitch):  # which begins as it is told
        assert not all(torch.equal(states[0][key], states[2][key]) for key in states[0])


@pytest.mark.parametrize("name", CASES)
def test_dropout_draws_in_training_alone(name: str) -> None:
    case = CASES[name]
    given = [case.inputs] if isinstance(case.inputs, Tensor) else case.inputs
    module = case.make()
    module.eval()(*given)
    module.train()
    drops = isinstance(module, blocks.VariationalBottleneck) or any(
        (isinstance(part, nn.Dropout) and part.p) or (isinstance(part, nn.RNNBase) and part.dropout)
        for part in module.modules()
    )
    first, second = (parts(module(*given)) for _ in range(2))
    assert all(map(torch.equal, first, second)) != bool(drops)


@pytest.mark.parametrize("name", CASES)
def test_every_parameter_gets_a_gradient_also_in_bfloat16(name: str) -> None:
    case = CASES[name]
    given = [case.inputs] if isinstance(case.inputs, Tensor) else case.inputs
    module = case.make()
    module.eval()(*given)
    module.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = parts(module(*given))
    loss = torch.stack([part.float().square().sum() for part in output]).sum()
    assert loss.isfinite()
    if loss.requires_grad:
        loss.backward()
    without = [
        name for name, value in module.named_parameters() if value.grad is None or not value.grad.isfinite().all()
    ]
    assert without == []


def parts(output: Any) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else list(output.values() if isinstance(output, dict) else output)
