"""The scores of which a loss is taken: the network's outputs, or what its last layer reads."""

from __future__ import annotations

from ..errors import TrainingError
from ..layers.base import Layer
from ..layers.sigmoid import Sigmoid
from ..layers.softmax import Softmax
from ..network import Sequential
from .datasets import Data
from .losses import Loss, loss_named

#: Loss -> the last layer that it contains, whose work is then left to it.
CONTAINED: dict[str, type[Layer]] = {"cross-entropy": Softmax, "bce": Sigmoid}


def layers_of_scores(network: Sequential, loss: Loss) -> int:
    """How many layers the scores come from: all, or all but the one that the loss contains.

    Args:
        network: the layers.
        loss: the loss.

    Example:
        >>> from sheetconv import Linear
        >>> from sheetconv.training.losses import CrossEntropy
        >>> layers_of_scores(Sequential(Linear(2, 2), Softmax()), CrossEntropy())
        1
    """
    *_, last = network.layers.values()
    return len(network.layers) - (type(last) is CONTAINED.get(loss.name))


def chosen_loss(loss: Loss | str | None, data: Data) -> Loss:
    """A loss, given or by name, or the one that the data want.

    Args:
        loss: what was given.
        data: with one class for each image, or with any number of labels.

    Raises:
        TrainingError: the name is none.
    """
    if loss is None:
        loss = "bce" if data.train.is_multi_label else "cross-entropy"
    return loss_named(loss) if isinstance(loss, str) else loss


def check_last(network: Sequential, loss: Loss) -> None:
    """Refuse a last layer with which a loss does not go.

    Args:
        network: the layers.
        loss: the loss.

    Raises:
        TrainingError: it is one.
    """
    *_, last = network.layers.values()
    ends = [type(layer) for layer in network.layers.values() if not layer.is_view][-1:]
    if loss.name == "mse":
        # Otherwise nothing could be judged: answers are held to be probabilities.
        if not ends or ends[0] not in CONTAINED.values():
            raise TrainingError(
                "mse: the network does not end with Softmax or Sigmoid, so that its outputs are no "
                "probabilities: add one of them, or take the loss cross-entropy or bce"
            )
        return
    kind = CONTAINED.get(loss.name)
    for other in CONTAINED.values():
        if kind is not None and other in ends and type(last) is not kind:
            raise TrainingError(
                f"{loss.name} contains a {kind.__name__}, and the network ends with "
                f"{other.__name__}: put {kind.__name__} last, or take another loss"
            )
