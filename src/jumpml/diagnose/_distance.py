"""How far a row's embedding lies from those of the train rows."""

from __future__ import annotations

from typing import Self, final

import torch
import torch.nn.functional as F
from torch import Tensor

from jumpml.core import DiagnosisError


@final
class Mahalanobis:
    """The distance from the train rows' mean, in units of their spread along each direction.

    Lee et al. 2018 (https://arxiv.org/abs/1807.03888) take one mean a class. Here one Gaussian stands for all train
    rows: it needs no classes, so it serves regression and several tasks alike, and finds strangers about as well (Kamoi
    and Kobayashi 2020, https://arxiv.org/abs/2003.00402). The covariance is shrunk towards a multiple of the identity
    (Ledoit and Wolf 2004, https://doi.org/10.1016/S0047-259X(03)00096-4), so that it has an inverse even where rows are
    few or elements of the embedding never change.

    Args:
        mean: float32 ``[d]``.
        precision: float32 ``[d, d]``, the inverse of the covariance.

    Example:
        >>> train = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> near, far = Mahalanobis.fit(train).score(torch.tensor([[0.0, 0.0], [9.0, 9.0]]))
        >>> bool(near < 1 < far)
        True
    """

    def __init__(self, mean: Tensor, precision: Tensor) -> None:
        self.mean = mean
        self.precision = precision

    @classmethod
    def fit(cls, embeddings: Tensor) -> Self:
        """Learn mean and precision.

        Args:
            embeddings: ``[n, d]``, of the train rows.

        Raises:
            DiagnosisError: It is not ``[n, d]``, has no rows, or holds a number that is not finite.
        """
        from sklearn.covariance import LedoitWolf

        _validate_embeddings(embeddings)
        model = LedoitWolf().fit(embeddings.detach().double().cpu().numpy())
        mean, precision = (torch.from_numpy(array).float() for array in (model.location_, model.get_precision()))
        return cls(mean.to(embeddings.device), precision.to(embeddings.device))

    def score(self, embeddings: Tensor) -> Tensor:
        """The distance of each row, ``[n]``.

        Args:
            embeddings: ``[n, d]``.
        """
        offset = embeddings - self.mean
        return (offset @ self.precision * offset).sum(1).clamp(min=0).sqrt()


@final
class KNN:
    """The distance to the k-th nearest train row, all embeddings scaled to length one (Sun et al. 2022, https://arxiv.org/abs/2204.06507).

    Args:
        train: float32 ``[n, d]``, the train rows' embeddings, each of length one.
        k: Which neighbour; 1 is the nearest.

    Example:
        >>> knn = KNN.fit(torch.eye(3), k=1)
        >>> knn.score(torch.tensor([[0.0, 5.0, 0.0]]))
        tensor([0.])
    """

    def __init__(self, train: Tensor, k: int) -> None:
        self.train = train
        self.k = k

    @classmethod
    def fit(cls, embeddings: Tensor, k: int = 10) -> Self:
        """Keep the train rows.

        Args:
            embeddings: ``[n, d]``, of the train rows.
            k: Which neighbour, from 1 to n.

        Raises:
            DiagnosisError: As for `Mahalanobis.fit`, or there are fewer than k rows.
        """
        _validate_embeddings(embeddings)
        if not 1 <= k <= len(embeddings):
            raise DiagnosisError(f"k must be from 1 to the number of train rows, {len(embeddings)}; got {k}.")
        return cls(F.normalize(embeddings.detach(), dim=1), k)

    def score(self, embeddings: Tensor) -> Tensor:
        """The distance of each row, ``[n]``, from 0 to 2.

        Args:
            embeddings: ``[n, d]``.
        """
        chunks = F.normalize(embeddings, dim=1).split(1024)  # the table of all distances would not fit for many rows
        return torch.cat([torch.cdist(chunk, self.train).kthvalue(self.k, dim=1).values for chunk in chunks])


def _validate_embeddings(embeddings: Tensor) -> None:
    if embeddings.dim() != 2 or not len(embeddings):
        raise DiagnosisError(
            f"embeddings must be [rows, width] with at least one row; got {list(embeddings.shape)}. "
            "Flatten or average what a node gives first."
        )
    if not embeddings.isfinite().all():
        raise DiagnosisError("embeddings hold numbers that are not finite; look for the node that makes them.")
