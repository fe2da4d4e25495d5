"""A training run as worksheets: every number in its cell, every sentence true, charts that fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
from openpyxl.worksheet.worksheet import Worksheet
from test_openxml_audit import findings
from test_report_pages import charts, points, scales, values

import sheetconv as sc
from sheetconv.errors import TrainingError
from sheetconv.palette import PIXELS, SIGNED, TINTS
from sheetconv.report_numbers import HeatMap, Images, Table
from sheetconv.report_pages import LineChart, ReportPage, Stack
from sheetconv.training.pages import MOST_BATCHES, TrainingReport, training_pages
from sheetconv.training.picture_pages import MOST_KERNELS, MOST_RECORDS

LAYERS = ("conv1", "conv2")
CLASSES = ("cat", "=dog", "ship")
ALL = ("training", "batches", "activations", "confusion", "learned", "worst")


def run(batches: int = 12, epochs: int = 3, records: int = 5, seed: int = 0) -> TrainingReport:
    """A run whose numbers are all different."""
    rng = np.random.default_rng(seed)
    loss = np.exp(-np.arange(batches) / batches) + rng.random(batches) / 10
    per_batch = pd.DataFrame(
        {
            "epoch": np.arange(batches) * epochs // batches + 1,
            "loss": loss,
            "smooth_loss": pd.Series(loss).ewm(alpha=0.02).mean(),
            "lr": rng.random(batches) * 1e-2,
            "momentum": rng.uniform(0.85, 0.95, batches),
        }
    ).rename_axis("batch")
    per_epoch = pd.DataFrame(
        {
            "train_loss": rng.random(epochs),
            "valid_loss": rng.random(epochs),
            "accuracy": rng.random(epochs),
            "seconds": rng.random(epochs) + 1,
        },
        index=pd.RangeIndex(1, epochs + 1, name="epoch"),
    )
    index = pd.MultiIndex.from_product([LAYERS, range(0, 2 * records, 2)], names=["layer", "batch"])
    statistics = rng.random((len(index), 3))
    bins = np.zeros((8, records))
    bins[1:6] = rng.random((5, records))
    confusion = pd.DataFrame([[90, 2, 0], [1, 80, 5], [3, 0, 70]], index=CLASSES, columns=CLASSES)
    worst = pd.DataFrame(
        {
            "loss": [7.5, 3.25],
            "label": ["cat", "=dog"],
            "predicted": ["ship", "cat"],
            "probability": [0.75, 0.5],
            "probability_of_label": [0.0005, 0.04],
        },
        index=pd.Index([412, 7], name="image"),
    )
    return TrainingReport(
        {"lr": 0.01, "nesterov": False, "momentum": (0.95, 0.85), "network": "=conv", "seed": 7,
         "versions": {"numpy": "2.4", "python": "3.11"}},
        per_batch,
        per_epoch,
        pd.DataFrame(statistics, index=index, columns=["mean", "std", "near_zero"]),
        dict.fromkeys(LAYERS, bins),
        np.linspace(-4, 4, 9),
        confusion,
        pd.DataFrame({"recall": [0.9, 0.8, 0.7], "count": [92, 86, 73]}, index=list(CLASSES)),
        pd.DataFrame({"actual": ["=dog"], "predicted": ["ship"], "count": [5]}),
        (rng.normal(size=(4, 1, 3, 3)), rng.normal(size=(4, 1, 3, 3))),
        worst,
        rng.random((2, 1, 6, 5)),
    )  # fmt: skip


def pages(report: TrainingReport) -> dict[str, ReportPage]:
    return {page.name: page for page in training_pages(report)}


def block(report: TrainingReport, page: str, kind: type[Any], number: int = 0) -> Any:
    return [item for item in pages(report)[page].each() if isinstance(item, kind)][number]


def titles(report: TrainingReport, page: str) -> list[str]:
    return [item.title for item in pages(report)[page].each() if isinstance(item, LineChart)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = sc.Sequential(sc.Conv2d(1, 1, 2), seed=1)
    path = tmp_path_factory.mktemp("training") / "book.xlsx"
    sc.build(network, path, image=np.eye(4), guides=True, pages=training_pages(run()))
    return path


def sheet(path: Path, name: str) -> Worksheet:
    found = openpyxl.load_workbook(path)[name]
    assert isinstance(found, Worksheet)
    return found


def found_at(page: Worksheet, text: str) -> tuple[int, int]:
    """Row and column of the only cell that says it."""
    ((row, column),) = [
        (cell.row, cell.column) for row in page.rows for cell in row if cell.value == text
    ]
    return row, column


def below(page: Worksheet, text: str, height: int, width: int, skip: int = 1) -> list[list[Any]]:
    """Some cells below the one that says something; those merged over several count once."""
    row, column = found_at(page, text)
    out = []
    for i in range(row + skip, row + skip + height):
        cells = [page.cell(i, j).value for j in range(column, column + width)]
        out.append(cells)
    return out


# --- In the workbook


def test_the_settings_and_epochs_of_the_run(built: Path) -> None:
    page = sheet(built, "training")
    assert below(page, "Settings", 7, 2) == [
        ["setting", "value"],
        ["lr", 0.01],
        ["nesterov", "no"],
        ["momentum", "0.95, 0.85"],
        ["network", "=conv"],
        ["seed", 7],
        ["versions", "numpy 2.4, python 3.11"],
    ]
    epochs = run().epochs
    head, *rows = below(page, "Epochs", 4, 5)
    assert head == ["epoch", *epochs.columns]
    assert rows == epochs.reset_index().to_numpy().tolist()
    row, column = found_at(page, "Epochs")
    formats = [page.cell(row + 2, column + i).number_format for i in range(5)]
    assert formats == ["General", "0.0000", "0.0000", "0.0%", "0.0"]


def test_the_charts_of_the_run_read_its_tables(built: Path) -> None:
    report = run()
    for title, frame, names in (
        ("Loss of every epoch", report.epochs, ["train_loss", "valid_loss"]),
        ("Accuracy of every epoch", report.epochs, ["accuracy"]),
        ("Loss of every batch", report.batches, ["loss", "smooth_loss"]),
        ("Learning rate and momentum", report.batches, ["lr", "momentum"]),
    ):
        found = points(built, title)
        assert list(found) == names
        for name, (x, y) in found.items():
            assert x == frame.index.tolist()
            assert y == frame[name].tolist()


def test_the_charts_of_the_activations_read_their_layer(built: Path) -> None:
    frame = run().activations
    assert frame is not None
    for title, column in (
        ("Mean of the activations", "mean"),
        ("Standard deviation of the activations", "std"),
        ("Share of activations near zero", "near_zero"),
    ):
        found = points(built, title)
        assert list(found) == list(LAYERS)
        for layer, (x, y) in found.items():
            own = frame.loc[layer]
            assert x == own.index.tolist()
            assert y == own[column].tolist()
            assert y != frame.loc["conv2" if layer == "conv1" else "conv1"][column].tolist()
    assert len(charts(built)) == 7


def test_batches_and_activations_come_back_as_frames(built: Path) -> None:
    report = run()
    tables = sc.read(built).tables
    assert list(tables) == list(ALL)
    pd.testing.assert_frame_equal(
        tables["batches"].set_index("batch"), report.batches, check_dtype=False,
        check_index_type=False, check_column_type=False,
    )  # fmt: skip
    page = sheet(built, "activations")
    assert report.activations is not None
    rows = below(page, "Activations", 10, 5, skip=2)
    assert rows == report.activations.reset_index().to_numpy().tolist()


def test_the_colour_dimensions_without_empty_bins(built: Path) -> None:
    page = sheet(built, "activations")
    expected = run().colour_dimensions["conv1"][1:6].round(3).tolist()
    row, column = found_at(page, "conv1: histogram of each batch")
    assert page.cell(row + 1, column + 1).value == "batch"
    # There is room for every third number of a batch.
    assert [page.cell(row + 2, column + 1 + i).value for i in range(5)] == [
        "0", None, None, "6", None,
    ]  # fmt: skip
    cells = [[page.cell(row + 3 + i, column + 1 + j).value for j in range(5)] for i in range(5)]
    assert cells == expected
    # Bins 2 to 6 of 8 from 4 down to -4: the second ends at 3.
    assert block(run(), "activations", HeatMap).rows == ["", "2", "", "0", ""]
    fine = replace(
        run(), colour_dimensions={"a": np.ones((80, 9))}, bin_edges=np.linspace(-10, 10, 81)
    )
    rows = block(fine, "activations", HeatMap).rows
    assert [name for name in rows if name] == [
        "10",
        "8",
        "6",
        "4",
        "2",
        "0",
        "-2",
        "-4",
        "-6",
        "-8",
    ]
    assert rows.index("0") == 40


def test_the_confusions_and_their_tables(built: Path) -> None:
    report, page = run(), sheet(built, "confusion")
    assert report.confusion is not None
    row, column = found_at(page, "label")
    assert [page.cell(row, column + 1 + j).value for j in range(3)] == list(CLASSES)
    for i, name in enumerate(CLASSES):
        cells = [page.cell(row + 1 + i, column + j).value for j in range(4)]
        assert cells == [name, *report.confusion.iloc[i].tolist()]
    assert below(page, "Classes", 4, 3) == [
        ["class", "recall", "count"], ["cat", 0.9, 92], ["=dog", 0.8, 86], ["ship", 0.7, 73],
    ]  # fmt: skip
    assert below(page, "Most often confused", 2, 3) == [
        ["actual", "predicted", "count"], ["=dog", "ship", 5],
    ]  # fmt: skip
    stops = [stop for _, stops, _ in scales(page) for stop in stops]
    assert stops == [("num", 0), ("formula", "90.0"), ("num", 0), ("formula", "5.0")]
    assert page["B3"].value == "240 of 251 are right: 95.6%."


def test_the_kernels_before_and_after(built: Path) -> None:
    report, page = run(), sheet(built, "learned")
    assert report.kernels is not None
    before, after = report.kernels
    for title, weights in (
        ("Before", before),
        ("After, with the same colours", after),
        ("Difference", after - before),
    ):
        row, column = found_at(page, title)
        for number, kernel in enumerate(weights[:, 0]):
            left = column + number * 5
            assert page.cell(row + 1, left).value == str(number)
            cells = [[page.cell(row + 2 + i, left + j).value for j in range(3)] for i in range(3)]
            assert cells == kernel.tolist()
    largest = max(np.abs(before).max(), np.abs(after).max())
    found = scales(page)
    assert [stops[-1] for _, stops, _ in found] == [
        ("formula", repr(float(value)))
        for value in (largest, largest, np.abs(after - before).max())
    ]
    assert [tuple(colours) for _, _, colours in found] == [SIGNED] * 3


def test_the_worst_images(built: Path) -> None:
    report, page = run(), sheet(built, "worst")
    assert report.worst_images is not None
    assert report.worst is not None
    row, column = found_at(page, "label cat: 0.1%")
    assert [page.cell(row + i, column).value for i in range(3)] == [
        "label cat: 0.1%", "predicted ship: 75.0%", "image 412, loss 7.5",
    ]  # fmt: skip
    _, second = found_at(page, "label =dog: 4.0%")
    for left, image in zip((column, second), report.worst_images, strict=True):
        cells = [[page.cell(row + 3 + i, left + j).value for j in range(5)] for i in range(6)]
        assert cells == image[0].tolist()
    row, _ = found_at(page, "The same in numbers")
    lines = [[cell.value for cell in page[row + i] if cell.value is not None] for i in range(1, 4)]
    assert lines == [
        ["image", *report.worst.columns],
        [412, *report.worst.iloc[0]],
        [7, *report.worst.iloc[1]],
    ]


def test_the_cover_speaks_of_each_page(built: Path) -> None:
    cover = sheet(built, "start")
    row, _ = found_at(cover, "Reports")
    listed = values(cover, f"B{row + 1}:D{row + len(ALL)}")
    assert [name for name, _, _ in listed] == list(ALL)
    assert all(about.endswith(".") for _, _, about in listed)


def test_the_workbook_is_right_and_excel_opens_it(built: Path) -> None:
    assert sc.check(built).ok
    assert findings(built) == []


# --- What is left out


@pytest.mark.parametrize(
    ("without", "left"),
    [
        ({}, ALL),
        ({"worst": None, "worst_images": None}, ALL[:5]),
        ({"kernels": None}, (*ALL[:4], "worst")),
        ({"confusion": None}, ALL),
        ({"confusion": None, "per_class": None, "most_confused": None}, (*ALL[:3], *ALL[4:])),
        ({"activations": None}, ALL),
        ({"activations": None, "colour_dimensions": {}}, (*ALL[:2], *ALL[3:])),
        ({"batches": run().batches.iloc[:0]}, (ALL[0], *ALL[2:])),
    ],
)
def test_pages_without_anything_are_left_out(
    without: dict[str, Any], left: tuple[str, ...], tmp_path: Path
) -> None:
    report = replace(run(), **without)
    assert tuple(pages(report)) == left
    network = sc.Sequential(sc.ReLU())
    path = tmp_path / "book.xlsx"
    built = sc.build(network, path, image=np.eye(2), pages=training_pages(report))
    assert built.worksheets[1:] == left


def test_parts_without_anything_are_left_out() -> None:
    report = run()
    assert titles(report, "training") == [
        "Loss of every epoch", "Loss of every batch", "Accuracy of every epoch",
        "Learning rate and momentum",
    ]  # fmt: skip
    bare = replace(
        report,
        batches=report.batches.drop(columns="momentum"),
        epochs=report.epochs[["train_loss"]],
    )
    assert titles(bare, "training") == [
        "Loss of every epoch", "Loss of every batch", "Learning rate",
    ]  # fmt: skip
    unknown = replace(report, batches=report.batches.assign(momentum=math.nan))
    assert titles(unknown, "training")[-1] == "Learning rate"
    assert [s.name for s in block(unknown, "training", LineChart, 3).series] == ["lr"]
    none = replace(report, epochs=report.epochs.iloc[:0], batches=report.batches.iloc[:0])
    assert titles(none, "training") == []
    assert pages(none)["training"].lines == ()
    nothing = replace(none, settings={})
    assert list(pages(nothing)["training"].each()) == []
    statistics = replace(report, colour_dimensions={})
    assert [type(item) for item in pages(statistics)["activations"].each()] == [
        LineChart, LineChart, LineChart, Table,
    ]  # fmt: skip


# --- Long runs


def test_long_runs_are_thinned_and_say_so() -> None:
    report = run(batches=4001, epochs=4, records=400)
    page = pages(report)["batches"]
    (table,) = page.each()
    assert isinstance(table, Table)
    assert len(table.frame) <= MOST_BATCHES
    assert table.frame.index[[0, 1, 2, -1]].tolist() == [0, 3, 6, 4000]
    assert page.lines == (
        "Every 3rd of 4,001 batches, and the last: all of them would be too many to draw.",
    )
    pd.testing.assert_frame_equal(table.frame, report.batches.loc[table.frame.index])
    statistics = block(report, "activations", Table)
    assert statistics.notes == ("Every 3rd of 400 records, and the last.",)
    own = statistics.frame.loc["conv2"]
    assert len(own) <= MOST_RECORDS
    assert own.index[[0, 1, -1]].tolist() == [0, 6, 798]
    heat_map = block(report, "activations", HeatMap)
    assert heat_map.values.shape == (5, len(own))
    kept = own.index.to_numpy() // 2
    np.testing.assert_array_equal(
        heat_map.values, report.colour_dimensions["conv1"][1:6, kept].round(3)
    )
    named = {name for name in heat_map.columns if name}
    assert named <= {f"{number:,}" for number in own.index}
    assert len(named) > 3
    short = pages(run(batches=MOST_BATCHES))["batches"]
    assert short.lines == ()
    assert len(next(iter(short.each())).frame) == MOST_BATCHES  # type: ignore[union-attr]


def test_thinned_charts_have_as_many_points_as_rows(tmp_path: Path) -> None:
    report = run(batches=2500, epochs=5, records=301)
    path = tmp_path / "long.xlsx"
    built = sc.build(sc.Sequential(sc.ReLU()), path, image=np.eye(2), pages=training_pages(report))
    x, y = points(built.path, "Loss of every batch")["loss"]
    assert x == [*range(0, 2500, 2), 2499]
    assert y == report.batches["loss"].iloc[x].tolist()
    x, y = points(built.path, "Share of activations near zero")["conv2"]
    assert report.activations is not None
    assert y == report.activations.loc["conv2"]["near_zero"].loc[x].tolist()
    assert len(x) == 101


# --- Words


def test_the_run_in_a_sentence() -> None:
    report = run()
    epochs = report.epochs.assign(
        train_loss=[0.5, 0.25, 0.125], valid_loss=[0.3, 0.2, 0.25], accuracy=[0.5, 0.75, 0.875],
        seconds=[20.0, 20.0, 25.0],
    )  # fmt: skip
    assert pages(replace(report, epochs=epochs))["training"].lines == (
        "After 3 epochs and 12 batches in 1 min 5 s: train_loss 0.125, valid_loss 0.25, "
        "accuracy 87.5%.",
        "The lowest valid_loss was 0.2, after epoch 2.",
    )


def test_a_run_that_went_wrong_says_where() -> None:
    report = run()
    losses = report.batches["loss"].to_numpy().copy()
    losses[5:] = math.nan
    losses[4] = math.inf
    lost = replace(report, batches=report.batches.assign(loss=losses))
    assert pages(lost)["training"].lines[-1] == (
        "The loss was no finite number in 8 batches, first in batch 4: a smaller learning rate "
        "may help."
    )
    assert not any("finite" in line for line in pages(report)["training"].lines)
    epochs = report.epochs.assign(valid_loss=[math.nan, math.inf, 0.5])
    lines = pages(replace(report, epochs=epochs))["training"].lines
    assert "The lowest valid_loss was 0.5, after epoch 3." in lines


# --- Pictures


def test_images_of_colours_and_of_both_signs() -> None:
    report = run()
    assert block(report, "worst", Images).colours == PIXELS
    rgb = replace(report, worst_images=np.random.default_rng(1).random((2, 3, 4, 4)))
    assert block(rgb, "worst", Images).colours == tuple(TINTS.values())
    signed = replace(report, worst_images=np.random.default_rng(1).normal(size=(2, 3, 4, 4)))
    assert block(signed, "worst", Images).colours == SIGNED


def test_no_more_images_and_kernels_than_are_seen_at_once() -> None:
    report = run()
    assert report.worst is not None
    many = pd.concat([report.worst] * 30)
    images = np.random.default_rng(1).random((60, 1, 8, 8))
    page = pages(replace(report, worst=many, worst_images=images))["worst"]
    assert page.lines == ("The first 36 of 60 images.",)
    shown, table = page.each()
    assert isinstance(shown, Images)
    assert isinstance(table, Table)
    np.testing.assert_array_equal(shown.values, images[:36])
    assert len(table.frame) == 60
    kernels = (np.zeros((96, 3, 11, 11)), np.ones((96, 3, 11, 11)))
    page = pages(replace(report, kernels=kernels))["learned"]
    assert "The first 21 of 96 kernels." in page.lines
    assert all(
        item.values.shape == (MOST_KERNELS // 3, 3, 11, 11)
        for item in page.each()
        if isinstance(item, Images)
    )


def test_many_classes_show_no_numbers_and_very_many_no_heat_map() -> None:
    def confusion(count: int) -> pd.DataFrame:
        names = [f"class {i}" for i in range(count)]
        return pd.DataFrame(np.eye(count, dtype=int) * 9, index=names, columns=names)

    assert block(run(), "confusion", HeatMap).number_format == '#,##0;-#,##0;"·"'
    assert block(replace(run(), confusion=confusion(40)), "confusion", HeatMap).cell == (15, 15)
    page = pages(replace(run(), confusion=confusion(101)))["confusion"]
    assert page.lines[-1] == "There are 101 classes: the heat map shows at most 100."
    assert {type(item) for item in page.each()} == {Table}


def test_shares_of_a_confusion_are_shown_as_such() -> None:
    report = run()
    assert report.confusion is not None
    shares = report.confusion / report.confusion.to_numpy().sum()
    page = pages(replace(report, confusion=shares))["confusion"]
    assert not page.lines[0].startswith("1 of 1")
    assert block(replace(report, confusion=shares), "confusion", HeatMap).number_format.startswith(
        "0.00;"
    )


def test_layers_keep_their_order() -> None:
    report = run()
    assert report.activations is not None
    turned = report.activations.loc[["conv2", "conv1"]]
    names = [series.name for series in block(replace(report, activations=turned), "activations",
                                             LineChart).series]  # fmt: skip
    assert names == ["conv2", "conv1"]
    table = block(replace(report, activations=turned), "activations", Table)
    pd.testing.assert_frame_equal(table.frame, turned)


def test_an_index_without_a_meaning_is_left_out() -> None:
    report = run()
    assert report.most_confused is not None
    pairs = replace(report, most_confused=report.most_confused.set_axis([17]))
    tables = [item for item in pages(pairs)["confusion"].each() if isinstance(item, Table)]
    assert [table.columns for table in tables] == [
        ("class", "recall", "count"), ("actual", "predicted", "count"),
    ]  # fmt: skip


def test_charts_and_heat_maps_stand_side_by_side() -> None:
    (band, table) = pages(run())["activations"].bands()
    assert [type(item) for item in band] == [Stack, Stack]
    assert [type(item) for item in table] == [Table]


# --- Refusals


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: {"batches": r.batches.drop(columns="lr")}, "batches has no column 'lr'"),
        (lambda r: {"epochs": r.epochs.rename(columns={"train_loss": "trainloss"})},
         "epochs has no column 'train_loss': did you mean trainloss"),
        (lambda r: {"batches": [1.0]}, r"batches is \[1.0\]: expected a pandas DataFrame"),
        (lambda r: {"activations": r.activations.drop(columns="std")}, "activations has no column"),
        (lambda r: {"activations": r.activations.reset_index()}, r"expected \(layer, batch\)"),
        (lambda r: {"colour_dimensions": {"conv1": np.ones((7, 5))}},
         r"colour_dimensions of conv1 has shape \(7, 5\): expected \(8, batches\)"),
        (lambda r: {"colour_dimensions": {"conv1": np.ones(5)}, "bin_edges": None},
         r"expected \(bins, batches\)"),
        (lambda r: {"confusion": r.confusion.iloc[:2]}, "expected as many rows as columns"),
        (lambda r: {"kernels": (r.kernels[0], r.kernels[1][:2])}, "expected twice"),
        (lambda r: {"worst": r.worst.drop(columns="label")}, "worst has no column 'label'"),
        (lambda r: {"worst_images": r.worst_images[:1]}, r"expected \(2, C, H, W\)"),
        (lambda r: {"worst": None}, r"worst_images has shape .* expected \(0, C, H, W\)"),
    ],
)  # fmt: skip
def test_reports_that_do_not_fit_are_refused_in_one_line(
    change: Callable[[TrainingReport], dict[str, Any]], says: str
) -> None:
    report = run()
    with pytest.raises(TrainingError, match=says) as caught:
        replace(report, **change(report))
    assert "\n" not in str(caught.value)
