"""What a training run takes: examples to learn from, and examples to be judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import DataError
from ...formulas import Shape
from .arrays import Examples, datasets_of
from .base import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """The examples for training, those for validation, and what they are called.

    Attributes:
        train: what the network learns from.
        valid: what it is judged by; it learns nothing from it.
        name: "digits", "mnist", ..., or the path that they were read from.

    Raises:
        DataError: one of them is empty, or they differ in the shape of their images or in
            their classes.
    """

    train: Dataset
    valid: Dataset
    name: str

    def __post_init__(self) -> None:
        for what, part in (("training", self.train), ("validation", self.valid)):
            if not len(part):
                raise DataError(f"{self.name}: there are no examples for {what}: expected some")
        for what in ("image_shape", "classes", "is_multi_label", "scale"):
            one, other = getattr(self.train, what), getattr(self.valid, what)
            if one != other:
                raise DataError(
                    f"{self.name}: {what} is {one} for training and {other} for validation: "
                    "expected the same"
                )

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        labels: Any,
        classes: Sequence[str] | None = None,
        valid: float | tuple[Any, Any] = 0.2,
        seed: int = 0,
        *,
        image_shape: Shape | None = None,
        scale: float | None = None,
        name: str = "arrays",
    ) -> Data:
        """Data from arrays, or from what NumPy makes an array of.

        Args:
            images: (N, height, width), (N, channels, height, width) or (N, features). Bytes
                stay bytes and floats stay as they are, float32 or float64; other whole numbers
                from 0 to 255 become bytes.
            labels: (N,) whole numbers or texts; or (N, labels) of 0 and 1, where an image has
                any number of labels.
            classes: names in the order of the labels' numbers, which count from 0. Default:
                every label that occurs is a class and its own name, in their order.
            valid: the share of the examples that is kept back for validation, see `split`; or
                the images and labels for it. Default 0.2.
            seed: which examples are kept back. Default 0.
            image_shape: (channels, height, width) or (features,) that the images are brought
                into; channels may be last in `images`. Default: they keep their own.
            scale: what pixels are multiplied by. Default: 1/255 for whole numbers from 0 to
                255 of which one is above 1, and otherwise 1.
            name: what the data are called.

        Raises:
            DataError: the arrays are of another shape or kind, hold what is no finite number,
                have not as many labels as images, or a label that is no class; or nothing is
                left for training or validation.

        Example:
            >>> import numpy as np
            >>> pictures = np.arange(160, dtype=np.uint8).reshape(10, 4, 4)
            >>> data = Data.from_arrays(pictures, ["cat", "dog"] * 5)
            >>> len(data.train), len(data.valid), data.train.image_shape, data.train.classes
            (8, 2, (1, 4, 4), ('cat', 'dog'))
        """
        names = (f"{name}: images", f"{name}: labels")
        own: Examples | float
        if isinstance(valid, tuple):
            if len(valid) != 2:
                raise DataError(
                    f"{name}: valid is a tuple of {len(valid)}: expected a share, or images and "
                    "labels"
                )
            own = Examples(*valid, f"{name}: images for validation", f"{name}: labels of these")
        else:
            own = valid
        train, judged = datasets_of(
            Examples(images, labels, *names),
            own,
            classes,
            seed=seed,
            image_shape=image_shape,
            scale=scale,
        )
        return cls(train, judged, name)
