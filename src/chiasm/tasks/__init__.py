"""What there is to learn: tasks that the library generates or brings along, and a user's own arrays."""

from chiasm.tasks.arrays import Arrays, write_arrays
from chiasm.tasks.digits import Digits
from chiasm.tasks.halves import Halves
from chiasm.tasks.linear import Linear
from chiasm.tasks.stereogram import Stereogram
from chiasm.tasks.task import Data, Description, Fed, Feed, Task

__all__ = [
    "Arrays",
    "Data",
    "Description",
    "Digits",
    "Fed",
    "Feed",
    "Halves",
    "Linear",
    "Stereogram",
    "Task",
    "write_arrays",
]
