"""The 1,797 digits of 8 x 8 pixels that come with this package: nothing is downloaded.

They are the test set of "Optical Recognition of Handwritten Digits" by E. Alpaydin and
C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, published
under the Creative Commons Attribution 4.0 International licence
(https://creativecommons.org/licenses/by/4.0/). Each pixel counts the dots of ink in 4 x 4 of a
scan, 0 to 16. `digits.npz` holds them as bytes, `images` (1797, 8, 8) and `labels` (1797,), in
the order in which scikit-learn's `load_digits` has them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .arrays import Examples, datasets_of
from .data import Data
from .options import Options

CLASSES = tuple("0123456789")


def load_digits(options: Options) -> Data:
    """The digits, of which a share is kept back for validation.

    Raises:
        DataError: the network takes another shape.

    Example:
        >>> data = load_digits(Options())
        >>> len(data.train), len(data.valid), data.train.image_shape
        (1438, 359, (1, 8, 8))
    """
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as arrays:
        own = Examples(arrays["images"], arrays["labels"], "digits: images", "digits: labels")
    parts = datasets_of(
        own,
        options.share,
        CLASSES,
        seed=options.seed,
        image_shape=options.image_shape,
        scale=1 / 16,
    )
    return Data(*parts, "digits")
