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
from pathlib import Path

import numpy as np

CHANNELS = 4


def network(cells: int) -> tuple[object, np.ndarray]:
    """A convolution with `cells` outputs, and an image for it."""
    import sheetconv as sc

    side = round((cells / CHANNELS) ** 0.5)
    image = np.random.default_rng(0).random((side + 2, side + 2))
    return sc.Sequential(sc.Conv2d(1, CHANNELS, 3), sc.ReLU()), image


def with_sheetconv(cells: int, path: Path, formulas: str) -> int:
    """Write with sheetconv; the formula cells written."""
    import sheetconv as sc

    net, image = network(cells)
    return sc.build(net, path, image=image, drawing=sc.Drawing(formulas=formulas)).formula_cells


def with_xlsxwriter(cells: int, path: Path, options: dict[str, bool]) -> int:
    """Write the same cells one by one with XlsxWriter; the formula cells written."""
    import xlsxwriter

    from sheetconv.layout import lay_out
    from sheetconv.formulas import formula_text
    from sheetconv.layout import stage_formulas

    net, image = network(cells)
    layout = lay_out(net, (1, *image.shape))
    values = np.maximum(0, net.layers["conv1"].forward(image[None, None], net.params["conv1"])[0])
    book = xlsxwriter.Workbook(str(path), options)
    sheet = book.add_worksheet("network")
    look = book.add_format({"num_format": layout.styles["conv1.out"].number_format})
    for i, row in enumerate(image):
        sheet.write_row(3 + i, 1, row)
    for name in ("weight", "bias"):
        flat = net.params["conv1"][name].reshape(-1)
        for grid in layout.placed[f"conv1.{name}"].grids:
            for cell, value in zip(grid.cells(), flat, strict=False):
                sheet.write_number(cell.row, cell.column, value)
            flat = flat[grid.size :]
    written = 0
    for item, plane in zip(
        stage_formulas(net, layout.stages[0], layout.placed, layout.drawing), values[0], strict=True
    ):
        for i, row in enumerate(plane.tolist()):
            for j, value in enumerate(row):
                text = "=" + formula_text(item.formula, i, j)
                cell = item.grid.cell(i, j)
                sheet.write_formula(cell.row, cell.column, text, look, value)
                written += 1
        area = item.grid.bounds
        sheet.conditional_format(
            area.row, area.column, area.last_row, area.last_column, {"type": "2_color_scale"}
        )
    book.close()
    return written


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
        written = WAYS[way](cells, path)
        seconds = time.perf_counter() - began
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
