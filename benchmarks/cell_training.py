"""Training in cells: what unrolled steps cost, and how many a spreadsheet takes in a second.

    python benchmarks/cell_training.py

A network of 83 parameters (two filters of 3x3, a pool of 3x3, a dense layer of seven outputs) on
8x8 digits, batches of four, SGD with momentum. Unrolled: seconds to build 100 steps, to load them
into IronCalc, and to recalculate them there. Live: steps in a second, by network, with the
formulas of its workbook beside them; the time of a step should grow in proportion to these.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path

import ironcalc
import numpy as np

import sheetconv as sc
from sheetconv.calculators import found_engines
from sheetconv.cell_training.program import CellTraining, trained_form
from sheetconv.cell_training.writing import build_training
from sheetconv.live import run_live
from sheetconv.training.losses import CrossEntropy
from sheetconv.training.optimisers import SGD
from sheetconv.training.schedules import Constant


def training_of(filters: int, pool: int, classes: int, batch: int, steps: int) -> CellTraining:
    """A network of that many filters on digits below `classes`."""
    size = (8 - 2) // pool
    layers = [sc.Conv2d(1, filters, 3), sc.ReLU(), sc.MaxPool2d(pool), sc.Flatten()]
    network = sc.Sequential(*layers, sc.Linear(filters * size * size, classes), seed=1)
    data = sc.load_data("digits").train
    chosen = data.subset(np.flatnonzero(data.labels < classes)[: 10 * batch])
    labels = tuple(map(str, chosen.labels.tolist()))
    loss = CrossEntropy()
    return CellTraining(
        trained_form(network, loss), (1, 8, 8), loss, SGD(lr=0.1, momentum=0.9), Constant(),
        chosen.numbers(slice(None)), chosen.labels, labels, batch, steps, steps,
    )  # fmt: skip


def main() -> None:
    """Measure, and print the figures."""
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unrolled.xlsx"
        training = training_of(2, 3, 7, 4, 100)
        parameters = sum(v.size for own in training.network.params.values() for v in own.values())
        times = []
        for _ in range(3):
            started = time.perf_counter()
            built = build_training(training, path, force=True)
            times.append(time.perf_counter() - started)
        started = time.perf_counter()
        model = ironcalc.load_from_xlsx(str(path), "en", "UTC", "en")
        loaded = time.perf_counter()
        model.evaluate()
        done = time.perf_counter()
        print(
            f"unrolled, {parameters} parameters: 100 steps, {built.formula_cells:,} formulas, "
            f"{built.file_size / 2**20:.1f} MB; build {min(times):.2f} s, load "
            f"{loaded - started:.2f} s, recalculate {done - loaded:.2f} s"
        )
        for filters, pool, classes, batch in ((2, 3, 7, 4), (2, 2, 10, 4), (4, 2, 10, 8)):
            training = training_of(filters, pool, classes, batch, 1)
            path = Path(folder) / "live.xlsx"
            built = build_training(training, path, force=True)
            # Of the whole workbook, the line and the gradient check included.
            for engine in found_engines():
                if engine.name == "excel":
                    continue
                steps = 300 if engine.name == "ironcalc" else 60
                result = run_live(path, engine, steps, output=Path(folder) / "out.xlsx", force=True)
                print(
                    f"live, {filters} filters, batch {batch}, {built.formula_cells:,} formulas: "
                    f"{engine.name} {result.steps_per_second:.0f} steps/s"
                )


if __name__ == "__main__":
    main()
