"""One phase of training, state -> state: what is trained, what it is shown, and the hot path."""

from chiasm.training.batches import clean
from chiasm.training.precision import resolved
from chiasm.training.ranks import ALONE, Ranks, first_rank, joined
from chiasm.training.settings import Precision, Training
from chiasm.training.stack import Stack
from chiasm.training.state import Leg, Row, State, Trained, initial_state, renewed

__all__ = [
    "ALONE",
    "Leg",
    "Precision",
    "Ranks",
    "Row",
    "Stack",
    "State",
    "Trained",
    "Training",
    "clean",
    "first_rank",
    "initial_state",
    "joined",
    "renewed",
    "resolved",
]
