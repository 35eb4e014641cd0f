"""What there is to learn: tasks that the library generates or brings along, and a user's own arrays."""

from chiasm.tasks.arrays import Arrays, write_arrays
from chiasm.tasks.digits import Digits
from chiasm.tasks.halves import Halves
from chiasm.tasks.linear import Linear
from chiasm.tasks.motion import Motion
from chiasm.tasks.question import VisualQuestion
from chiasm.tasks.sensors import Sensors
from chiasm.tasks.spoken_digits import SpokenDigits
from chiasm.tasks.stereogram import Stereogram
from chiasm.tasks.task import TASKS, Data, Description, Feed, StreamedData, Task

__all__ = [
    "TASKS",
    "Arrays",
    "Data",
    "Description",
    "Digits",
    "Feed",
    "Halves",
    "Linear",
    "Motion",
    "Sensors",
    "SpokenDigits",
    "Stereogram",
    "StreamedData",
    "Task",
    "VisualQuestion",
    "write_arrays",
]
