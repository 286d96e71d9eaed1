"""How good embeddings are, of the embeddings alone or of a few labels beside them."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from jumpml.core import EvaluationError

if TYPE_CHECKING:
    from torch import Tensor

EMBEDDING_FIGURES = {
    "linear_probe": True,
    "knn": True,
    "rank_me": True,
    "spread": True,
    "alignment": False,
    "uniformity": False,
}
"""Each figure, and whether more of it is better."""
LABELLED_FIGURES = ("linear_probe", "knn")
"""Those that need labels."""
BLOCK = 4_000_000  # similarities that are held at once
TINY = 1e-7  # RankMe's, beside each share


def linear_probe(
    train: Tensor, labels: Tensor, rows: Tensor, truths: Tensor, *, penalty: float = 1.0, iterations: int = 1000
) -> float:
    """The accuracy of logistic regression on frozen embeddings.

    Each dimension is standardised by its mean and deviation on the train rows; then scikit-learn's
    `LogisticRegression` is fitted until it has converged.

    Args:
        train: The train rows' embeddings, ``[n, width]``.
        labels: Their classes, int64 ``[n]``; two or more.
        rows: The embeddings that are classified, ``[m, width]``.
        truths: Their classes, int64 ``[m]``.
        penalty: What half the squared weights are multiplied by, beside the sum of the losses.
        iterations: Steps at most; one that has not converged by then is scored as it is.

    Raises:
        EvaluationError: The shapes do not fit, a number is not finite, or the train rows are of one class.

    Example:
        >>> train, labels = torch.tensor([[0.0], [1.0], [4.0], [5.0]]), torch.tensor([0, 0, 1, 1])
        >>> linear_probe(train, labels, torch.tensor([[0.5], [4.5], [2.0]]), torch.tensor([0, 1, 1]))
        0.6666666666666666
    """
    from sklearn.linear_model import LogisticRegression

    _check_labelled(train, labels, rows, truths)
    if len(labels.unique()) < 2:
        raise EvaluationError("a linear probe needs train rows of two classes or more; they are of one.")
    deviation, mean = torch.std_mean(train.double(), 0, correction=0)
    scale = torch.where(deviation > 0, deviation, 1.0)
    fitted, asked = (((part.double() - mean) / scale).cpu().numpy() for part in (train, rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        probe = LogisticRegression(C=1 / penalty, max_iter=iterations).fit(fitted, labels.cpu().numpy())
    return float((probe.predict(asked) == truths.cpu().numpy()).mean())


def knn(
    train: Tensor, labels: Tensor, rows: Tensor, truths: Tensor, *, neighbours: int = 20, temperature: float = 0.07
) -> float:
    """The accuracy of a vote of each row's nearest train rows by cosine, the nearer the heavier.

    A neighbour weighs ``exp(cosine / temperature)`` (Wu et al. 2018, https://arxiv.org/abs/1805.01978, as in DINO,
    https://arxiv.org/abs/2104.14294).

    Args:
        train: The train rows' embeddings, ``[n, width]``.
        labels: Their classes, int64 ``[n]``.
        rows: The embeddings that are classified, ``[m, width]``.
        truths: Their classes, int64 ``[m]``.
        neighbours: How many vote; all where there are fewer.
        temperature: What the cosine is divided by.

    Raises:
        EvaluationError: The shapes do not fit, a number is not finite, or nobody votes.

    Example:
        >>> train, labels = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), torch.tensor([0, 0, 1])
        >>> knn(train, labels, torch.tensor([[1.0, 0.2], [0.1, 1.0]]), torch.tensor([0, 1]), neighbours=2)
        1.0
    """
    _check_labelled(train, labels, rows, truths)
    if neighbours < 1 or not temperature > 0:
        told = f"{neighbours} neighbours and temperature {temperature:g}"
        raise EvaluationError(f"expected one neighbour or more and a temperature above 0, got {told}.")
    known, asked = F.normalize(train.double(), dim=1), F.normalize(rows.double(), dim=1)
    classes = int(max(labels.max(), truths.max())) + 1
    right = 0
    for part, truth in zip(asked.split(_block(known)), truths.split(_block(known)), strict=True):
        nearness, place = (part @ known.T).topk(min(neighbours, len(known)), dim=1)
        weight = ((nearness - nearness[:, :1]) / temperature).exp()  # of the nearest 1: no exponent overflows
        votes = weight.new_zeros(len(part), classes).scatter_add_(1, labels[place], weight)
        right += int((votes.argmax(1) == truth).sum())
    return right / len(rows)


def rank_me(embeddings: Tensor) -> float:
    """How many dimensions embeddings make use of: the exponential of the entropy of their singular values' shares.

    Garrido et al. 2023 (https://arxiv.org/abs/2210.02885); the effective rank of Roy and Vetterli 2007. From 1, where
    all lie on one line through 0, to the smaller of rows and width.

    Args:
        embeddings: ``[rows, width]``.

    Raises:
        EvaluationError: They are not such, or a number is not finite.

    Example:
        >>> round(rank_me(torch.eye(4)), 3), round(rank_me(torch.ones(4, 4)), 3)
        (4.0, 1.0)
    """
    _check(embeddings)
    values = torch.linalg.svdvals(embeddings.double())
    shares = values / values.sum().clamp(min=torch.finfo(torch.float64).tiny) + TINY
    return float((-shares * shares.log()).sum().exp())


def alignment(first: Tensor, second: Tensor) -> float:
    """The mean squared distance between the unit embeddings of two views of a row: 0 where views change nothing.

    Wang and Isola 2020 (https://arxiv.org/abs/2005.10242), equation 1 with their exponent of 2.

    Args:
        first: Of one view, ``[rows, width]``.
        second: Of the other, likewise.

    Raises:
        EvaluationError: They differ in shape, or a number is not finite.

    Example:
        >>> alignment(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
        2.0
    """
    _check(first)
    _check(second)
    if first.shape != second.shape:
        raise EvaluationError(f"expected two views of the same rows, got {list(first.shape)} and {list(second.shape)}.")
    return float((F.normalize(first.double(), dim=1) - F.normalize(second.double(), dim=1)).square().sum(1).mean())


def uniformity(embeddings: Tensor) -> float:
    """How evenly unit embeddings lie on the sphere: the log of the mean of ``exp(-2 d^2)`` over pairs; less is better.

    Wang and Isola 2020 (https://arxiv.org/abs/2005.10242), equation 2 with their factor of 2. It is 0 where all are
    one, and -4 where every two stand at right angles, as those of many dimensions mostly do.

    Args:
        embeddings: ``[rows, width]``, two rows or more.

    Raises:
        EvaluationError: They are not such, or a number is not finite.

    Example:
        >>> round(uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])), 3)
        -8.0
    """
    _check(embeddings, least=2)
    unit, count = F.normalize(embeddings.double(), dim=1), len(embeddings)
    # d^2 = 2 - 2 cos; a row's pair with itself, exp(0), is taken out of the sum
    sums = [(4 * (part @ unit.T) - 4).exp().sum() for part in unit.split(_block(unit))]
    return float(((torch.stack(sums).sum() - count) / (count * (count - 1))).clamp(min=1e-300).log())


def spread(embeddings: Tensor) -> float:
    """How alive embeddings are: the mean deviation of the unit embeddings' dimensions, times the root of their number.

    1 where they are spread over the whole sphere, 0 where all are one: collapse (Chen and He 2021,
    https://arxiv.org/abs/2011.10566, figure 2, where it is told without the root).

    Args:
        embeddings: ``[rows, width]``, two rows or more.

    Raises:
        EvaluationError: They are not such, or a number is not finite.

    Example:
        >>> round(spread(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 3), spread(torch.ones(4, 2))
        (1.0, 0.0)
    """
    _check(embeddings, least=2)
    unit = F.normalize(embeddings.double(), dim=1)
    return float(unit.std(0, correction=0).mean() * math.sqrt(unit.shape[1]))


def _block(known: Tensor) -> int:
    """How many rows are compared with all of these at once."""
    return max(1, BLOCK // len(known))


def _check(embeddings: Tensor, least: int = 1) -> None:
    if embeddings.dim() != 2 or len(embeddings) < least:
        rows = "one row or more" if least == 1 else "two rows or more"
        raise EvaluationError(f"expected embeddings [rows, width] of {rows}, got {list(embeddings.shape)}.")
    if not embeddings.isfinite().all():
        raise EvaluationError("the embeddings hold numbers that are not finite; look for the node that makes them.")


def _check_labelled(train: Tensor, labels: Tensor, rows: Tensor, truths: Tensor) -> None:
    for embeddings, codes in ((train, labels), (rows, truths)):
        _check(embeddings)
        if codes.shape != embeddings.shape[:1] or codes.dtype != torch.int64 or int(codes.min()) < 0:
            told = f"{codes.dtype} {list(codes.shape)} beside {list(embeddings.shape)}"
            fix = "Leave rows without a label out."
            raise EvaluationError(f"expected a class a row, int64 from 0 on; got {told}. {fix}")
    if train.shape[1] != rows.shape[1]:
        raise EvaluationError(f"expected embeddings of one width, got {train.shape[1]} and {rows.shape[1]}.")
