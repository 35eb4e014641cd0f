"""What a hook on a model's inputs can do of a deficit or a timeline, and what it must refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from chiasm.deficits import Deficit
from chiasm.deficits.arguments import is_whole
from chiasm.deficits.deficit import flat
from chiasm.errors import ChiasmError, unknown
from chiasm.timeline import Timeline
from chiasm.timeline.notation import CLEAN, Reader

Span = tuple[int, int | None, tuple[Deficit, ...]]


class Baseline(dict[str, Tensor]):
    """The baselines that the user gave, by source; a deficit that shows another one is told so in a sentence."""

    def __missing__(self, name: str) -> Tensor:
        raise ChiasmError(
            f"the deficit shows the mean of '{name}' over the training data, which a hook does not know; expected "
            f"baseline={{'{name}': data.mean(0)}}, or a number"
        )


def spans_of(
    given: str | Deficit | Timeline, window: tuple[int, int | None] | None, sources: Sequence[str] | None
) -> list[Span]:
    """Return (start, stop, deficits) in order; stop None: no end; outside of all spans is clean.

    Args:
        given: deficits or a timeline, as text or as objects.
        window: of deficits; a timeline has its own.
        sources: the known sources, or None: any name will do.

    Raises:
        ChiasmError: a mistake in the notation, a window together with a timeline, a window that is none.

    >>> [(start, stop, len(deficits)) for start, stop, deficits in spans_of("clean 2 | silence(left) 3", None, None)]
    [(0, 2, 0), (2, 5, 1)]
    """
    what = _read(given, sources) if isinstance(given, str) else given
    if isinstance(what, Timeline):
        if window is not None:
            raise ChiasmError(f"inject: '{what}' is a timeline, which says when by itself; leave out window")
        if named := [objective for *_, objective in what.segments() if objective]:
            raise ChiasmError(
                f"inject: '{what}' names an objective, and the loss is your loop's; leave out @{named[0]}"
            )
        if sources is not None:
            what.check(sources)
        return list(what.spans())
    deficits = what if isinstance(what, tuple) else (what,)
    if not all(isinstance(d, Deficit) for d in deficits):
        raise ChiasmError(f"inject: the deficit is a {type(given).__name__}; expected a text such as 'silence(right)'")
    for deficit in deficits:
        for name in deficit.touches:
            if sources is not None and name not in sources:
                raise unknown("source", name, sources, where=str(deficit))
    return [(*_window(window), flat(deficits))]


def checked(
    deficits: Sequence[Deficit], sources: Sequence[str] | None, target: bool, baseline: Mapping[str, object]
) -> list[str]:
    """Refuse what no hook on the inputs can do; return the sources that the rest of it must be given.

    What a deficit needs stands on its kind, so one of the user's own is asked as those of the package are.

    Raises:
        ChiasmError: for the first deficit that cannot be injected as things are: why, and what is expected.
    """
    for deficit in deficits:
        if deficit.frozen:
            raise ChiasmError(
                f"{deficit} cannot be injected: it acts on weights, and a hook on the inputs sees data only; expected "
                "requires_grad_(False) on the pathway in your loop, or chiasm.run"
            )
        if deficit.chooses_head:
            raise ChiasmError(
                f"{deficit} cannot be injected: it chooses the label and the head that read each sample, which no hook "
                "on the inputs can; expected one that leaves them, such as dissociate(labels=first), or chiasm.run"
            )
        if deficit.needs_target and not target:
            raise ChiasmError(
                f"{deficit} cannot be injected as it stands: it needs labels, and a hook sees what forward is given; "
                "expected target=, the parameter of forward that takes them"
            )
        if deficit.of_all and (sources is None or len(sources) < 2):
            raise ChiasmError(f"{deficit} acts on all sources; expected sources=[...], two or more in order")
        for name in deficit.touches if deficit.needs_baseline else ():
            if name not in baseline:
                raise ChiasmError(
                    f"{deficit} shows the mean of '{name}' over the training data, which a hook does not know; "
                    f"expected baseline={{'{name}': data.mean(0)}}, or a number"
                )
    touched = list(dict.fromkeys(name for deficit in deficits for name in deficit.touches))
    if any(deficit.of_all for deficit in deficits):
        return list(sources or ())
    if deficits and not touched and not sources and not target:
        raise ChiasmError("inject: the deficit names no source; expected sources=[...], one or more")
    return touched or list(sources or ())


def baseline_of(baseline: Mapping[str, Tensor | float]) -> Baseline:
    """Return the baselines as tensors.

    Raises:
        ChiasmError: one that is neither a tensor nor a number.
    """
    tensors = Baseline()
    for name, value in baseline.items():
        try:
            tensors[name] = torch.as_tensor(value).detach()
        except (TypeError, ValueError, RuntimeError):
            raise ChiasmError(
                f"inject: baseline of '{name}' is a {type(value).__name__}; expected a tensor or a number"
            ) from None
    return tensors


def _read(text: str, sources: Sequence[str] | None) -> Timeline | tuple[Deficit, ...]:
    reader = Reader(text, sources)
    if "|" in text or reader.next.text == CLEAN or reader.next.kind == "end":
        return Timeline.parse(text, sources)
    deficits = [reader.deficit()]
    while reader.skip("+"):
        deficits.append(reader.deficit())
    if reader.next.kind == "number":
        return Timeline.parse(text, sources)
    if reader.next.kind != "end":
        reader.fail(f"expected '+' or the end, found {reader.next}", reader.next)
    return tuple(deficits)


def _window(window: tuple[int, int | None] | None) -> tuple[int, int | None]:
    if window is None:
        return 0, None
    if not isinstance(window, tuple | list) or len(window) != 2:
        raise ChiasmError(f"inject: window = {window!r}; expected (start, stop), stop not included")
    start, stop = window
    if not (is_whole(start) and start >= 0 and (stop is None or is_whole(stop))):
        raise ChiasmError(f"inject: window = {window!r}; expected two whole numbers, 0 or more; None: no end")
    if stop is not None and stop <= start:
        raise ChiasmError(
            f"inject: window = {window!r} ends before it begins; expected (start, stop) with start < stop"
        )
    return start, stop
