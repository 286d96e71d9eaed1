"""Modules in a row."""

from __future__ import annotations

from typing import Any, final

from torch import nn


@final
class Repeat(nn.ModuleList):
    """Several modules in a row: each reads what the one before it gives, and all else as the first does."""

    def forward(self, *values: Any, **named: Any) -> Any:
        """What the last one gives; the first value, or the first named one, goes through all.

        Args:
            values: The modules' positional arguments.
            named: Their named ones.
        """
        first = next(iter(named)) if not values else ""
        for module in self:
            result = module(*values, **named)
            if values:
                values = (result, *values[1:])
            else:
                named = {**named, first: result}
        return values[0] if values else named[first]
