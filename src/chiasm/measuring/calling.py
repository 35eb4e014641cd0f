"""How a model wants its sources: by name, in order, or in one mapping."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from chiasm.errors import ChiasmError, unknown
from chiasm.networks import FusionNetwork

Forward = Callable[[nn.Module, Mapping[str, Tensor]], Any]


def forward_of(model: nn.Module, sources: Sequence[str]) -> Forward:
    """Infer from the signature of `model.forward` how to call it.

    Parameters named as the sources are given by name. Otherwise sources are given in order, where the model takes as
    many inputs as there are sources. A network of the bench, or a model that takes one input only, is given the
    mapping.

    Raises:
        ChiasmError: neither fits; the sentence says what would.

    >>> class Net(nn.Module):
    ...     def forward(self, right, left):
    ...         return left - right
    >>> net = Net()
    >>> forward_of(net, ["left", "right"])(net, {"left": 3, "right": 1})
    2
    """
    if isinstance(model, FusionNetwork):
        for name in sources:
            if name not in model.pathways:
                raise unknown("source", name, model.pathways)
        if len(sources) < len(model.pathways):
            raise ChiasmError(f"the network has sources {', '.join(model.pathways)}; given: {', '.join(sources)}")
        return _mapping
    parameters = inspect.signature(model.forward).parameters.values()
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if set(sources) <= named and set(required) <= set(sources):
        return _by_name
    enough = len(places) >= len(sources) or any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if enough and set(required) <= {p.name for p in places[: len(sources)]}:
        return _in_order
    if len(places) >= 1 and set(required) <= {places[0].name}:
        return _mapping
    raise ChiasmError(
        f"the model's forward takes ({', '.join(p.name for p in parameters)}), which does not fit the sources "
        f"{', '.join(sources)}; name the sources as its parameters, or give forward=(model, sources) -> output"
    )


def _by_name(model: nn.Module, sources: Mapping[str, Tensor]) -> Any:
    return model(**sources)


def _in_order(model: nn.Module, sources: Mapping[str, Tensor]) -> Any:
    return model(*sources.values())


def _mapping(model: nn.Module, sources: Mapping[str, Tensor]) -> Any:
    return model(dict(sources))
