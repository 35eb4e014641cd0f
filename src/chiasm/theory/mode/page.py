"""What the study `linear-modes` shows: its figures, and its findings in plain sentences."""

from __future__ import annotations

from chiasm.pictures.style import Panel
from chiasm.theory.mode.curves import change, curves, rises
from chiasm.theory.mode.descents import steps
from chiasm.theory.mode.findings import WORDS, findings
from chiasm.theory.mode.planes import left, maps, permanence
from chiasm.theory.mode.study import ModesResult

__all__ = ["findings", "panels"]


def panels(result: ModesResult) -> list[Panel]:
    """Return the figures, in the order in which they tell their story."""
    settings = result.settings
    drawn = [curves(result, 0, "modes-shallow"), curves(result, 1, "modes-deep"), change(result), rises(result)]
    over = "Over onset (across) and release (up), in units of the time that learning takes without a removal"
    for how, planes in result.planes.items():
        word = {"silence": "silent", "unrelated": "unrelated"}[how]
        away = f"source {settings.removed} is {WORDS[how]} in between"
        figure = maps(planes, [plane.recovery / plane.finish for plane in planes], f"Time to recover, source {word}")
        caption = f"{over}: how long after the release the error stays within {settings.within:g} of the task; {away}."
        drawn.append(Panel(f"modes-recovery-{how}", figure, caption))
        figure = maps(
            planes, [plane.delay_others / plane.finish for plane in planes], f"Delay of the others, source {word}"
        )
        caption = f"{over}: how much later the weights of the sources that stay are learned; {away}."
        drawn.append(Panel(f"modes-others-{how}", figure, caption))
    return [*drawn, left(result), permanence(result), *([steps(result)] if result.steps else [])]
