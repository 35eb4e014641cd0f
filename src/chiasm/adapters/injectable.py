"""What a hook on a model's inputs can do of a deficit or a timeline, and what it must refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from chiasm.deficits import Deficit, Dissociate, Noise, Occlude, ShuffleLabels, Silence
from chiasm.deficits.arguments import is_whole
from chiasm.deficits.deficit import flat
from chiasm.errors import ChiasmError, unknown
from chiasm.timeline import Timeline
from chiasm.timeline.notation import CLEAN, Reader

Baseline = dict[str, Tensor]
Span = tuple[int, int | None, tuple[Deficit, ...]]


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
        if sources is not None:
            what.check(sources)
        return list(what.spans())
    deficits = what if isinstance(what, tuple) else (what,)
    if not all(isinstance(d, Deficit) for d in deficits):
        raise ChiasmError(f"inject: the deficit is a {type(given).__name__}; a text such as 'silence(right)' would do")
    for deficit in deficits:
        for name in deficit.touches:
            if sources is not None and name not in sources:
                raise unknown("source", name, sources, where=str(deficit))
    return [(*_window(window), flat(deficits))]


def checked(
    deficits: Sequence[Deficit], sources: Sequence[str] | None, target: bool, baseline: Mapping[str, object]
) -> list[str]:
    """Refuse what no hook on the inputs can do; return the sources that the rest of it must be given.

    Raises:
        ChiasmError: for the first deficit that cannot be injected as things are: why, and what would do.
    """
    for deficit in deficits:
        if deficit.frozen:
            raise ChiasmError(
                f"{deficit} cannot be injected: it acts on weights, and a hook on the inputs sees data only; "
                "requires_grad_(False) on the pathway in your loop, or chiasm.run, would do"
            )
        if isinstance(deficit, Dissociate):
            _check_dissociate(deficit, sources, target)
        if isinstance(deficit, ShuffleLabels) and not target:
            raise ChiasmError(
                f"{deficit} cannot be injected as it stands: a hook sees what forward is given, and no labels; "
                "target=, the parameter of forward that takes them, would do"
            )
        resting = isinstance(deficit, Silence | Occlude) or (isinstance(deficit, Noise) and deficit.mode == "replace")
        for name in deficit.touches if resting else ():
            if name not in baseline:
                raise ChiasmError(
                    f"{deficit} shows the mean of '{name}' over the training data, which a hook does not know; "
                    f"baseline={{'{name}': data.mean(0)}}, or a number, would do"
                )
    touched = list(dict.fromkeys(name for deficit in deficits for name in deficit.touches))
    # Dissociation names no source: it permutes all of them but the first.
    if any(isinstance(deficit, Dissociate) for deficit in deficits):
        return list(sources or ())
    if deficits and not touched and not sources and not target:
        raise ChiasmError("inject: the deficit names no source; sources=[...], one or more, would do")
    return touched or list(sources or ())


def baseline_of(baseline: Mapping[str, Tensor | float]) -> Baseline:
    """Return the rests as tensors.

    Raises:
        ChiasmError: one that is neither a tensor nor a number.
    """
    tensors = {}
    for name, value in baseline.items():
        try:
            tensors[name] = torch.as_tensor(value).detach()
        except (TypeError, ValueError, RuntimeError):
            raise ChiasmError(
                f"inject: baseline of '{name}' is a {type(value).__name__}; a tensor or a number would do"
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
        raise ChiasmError(f"inject: window = {window!r}; (start, stop) would do, stop not included")
    start, stop = window
    if not (is_whole(start) and start >= 0 and (stop is None or is_whole(stop))):
        raise ChiasmError(f"inject: window = {window!r}; two whole numbers, 0 or more, would do; None: no end")
    if stop is not None and stop <= start:
        raise ChiasmError(
            f"inject: window = {window!r} ends before it begins; (start, stop) with start < stop would do"
        )
    return start, stop


def _check_dissociate(deficit: Dissociate, sources: Sequence[str] | None, target: bool) -> None:
    if deficit.within == "batch" and deficit.labels != "first":
        raise ChiasmError(
            f"{deficit} cannot be injected: it chooses the label and the head that read each sample, which no hook on "
            "the inputs can; dissociate(labels=first) would do, or chiasm.run"
        )
    if deficit.within == "class" and not target:
        raise ChiasmError(
            f"{deficit} cannot be injected as it stands: it looks at labels, and a hook sees what forward is given; "
            "target=, the parameter of forward that takes them, would do"
        )
    if sources is None or len(sources) < 2:
        raise ChiasmError(
            f"{deficit} permutes every source but the first; sources=[...], two or more in order, would do"
        )
