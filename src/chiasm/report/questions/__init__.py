"""The questions of a study's report, a kind a file: what is asked, which arms test it, and how numbers answer it."""

from chiasm.report.questions.question import QUESTIONS, Question, questions

__all__ = ["QUESTIONS", "Question", "questions"]
