"""The user's own image and weights in the place of a template's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .batches import batch_of
from .data_files import require_file
from .errors import ImageError, ShapeError
from .images import load_image
from .network import Sequential
from .template import Template, TemplateNetwork
from .weights import load_weights

#: Files of numbers, which are taken as they are.
_NUMBERS = (".npy", ".csv")


def with_images(template: Template, paths: Sequence[Path], invert: bool | None = None) -> Template:
    """A template with images of the user's own, the same in each of its networks.

    Args:
        template: the template; each network's `pixels` say what pixels become.
        paths: as for `load_image`; several are stacked, the batch first.
        invert: whether dark and light are swapped, whatever the template says. Default:
            as the template says.

    Raises:
        ImageError: a file cannot be used, or a network cannot take it; the worksheet is
            named. Or `invert` is given for a file of numbers.
    """
    for path in paths:
        require_file(path, ImageError)
        if invert is not None and path.suffix.lower() in _NUMBERS:
            raise ImageError(
                f"{path} holds numbers, which are taken as they are: --invert and --no-invert "
                "are for pictures"
            )
    return replace(
        template,
        networks=tuple(_with_images(item, paths, invert) for item in template.networks),
    )


def _with_images(
    item: TemplateNetwork, paths: Sequence[Path], invert: bool | None
) -> TemplateNetwork:
    pixels = item.pixels if invert is None else replace(item.pixels, invert=invert)
    # The template's own may be several images.
    _, shape = batch_of(item.network, item.image.shape)
    try:
        images = [load_image(path, shape, pixels) for path in paths]
    except ImageError as error:
        raise ImageError(f"worksheet {item.drawing.worksheet!r}: {error}") from None
    guides = replace(item.guides, image_name=paths[0].stem)
    return replace(item, image=images[0] if len(images) == 1 else np.stack(images), guides=guides)


def with_classes(template: Template, names: Sequence[str]) -> Template:
    """A template whose outputs have names of the user's own, the same in each network.

    Args:
        template: the template.
        names: in the order of the outputs.

    Raises:
        ShapeError: a name is empty or stands twice, or there are not as many as outputs.
    """
    if not all(names) or len(set(names)) < len(names):
        raise ShapeError(
            f"--classes has a name that is empty or stands twice: {', '.join(map(repr, names))}"
        )
    changed = []
    for item in template.networks:
        _, shape = batch_of(item.network, item.image.shape)
        *_, out = item.network.shapes(shape).values()
        if out != (len(names),):
            raise ShapeError(
                f"--classes has {len(names)} names, and the output of worksheet "
                f"{item.drawing.worksheet!r} has the shape {out}: expected one name for each "
                "output of a dense layer or a softmax"
            )
        changed.append(replace(item, drawing=replace(item.drawing, classes=tuple(names))))
    return replace(template, networks=tuple(changed))


def batch_changes(before: Template, after: Template) -> list[str]:
    """A line for each network whose number of images is another than its template's."""
    lines = []
    for old, new in zip(before.networks, after.networks, strict=True):
        was, _ = batch_of(old.network, old.image.shape)
        count, _ = batch_of(new.network, new.image.shape)
        if count != was:
            lines.append(
                f"{new.drawing.worksheet}: {_images(count)} of your own, in place of the "
                f"template's {was}: its batch is {count}"
            )
    return lines


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def load_into(template: Template, path: Path) -> None:
    """Load weights of the user's own into each of a template's networks, or into none.

    Args:
        template: the template.
        path: as for `load_weights`.

    Raises:
        WeightsError: the file cannot be used.
        ShapeError: the weights do not fit a network; its worksheet is named.
    """
    matched = [
        (item.network, _matched(item.network, path, item.drawing.worksheet))
        for item in template.networks
    ]
    for network, state in matched:
        network.load_state_dict(state)


def _matched(network: Sequential, path: Path, worksheet: str) -> dict[str, np.ndarray]:
    try:
        return load_weights(path, network)
    except ShapeError as error:
        raise ShapeError(f"worksheet {worksheet!r}: {error}") from None
