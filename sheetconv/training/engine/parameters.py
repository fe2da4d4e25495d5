"""The parameters of a network as one flat vector, of which each has a view."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import DTypeLike

from ...network import Sequential
from ..fields import Numbers


class FlatParameters:
    """Every parameter of a network, one after the other, in one vector.

    An optimiser then takes its step in a few calls, however many layers there are.

    Args:
        network: whose parameters are copied.
        dtype: float32 or float64.

    Attributes:
        values: (parameters,) all of them, in the order of the layers.
        gradients: (parameters,) likewise.
        places: layer name -> parameter name -> where it stands.

    Example:
        >>> from sheetconv import Linear, Sequential
        >>> flat = FlatParameters(Sequential(Linear(3, 2)), np.float32)
        >>> flat.values.shape, flat.views(flat.values)["dense1"]["weight"].shape
        ((8,), (2, 3))
    """

    def __init__(self, network: Sequential, dtype: DTypeLike) -> None:
        self._shapes = {
            name: {key: array.shape for key, array in own.items()}
            for name, own in network.params.items()
        }
        self.places: dict[str, dict[str, slice]] = {}
        start = 0
        for name, own in network.params.items():
            self.places[name] = {}
            for key, array in own.items():
                self.places[name][key] = slice(start, start + array.size)
                start += array.size
        self.values: Numbers = np.empty(start, dtype)
        self.gradients: Numbers = np.zeros(start, dtype)
        self.load(network)

    def views(self, vector: Numbers) -> dict[str, dict[str, Numbers]]:
        """Each parameter's part of a vector like `values`, in its shape."""
        return {
            name: {
                key: vector[place].reshape(self._shapes[name][key]) for key, place in own.items()
            }
            for name, own in self.places.items()
        }

    def place(self, layer: str) -> slice:
        """Where all parameters of a layer stand: they are neighbours."""
        own = self.places[layer].values()
        first = min((place.start for place in own), default=0)
        return slice(first, max((place.stop for place in own), default=first))

    def load(self, network: Sequential) -> None:
        """Copy the parameters of a network into `values`."""
        for name, own in self.views(self.values).items():
            for key, view in own.items():
                view[...] = network.params[name][key]

    def store(self, network: Sequential, frozen: Collection[str] = ()) -> None:
        """Copy `values` into a network, whose arrays stay float64.

        Args:
            network: the network.
            frozen: layers whose numbers stay as they are, to the last bit.
        """
        for name, arrays in self.views(self.values).items():
            if name not in frozen:
                own = {key: view.astype(np.float64) for key, view in arrays.items()}
                network.params[name] = own
