"""The templates that come with sheetconv, as a table."""

from __future__ import annotations

from collections.abc import Iterable

from .batches import batch_of
from .layout import count_cells
from .summary import summarize, table_lines
from .template import Template, TemplateNetwork, load_template, template_names


def template_lines() -> list[str]:
    """A line for each template: name, input shape, parameters, formula cells, description.

    A template with several networks has the cells of all of them, and the shapes and
    parameters of each where they differ.
    """
    rows = [["template", "input", "parameters", "formula cells", ""]]
    rows += [_row(load_template(name)) for name in template_names()]
    return table_lines(rows, {2, 3})


def _row(template: Template) -> list[str]:
    networks = template.networks
    cells = (_formula_cells(item) for item in networks)
    parameters = (summarize(item.network, item.image.shape).parameters for item in networks)
    return [
        template.name,
        _each(" x ".join(map(str, item.image.shape)) for item in networks),
        _each(f"{number:,}" for number in parameters),
        f"{sum(cells):,}",
        template.description,
    ]


def _formula_cells(item: TemplateNetwork) -> int:
    batch, shape = batch_of(item.network, item.image.shape)
    return count_cells(item.network, shape, item.drawing, batch)[0]


def _each(texts: Iterable[str]) -> str:
    """What differs, once each."""
    return " / ".join(dict.fromkeys(texts))
