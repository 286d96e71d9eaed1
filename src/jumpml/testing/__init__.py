"""Conformance checks that users run on parts of their own, and this project on its own."""

from jumpml.testing._error import ConformanceError
from jumpml.testing._node import check_node
from jumpml.testing._objective import check_objective
from jumpml.testing._self_supervised import check_self_supervised
from jumpml.testing._teacher import check_teacher

__all__ = ["ConformanceError", "check_node", "check_objective", "check_self_supervised", "check_teacher"]
