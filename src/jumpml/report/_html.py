"""The page as HTML: one file that asks for nothing else."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jumpml.drawing import colour_of, swatch

if TYPE_CHECKING:
    from jinja2 import Environment

    from jumpml.report._blocks import Page


def to_html(page: Page) -> str:
    """Render a page; every text in it is escaped, only the drawings are not."""
    from markupsafe import Markup

    environment = _environment()
    style = environment.get_template("card.css").render()
    return environment.get_template("card.html").render(page=page, style=Markup(style))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("jumpml.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["drawing"] = Markup  # matplotlib and ElementTree have escaped what is in it
    environment.filters["colour"] = colour_of
    environment.filters["swatch"] = lambda style: Markup(swatch(style))
    return environment
