"""Data to train with: known sets by their names, and the user's own files.

Each kind of source has a file of its own here. All of them give a `Data`: two data sets of
images and labels, stored as they are and converted batch by batch.
"""

from .base import Dataset
from .data import Data
from .loading import load_data
from .splitting import split

__all__ = ["Data", "Dataset", "load_data", "split"]
