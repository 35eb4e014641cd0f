"""One worker process: `python -m chiasm.study.worker`, its order on standard input, its messages on standard output."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import IO, Any

import torch

from chiasm.errors import ChiasmError
from chiasm.study.engine import Engine
from chiasm.study.plan import make_plan
from chiasm.study.progress import Silent
from chiasm.study.spec import Study
from chiasm.study.store import Store

VOICE: IO[str] = sys.stdout


class _Relay(Silent):
    """Tells the parent process; ends this one when the parent is gone."""

    def __init__(self, parent: int) -> None:
        self.parent = parent

    def advance(self, epochs: int, runs_done: int) -> None:
        if os.getppid() != self.parent:
            os._exit(1)
        tell({"epochs": epochs, "runs": runs_done})

    def say(self, sentence: str) -> None:
        tell({"say": sentence})


def tell(what: dict[str, Any]) -> None:
    """Say one thing to the parent process: a line of JSON."""
    VOICE.write(json.dumps(what) + "\n")
    VOICE.flush()


def main() -> None:
    """Work through one share of a plan: the order comes as JSON on standard input."""
    global VOICE  # noqa: PLW0603  (what a user's own code prints must not be taken for our words: it goes to stderr)
    VOICE = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    order = json.load(sys.stdin)
    torch.set_num_threads(order["threads"])
    try:
        study = Study.from_toml(order["study"])
        plan = make_plan(study, order["device"])
        relay = _Relay(order["parent"])
        with Store(Path(order["store"]), say=relay.say) as store:
            device = torch.device(order["device"])
            Engine(plan, store, device, order["rows"], relay, only=frozenset(order["part"])).run()
    except ChiasmError as error:
        tell({"error": str(error)})
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)


if __name__ == "__main__":
    main()
