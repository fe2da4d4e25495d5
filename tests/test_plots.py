"""Pictures of a training run: what is drawn, with which colours, and how files are written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from sheetconv.errors import SheetconvError, TrainingError, WorkbookError
from sheetconv.palette import SIGNED
from sheetconv.training import plot_paper, plots
from sheetconv.training.evaluation import Evaluation
from sheetconv.training.history import History

LAYERS = ("conv1", "relu1")


def run(
    epochs: int = 2, layers: tuple[str, ...] = LAYERS, metrics: tuple[str, ...] = ("f1", "top-2")
) -> History:
    """A short run, eight batches an epoch."""
    history, rng = History(), np.random.default_rng(0)
    for batch in range(8 * epochs):
        epoch = 1 + batch // 8
        history.record_batch(epoch, 2.0 / (batch + 1), lr=0.01 * (batch + 1), momentum=0.9)
        for layer in layers:
            counts = rng.integers(0, 50, 80) * (np.arange(80) >= (40 if layer == "relu1" else 30))
            history.record_activations(layer, batch, 0.1, 1.0, 0.5, counts)
        if batch % 8 == 7:
            values = dict.fromkeys(metrics, 0.5 + 0.1 * epoch)
            history.record_epoch(epoch, 0.5 / epoch, 0.6 / epoch, values, 1.0)
    return history


def answers(classes: tuple[str, ...] = ("cat", "dog", "eel")) -> Evaluation:
    """Ten images, seven of them right."""
    size = len(classes)
    labels = np.arange(10) % size
    said = np.where(np.arange(10) < 7, labels, (labels + 1) % size)
    p = np.full((10, size), 0.2 / (size - 1))
    p[np.arange(10), said] = 0.8
    return Evaluation(p, -np.log(p[np.arange(10), labels]), labels, list(classes))


def several() -> Evaluation:
    """Two images of several labels."""
    return Evaluation([[0.9, 0.2], [0.6, 0.6]], [0.1, 0.9], [[1, 0], [0, 1]], ["a", "b"])


def texts(figure: Figure) -> str:
    """Everything that is written within the panels, and their titles and labels."""
    found = []
    for axes in figure.axes:
        found += [axes.get_title(loc) for loc in ("left", "center")]
        found += [axes.get_xlabel(), axes.get_ylabel()]
        found += [text.get_text() for text in axes.texts]
        found += [text.get_text() for text in axes.get_yticklabels()]
    return "\n".join(found)


# --- Every figure

KERNELS = np.random.default_rng(1).normal(size=(6, 1, 3, 3))
FIGURES: dict[str, Callable[[], Figure]] = {
    "loss": lambda: plots.loss_plot(run()),
    "metrics": lambda: plots.metrics_plot(run()),
    "schedule": lambda: plots.schedule_plot(run()),
    "learning rates": lambda: plots.lr_plot(run(), 0.03),
    "activations": lambda: plots.activations_plot(run()),
    "colour dimension": lambda: plots.colour_dimension_plot(run()),
    "confusion": lambda: plots.confusion_plot(answers()),
    "classes": lambda: plots.per_class_plot(several()),
    "kernels": lambda: plots.kernels_plot(KERNELS, KERNELS / 2),
    "worst": lambda: plots.worst_plot(answers(), np.random.default_rng(2).random((4, 9, 9))),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_notebook_shows_every_figure(name: str) -> None:
    figure = FIGURES[name]()
    content = figure._repr_png_()
    image = np.asarray(Image.open(BytesIO(content)).convert("RGB"))
    assert image.shape[1] >= 700
    # White paper with something on it, and a margin that nothing is cut off at.
    assert (image[0] == 255).all()
    assert (image[:, 0] == 255).all()
    assert (image[:, -1] == 255).all()
    assert 0.005 < (image != 255).any(axis=-1).mean() < 0.9
    assert FIGURES[name]()._repr_png_() == content


@pytest.mark.parametrize("name", FIGURES)
def test_without_matplotlib_the_command_is_said(name: str, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    plot_paper._figure_class.cache_clear()
    with pytest.raises(TrainingError, match=r"python -m pip install 'sheetconv\[plots\]'"):
        FIGURES[name]()


def test_nothing_is_imported_before_it_is_needed_and_pyplot_never() -> None:
    code = """
import sys
from sheetconv.training import plots
from sheetconv.training.history import History
assert "matplotlib" not in sys.modules
assert "pandas" not in sys.modules
history = History()
history.record_batch(1, 2.0, lr=0.1)
plots.loss_plot(history)._repr_png_()
assert "matplotlib.figure" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("odd", ["$a$ and $b", "犬\n猫", "_x", "a" * 300, "%s {x}", r"\frac"])
def test_names_are_drawn_as_they_are(odd: str) -> None:
    history = run(1, (odd, "relu1"), (odd,))
    for figure in (
        plots.metrics_plot(history),
        plots.activations_plot(history),
        plots.colour_dimension_plot(history),
        plots.lr_plot(history, {odd: 0.02}),
        plots.confusion_plot(answers((odd, "dog", "eel"))),
        plots.per_class_plot(answers((odd, "dog", "eel"))),
        plots.worst_plot(answers((odd, "dog", "eel")), np.zeros((3, 4, 4))),
    ):
        figure._repr_png_()
        written = texts(figure)
        assert " ".join(odd.split())[:15].replace("$", r"\$") in written
        assert "a" * 30 not in written


# --- How training went


def test_the_loss_is_drawn_of_batches_and_at_the_ends_of_epochs() -> None:
    history = run(3)
    (axes,) = plots.loss_plot(history).axes
    raw, smooth, valid = axes.get_lines()
    assert raw.get_ydata().tolist() == history.batches["loss"].tolist()
    assert smooth.get_ydata().tolist() == history.batches["smooth_loss"].tolist()
    assert valid.get_xdata().tolist() == [7, 15, 23]
    assert valid.get_ydata().tolist() == history.epochs["valid_loss"].tolist()
    written = "\n".join(text.get_text() for text in axes.texts)
    assert "validation  0.2" in written
    assert f"training, smoothed  {history.smooth_loss:.3g}" in written


def test_losses_that_are_lost_are_left_out() -> None:
    history = History()
    for loss in (1.0, 2.0, np.nan, np.inf):
        history.record_batch(1, loss, lr=0.1)
    history.record_epoch(1, np.nan, np.nan, {"f1": np.nan}, 1.0)
    for plot in (plots.loss_plot, plots.metrics_plot, plots.lr_plot, plots.schedule_plot):
        plot(history)._repr_png_()
    lost = History()
    lost.record_batch(1, np.nan, lr=0.1)
    plots.lr_plot(lost, 0.1)._repr_png_()
    (axes,) = plots.loss_plot(history).axes
    assert "validation" not in "".join(text.get_text() for text in axes.texts)
    assert np.isfinite(axes.get_ylim()).all()


def test_one_wild_batch_does_not_flatten_the_rest() -> None:
    history = run(4)
    history.record_batch(5, 1e6)
    top = plots.loss_plot(history).axes[0].get_ylim()[1]
    assert history.batches["smooth_loss"].max() <= top < 1e6


def test_metrics_have_a_line_and_a_marker_each() -> None:
    history = run(2, metrics=("accuracy", "f1", "top-2"))
    (axes,) = plots.metrics_plot(history).axes
    looks = {(line.get_color(), line.get_marker()) for line in axes.get_lines()}
    assert len(looks) == 3
    assert [line.get_xdata().tolist() for line in axes.get_lines()] == [[1, 2]] * 3
    assert "top-2  0.7" in texts(axes.figure)


def test_a_schedule_without_momentum_has_one_panel() -> None:
    assert len(plots.schedule_plot(run()).axes) == 2
    history = History()
    history.record_batch(1, 1.0, lr=0.1, momentum=None)
    assert len(plots.schedule_plot(history).axes) == 1


def test_suggestions_stand_on_the_curve() -> None:
    history = run()
    figure = plots.lr_plot(history, {"valley": 0.03, "steep": 0.05})
    (axes,) = figure.axes
    marks = [line for line in axes.get_lines() if line.get_marker() not in ("None", "")]
    for mark, rate, batch in zip(marks, (0.03, 0.05), (2, 4), strict=True):
        assert mark.get_xdata() == pytest.approx([rate])
        assert mark.get_ydata() == pytest.approx([history.batches["smooth_loss"][batch]])
    assert "valley: 0.03" in texts(figure)
    assert "steep: 0.05" in texts(figure)
    assert axes.get_xscale() == "log"
    assert len(plots.lr_plot(history).axes[0].get_lines()) == 1


def test_where_the_loss_explodes_the_curve_leaves_the_picture() -> None:
    history = History()
    for batch, loss in enumerate([2, 2, 1, 0.5, 1, 50, 5000, 9e9]):
        history.record_batch(1, loss, lr=10.0 ** (batch - 6))
    (axes,) = plots.lr_plot(history).axes
    assert axes.get_ylim()[1] < 10
    assert axes.get_xlim()[1] < 1


def test_each_layer_is_drawn_in_all_three_panels() -> None:
    figure = plots.activations_plot(run())
    assert [axes.get_title("left") for axes in figure.axes] == [
        "Mean", "Standard deviation", "Share near zero",
    ]  # fmt: skip
    assert [len(axes.get_lines()) for axes in figure.axes] == [2, 2, 2]
    colours = [line.get_color() for line in figure.axes[0].get_lines()]
    assert len(set(colours)) == 2
    assert "conv1  0.5" in texts(figure)


def test_the_colour_dimension_is_white_where_nothing_is() -> None:
    history = run()
    figure = plots.colour_dimension_plot(history)
    assert [axes.get_title("left") for axes in figure.axes] == list(LAYERS)
    for axes, layer in zip(figure.axes, LAYERS, strict=True):
        (image,) = axes.images
        whole = history.colour_dimension(layer)
        drawn = np.asarray(image.get_array())
        assert to_hex(image.cmap(image.norm(0.0))) == "#ffffff"
        assert drawn.shape[1] == whole.shape[1]
        # Highest bins first, and nothing but empty ones cut off.
        assert drawn.sum() == pytest.approx(whole.to_numpy().sum())
        assert np.array_equal(drawn[0], whole.to_numpy()[0])
    low, high = figure.axes[1].get_ylim()
    assert (low, high) == (-0.25, 10)


# --- What came of it


def test_a_confusion_matrix_has_its_numbers_and_zero_is_white() -> None:
    evaluation = answers()
    figure = plots.confusion_plot(evaluation)
    (axes,) = figure.axes
    counts = evaluation.confusion.to_numpy()
    written = {
        (round(text.get_position()[1]), round(text.get_position()[0])): int(text.get_text())
        for text in axes.texts
    }
    assert written == {(row, column): counts[row, column] for row, column in np.argwhere(counts)}
    cells = np.asarray(axes.images[0].get_array())[..., :3]
    is_white = (cells == 1).all(axis=-1)
    assert np.array_equal(is_white, counts == 0)
    right, wrong = cells[0, 0], cells[0, 1]
    assert right[1] == right.max()
    assert wrong[0] == wrong.max()
    assert "7 of 10 right (70.0%)" in texts(figure)


@pytest.mark.parametrize(
    ("size", "numbers", "names"), [(26, True, True), (40, False, True), (61, False, False)]
)
def test_many_classes_are_drawn_without_what_cannot_be_read(
    size: int, numbers: bool, names: bool
) -> None:
    labels = np.arange(size)
    evaluation = Evaluation(np.eye(size), np.zeros(size), labels, [f"class {n}" for n in labels])
    figure = plots.confusion_plot(evaluation)
    assert bool(figure.axes[0].texts) == numbers
    assert ("class 0" in texts(figure)) == names


def test_precision_and_recall_stand_beside_their_class() -> None:
    evaluation = several()
    (axes,) = plots.per_class_plot(evaluation).axes
    precision, recall = axes.get_lines()
    assert precision.get_xdata().tolist() == evaluation.per_class["precision"].tolist()
    assert recall.get_xdata().tolist() == evaluation.per_class["recall"].tolist()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a  (1)", "b  (1)"]
    assert precision.get_ydata().tolist() == axes.get_yticks().tolist()


def test_kernels_share_one_scale_whose_zero_is_white() -> None:
    before, after = 0.1 * KERNELS, KERNELS.copy()
    after[0, 0] = 0
    figure = plots.kernels_plot(after, before)
    panels = figure.axes[:2]
    assert [axes.get_title("left") for axes in panels] == [
        "Kernels before training", "Kernels after training",
    ]  # fmt: skip
    assert [len(axes.images) for axes in panels] == [6, 6]
    for axes, kernels in zip(panels, (before, after), strict=True):
        for image, kernel in zip(axes.images, kernels, strict=True):
            assert np.array_equal(np.asarray(image.get_array()), kernel[0])
            assert image.norm.vmax == -image.norm.vmin == np.abs(after).max()
            assert to_hex(image.cmap(image.norm(0.0))) == "#ffffff"
    assert to_hex(panels[0].images[0].cmap(1.0)) == SIGNED[-1].lower()


@pytest.mark.parametrize(
    ("shape", "drawn", "title"),
    [
        ((1, 1, 1, 1), 1, "Kernels"),
        ((4, 3, 5, 2), 12, "Kernels"),
        ((17, 1, 3, 3), 17, "Kernels"),
        ((80, 2, 2, 2), 128, "The first 64 of 80 kernels"),
        ((2, 9, 2, 2), 8, "Kernels, the first 4 of 9 channels"),
    ],
)
def test_kernels_stand_apart_whatever_their_number(
    shape: tuple[int, ...], drawn: int, title: str
) -> None:
    axes = plots.kernels_plot(np.ones(shape)).axes[0]
    assert axes.get_title("left") == title
    assert len(axes.images) == drawn
    boxes = sorted(image.get_extent() for image in axes.images)
    assert len({box[:1] + box[2:] for box in map(tuple, boxes)}) == drawn
    right, bottom = axes.get_xlim()[1], axes.get_ylim()[0]
    for left, end, foot, head in boxes:
        assert (end - left, foot - head) == (shape[3], shape[2])
        assert end <= right
        assert foot <= bottom


def test_the_worst_say_what_they_are_and_what_was_said() -> None:
    figure = plots.worst_plot(answers(), np.zeros((5, 1, 3, 3)))
    assert len(figure.axes) == 5
    first = figure.axes[0]
    assert first.get_title("center") == "says eel (80%)"
    assert first.get_xlabel() == "is dog (10.0%)\nwrong, loss 2.30"
    assert figure.axes[4].get_xlabel() == "is dog (80.0%)\nright, loss 0.22"
    fills = [axes.title.get_bbox_patch().get_facecolor() for axes in figure.axes]
    assert len(set(fills[:3])) == len(set(fills[3:])) == 1
    assert fills[0] != fills[4]


def test_colours_of_pictures_stay_and_normalised_ones_fill_the_scale() -> None:
    picture = np.linspace(0.2, 0.6, 27).reshape(1, 3, 3, 3)
    (kept,) = plots.worst_plot(answers(), picture).axes[0].images
    np.testing.assert_allclose(np.asarray(kept.get_array()), picture[0].transpose(1, 2, 0))
    (filled,) = plots.worst_plot(answers(), 10 * picture - 4).axes[0].images
    assert (filled.get_array().min(), filled.get_array().max()) == (0, 1)


# --- What cannot be drawn

NOTHING = History()


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        (lambda: plots.loss_plot(NOTHING), "no batches were recorded"),
        (lambda: plots.metrics_plot(run(1, (), ())), "no metrics were recorded"),
        (lambda: plots.schedule_plot(NOTHING), "no batches were recorded"),
        (lambda: plots.lr_plot(NOTHING), "no batches were recorded"),
        (lambda: plots.lr_plot(run(), -1), "suggestion is -1: expected a number above 0"),
        (lambda: plots.lr_plot(run(), {"valley": "x"}), "valley is 'x'"),
        (lambda: plots.activations_plot(run(1, ())), "no activations were recorded"),
        (lambda: plots.colour_dimension_plot(run(1, ())), "no histograms were recorded"),
        (lambda: plots.confusion_plot(several()), "a confusion matrix is for images of one label"),
        (lambda: plots.kernels_plot(np.ones((2, 2))), r"kernels have shape \(2, 2\)"),
        (lambda: plots.kernels_plot([["a"]]), "kernels are not an array of numbers"),
        (lambda: plots.kernels_plot(np.full((1, 1, 2, 2), np.nan)), "or hold NaN"),
        (
            lambda: plots.kernels_plot(np.ones((2, 1, 3, 3)), np.ones((2, 1, 5, 5))),
            r"shape \(2, 1, 5, 5\) before training and \(2, 1, 3, 3\) after it",
        ),
        (lambda: plots.worst_plot(answers(), np.ones((11, 4, 4))), "expected 1 to 10 of them"),
        (lambda: plots.worst_plot(answers(), np.ones((2, 2, 4, 4))), "with 1 or 3 channels"),
        (lambda: plots.save_plots(NOTHING, None, "x"), "there is nothing to draw"),
    ],
)
def test_what_cannot_be_drawn_says_why(plot: Callable[[], Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        plot()
    assert "\n" not in str(caught.value)


def test_a_run_without_learning_rates_has_no_schedule() -> None:
    history = History()
    history.record_batch(1, 1.0)
    for plot in (plots.schedule_plot, plots.lr_plot):
        with pytest.raises(TrainingError, match="no learning rates were recorded"):
            plot(history)


# --- Files

ALL = [
    "loss", "metrics", "schedule", "activations", "colour-dimension", "kernels", "confusion",
    "classes", "worst",
]  # fmt: skip


def is_picture(path: Path) -> bool:
    """Whether a file is a .png that can be read to its end."""
    with Image.open(path) as image:
        image.load()
        return image.format == "PNG" and min(image.size) > 200


def test_everything_is_written_into_a_folder(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((4, 1, 8, 8))
    paths = plots.save_plots(run(), answers(), tmp_path, KERNELS, 2 * KERNELS, images)
    assert paths == [tmp_path / f"{name}.png" for name in ALL]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert all(map(is_picture, paths))


def test_only_what_there_is_gets_drawn_and_names_may_begin_alike(tmp_path: Path) -> None:
    history = History()
    history.record_batch(1, 1.0, lr=None)
    paths = plots.save_plots(history, several(), str(tmp_path / "shapes.v1"))
    assert [path.name for path in paths] == ["shapes.v1-loss.png", "shapes.v1-classes.png"]


def test_no_file_is_replaced_or_left_half_written(tmp_path: Path) -> None:
    history = run(1, (), ())
    (tmp_path / "schedule.png").write_bytes(b"mine")
    with pytest.raises(WorkbookError, match=r"schedule\.png exists already"):
        plots.save_plots(history, None, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["schedule.png"]
    # The last picture cannot be drawn: none is written.
    with pytest.raises(TrainingError, match="images have shape"):
        plots.save_plots(
            history, answers(), tmp_path, worst_images=np.ones((2, 2, 3, 3)), force=True
        )
    assert [path.name for path in tmp_path.iterdir()] == ["schedule.png"]
    assert (tmp_path / "schedule.png").read_bytes() == b"mine"
    plots.save_plots(history, None, tmp_path, force=True)
    assert is_picture(tmp_path / "schedule.png")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("loss.jpg", "ends in .png"),
        ("no/such/loss.png", "does not exist"),
        (".png", "ends in .png"),
    ],
)
def test_a_figure_has_a_file_that_can_be(name: str, message: str, tmp_path: Path) -> None:
    figure = plots.loss_plot(run(1, (), ()))
    with pytest.raises(SheetconvError, match=message):
        plots.save_figure(figure, tmp_path / name)
    plots.save_figure(figure, tmp_path / "loss.PNG")
    assert is_picture(tmp_path / "loss.PNG")
    with pytest.raises(WorkbookError, match="exists already"):
        plots.save_figure(figure, tmp_path / "loss.PNG")
    plots.save_figure(figure, tmp_path / "loss.PNG", force=True)


# --- Names at the ends of lines


@pytest.mark.parametrize(
    "heights",
    [[0.5], [0.1, 0.9], [0.5, 0.5], [0, 0, 0], [1, 0.99, 0.2, 0.21, 0.22], [0.3] * 40, []],
)
def test_names_are_moved_apart_in_their_order(heights: list[float]) -> None:
    placed = plot_paper._spread(heights)
    apart = min(plot_paper._APART, 1 / max(len(heights), 1))
    order = sorted(range(len(heights)), key=lambda at: (heights[at], at))
    assert all(placed[b] - placed[a] > apart - 1e-9 for a, b in pairwise(order))
    assert all(-1e-9 < place < 1 + 1e-9 for place in placed)
    # What is far enough apart stays where it is.
    if all(heights[b] - heights[a] > apart for a, b in pairwise(order)):
        assert placed == pytest.approx(heights)
