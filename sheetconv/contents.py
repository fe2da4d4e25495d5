"""What a workbook holds, read back: tensors as NumPy arrays, tables as pandas frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .cells import column_name
from .errors import WorkbookError
from .formulas import Role
from .layers.base import Array
from .layout import Layout
from .network import Sequential

if TYPE_CHECKING:
    import pandas as pd

# What the axes of a tensor are, by the arrangement of its cells.
_AXES = {
    "planes": ("channel", "row", "column"),
    "vector": ("feature",),
    "kernels": ("out_channel", "in_channel", "row", "column"),
    "dense": ("out_feature", "in_feature"),
    "scalars": ("channel",),
    "below": ("channel",),
}


@dataclass(frozen=True, eq=False, repr=False)
class NetworkContents:
    """One network of a workbook, as its cells hold it.

    Attributes:
        name: its worksheet's; of several, the input's.
        network: the layers, with the parameters, buffers and settings of the cells.
        tensors: full name -> float64 array, in the worksheet's order: `input`,
            `conv1.weight`, `conv1.out`. What each image has for itself has the batch first:
            NCHW for planes, (N, features) for vectors. Parameters have PyTorch's shapes,
            single numbers the shape (). `conv1.out` is what the worksheet shows of conv1,
            layers fused into its formula included.
        layout: where each tensor stands.

    Example:
        `read` shows how to get one.
    """

    name: str
    network: Sequential
    tensors: Mapping[str, Array]
    layout: Layout

    def __getitem__(self, name: str) -> Array:
        """A tensor by its full name.

        Raises:
            KeyError: there is none of that name.
        """
        if name not in self.tensors:
            close = get_close_matches(str(name), self.tensors, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(self.tensors)}"
            raise KeyError(f"no tensor {name!r} in network {self.name!r}: {hint}")
        return self.tensors[name]

    @property
    def input(self) -> Array:
        """The images, the batch first: what `network` takes."""
        return self.tensors["input"]

    @property
    def output(self) -> Array:
        """What the last layer shows, in the shape that `network` gives, the batch first."""
        *_, shape = self.network.shapes(self.layout.input_shape).values()
        return self.tensors[self.layout.stages[-1].out].reshape(-1, *shape)

    @property
    def noise(self) -> dict[str, dict[str, Array]]:
        """The random numbers and settings that the cells show, for `network(input, noise)`.

        Settings are numbers such as dropout's p and a normalisation's eps. Without random
        numbers `network` leaves dropout out. Empty where there is neither.
        """
        found: dict[str, dict[str, Array]] = {}
        for name, placed in self.layout.placed.items():
            if placed.role in (Role.NOISE, Role.SETTING):
                layer, _, tensor = name.rpartition(".")
                found.setdefault(layer, {})[tensor] = self.tensors[name]
        return found

    def cells(self, name: str) -> np.ndarray[Any, np.dtype[np.str_]]:
        """Which cell holds each unit of a tensor: A1 texts in the tensor's shape.

        Their worksheet is in `frame`; with one worksheet it is `name`.

        Raises:
            KeyError: there is no tensor of that name.
        """
        shape = self[name].shape
        planes = []
        for grid in self.layout.placed[name].grids:
            rows = grid.row + 1 + grid.row_step * np.arange(grid.height)
            columns = grid.column + grid.column_step * np.arange(grid.width)
            letters = np.array([column_name(column) for column in columns.tolist()])
            planes.append(np.char.add(letters, rows.astype(np.str_)[:, np.newaxis]).reshape(-1))
        return np.concatenate(planes).reshape(shape)

    def frame(self, name: str) -> pd.DataFrame:
        """A tensor in long form: a row for each unit, with its cell.

        Args:
            name: its full name.

        Returns:
            A frame with columns `worksheet`, `cell` and `value`, indexed by the unit's place,
            from 0: `image`, `channel`, `row`, `column` for planes; `out_channel`, `in_channel`,
            `row`, `column` for kernels; `image`, `feature` for vectors; `out_feature`,
            `in_feature` for weights of dense layers. One plane as a matrix is
            `frame.value.loc[0, 1].unstack()`.

        Raises:
            KeyError: there is no tensor of that name.
        """
        import pandas as pd

        values, grids = self[name], self.layout.placed[name].grids
        axes = self._axes(name)
        index: pd.Index[Any]
        if values.ndim > 1:
            index = pd.MultiIndex.from_product([range(n) for n in values.shape], names=axes)
        else:
            index = pd.RangeIndex(values.size, name=axes[0] if axes else None)
        sheets = np.repeat([grid.sheet for grid in grids], [grid.size for grid in grids])
        columns = {"worksheet": sheets, "cell": self.cells(name).reshape(-1)}
        return pd.DataFrame({**columns, "value": values.reshape(-1)}, index=index)

    def _axes(self, name: str) -> tuple[str, ...]:
        dimensions, batched = self.tensors[name].ndim, True
        arrangement = "planes" if dimensions == 4 else "vector"
        if name != "input":
            stage_name, _, own = name.rpartition(".")
            (stage,) = (item for item in self.layout.stages if item.name == stage_name)
            for tensor in self.network.layers[stage_name].tensors(stage.input_shape):
                if tensor.name == own:
                    arrangement, batched = tensor.arrangement, tensor.batched
        before = ("image",) if batched else ()
        axes = (*before, *_AXES.get(arrangement, ()))
        if len(axes) == dimensions:
            return axes
        return (*before, *(f"axis_{number}" for number in range(dimensions - len(before))))

    def __repr__(self) -> str:
        listed = ", ".join(f"{name} {value.shape}" for name, value in self.tensors.items())
        return f"<network {self.name!r}: {listed}>"


@dataclass(frozen=True, eq=False, repr=False)
class WorkbookContents:
    """What a workbook holds. Where it has one network, its tensors are at hand here too.

    Attributes:
        path: the file.
        networks: name of the (first) worksheet -> network.
        tables: name -> frame, for every worksheet that is no network's and explains none,
            hidden ones included. The first row names the columns where it has a text in each, no
            two the same; else they are A, B, C. Rows have their numbers in the worksheet; blank
            rows and columns are left out. Blanks and errors are NaN; dates are Excel's numbers.
        notes: what is odd about the file, in sentences: formulas without a value.

    Example:
        `read` shows how to get one.
    """

    path: Path
    networks: Mapping[str, NetworkContents]
    tables: Mapping[str, pd.DataFrame]
    notes: tuple[str, ...] = ()

    @property
    def only(self) -> NetworkContents:
        """The workbook's one network.

        Raises:
            WorkbookError: it has several.
        """
        if len(self.networks) > 1:
            listed = ", ".join(map(repr, self.networks))
            raise WorkbookError(
                f"{self.path} holds {len(self.networks)} networks, {listed}: choose one, as in "
                f"networks[{next(iter(self.networks))!r}]"
            )
        return next(iter(self.networks.values()))

    def __getitem__(self, name: str) -> Array:
        """A tensor of the only network by its full name, such as `conv1.weight`.

        Raises:
            KeyError: there is none of that name.
            WorkbookError: the workbook has several networks.
        """
        return self.only[name]

    @property
    def network(self) -> Sequential:
        """The only network; see `NetworkContents`."""
        return self.only.network

    @property
    def tensors(self) -> Mapping[str, Array]:
        """The tensors of the only network; see `NetworkContents`."""
        return self.only.tensors

    @property
    def input(self) -> Array:
        """The images of the only network; see `NetworkContents`."""
        return self.only.input

    @property
    def output(self) -> Array:
        """What the only network's last layer shows; see `NetworkContents`."""
        return self.only.output

    def __repr__(self) -> str:
        parts = [repr(network) for network in self.networks.values()]
        if self.tables:
            parts.append(f"tables {', '.join(map(repr, self.tables))}")
        return "; ".join([f"{self.path}: {parts[0]}", *parts[1:], *self.notes])
