"""What a training step costs, against PyTorch on the same processor.

    python benchmarks/training.py              # seconds, ratios, memory
    python benchmarks/training.py --rounds 9   # more rounds, on a machine that is busy

The same network, batch and optimiser (SGD with momentum) in float32 on all cores: forward, loss,
backward and update, from a batch of NCHW float32 images on. Each measurement is a process of its
own; PyTorch and sheetconv take turns, and the ratio is that of the medians over all rounds.
Activation statistics are off; what they cost is measured besides.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

BATCHES = (64, 512)
STEPS, WARM_UP = 60, 15
LR, MOMENTUM = 0.01, 0.9


def layers_of(name: str, make: Any) -> tuple[list[Any], tuple[int, int, int]]:
    """A network's layers from a module that has PyTorch's names, and its input's shape."""
    conv, relu, norm = make.Conv2d, make.ReLU, make.BatchNorm2d
    if name == "conv-example":
        layers = [conv(1, 2, 3, bias=False), relu(), *make.right_padding(conv)]
        layers += [relu(), make.MaxPool2d(2, ceil_mode=True), make.Flatten(), make.Linear(312, 10)]
        return layers, (1, 28, 28)
    if name == "digits":
        layers = [conv(1, 8, 3, padding=1), relu(), make.MaxPool2d(2), conv(8, 16, 3), relu()]
        return [*layers, make.Flatten(), make.Linear(64, 10)], (1, 8, 8)
    layers = []
    for number, (before, after) in enumerate(((1, 8), (8, 16), (16, 32), (32, 64))):
        size = 3 if number else 5
        layers += [conv(before, after, size, stride=2, padding=size // 2), relu(), norm(after)]
    return [*layers, conv(64, 10, 3, stride=2, padding=1), norm(10), make.Flatten()], (1, 28, 28)


NETWORKS = ("conv-example", "digits", "simple-cnn-wide")


def batch_of(shape: tuple[int, ...], batch: int) -> tuple[Any, Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.random((batch, *shape), dtype=np.float32), rng.integers(0, 10, batch)


def with_pytorch(name: str, batch: int) -> tuple[Callable[[], float], Callable[[], None]]:
    import torch
    from torch import nn

    nn.right_padding = lambda conv: [nn.ZeroPad2d((0, 1, 0, 0)), conv(2, 2, 3, bias=False)]
    torch.manual_seed(0)
    layers, shape = layers_of(name, nn)
    network, loss = nn.Sequential(*layers).train(), nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD(network.parameters(), lr=LR, momentum=MOMENTUM)
    images, labels = map(torch.from_numpy, batch_of(shape, batch))

    def step() -> float:
        optimiser.zero_grad()
        value = loss(network(images), labels)
        value.backward()
        optimiser.step()
        return float(value)

    return step, lambda: None


def with_sheetconv(
    name: str, batch: int, activations: bool = False
) -> tuple[Callable[[], float], Callable[[], None]]:
    import numpy as np

    import sheetconv as sc
    from sheetconv.training.activation_sums import ActivationSums
    from sheetconv.training.engine import Engine, Workers
    from sheetconv.training.losses import CrossEntropy
    from sheetconv.training.optimisers import SGD

    sc.right_padding = lambda conv: [conv(2, 2, 3, padding=(0, 1, 0, 0), bias=False)]
    layers, shape = layers_of(name, sc)
    images, labels = batch_of(shape, batch)
    workers = Workers()
    workers.__enter__()
    engine = Engine(sc.Sequential(*layers), shape, workers, np.float32)
    optimiser, loss = SGD(momentum=MOMENTUM), CrossEntropy()
    parameters = engine.parameters
    state = optimiser.init_state(parameters.values.size, np.float32)
    observe = (lambda layer, chunk, out: ActivationSums.of(out)) if activations else None
    number = 0

    def step() -> float:
        nonlocal number
        number += 1
        value = engine.step(images, labels, loss, observe=observe)
        optimiser.step(parameters.values, parameters.gradients, state, lr=LR, number=number)
        return value

    return step, lambda: workers.__exit__(None, None, None)


WAYS: dict[str, Callable[[str, int], tuple[Callable[[], float], Callable[[], None]]]] = {
    "sheetconv": with_sheetconv,
    "PyTorch": with_pytorch,
    "sheetconv, with activation statistics": lambda n, b: with_sheetconv(n, b, True),
}


def run_one(way: str, name: str, batch: int) -> None:
    """Time one way in this process and print its figures as JSON."""
    step, close = WAYS[way](name, batch)
    for _ in range(WARM_UP):
        step()
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "MB": memory}))


def main() -> None:
    """Let all take turns, and print milliseconds a step and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        way, name, batch = arguments.one
        run_one(way, name, int(batch))
        return
    import torch

    print(
        f"Python {platform.python_version()}, PyTorch {torch.__version__}, {platform.machine()}, "
        f"{os.cpu_count()} cores"
    )
    print(f"{'network':<16} {'batch':>5} {'ms/step':>8} {'PyTorch':>8} {'ratio':>6} "
          f"{'with statistics':>15} {'MB':>5} {'PyTorch':>8}")  # fmt: skip
    for name in NETWORKS:
        for batch in BATCHES:
            seconds: dict[str, list[float]] = {way: [] for way in WAYS}
            memory = dict.fromkeys(WAYS, 0.0)
            for _ in range(arguments.rounds):
                for way in WAYS:
                    command = [sys.executable, __file__, "--one", way, name, str(batch)]
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    got = json.loads(done.stdout)
                    seconds[way] += got["seconds"]
                    memory[way] = max(memory[way], got["MB"])
            own, peer, observed = (1e3 * statistics.median(seconds[way]) for way in WAYS)
            print(
                f"{name:<16} {batch:>5} {own:>8.2f} {peer:>8.2f} {own / peer:>6.2f} "
                f"{observed:>15.2f} {memory['sheetconv']:>5.0f} {memory['PyTorch']:>8.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
