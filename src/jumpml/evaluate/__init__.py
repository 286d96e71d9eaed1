"""How good a model is: predictions, metrics with 95% intervals, calibration and curves."""

from jumpml.evaluate._compare import compare
from jumpml.evaluate._embed import (
    embed,
    embed_split,
    embedding_width,
    featurised,
    flatten_embedding,
    inputs_of,
    rows_with,
    sample_positions,
)
from jumpml.evaluate._embeddings import (
    EMBEDDING_FIGURES,
    LABELLED_FIGURES,
    alignment,
    knn,
    linear_probe,
    rank_me,
    spread,
    uniformity,
)
from jumpml.evaluate._evaluate import evaluate
from jumpml.evaluate._intervals import num_resamples, percentiles, resamples, wilson
from jumpml.evaluate._measure import measure
from jumpml.evaluate._metric import FunctionMetric, metric
from jumpml.evaluate._named import figure_names, higher_is_better, metric_names, own_metrics
from jumpml.evaluate._neighbours import find_neighbours
from jumpml.evaluate._positions import PositionCounter, Positions
from jumpml.evaluate._predictions import Predictions, evaluation_mode, predict
from jumpml.evaluate._results import EvalResults
from jumpml.evaluate._score import plain_losses, score
from jumpml.evaluate._texts import text_of, tokens_of

__all__ = [
    "evaluate",
    "EvalResults",
    "plain_losses",
    "predict",
    "Predictions",
    "Positions",
    "PositionCounter",
    "measure",
    "compare",
    "score",
    "metric",
    "FunctionMetric",
    "metric_names",
    "own_metrics",
    "figure_names",
    "higher_is_better",
    "evaluation_mode",
    "tokens_of",
    "text_of",
    "wilson",
    "resamples",
    "num_resamples",
    "percentiles",
    "linear_probe",
    "knn",
    "rank_me",
    "alignment",
    "uniformity",
    "spread",
    "EMBEDDING_FIGURES",
    "find_neighbours",
    "LABELLED_FIGURES",
    "embed",
    "embed_split",
    "embedding_width",
    "flatten_embedding",
    "featurised",
    "inputs_of",
    "rows_with",
    "sample_positions",
]
