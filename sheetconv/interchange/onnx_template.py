"""An ONNX file where a template is expected: a network with an input to draw."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from ..cells import MOST_CELLS, sheet_name_of_file
from ..drawing import Drawing
from ..errors import ModelError, TemplateError
from ..formulas import Shape
from ..template import Template, TemplateNetwork, load_template


def load_template_or_model(name: str | Path, input_shape: Shape | None = None) -> Template:
    """What a command's TEMPLATE means: an .onnx model by its path, or a template.

    Args:
        name: the path of a model, or as for `load_template`.
        input_shape: as for `template_from_onnx`; templates say it themselves.

    Raises:
        ModelError: the model cannot be taken over.
        TemplateError, ShapeError: as `load_template`; or `input_shape` is given for a template.
    """
    if str(name).lower().endswith(".onnx"):
        return template_from_onnx(name, input_shape)
    if input_shape is not None:
        raise TemplateError(f"--input is for .onnx models: the template {name} has an input itself")
    return load_template(name)


def template_from_onnx(path: str | Path, input_shape: Shape | None = None) -> Template:
    """A template with the network of an ONNX model, named as its file.

    The image holds random numbers between 0 and 1: a model comes without one.

    Args:
        path: the model.
        input_shape: as for `from_onnx`.

    Raises:
        ModelError: as `from_onnx`.
    """
    from .onnx_reading import read_onnx

    read = read_onnx(path, input_shape)
    name = Path(path).stem
    if (cells := prod(read.input_shape)) > MOST_CELLS:
        raise ModelError(
            f"{path}: its input of shape {read.input_shape} has {cells:,} cells: expected at most "
            f"{MOST_CELLS:,}, as many as a workbook can have"
        )
    image = np.random.default_rng(0).random(read.input_shape)
    drawing = Drawing(worksheet=sheet_name_of_file(name))
    return Template(name, name, "", (TemplateNetwork(read.network, image, drawing),))
