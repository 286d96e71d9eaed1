"""What makes each block what it is: sizes that its paper says, what it sees and what it does not, what it refuses."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from jumpml.blocks import (
    TCN,
    AudioCNN,
    CausalDecoder,
    ConvNeXt,
    Embedding,
    FTTransformer,
    Head,
    PatchTST,
    PixelHead,
    Pool,
    Recurrent,
    ResidualMLP,
    ResNet,
    TabularEmbedding,
    TransformerEncoder,
    UNetDecoder,
    Upsample,
    ViT,
)
from jumpml.core import FieldInfo, ModelSpec, ValueInfo, load_spec
from jumpml.graph import build_nodes
from jumpml.graph.blocks._attention import rotate

if TYPE_CHECKING:
    from collections.abc import Callable

PICTURES = torch.zeros(2, 3, 32, 32)


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "count"),
    [
        # He et al.: 0.27M; 269,722 with shortcuts that cost nothing, and two of 1 by 1 with their norms
        (nn.Sequential(ResNet([16, 32, 64], layers=3), Head(10)), 269_722 + (512 + 64) + (2048 + 128)),
        # Liu et al.: ConvNeXt-T has 28,589,128 with 1000 classes
        (ConvNeXt([96, 192, 384, 768], layers=[3, 3, 9, 3], patch=4), 28_589_128 - 769 * 1000),
        # Dosovitskiy et al.: ViT-S/16 has 21,665,664 without classes, 198 of its vectors the class token and positions
        (ViT(16, 384, depth=12, heads=6), 21_665_664 - 198 * 384),
    ],
)
def test_it_is_as_large_as_its_paper_says(module: nn.Module, count: int) -> None:
    module(PICTURES)
    assert size(module) == count


@pytest.mark.parametrize("block", [ResNet([4, 6], layers=1), ConvNeXt([4, 6], layers=1), ViT(4, 8, depth=1, heads=2)])
def test_a_picture_may_have_any_size(block: nn.Module) -> None:
    shapes = {tuple(block(torch.zeros(2, 3, *picture)).shape) for picture in [(32, 32), (7, 5), (1, 1), (9, 31)]}
    assert len(shapes) == 1


def test_residual_layers_begin_as_their_shortcuts() -> None:
    block = ResNet([4], layers=2).eval()
    picture = torch.rand(2, 3, 8, 8)
    assert torch.equal(block(picture), block.stem(picture).mean((2, 3)))


def test_a_u_net_from_an_encoders_levels() -> None:
    levels = ResNet([4, 6, 8], layers=1, levels=True)(PICTURES)
    assert isinstance(levels, tuple)
    assert UNetDecoder([5, 7])(*levels).shape == (2, 5, 32, 32)
    assert Upsample()(levels[2], PICTURES).shape == (2, 8, 32, 32)


# --- what is seen -----------------------------------------------------------------------------------------------------


def influences(block: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Which output steps depend on which input steps of the first row, bool ``[out, in]``."""
    values = values.clone().requires_grad_()
    output = block(values)[0]
    weights = torch.arange(output.shape[-1]).square()  # normalized vectors have a sum and a norm that never change
    rows = [
        torch.autograd.grad((weights * step).sum(), values, retain_graph=True)[0][0].abs().sum(-1) > 0
        for step in output
    ]
    return torch.stack(rows)


@pytest.mark.parametrize(
    "make", [lambda: CausalDecoder(depth=2, heads=2), lambda: TCN([16, 16]), lambda: TCN([16] * 3, kernel_size=2)]
)
def test_no_step_sees_what_comes_later(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    seen = influences(make(), torch.randn(1, 12, 4))
    assert not seen.triu(1).any()
    assert seen.diagonal().all()


def test_a_tcn_sees_as_far_as_it_says() -> None:
    torch.manual_seed(0)
    seen = influences(TCN([6, 6], kernel_size=3), torch.randn(1, 20, 4))
    reach = 1 + 2 * (3 - 1) * (2**2 - 1)
    assert seen[19].nonzero().amin() == 20 - reach


def test_an_encoder_sees_everything_and_knows_order_only_with_positions() -> None:
    torch.manual_seed(0)
    values = torch.randn(1, 6, 8)
    knows, blind = TransformerEncoder(depth=1, heads=2), TransformerEncoder(depth=1, heads=2, rotary=False)
    assert influences(knows, values).all()
    assert torch.allclose(blind(values.flip(1)).flip(1), blind(values), atol=1e-5)
    assert not torch.allclose(knows(values.flip(1)).flip(1), knows(values), atol=1e-3)


@given(shift=st.integers(1, 20))
def test_rotated_products_depend_on_the_distance_alone(shift: int) -> None:
    query, key = torch.randn(2, 1, 1, 1, 6, dtype=torch.float64).unbind(0)
    turned_query, turned_key = (rotate(value.expand(1, 1, 30, 6)) for value in (query, key))
    products = (turned_query @ turned_key.transpose(2, 3))[0, 0]
    assert torch.allclose(products[shift:, shift:], products[:-shift, :-shift], atol=1e-6)
    assert torch.allclose(turned_query.norm(dim=3), query.norm(), atol=1e-6)


def test_padding_at_the_end_of_a_text_changes_nothing_before_it() -> None:
    block = CausalDecoder(depth=1, heads=2)
    values = torch.randn(2, 6, 8)
    other = torch.cat([values[:, :4], torch.randn(2, 2, 8)], 1)
    assert torch.allclose(block(values)[:, :4], block(other)[:, :4], atol=1e-6)


@pytest.mark.parametrize("block", [CausalDecoder(1, 2), TransformerEncoder(1, 2), TCN([8]), Recurrent(8), Pool("max")])
def test_a_sequence_may_have_any_length(block: nn.Module) -> None:
    for length in (6, 1, 9):
        output = block(torch.randn(2, length, 8))
        assert (output["sequence"] if isinstance(output, dict) else output).shape[-1] == 8


# --- tables, series, pooling ------------------------------------------------------------------------------------------


def test_a_code_is_embedded_by_its_column_and_a_number_scaled() -> None:
    block = TabularEmbedding(3, cardinalities=[2, 0, 2])
    assert block.weight is not None
    assert block.table is not None
    with torch.no_grad():
        block.bias.zero_()
    found = block(torch.tensor([[1.0, 0.5, 1.0], [0.0, -2.0, 1.0]]))
    assert torch.equal(found[:, 0], torch.stack([0.5 * block.weight[0], -2.0 * block.weight[0]]))
    assert torch.equal(found[:, 1], block.table[[1, 0]])
    assert torch.equal(found[:, 2], block.table[[3, 3]])


def test_what_is_no_code_counts_as_the_nearest() -> None:
    block = TabularEmbedding(3, cardinalities=[2, 4])
    odd = torch.tensor([[7.0, 1.4], [-3.0, 9.0], [0.6, -0.1]])
    assert torch.equal(block(odd), block(torch.tensor([[1.0, 1.0], [0.0, 3.0], [1.0, 0.0]])))


def test_a_forecast_follows_the_scale_and_level_of_its_window() -> None:
    block = PatchTST(horizon=5, patch=4, stride=3, width=8, heads=2).eval()
    window = torch.randn(2, 14, 3)
    assert torch.allclose(block(100 * window + 7), 100 * block(window) + 7, atol=1e-2)
    assert torch.allclose(block(torch.ones(2, 14, 3)), torch.ones(2, 5, 3), atol=0.05)  # a window without variance


def test_the_last_steps_are_always_in_a_patch() -> None:
    block = PatchTST(horizon=1, patch=4, stride=3, width=8, heads=2).eval()
    window = torch.randn(1, 12, 1)  # two steps too many for three patches: the first two
    block(window)
    assert block.places.shape[0] == 3


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_last_state_is_that_of_the_last_token(cell: Any) -> None:
    block = Recurrent(4, cell=cell)
    values, mask = torch.randn(3, 5, 2), torch.tensor([[1] * 5, [1, 1, 0, 0, 0], [0] * 5]).bool()
    found = block(values, mask)
    assert torch.allclose(found["last"][1], block(values[1:2, :2])["last"][0], atol=1e-6)
    assert torch.equal(found["last"][0], found["sequence"][0, 4])
    assert not found["last"][2].any()


def test_pools() -> None:
    values, mask = torch.tensor([[[1.0], [5.0], [-3.0], [9.0]]]), torch.tensor([[1, 1, 1, 0]]).bool()
    expected = {"mean": (3.0, 1.0), "max": (9.0, 5.0), "last": (9.0, -3.0)}
    for kind, (without, masked) in expected.items():
        assert (Pool(kind)(values).item(), Pool(kind)(values, mask).item()) == (without, masked)  # type: ignore[arg-type]
    attention = Pool("attention")
    attention(values)
    with torch.no_grad():
        attention.score.weight.fill_(100.0)
    assert attention(values, mask).item() == 5.0
    assert torch.equal(Pool()(torch.ones(2, 3, 4, 5)), torch.ones(2, 3))
    assert repr(Pool("max")) == "Pool(max)"


def test_tied_weights_are_one_table() -> None:
    table = Embedding(8, num_codes=20)
    logits = table(CausalDecoder(1, 2)(table(torch.arange(12).view(2, 6))))
    assert logits.shape == (2, 6, 20)
    logits.sum().backward()
    assert table.weight.grad is not None
    assert (table.weight.grad.abs().sum(1) > 0).all()  # those that were not read are predicted
    assert repr(table) == "Embedding(8, num_codes=20)"


# --- what is refused --------------------------------------------------------------------------------------------------

WIDTHS = r" must be a list of at least one whole number, each 1 or more; got "


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: ResNet([]), "widths" + WIDTHS + r"\[\]\."),
        (lambda: ConvNeXt([4, 8], layers=[1]), r"layers must be one number, or as many as widths, 2; got \[1\]\."),
        (lambda: ResNet([4, 8], layers=0), r"layers must be a whole number of 1 or more; got 0\."),
        (lambda: ResNet([4, 8], layers=[1, 0]), "layers" + WIDTHS + r"\[1, 0\]\."),
        (lambda: ConvNeXt([4], patch=0), r"patch must be a whole number of 1 or more; got 0\."),
        (lambda: ViT(4, 6, 1, 2), r"width must be a multiple of 4; got 6\."),
        (lambda: ViT(0, 8, 1, 2), r"patch, width and depth must be whole numbers of 1 or more; got 0, 8, 1\."),
        (lambda: ViT(4, 8, 1, 3), r"the width, 8, must be a multiple of heads, 3\."),
        (lambda: FTTransformer(8, depth=0), r"depth must be a whole number of 1 or more; got 0\."),
        (lambda: FTTransformer(0), r"width must be a whole number of 1 or more; got 0\."),
        (lambda: ResidualMLP(0, 1), r"width and depth must be whole numbers of 1 or more; got 0, 1\."),
        (lambda: Embedding(0), r"width must be a whole number of 1 or more; got 0\."),
        (lambda: Pool("sum"), r"kind must be one of mean, max, last, attention; got 'sum'\."),  # type: ignore[arg-type]
        (lambda: Recurrent(0), r"width and depth must be whole numbers of 1 or more; got 0, 1\."),
        (lambda: Recurrent(4, cell="rnn"), r"cell must be one of gru, lstm; got 'rnn'\."),  # type: ignore[arg-type]
        (
            lambda: Recurrent(4, dropout=0.1),
            r"dropout is between layers, and there is one; got dropout=0\.1 and depth=1",
        ),
        (lambda: TCN([]), "widths" + WIDTHS + r"\[\]\."),
        (lambda: TCN([4], kernel_size=0), r"kernel_size must be a whole number of 1 or more; got 0\."),
        (lambda: AudioCNN(["4"]), "widths" + WIDTHS + r"\['4'\]\."),  # type: ignore[list-item]
        (
            lambda: AudioCNN([4], stride=0),
            r"filter_size and stride must be whole numbers of 1 or more; got 80, 0\.",
        ),
        (lambda: UNetDecoder([]), "widths" + WIDTHS + r"\[\]\."),
        (lambda: PatchTST(4, heads=0), r"width and heads must be whole numbers of 1 or more; got 64, 0\."),
        (lambda: TransformerEncoder(1, 0), r"depth and heads must be whole numbers of 1 or more; got 1, 0\."),
        (lambda: CausalDecoder(1, 2.0), r"depth and heads must be whole numbers of 1 or more; got 1, 2\.0\."),  # type: ignore[arg-type]
        (lambda: Embedding(4, num_codes=0), r"num_codes must be a whole number of 1 or more; got 0\."),
        (lambda: Head("4"), r"out_features must be a whole number of 1 or more; got '4'\."),  # type: ignore[arg-type]
        (lambda: PixelHead(True), r"out_channels must be a whole number of 1 or more; got True\."),
        (
            lambda: PatchTST(0),
            r"horizon, depth, patch and stride must be whole numbers of 1 or more; got 0, 2, 16, 8\.",
        ),
    ],
)
def test_arguments_that_are_refused(build: Callable[[], nn.Module], text: str) -> None:
    with pytest.raises(ValueError, match=rf"^.*{text}"):
        build()


@pytest.mark.parametrize(
    ("block", "inputs", "text"),
    [
        (ResNet([4]), [(2, 8)], r"ResNet reads pictures \[batch, channels, height, width\]; got \[2, 8\]\."),
        (ConvNeXt([4]), [(2, 8)], r"ConvNeXt reads pictures \[batch, channels, height, width\]; got \[2, 8\]\."),
        (ViT(4, 8, 1, 2), [(2, 8)], r"ViT reads pictures \[batch, channels, height, width\]; got \[2, 8\]\."),
        (AudioCNN([4]), [(2, 8)], r"AudioCNN reads sounds \[batch, channels, samples\]; got \[2, 8\]\."),
        (TCN([4]), [(2, 8)], r"TCN reads vectors \[batch, length, channels\]; got \[2, 8\] float32\."),
        (Recurrent(4), [(2, 8)], r"Recurrent reads vectors \[batch, length, channels\]; got \[2, 8\] float32\."),
        (
            TransformerEncoder(1, 2),
            [(2, 6, 8), (2, 6)],
            r"a mask \[batch, length\] of bool; got .* and \[2, 6\] float32\.",
        ),
        (TransformerEncoder(1, 2), [(2, 6, 6)], r"width / heads, 3, must be even\."),
        (CausalDecoder(1, 3), [(2, 6, 8)], r"the width, 8, must be a multiple of heads, 3\."),
        (Upsample(), [(2, 8), (2, 8)], r"Upsample reads two pictures .* got \[2, 8\] and \[2, 8\]\."),
        (UNetDecoder([4]), [(2, 3, 4, 4)], r"UNetDecoder of 1 widths reads 2 pictures; got 1\."),
        (PatchTST(4), [(2, 8, 1)], r"PatchTST cuts a window into patches of 16 steps; it has 8\."),
    ],
)
def test_inputs_that_are_refused(block: nn.Module, inputs: list[tuple[int, ...]], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        block(*(torch.arange(float(prod(shape))).view(shape) for shape in inputs))


def test_a_window_of_another_length_is_refused() -> None:
    block = PatchTST(4, patch=4)
    block(torch.zeros(2, 12, 1))
    with pytest.raises(ValueError, match=r"^PatchTST was made for windows of 12 steps; got 16\.$"):
        block(torch.zeros(2, 16, 1))


def test_a_pixel_head_is_one_linear_layer_at_each_pixel() -> None:
    head, x = PixelHead(3), torch.randn(2, 5, 4, 6)
    got = head(x)
    linear = nn.Linear(5, 3)
    linear.load_state_dict({"weight": head.weight.detach()[:, :, 0, 0], "bias": head.bias.detach()})
    torch.testing.assert_close(got, linear(x.movedim(1, -1)).movedim(-1, 1))
    assert type(head) is nn.Conv2d  # plain, so that it is saved, exported and quantized as any other


def test_a_pixel_head_is_as_wide_as_its_task_has_classes() -> None:
    field = FieldInfo(name="mask", kind="mask", value=ValueInfo(shape=(4, 6), dtype="int64"), classes=("a", "b", "c"))
    nodes = {"map": {"module": "jumpml.blocks.PixelHead", "inputs": "x"}}
    tasks = {"parts": {"kind": "segmentation", "output": "map", "target": "mask"}}
    spec = load_spec(ModelSpec, {"nodes": nodes, "tasks": tasks})
    made = build_nodes(spec, {"x": ValueInfo(shape=(5, 4, 6))}, {"mask": field})["map"].module
    assert made(torch.randn(1, 5, 4, 6)).shape == (1, 3, 4, 6)
