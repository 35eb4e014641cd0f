from abc import ABC
from typing import Any

from chiasm.registry import Registry


class Question(ABC):
    """x."""


QUESTIONS: Registry[Any] = Registry("question", Question, "chiasm.report.questions")
