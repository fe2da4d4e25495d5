"""Budgets held against the workbooks that they are for: bytes of the file, seconds to recalculate.

Prints, for a dozen networks and two images in both formula styles, estimate / measurement;
and at the end the constants of bytes that fit these measurements best. Those that
`sheetconv/budget.py` has were fitted to templates, too, and seconds are rounded by hand.

    python benchmarks/budgets.py [--engines ironcalc,libreoffice]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path

import numpy as np

import sheetconv as sc
from sheetconv.budget import budget, digits_size
from sheetconv.calculators import find_engine
from sheetconv.evaluate import evaluate, known_tensors
from sheetconv.formulas import can_share, formula_text
from sheetconv.layout import stage_formulas
from sheetconv.network_sheet import NetworkSheet
from sheetconv.workbook import BuiltWorkbook


def strided(channels: list[int], first_kernel: int) -> list[sc.layers.Layer]:
    """Stride-2 convolutions with ReLU between them, as the fast.ai book's `simple_cnn`."""
    layers = []
    for number, (inputs, outputs) in enumerate(pairwise(channels)):
        kernel = 3 if number else first_kernel
        layers += [sc.Conv2d(inputs, outputs, kernel, 2, kernel // 2), sc.ReLU()]
    return [*layers[:-1], sc.Flatten()]


def networks() -> Iterator[tuple[str, sc.Sequential, tuple[int, ...]]]:
    """Networks of many sizes and kinds, and the shapes of their inputs."""
    relu, tanh, flat = sc.ReLU(), sc.Tanh(), sc.Flatten()
    yield "tiny", sc.Sequential(sc.Conv2d(1, 1, 3)), (1, 5, 5)
    digits = sc.Sequential(
        sc.Conv2d(1, 4, 3, padding=1), relu, sc.MaxPool2d(2), flat, sc.Linear(64, 10), sc.Softmax()
    )
    yield "digits", digits, (1, 8, 8)
    vector = sc.Sequential(sc.Linear(64, 32), relu, sc.Linear(32, 10))
    yield "vector", vector, (64,)
    example = sc.Sequential(
        sc.Conv2d(1, 2, 3), relu, sc.Conv2d(2, 2, 3), relu, sc.MaxPool2d(2), flat, sc.Linear(288, 1)
    )
    yield "example", example, (1, 28, 28)
    yield "simple_cnn", sc.Sequential(*strided([1, 4, 8, 16, 32, 2], 3)), (1, 28, 28)
    yield "wide", sc.Sequential(*strided([1, 8, 16, 32, 64, 10], 5)), (1, 28, 28)
    lenet = sc.Sequential(
        *(sc.Conv2d(1, 6, 5, padding=2), tanh, sc.AvgPool2d(2), sc.Conv2d(6, 16, 5), tanh),
        *(sc.AvgPool2d(2), flat, sc.Linear(400, 120), tanh, sc.Linear(120, 84), tanh),
        *(sc.Linear(84, 10), sc.Softmax()),
    )
    yield "LeNet-5", lenet, (1, 28, 28)
    rgb = sc.Sequential(
        *(sc.Conv2d(3, 4, 5, padding=2), relu, sc.MaxPool2d(2), sc.Conv2d(4, 8, 3), relu),
        sc.AdaptiveAvgPool2d(1),
    )
    yield "rgb", rgb, (3, 32, 32)
    dense = sc.Sequential(flat, sc.Linear(784, 30), relu, sc.Linear(30, 10), sc.Softmax())
    yield "dense", dense, (1, 28, 28)
    dropout = sc.Sequential(sc.Conv2d(1, 2, 3), relu, sc.Dropout(0.3), sc.MaxPool2d(2))
    yield "dropout", dropout, (1, 40, 40)
    yield "plane", sc.Sequential(sc.Conv2d(1, 4, 3)), (1, 100, 100)
    large = sc.Sequential(sc.Conv2d(1, 4, 3), relu, sc.MaxPool2d(2))
    yield "large", large, (1, 252, 252)


def images(shape: tuple[int, ...]) -> list[np.ndarray]:
    """One of doubles with all their digits, and one that is mostly blank, in 256 greys."""
    rng = np.random.default_rng(0)
    greys = rng.integers(256, size=shape) / 255
    return [rng.random(shape), np.where(rng.random(shape) < 0.2, greys, 0.0)]


def features(network: sc.Sequential, image: np.ndarray, built: BuiltWorkbook) -> list[float]:
    """What the bytes of a file are a sum of: the names are those that `main` prints."""
    (layout,) = built.layouts
    tensors = known_tensors(network, layout, image[np.newaxis], 0)
    tensors |= evaluate(network, layout, tensors)
    compressed = sum(digits_size(tensors[name]) for name in layout.placed)
    shared = written = characters = 0
    for stage in layout.stages:
        for item in stage_formulas(network, stage, layout.placed, layout.drawing):
            size, last = item.grid.size, (item.grid.height - 1, item.grid.width - 1)
            if can_share(item):
                shared += size
            else:
                written += size
                characters += size * len(formula_text(item.formula, *last))
    return [1.0, compressed, built.number_cells, shared, written, characters]


def seconds(path: Path, engine: str) -> float:
    """The median time of three recalculations."""
    times = []
    with find_engine(engine).open(path) as book:
        for _ in range(3):
            began = time.perf_counter()
            book.recalculate()
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Build, measure, compare, fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", default="ironcalc,libreoffice")
    engines = [name for name in parser.parse_args().engines.split(",") if name]
    print(f"{'network':<12} {'style':<10} {'cells':>8} {'bytes':>10} {'estimate':>8}", end="")
    print("".join(f" {name:>12} {'estimate':>8}" for name in engines))
    rows, sizes = [], []
    for name, network, shape in networks():
        for style, image in product(("sumproduct", "array"), images(shape)):
            drawing = sc.Drawing(formulas=style)
            expected = budget([NetworkSheet(network, image, drawing)])
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "x.xlsx"
                built = sc.build(network, path, image=image, drawing=drawing)
                rows.append(features(network, image, built))
                sizes.append(built.file_size)
                ratio = expected.file_size / built.file_size
                print(f"{name:<12} {style:<10} {built.formula_cells:>8,}", end="")
                print(f" {built.file_size:>10,} {ratio:>7.2f}x", end="")
                estimates = {key.lower(): value for key, value in expected.seconds.items()}
                for engine in engines:
                    took = seconds(path, engine)
                    print(f" {took:>10.4f} s {estimates[engine] / took:>7.2f}x", end="")
                print(flush=True)
    # Every relative error counts the same.
    weights = 1 / np.array(sizes)
    fitted = np.linalg.lstsq(np.array(rows) * weights[:, None], np.array(sizes) * weights)[0]
    names = ["a workbook of one worksheet", "a byte of digits", "a number", "a shared formula"]
    names += ["a formula written out", "a character of it"]
    for what, value in zip(names, fitted, strict=True):
        print(f"{value:>9.2f} bytes for {what}")


if __name__ == "__main__":
    main()
