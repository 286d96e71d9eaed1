"""Drawings in SVG, made of records alone: a model's graph."""

from jumpml.drawing._graph import draw_graph
from jumpml.drawing._text import count

__all__ = ["count", "draw_graph"]
