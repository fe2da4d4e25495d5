"""What a cell costs, at 10,000 to 1,000,000 of them: sheetconv beside XlsxWriter and openpyxl.

The peers write the same formulas, on the same worksheets, in the ways in which they need
least memory: XlsxWriter's `constant_memory`, openpyxl's `write_only`. XlsxWriter writes the
same values and one number format, openpyxl cannot write values beside formulas. sheetconv's
file has formats and colour scales, too. Each runs in a process of its own, so that its peak
memory is its own. Its imports, and making the formulas' texts for the peers, are not counted.

Seconds are those of the processor, which is the same as time on a machine that is idle; each is
the least of the runs.

    python benchmarks/scale.py [--cells 10000,100000,1000000] [--runs 1]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Row = list[tuple[int, float, str]]


def convolution(cells: int) -> tuple[Any, np.ndarray]:
    """A convolution with about `cells` outputs, and an image for it: shared formulas alone."""
    import sheetconv as sc

    channels = 4
    side = round((cells / channels) ** 0.5)
    image = np.random.default_rng(0).random((side + 2, side + 2))
    return sc.Sequential(sc.Conv2d(1, channels, 3), sc.ReLU()), image


def network(cells: int) -> tuple[Any, np.ndarray]:
    """Three convolutions and pools, a dense layer, softmax: about `cells` formula cells."""
    import sheetconv as sc

    # 8, 16, 32 planes, each half as high and wide as those before, and their pools.
    side = 8 * round((cells / 17.5) ** 0.5 / 8)
    layers: list[sc.layers.Layer] = []
    for inputs, outputs in ((1, 8), (8, 16), (16, 32)):
        layers += [sc.Conv2d(inputs, outputs, 3, padding=1), sc.ReLU(), sc.MaxPool2d(2)]
    layers += [sc.Flatten(), sc.Linear(32 * (side // 8) ** 2, 10), sc.Softmax()]
    return sc.Sequential(*layers), np.random.default_rng(0).random((side, side))


CASES = {"convolution": convolution, "network": network}
TEMPLATES = ["lenet5", "simple-cnn-wide"]


def timed(work: Callable[[], int]) -> tuple[int, float]:
    """What `work` gives, and the processor's seconds that it took."""
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def build(case: str, cells: int, path: Path, formulas: str | None = None) -> tuple[int, float]:
    """Write with sheetconv: the formula cells written, and seconds."""
    import sheetconv as sc
    from sheetconv.network_sheet import NetworkSheet
    from sheetconv.template import load_template
    from sheetconv.workbook import build_workbook

    if case in TEMPLATES:
        items = load_template(case).networks
        sheets = [NetworkSheet(item.network, item.image, item.drawing) for item in items]
        return timed(lambda: build_workbook(sheets, path, force=True).formula_cells)
    net, image = CASES[case](cells)
    drawing = sc.Drawing(formulas=formulas) if formulas else sc.Drawing()
    return timed(
        lambda: sc.build(net, path, image=image, drawing=drawing, force=True).formula_cells
    )


def check(path: Path, engines: list[str]) -> tuple[int, float]:
    """Check the file that `build` left: the formula cells compared, and seconds."""
    import sheetconv as sc

    def checked() -> int:
        result = sc.check(path, engines)
        if not result.ok:
            raise SystemExit(f"{path} is wrong: {result.wrong[:3]}")
        return result.formula_cells

    return timed(checked)


def worksheets(case: str, cells: int) -> Iterator[tuple[str, Iterator[tuple[int, Row]]]]:
    """The name of each worksheet of sheetconv's, and its rows: column, value, formula or ""."""
    from sheetconv.formulas import formula_text
    from sheetconv.network_sheet import NetworkSheet
    from sheetconv.worksheet import PreparedSheet

    net, image = CASES[case](cells)
    prepared = PreparedSheet(NetworkSheet(net, image), 0)
    planes: dict[str, list[tuple[Any, np.ndarray, Any]]] = {}
    for name, placed in prepared.layout.placed.items():
        flat, start = prepared.values[name].reshape(-1), 0
        for grid in () if placed.role.is_formula else placed.grids:
            values = flat[start : start + grid.size].reshape(grid.height, grid.width)
            planes.setdefault(grid.sheet, []).append((grid, values, None))
            start += grid.size
    for stage, item in prepared.formulas:
        flat, grid = prepared.values[f"{stage.name}.{item.tensor}"].reshape(-1), item.grid
        values = flat[item.start : item.start + grid.size].reshape(grid.height, grid.width)
        planes.setdefault(grid.sheet, []).append((grid, values, item.formula))

    def rows(own: list[tuple[Any, np.ndarray, Any]]) -> Iterator[tuple[int, Row]]:
        for row in range(max(grid.bounds.last_row for grid, _, _ in own) + 1):
            line: Row = []
            for grid, values, formula in own:
                i, off = divmod(row - grid.row, grid.row_step)
                if not off and 0 <= i < grid.height:
                    line += [
                        (
                            grid.column + j * grid.column_step,
                            value,
                            "=" + formula_text(formula, i, j) if formula else "",
                        )
                        for j, value in enumerate(values[i].tolist())
                    ]
            yield row, sorted(line)

    for sheet, own in planes.items():
        yield sheet, rows(own)


class Making:
    """Rows as they come, and the processor's seconds that making them took."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def each(self, rows: Iterator[Any]) -> Iterator[Any]:
        while True:
            began = time.process_time()
            row = next(rows, None)
            self.seconds += time.process_time() - began
            if row is None:
                return
            yield row


def with_xlsxwriter(case: str, cells: int, path: Path) -> tuple[int, float]:
    """Write the same cells one by one with XlsxWriter."""
    import xlsxwriter

    making = Making()

    def written() -> int:
        count = 0
        book = xlsxwriter.Workbook(str(path), {"constant_memory": True})
        look = book.add_format({"num_format": "[>=100]0;[<0]-0.0;0.0"})
        for name, rows in making.each(worksheets(case, cells)):
            sheet = book.add_worksheet(name)
            for row, line in making.each(rows):
                for column, value, formula in line:
                    if formula:
                        sheet.write_formula(row, column, formula, look, value)
                        count += 1
                    else:
                        sheet.write_number(row, column, value, look)
        book.close()
        return count

    count, seconds = timed(written)
    return count, seconds - making.seconds


def with_openpyxl(case: str, cells: int, path: Path) -> tuple[int, float]:
    """Write the same numbers and formulas row by row with openpyxl."""
    import openpyxl

    making = Making()

    def written() -> int:
        count = 0
        book = openpyxl.Workbook(write_only=True)
        for name, rows in making.each(worksheets(case, cells)):
            sheet = book.create_sheet(name)
            for _, line in making.each(rows):
                values: list[float | str | None] = [None] * (line[-1][0] + 1 if line else 0)
                for column, value, formula in line:
                    values[column] = formula or value
                    count += bool(formula)
                sheet.append(values)
        book.save(path)
        return count

    count, seconds = timed(written)
    return count, seconds - making.seconds


WAYS: dict[str, Callable[[str, int, Path], tuple[int, float]]] = {
    "sheetconv build": lambda case, cells, path: build(case, cells, path),
    "sheetconv check, cached values": lambda case, cells, path: check(path, []),
    "sheetconv check, IronCalc": lambda case, cells, path: check(path, ["ironcalc"]),
    "sheetconv build, array formulas": lambda case, cells, path: build(case, cells, path, "array"),
    "XlsxWriter": with_xlsxwriter,
    "openpyxl": with_openpyxl,
}
PEERS = ["XlsxWriter", "openpyxl"]


def run_one(way: str, case: str, cells: int, path: Path) -> None:
    """Run one way in this process and print its figures as JSON."""
    count, seconds = WAYS[way](case, cells, path)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = path.stat().st_size / 2**20
    print(json.dumps({"cells": count, "seconds": seconds, "MB": memory, "file": size}))


def measured(way: str, case: str, cells: int, path: Path, runs: int) -> dict[str, Any]:
    """The figures of the fastest of some runs."""
    command = [sys.executable, __file__, "--one", way, case, str(cells), str(path)]
    found = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(runs)
    ]
    return min(found, key=lambda item: item["seconds"])


def main() -> None:
    """Run every way at every size, and print what a cell costs and the ratios to the peers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", default="10000,100000,1000000")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        way, case, cells, path = arguments.one
        run_one(way, case, int(cells), Path(path))
        return
    sizes = [int(size) for size in arguments.cells.split(",")]
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.xlsx"
        for case in CASES:
            print(f"\n{case:<32} {'cells':>9} {'seconds':>8} {'us/cell':>8}", end="")
            print(
                "".join(f" {'/ ' + peer:>13}" for peer in PEERS), f"{'peak MB':>8} {'file MB':>8}"
            )
            for size in sizes:
                found = {way: measured(way, case, size, path, arguments.runs) for way in WAYS}
                for way, got in found.items():
                    cost = 1e6 * got["seconds"] / got["cells"]
                    print(
                        f"{way:<32} {got['cells']:>9,} {got['seconds']:>8.2f} {cost:>8.1f}", end=""
                    )
                    for peer in PEERS:
                        print(f" {got['seconds'] / found[peer]['seconds']:>12.2f}x", end="")
                    print(f" {got['MB']:>8.0f} {got['file']:>8.1f}", flush=True)
                print(f"  load {os.getloadavg()[0]:.1f}")
        print(f"\n{'template':<18} {'cells':>9} {'build s':>8} {'cached s':>9} {'IronCalc s':>11}")
        for case in TEMPLATES:
            ways = list(WAYS)[:3]
            got = [measured(way, case, 0, path, arguments.runs) for way in ways]
            print(f"{case:<18} {got[0]['cells']:>9,}", end="")
            print(" {:>8.2f} {:>9.2f} {:>11.2f}".format(*(item["seconds"] for item in got)))


if __name__ == "__main__":
    main()
