"""Pictures of what a network has learned: its kernels, its answers, and where they are wrong.

Pixels, kernels and answers have the colours of the workbooks (`workbooks/LOOKS.md`): zero is
white, blue is below it and red above, right is green and wrong is orange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from ..layers.validation import numbers
from ..palette import (
    FRAME,
    GRID,
    INK,
    RIGHT,
    RIGHT_COUNTS,
    RIGHT_DIGITS,
    SIGNED,
    SLATE,
    SOFT,
    WRONG,
    WRONG_COUNTS,
    WRONG_DIGITS,
)
from .evaluation import Evaluation
from .plot_paper import bare, blank, colour_map, framed, look, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Numbers = NDArray[np.float64]

#: Of a wider layer the first kernels are drawn, and of a deeper one the first channels.
_MOST_KERNELS, _MOST_CHANNELS = 64, 4
#: A confusion matrix has numbers up to so many classes, and their names up to so many.
_WITH_NUMBERS, _WITH_NAMES = 26, 60


def confusion_plot(evaluation: Evaluation) -> Figure:
    """How many images of each class are said to be of each class.

    Green, darker for a larger share of the class, is right; orange, darker for more images,
    is wrong; white is none.

    Raises:
        TrainingError: the images have several labels, or matplotlib is missing.
    """
    counts = evaluation.confusion.to_numpy()
    size = len(counts)
    side = min(max(4.6, 0.55 * size + 2.2), 11.0)
    head = f"{evaluation.right.sum():,} of {len(evaluation):,} right ({evaluation.accuracy:.1%})"
    figure, (axes,) = blank(head, width=side + 0.6, height=side)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(size, dtype=bool)
    wrong = np.where(diagonal, 0, counts)
    cells = colour_map(WRONG_COUNTS)(wrong / max(wrong.max(), 1))
    cells[diagonal] = colour_map(RIGHT_COUNTS)(shares.diagonal())
    axes.imshow(cells, interpolation="nearest")
    axes.grid(False)
    axes.set_xticks(np.arange(1, size) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, size) - 0.5, minor=True)
    axes.grid(which="minor", color=FRAME, linewidth=0.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set(visible=True, color=FRAME)
    if size <= _WITH_NUMBERS:
        # Digits are about as wide as three fifths of their height.
        font = min(14.0, 65 * (side - 1.6) / size / max(len(f"{counts.max():,}"), 2))
        for row, column in np.argwhere(counts):
            colour = RIGHT_DIGITS if row == column else INK
            number = f"{counts[row, column]:,}"
            axes.text(column, row, number, ha="center", va="center", fontsize=font, color=colour)
    if size <= _WITH_NAMES:
        names = [plain(name) for name in evaluation.classes]
        fontsize = 12 if size <= 20 else 7
        # Names that are wider than their column stand upright.
        fits = max(map(len, names)) * 0.6 * fontsize < 72 * (side - 1.6) / size
        axes.set_xticks(range(size), names, rotation=0 if fits else 90, fontsize=fontsize)
        axes.set_yticks(range(size), names, fontsize=fontsize)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    axes.set_xlabel("predicted")
    axes.set_ylabel("actual")
    return figure


def per_class_plot(evaluation: Evaluation) -> Figure:
    """Precision and recall of each class, also where images have several labels.

    Raises:
        TrainingError: matplotlib is missing.
    """
    frame = evaluation.per_class
    figure, (axes,) = blank(
        "Precision and recall", height=min(max(3.6, 0.4 * len(frame) + 1.8), 14)
    )
    places = np.arange(len(frame))[::-1]
    axes.hlines(places, 0, 1, color=GRID, linewidth=1)
    axes.grid(False)
    for number, name in enumerate(["precision", "recall"]):
        colour, marker = look(number)
        axes.plot(frame[name], places, marker, color=colour, ms=11 - 3 * number, label=name)
    names = [
        f"{plain(name)}  ({images:,})"
        for name, images in zip(frame.index, frame["images"], strict=True)
    ]
    axes.set_yticks(places, names)
    low = np.floor(10 * np.nanmin(frame[["precision", "recall"]], initial=1.0)) / 10
    axes.set_xlim(min(low, 0.8) - 0.01, 1.01)
    axes.set_ylim(-0.6, len(frame) - 0.4)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.55, 1.0),
        ncols=2,
        frameon=False,
        fontsize=12,
        labelcolor=INK,
    )
    return figure


def kernels_plot(kernels: Numbers, before: Numbers | None = None) -> Figure:
    """The kernels of a layer: blue below zero, white zero, red above, all on one scale.

    Args:
        kernels: (out_channels, in_channels, height, width). Of more than 64 the first are
            drawn, and of more than 4 channels the first, one below the other.
        before: the same before training, drawn above. Default: none.

    Raises:
        TrainingError: these are no kernels, both differ in shape, or matplotlib is missing.
    """
    parts = {} if before is None else {"before training": _planes("kernels", before)}
    parts["" if before is None else "after training"] = _planes("kernels", kernels)
    shapes = [part.shape for part in parts.values()]
    if shapes[0] != shapes[-1]:
        raise TrainingError(
            f"kernels have shape {shapes[0]} before training and {shapes[-1]} after it: give those "
            "of one layer"
        )
    (count, channels), (height, width) = shapes[0][:2], shapes[0][2:]
    drawn, deep = min(count, _MOST_KERNELS), min(channels, _MOST_CHANNELS)
    what = "Kernels" if drawn == count else f"The first {drawn} of {count} kernels"
    what += "" if deep == channels else f", the first {deep} of {channels} channels"
    # Lines of equal length; between kernels half of one stays free, between lines one.
    across = -(-drawn // -(-drawn // 16))
    step_right, step_down = width + max(1, width // 4), height + max(1, height // 4)
    line = deep * step_down + (height // 2 if deep > 1 else 0)
    lines = -(-drawn // across)
    high = line * lines * 9.0 / (across * step_right)
    # High ones stand side by side, half as large.
    beside = len(parts) > 1 and high > 2.5
    figure, panels = blank(
        [f"{what} {head}".strip() for head in parts],
        columns=2 if beside else 1,
        rows=1 if beside else len(parts),
        height=max(2.2, high / 2 + 1.0 if beside else (high + 0.7) * len(parts)),
    )
    farthest = max(float(np.abs(part).max()) for part in parts.values()) or 1.0
    scale = colour_map(SIGNED)
    for axes, part in zip(panels, parts.values(), strict=True):
        for kernel, channel in np.ndindex(drawn, deep):
            left = kernel % across * step_right
            top = kernel // across * line + channel * step_down
            axes.imshow(
                part[kernel, channel],
                cmap=scale,
                vmin=-farthest,
                vmax=farthest,
                interpolation="nearest",
                extent=(left, left + width, top + height, top),
            )
            framed(axes, left, top, width, height)
        bare(axes)
        axes.set_xlim(-0.5, across * step_right)
        axes.set_ylim(line * lines, -0.5)
    bar = figure.colorbar(panels[0].images[0], ax=panels, shrink=0.8, aspect=25, pad=0.01)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=SOFT, labelsize=11, length=0)
    return figure


def worst_plot(evaluation: Evaluation, images: Numbers) -> Figure:
    """The images with the highest losses: what they are, what the network says, how surely.

    Args:
        evaluation: of all images.
        images: those of `evaluation.worst(count)` in its order, as many as are to be drawn:
            (count, height, width), or (count, channels, height, width) with 1 or 3 channels.

    Raises:
        TrainingError: these are no images, or more than were evaluated, or matplotlib is
            missing.
    """
    pictures = _planes("images", images)
    if pictures.shape[1] not in (1, 3) or not 0 < len(pictures) <= len(evaluation):
        raise TrainingError(
            f"images have shape {pictures.shape}: expected 1 to {len(evaluation)} of them, with 1 "
            "or 3 channels"
        )
    worst = evaluation.worst(len(pictures))
    longest = 24 if evaluation.is_multi_label else 18
    texts = [
        (
            f"says {plain(predicted, longest)} ({probability:.0%})",
            f"is {plain(label, longest)} ({label_probability:.1%})",
            f"{'right' if evaluation.right[image] else 'wrong'}, loss {loss:.2f}",
        )
        for image, loss, label, predicted, probability, label_probability in worst.itertuples()
    ]
    # So many characters stand side by side.
    columns = min(
        len(pictures), 5, max(1, 100 // max(len(text) for three in texts for text in three))
    )
    rows = -(-len(pictures) // columns)
    height = rows * (min(10 / columns, 2.2) + 0.55)
    figure, panels = blank([""] * len(pictures), columns=columns, rows=rows, height=height)
    for axes, picture, (says, truth, verdict) in zip(panels, pictures, texts, strict=True):
        bare(axes)
        axes.spines[:].set(visible=True, color=FRAME)
        low, high = picture.min(), picture.max()
        # Colours from 0 to 1 are as they are, normalised ones fill the scale.
        if len(picture) == 3 and (low < 0 or high > 1):
            picture = (picture - low) / ((high - low) or 1.0)
        drawn = picture.transpose(1, 2, 0) if len(picture) == 3 else picture[0]
        axes.imshow(drawn, cmap=colour_map(SLATE), interpolation="nearest")
        is_right = verdict.startswith("right")
        fill, ink = (RIGHT, RIGHT_DIGITS) if is_right else (WRONG, WRONG_DIGITS)
        axes.set_title(says, fontsize=12, color=ink, backgroundcolor=fill, loc="center")
        axes.set_xlabel(f"{truth}\n{verdict}", color=INK, fontsize=12)
    return figure


def _planes(what: str, value: Any) -> Numbers:
    """Kernels or images, with four dimensions.

    Raises:
        TrainingError: they are none, or not finite.
    """
    try:
        array = numbers(value)
    except ValueError as error:
        raise TrainingError(f"{what} are {error}") from None
    array = array[:, None] if array.ndim == 3 else array
    if array.ndim != 4 or not array.size or not np.isfinite(array).all():
        raise TrainingError(
            f"{what} have shape {array.shape}, or hold NaN: expected numbers of shape (count, "
            "channels, height, width)"
        )
    return array
