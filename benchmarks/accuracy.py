"""How well the trainer's networks know images that they have not seen, and how long it takes.

    python benchmarks/accuracy.py                      # digits: five seeds
    python benchmarks/accuracy.py fashion-mnist        # its IDX files are read, or downloaded

- digits: the template digits-batchnorm as its [networks.training] says, on stratified splits of
  80 to 20 that differ from seed to seed, as do weights and order.
- fashion-mnist, mnist: the template simple-cnn-wide on the set's own 60,000 and 10,000 images, five
  epochs of one cycle.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

import numpy as np

from sheetconv import load_template
from sheetconv.training.options import TrainingOptions
from sheetconv.training.training_run import TrainingRun


def accuracy_of(template: str, seed: int, **options: object) -> tuple[float, float]:
    """Accuracy of a run, and the seconds that it took, data included."""
    started = time.perf_counter()
    loaded = load_template(template)
    (item,) = loaded.networks
    given = TrainingOptions().changed(dict(item.training)).changed({"seed": seed, **options})
    run = TrainingRun(loaded, item, given)
    run.train(None, {})
    return run.learner.evaluate().accuracy, time.perf_counter() - started


def main() -> None:
    """Train with several seeds, and print accuracies and seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("--seeds", type=int)
    arguments = parser.parse_args()
    digits = arguments.data == "digits"
    template = "digits-batchnorm" if digits else "simple-cnn-wide"
    seeds = arguments.seeds or (5 if digits else 1)
    options = {} if digits else {"data": arguments.data}
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    found = [accuracy_of(template, seed, **options) for seed in range(seeds)]
    for seed, (accuracy, seconds) in enumerate(found):
        print(f"{template} on {arguments.data}, seed {seed}: {accuracy:.2%} in {seconds:.1f} s")
    print(f"mean {np.mean([accuracy for accuracy, _ in found]):.2%}")


if __name__ == "__main__":
    main()
