"""A deficit injected into a training loop of the user's own, through a hook on the model's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, final, get_args

import torch
from torch import Tensor, nn

from chiasm.adapters.injectable import Baseline, baseline_of, checked, spans_of
from chiasm.adapters.places import Address, Arguments, place_of
from chiasm.deficits import Composed, Deficit
from chiasm.deficits.arguments import is_whole
from chiasm.errors import ChiasmError
from chiasm.randomness import generator
from chiasm.sources import Batch
from chiasm.timeline import Timeline

Unit = Literal["epoch", "step"]
Span = tuple[int, int | None, tuple[Deficit, ...]]


def inject(
    model: nn.Module,
    deficit: str | Deficit | Timeline,
    *,
    sources: Mapping[str, Address] | Sequence[str] | None = None,
    window: tuple[int, int | None] | None = None,
    unit: Unit = "epoch",
    steps_per_epoch: int | None = None,
    baseline: Mapping[str, Tensor | float] | None = None,
    target: Address | None = None,
    seed: int = 0,
) -> Injection:
    """Impair the inputs of a model while it trains, in a loop that chiasm does not run.

    A hook on the model's forward replaces its inputs by impaired copies: only in training mode, and only inside the
    window. A call outside of it goes through untouched, and the batch itself is never written to. Draws come from
    (seed, "deficit", epoch, step) as in `chiasm.run`, never from the global streams. Call the model itself, not its
    `forward`, and inject into the module that is called: hooks are torch's.

    Args:
        model: any module; one wrapped by torch.compile or data parallelism too, before or after. (Where an injected
            module lies inside a compiled one the graph breaks at its input, so not with fullgraph=True.)
        deficit: in the notation: "blur(right, 4) + noise(left, 0.5)", or a timeline, "clean 20 | silence(right) 40 |
            clean 60", which says when by itself; after its end all is clean. Or the object that either stands for.
        sources: where each source stands in the arguments of forward: {"left": "pixel_values", "right": 1}, by the
            parameter's name or position; ("batch", "image") leads into a mapping, a tuple or a list. A list of names,
            or None: sources are called as the parameters are, or as the keys of a model's only input.
        window: (start, stop) in units from 0, stop not included, None for no end; by default always.
        unit: what a window and a timeline count: "epoch", counted by `Injection.epoch()` or by `steps_per_epoch`; or
            "step": each call of the model in training mode.
        steps_per_epoch: counts epochs by steps, instead of `Injection.epoch()`.
        baseline: what a source shows that is silent or hidden: its mean over the training data, (*shape,), or a number.
        target: where the labels stand, if forward takes them; what permutes labels or looks at them needs it.
        seed: of the draws. Two injections into one model should differ in it, or be one: "a + b".

    Returns:
        The injection, in force until `remove()` or the end of a `with` block.

    Raises:
        ChiasmError: a deficit that is unknown or that no hook can do, an unknown source, a window that ends before it
            begins; at a call of the model: arguments that do not hold the sources.

    >>> net = nn.Bilinear(2, 2, 1)
    >>> with inject(net, "silence(input2)", baseline={"input2": 0.0}, window=(0, 2), unit="step") as injection:
    ...     for _ in range(3):
    ...         print(injection.active, torch.equal(net(torch.ones(1, 2), torch.ones(1, 2)), net.bias[None]))
    True True
    True True
    False False
    """
    if not isinstance(model, nn.Module):
        raise ChiasmError(f"inject: model is a {type(model).__name__}; expected a torch nn.Module")
    if unit not in get_args(Unit):
        raise ChiasmError(f"inject: unit = {unit!r}; expected 'epoch' or 'step'")
    if steps_per_epoch is not None and not (is_whole(steps_per_epoch) and steps_per_epoch >= 1):
        raise ChiasmError(f"inject: steps_per_epoch = {steps_per_epoch!r}; expected a whole number, 1 or more")
    if isinstance(sources, str):
        raise ChiasmError(f"inject: sources = '{sources}' is one name; expected a list of names: ['{sources}']")
    names = None if sources is None else list(sources)
    spans = spans_of(deficit, window, names)
    deficits = tuple(dict.fromkeys(d for _, _, some in spans for d in some))
    needed = checked(deficits, names, target is not None, baseline or {})
    addresses: dict[str, Address] = {name: name for name in needed}
    if isinstance(sources, Mapping):
        addresses = {name: sources[name] for name in needed}
    return Injection(model, spans, addresses, unit, steps_per_epoch, baseline_of(baseline or {}), target, seed)


@final
class Injection:
    """A deficit in force in a model's training; `chiasm.inject` returns it.

    Attributes:
        steps: calls of the model in training mode so far.
        active: whether the next such call is under a deficit.
        deficits: which ones it is under, () when clean.
    """

    def __init__(
        self,
        model: nn.Module,
        spans: Sequence[Span],
        addresses: Mapping[str, Address],
        unit: Unit,
        steps_per_epoch: int | None,
        baseline: Baseline,
        target: Address | None,
        seed: int,
    ) -> None:
        self._spans, self._unit, self._per_epoch, self._baseline = tuple(spans), unit, steps_per_epoch, baseline
        self._seed = seed
        self._places = {name: place_of(model, name, address) for name, address in addresses.items()}
        self._target = None if target is None else place_of(model, "target", target)
        self.steps = 0
        self._epoch: int | None = None
        self._began = 0  # the step with which the epoch began
        self._handle = model.register_forward_pre_hook(self._hook, with_kwargs=True)
        self._removed = False

    def epoch(self, number: int | None = None) -> None:
        """Begin an epoch: call it before the first step of each.

        Args:
            number: which one, from 0; the one that is under way goes on. None: the next one, 0 to begin with.

        Raises:
            ChiasmError: a number below 0, epochs counted by `steps_per_epoch`, or a model that was never called.
        """
        if self._per_epoch is not None:
            raise ChiasmError("inject: epochs are counted by steps_per_epoch; epoch() is for loops that do not give it")
        if number is not None and not (is_whole(number) and number >= 0):
            raise ChiasmError(f"inject: epoch {number!r}; expected a whole number, 0 or more")
        if number is not None and number == self._epoch:
            return  # a run resumed in the middle of it: its steps count on
        if self._epoch is not None:
            self._require_steps()
        self._epoch = number if number is not None else 0 if self._epoch is None else self._epoch + 1
        self._began = self.steps

    @property
    def active(self) -> bool:
        """Whether the next call of the model in training mode is under a deficit."""
        return bool(self.deficits)

    @property
    def deficits(self) -> tuple[Deficit, ...]:
        """The deficits of the next call in training mode, applied from left to right; () when clean or removed."""
        now = self.steps if self._unit == "step" else self._address()[0]
        matches = (d for start, stop, d in self._spans if start <= now and (stop is None or now < stop))
        return () if self._removed else next(matches, ())

    def remove(self) -> None:
        """Take the hook off the model; a second time does nothing."""
        self._handle.remove()
        self._removed = True

    def __enter__(self) -> Injection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()
        if error is None:
            self._require_steps()

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs to go on from here: plain numbers and texts."""
        return {**self._identity(), "steps": self.steps, "epoch": self._epoch, "began": self._began}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was called.

        Raises:
            ChiasmError: the state is of another deficit, window or seed, or no state at all.
        """
        own = self._identity()
        for key in (*own, "steps", "epoch", "began"):
            if key not in state:
                raise ChiasmError(f"inject: the state has no '{key}'; expected what state_dict() returned")
        for key, value in own.items():
            if state[key] != value:
                raise ChiasmError(f"inject: the state has {key} '{state[key]}'; this injection has '{value}'")
        self.steps, self._epoch, self._began = state["steps"], state["epoch"], state["began"]

    def __str__(self) -> str:
        epoch, step = self._address()
        now = str(Composed(self.deficits)) if not self._removed else "removed"
        return f"{self._identity()['plan']}; now at epoch {epoch}, step {step} of it ({self.steps} in all): {now}"

    def __repr__(self) -> str:
        return f"<Injection {self}>"

    def _identity(self) -> dict[str, Any]:
        phases = [
            str(Composed(d))
            + ("" if (start, stop) == (0, None) else f", {self._unit}s {start} up to {stop or 'the end'}")
            for start, stop, d in self._spans
            if d
        ]
        return {"plan": "; ".join(phases) or "clean", "seed": self._seed, "steps_per_epoch": self._per_epoch}

    def _address(self) -> tuple[int, int]:
        """Return the epoch of the next call, and its step in it, both from 0."""
        if self._per_epoch is not None:
            return divmod(self.steps, self._per_epoch)
        return self._epoch or 0, self.steps - self._began

    def _require_steps(self) -> None:
        if not self.steps:
            raise ChiasmError(
                "inject: the model was not called in training mode, so nothing was impaired; inject into the module "
                "that your loop calls, and call it as model(...), not model.forward(...)"
            )

    def _hook(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments | None:
        if not module.training:
            return None
        # Kept out of a compiled graph, which would be compiled anew at every step. Here, not as a decorator: that would
        # import the compiler together with this module.
        impair = torch.compiler.disable(self._impaired)  # type: ignore[no-untyped-call]
        arguments: Arguments | None = impair((args, kwargs))
        return arguments

    def _impaired(self, arguments: Arguments) -> Arguments | None:
        """Count a step; return the impaired arguments, None where they stay as they are."""
        timed = any((start, stop) != (0, None) for start, stop, _ in self._spans)
        if timed and self._unit == "epoch" and self._epoch is None and self._per_epoch is None:
            raise ChiasmError(
                "inject: the deficit is timed in epochs, and nothing counts them; call epoch() at the beginning of "
                "each, or give steps_per_epoch, or unit='step'"
            )
        deficits, (epoch, step) = self.deficits, self._address()
        self.steps += 1
        if not deficits:
            return None
        given = self._read(arguments, deficits)
        batch, draws = given, generator(self._seed, _purpose(), epoch, step, device=given.target.device)
        for deficit in deficits:
            batch = deficit(batch, draws)
        for name, x in batch.sources.items():
            if x is not given.sources[name]:
                arguments = self._places[name].exchanged(arguments, x)
        if batch.head is not None or (self._target is None and batch.target is not given.target):
            raise ChiasmError(
                f"inject: {Composed(deficits)} changes labels or heads, which a hook on the inputs cannot"
            )
        if self._target is not None and batch.target is not given.target:
            arguments = self._target.exchanged(arguments, batch.target)
        return arguments

    def _read(self, arguments: Arguments, deficits: Sequence[Deficit]) -> Batch:
        # A deficit that names no source may look at all of them; otherwise a call need not give the others.
        named = {name for deficit in deficits for name in deficit.touches or self._places}
        sources = {name: place.read(arguments) for name, place in self._places.items() if name in named}
        for name, x in sources.items():
            baseline = self._baseline.get(name)
            if baseline is not None and not _fits(baseline, x):
                raise ChiasmError(
                    f"inject: baseline of '{name}' is {tuple(baseline.shape)} and a sample of it {tuple(x.shape[1:])}; "
                    "expected a number, or a tensor of the sample's shape"
                )
        if self._target is not None:
            return Batch(sources, self._target.read(arguments), self._baseline)
        first = next(iter(sources.values()))
        return Batch(sources, torch.zeros(len(first), dtype=torch.int64, device=first.device), self._baseline)


def _fits(baseline: Tensor, x: Tensor) -> bool:
    """Tell whether `baseline` broadcasts to a sample of `x` without growing it."""
    pairs = zip(reversed(baseline.shape), reversed(x.shape), strict=False)
    return baseline.dim() < x.dim() and all(n in (1, wanted) for n, wanted in pairs)


def _purpose() -> str:
    # Processes that train together hold different samples under the same steps; each must draw for itself.
    shared = torch.distributed.is_available() and torch.distributed.is_initialized()
    rank = torch.distributed.get_rank() if shared else 0
    return f"deficit of process {rank}" if rank else "deficit"
