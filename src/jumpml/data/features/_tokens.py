"""Token ids as counts of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from jumpml.data.features._feature import Feature

if TYPE_CHECKING:
    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows


@final
class PaddingMask(Feature):
    """Where a text has tokens. Every text has it under the name ``<field>.mask``; no file asks for it.

    Args:
        padding: The id behind a text's end.

    Example:
        >>> PaddingMask()(torch.tensor([[7, 8, 0]]))
        tensor([[ True,  True, False]])
    """

    name = "mask"
    reads = ("tokens",)
    fills = True

    def __init__(self, padding: int = 0) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, values: Tensor) -> Tensor:
        """Bool ``[batch, length]`` of token ids ``[batch, length]``."""
        return values != self.padding


@final
class NextToken(Feature):
    """At each token of a text the one that follows it. Every text has it under the name ``<field>.next``.

    Args:
        padding: The id behind a text's end.

    Example:
        >>> NextToken()(torch.tensor([[7, 8, 0]]))
        tensor([[ 8, -1, -1]])
    """

    name = "next"
    reads = ("tokens",)
    fills = True

    def __init__(self, padding: int = 0) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, values: Tensor) -> Tensor:
        """int64 ``[batch, length]`` of token ids ``[batch, length]``; -1 where none follows."""
        following = torch.nn.functional.pad(values[:, 1:], (0, 1), value=self.padding)
        return torch.where(following == self.padding, -1, following)


@final
class Bag(Feature):
    """A text as how often each token stands in it, whatever their order.

    The vocabulary ends with the last token of the train rows; padding is not counted, and neither is what is beyond.

    Args:
        binary: Whether to say only that a token stands there.

    Attributes:
        document_counts: int64 ``[vocabulary]``, how many train rows hold each token.
        padding: int64, the id of padding.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> step, texts = Bag(), torch.tensor([[2, 3, 2, 0], [3, 0, 0, 0]])
        >>> step.fit(TrainRows(texts), Column(torch.zeros(2, 1), "number").info("text"))
        >>> step(texts)
        tensor([[0., 0., 2., 1.],
                [0., 0., 0., 1.]])
    """

    name = "bag"
    reads = ("tokens",)
    learns = ("document_counts", "padding")
    fills = True
    document_counts: Tensor
    padding: Tensor

    def __init__(self, *, binary: bool = False) -> None:
        super().__init__()
        self.binary = binary

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Find the vocabulary."""
        padding = _padding(field)
        self.learn(document_counts=_document_counts(train, padding)[0], padding=padding)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, vocabulary]`` of token ids ``[batch, length]``."""
        counts = _count(values, self.document_counts.shape[0], self.padding)
        return (counts > 0).to(torch.float32) if self.binary else counts


@final
class TfIdf(Feature):
    """A text as its tokens' counts, each weighted by how few train texts hold it, scaled to length 1.

    The weight is ``ln((1 + texts) / (1 + texts with the token)) + 1``, as scikit-learn's; a text without a known token
    is all zeros. The vocabulary is that of `Bag`. (Spaerck Jones 1972, https://doi.org/10.1108/eb026526)

    Args:
        sublinear: Whether ``1 + ln(count)`` takes the place of a count.

    Attributes:
        idf: float32 ``[vocabulary]``.
        padding: int64, the id of padding.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> step, texts = TfIdf(), torch.tensor([[2, 3, 2, 0], [3, 0, 0, 0]])
        >>> step.fit(TrainRows(texts), Column(torch.zeros(2, 1), "number").info("text"))
        >>> step(texts)
        tensor([[0.0000, 0.0000, 0.9422, 0.3352],
                [0.0000, 0.0000, 0.0000, 1.0000]])
    """

    name = "tfidf"
    reads = ("tokens",)
    learns = ("idf", "padding")
    fills = True
    idf: Tensor
    padding: Tensor

    def __init__(self, *, sublinear: bool = False) -> None:
        super().__init__()
        self.sublinear = sublinear

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Count the texts that hold each token."""
        padding = _padding(field)
        counts, rows = _document_counts(train, padding)
        self.learn(idf=((1 + rows) / (1 + counts.double())).log().add(1).float(), padding=padding)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, vocabulary]`` of token ids ``[batch, length]``."""
        counts = _count(values, self.idf.shape[0], self.padding)
        if self.sublinear:
            counts = torch.where(counts > 0, 1 + torch.where(counts > 0, counts, 1.0).log(), 0.0)
        weighted = counts * self.idf
        length = weighted.square().sum(dim=1, keepdim=True).sqrt()
        return weighted / torch.where(length > 0, length, 1.0)


def _padding(field: FieldInfo) -> Tensor:
    """The id of padding, which a tokenizer that somebody else learned may have anywhere."""
    how: Any = field.options.get("tokenizer", {})
    return torch.tensor(how.get("padding", 0))


def _count(ids: Tensor, vocabulary: int, padding: Tensor) -> Tensor:
    """How often each token stands in each row, float32 ``[batch, vocabulary]``; 0 for padding and what is beyond."""
    known = (ids != padding) & (ids < vocabulary)
    counts = torch.zeros(ids.shape[0], vocabulary, device=ids.device)
    return counts.scatter_add(1, torch.where(known, ids, 0), known.to(torch.float32))


def _document_counts(train: TrainRows, padding: Tensor) -> tuple[Tensor, int]:
    """How many train rows hold each token but padding, int64 ``[vocabulary]``, and how many train rows there are."""
    vocabulary = 1 + max(int(block.amax()) for block in train.blocks())
    counts, rows = torch.zeros(vocabulary, dtype=torch.int64), 0
    for block in train.blocks():
        rows += len(block)
        kept = block.sort(dim=1).values
        first = torch.ones_like(kept, dtype=torch.bool)
        first[:, 1:] = kept[:, 1:] != kept[:, :-1]
        counts += torch.bincount(kept[first & (kept != padding)], minlength=vocabulary)
    return counts, rows
