"""One million convolution cells: sheetconv's writer beside XlsxWriter's own write_formula.

Both write the same formulas, cached values, number formats and colour scales to the same
cells; each runs in a process of its own, so that its peak memory is its own.

    python benchmarks/million_cells.py [--cells 1000000]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CHANNELS = 4

Row = list[tuple[int, int, float] | tuple[int, int, float, str]]


def network(cells: int) -> tuple[object, np.ndarray]:
    """A convolution with `cells` outputs, and an image for it."""
    import sheetconv as sc

    side = round((cells / CHANNELS) ** 0.5)
    image = np.random.default_rng(0).random((side + 2, side + 2))
    return sc.Sequential(sc.Conv2d(1, CHANNELS, 3), sc.ReLU()), image


def with_sheetconv(cells: int, path: Path, formulas: str) -> tuple[int, float]:
    """Write with sheetconv: the formula cells written, and no seconds to take off."""
    import sheetconv as sc

    net, image = network(cells)
    built = sc.build(net, path, image=image, drawing=sc.Drawing(formulas=formulas))
    return built.formula_cells, 0.0


def rows_of(cells: int) -> tuple[list[str], Iterator[Row]]:
    """What sheetconv writes, cell by cell: ranges of colour scales, and rows of cells."""
    from sheetconv.arranging import lay_out
    from sheetconv.formulas import formula_text
    from sheetconv.layout import stage_formulas

    net, image = network(cells)
    layout = lay_out(net, (1, *image.shape))
    values = np.maximum(0, net.layers["conv1"].forward(image[None, None], net.params["conv1"])[0])
    planes = stage_formulas(net, layout.stages[0], layout.placed, layout.drawing)
    numbers: Row = [(3 + i, 1 + j, v) for i, line in enumerate(image) for j, v in enumerate(line)]
    for name in ("weight", "bias"):
        flat = iter(net.params["conv1"][name].reshape(-1))
        grids = layout.placed[f"conv1.{name}"].grids
        numbers += [(c.row, c.column, next(flat)) for grid in grids for c in grid.cells()]
    by_row: dict[int, Row] = {}
    for number in numbers:
        by_row.setdefault(number[0], []).append(number)

    def rows() -> Iterator[Row]:
        for row in range(max(item.grid.bounds.last_row for item in planes) + 1):
            line = by_row.get(row, [])
            for item, plane in zip(planes, values[0], strict=True):
                i = row - item.grid.row
                if 0 <= i < item.grid.height:
                    line = line + [
                        (row, item.grid.column + j, value, "=" + formula_text(item.formula, i, j))
                        for j, value in enumerate(plane[i].tolist())
                    ]
            yield line

    return [item.grid.bounds.a1 for item in planes], rows()


def with_xlsxwriter(cells: int, path: Path, options: dict[str, bool]) -> tuple[int, float]:
    """Write the same cells one by one with XlsxWriter.

    Gives the formula cells written and the seconds that making their texts took, which are
    not XlsxWriter's.
    """
    import xlsxwriter

    began = time.perf_counter()
    for _ in rows_of(cells)[1]:
        pass
    making = time.perf_counter() - began
    scales, rows = rows_of(cells)
    book = xlsxwriter.Workbook(str(path), options)
    sheet = book.add_worksheet("network")
    look = book.add_format({"num_format": "[>=100]0;[<=-10]0;0.0"})
    written = 0
    for row in rows:
        for cell in row:
            if len(cell) == 3:
                sheet.write_number(*cell)
            else:
                sheet.write_formula(cell[0], cell[1], cell[3], look, cell[2])
                written += 1
    for scale in scales:
        sheet.conditional_format(scale, {"type": "2_color_scale"})
    book.close()
    return written, 2 * making


WAYS = {
    "sheetconv, shared formulas": lambda n, p: with_sheetconv(n, p, "sumproduct"),
    "sheetconv, array formulas": lambda n, p: with_sheetconv(n, p, "array"),
    "XlsxWriter": lambda n, p: with_xlsxwriter(n, p, {}),
    "XlsxWriter, constant_memory": lambda n, p: with_xlsxwriter(n, p, {"constant_memory": True}),
}


def run_one(way: str, cells: int) -> None:
    """Run one way in this process and print its figures as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.xlsx"
        began = time.perf_counter()
        written, aside = WAYS[way](cells, path)
        seconds = time.perf_counter() - began - aside
        size = path.stat().st_size
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cells": written, "seconds": seconds, "MB": memory, "size": size}))


def main() -> None:
    """Run every way and print the ratios to XlsxWriter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--way", choices=WAYS)
    arguments = parser.parse_args()
    if arguments.way:
        run_one(arguments.way, arguments.cells)
        return
    results = {}
    for way in WAYS:
        command = [sys.executable, __file__, "--cells", str(arguments.cells), "--way", way]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results[way] = json.loads(done.stdout)
    peer = results["XlsxWriter"]["seconds"]
    print(f"{'':<28} {'cells':>10} {'seconds':>8} {'ratio':>7} {'peak MB':>8} {'file MB':>8}")
    for way, found in results.items():
        print(
            f"{way:<28} {found['cells']:>10,} {found['seconds']:>8.2f} "
            f"{peer / found['seconds']:>6.1f}x {found['MB']:>8.0f} {found['size'] / 2**20:>8.1f}"
        )


if __name__ == "__main__":
    main()
