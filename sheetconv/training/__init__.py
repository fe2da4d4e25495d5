"""The trainer: data, losses, optimisers, schedules, the loop and its record, in NumPy."""

from .datasets import Data, Dataset, load_data
from .evaluation import Evaluation
from .history import History
from .learner import Learner

__all__ = ["Data", "Dataset", "Evaluation", "History", "Learner", "load_data"]
