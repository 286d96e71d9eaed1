"""What of embeddings is measured while a model learns."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jumpml.core._spec import Spec

EmbeddingFigure = Literal["linear_probe", "knn", "rank_me", "spread", "alignment", "uniformity"]


class EmbeddingsSpec(Spec):
    """What is measured of a node's value, one vector a row, on the validation rows as the model learns.

    The figures stand beside those of tasks: `val/embedding/<node>/<figure>` can choose the best checkpoint, stop a
    phase, cut a rate and decide a search. Collapse is warned of, whatever is measured.
    """

    node: str
    """The node, or a part of what it gives (`lstm.0`). An image of features is averaged over its positions."""
    label: str | None = None
    """A category field, for `linear_probe` (logistic regression on standardised embeddings) and `knn` (20 neighbours by
    cosine), fitted on train rows and scored on validation rows; rows without a label are left out."""
    view: str | None = None
    """A view of the data file, drawn twice for `alignment`; that of an objective on the node where nothing is said."""
    every: Annotated[int, Field(ge=1)] = 1
    """After so many epochs, and after a phase's last."""
    rows: Annotated[int, Field(ge=2)] = 2000
    """Rows of a split at most, the same each time."""
    map: Literal["pca", "umap"] = "pca"
    """How the card lays the test rows flat, coloured by the label: in the two directions of most variance, or by UMAP
    (the extra `umap`), which keeps neighbours together and says nothing by its distances."""
    figures: Annotated[tuple[EmbeddingFigure, ...], Field(min_length=1)] | None = None
    """Which; all that can be measured where nothing is said."""
