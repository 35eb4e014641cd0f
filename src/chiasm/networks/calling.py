"""The calling convention of a model: how its forward takes sources, by name, in order, or in one mapping."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from chiasm.errors import ChiasmError, unknown
from chiasm.networks.fusion import FusionNetwork

Forward = Callable[[nn.Module, Mapping[str, Any]], Any]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]

EXPECTED = "name the sources as its parameters, or give forward=(model, sources) -> output"


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside its wrappers: (Distributed)DataParallel, AveragedModel, what torch.compile returned.

    >>> net = nn.Linear(1, 1)
    >>> unwrapped(nn.DataParallel(net)) is net
    True
    """
    while (inner := wrapped_name(model)) is not None:
        model = model.get_submodule(inner)
    return model


def wrapped_name(model: nn.Module) -> str | None:
    """Return the name under which a wrapper holds the model it wraps; None: the module is no wrapper."""
    if isinstance(model, DataParallel | DistributedDataParallel | AveragedModel):
        return "module"
    # Nothing was compiled where torch's compiler was never imported, and importing it takes a second or more.
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    return "_orig_mod" if compiler is not None and isinstance(model, compiler.OptimizedModule) else None


@final
@dataclass(frozen=True, slots=True)
class CallingConvention:
    """One way of passing sources to a model.

    Attributes:
        kind: "named": as keywords; "ordered": in order of position; "mapping": in one mapping, the only argument.
        names: the parameters that "named" may fill; the order that "ordered" keeps, or none for that of the sources.
        sure: whether the signature says so itself, so that an error inside is the model's own.
    """

    kind: Literal["named", "ordered", "mapping"]
    names: tuple[str, ...] = ()
    sure: bool = True

    @property
    def how(self) -> str:
        """The convention in words, for errors."""
        return {"named": "by name", "ordered": "in order", "mapping": "in one mapping"}[self.kind]

    def arguments(self, sources: Mapping[str, Any]) -> Arguments:
        """Return the positional and the keyword arguments that hold the sources."""
        if self.kind == "mapping":
            return (dict(sources),), {}
        if self.kind == "named":
            return (), _keywords(sources, self.names)
        return tuple(sources[name] for name in self.names or sources), {}


def forward_of(model: nn.Module, sources: Mapping[str, Any]) -> Forward:
    """Infer from the signature of the model's forward how to call it.

    Parameters named as the sources are given by name; of a source that is a dict of tensors (tokens and their mask,
    say) and has no parameter of its name, the dict's keys count as names. Otherwise sources are given in order, where
    the model requires as many inputs as there are sources; a network of the bench, or a model of one input, is given
    the mapping. A forward of `*args` takes them in order, one of `**kwargs` by name. Wrappers (`DataParallel`,
    `torch.compile`) are looked through, and it is the model inside that is called.

    Args:
        model: any module, a TorchScript module too.
        sources: by name, a tensor each, or a dict or sequence of tensors; only names and dict keys are looked at.

    Returns:
        A function (model, sources) -> output. It raises a `ChiasmError` where the model cannot work with a mapping
        that its signature did not ask for.

    Raises:
        ChiasmError: no way fits; the sentence says what would.

    >>> class Net(nn.Module):
    ...     def forward(self, right, left):
    ...         return left - right
    >>> net = Net()
    >>> forward_of(net, {"left": 3, "right": 1})(net, {"left": 3, "right": 1})
    2
    """
    convention = calling_conventions(model, sources)[0]

    def call(model: nn.Module, sources: Mapping[str, Any]) -> Any:
        args, kwargs = convention.arguments(sources)
        inner = unwrapped(model)
        try:
            return inner(*args, **kwargs)
        except (TypeError, AttributeError, KeyError) as error:
            if not _comes_of_calling(error, convention, sources):
                raise
            reason = str(error).partition("\n")[0]
            raise ChiasmError(
                f"the model's forward takes ({_written(_parameters(inner))}); given the sources {', '.join(sources)} "
                f"{convention.how} it raised {type(error).__name__}: {reason}; {EXPECTED}"
            ) from error

    return call


def _comes_of_calling(error: Exception, convention: CallingConvention, sources: Mapping[str, Any]) -> bool:
    """Tell whether an error from inside the model comes of how it was called, as far as can be told."""
    if isinstance(error, KeyError):
        return convention.kind == "mapping" and error.args[:1] != () and error.args[0] not in sources
    return not convention.sure


def calling_conventions(model: nn.Module, sources: Mapping[str, Any]) -> list[CallingConvention]:
    """Return the ways to call the model that its signature allows, best first; more than one only for a lone source.

    Raises:
        ChiasmError: none fits, or a network of the bench has other sources.
    """
    inner = unwrapped(model)
    if isinstance(inner, FusionNetwork):
        _same_sources(inner, sources)
        return [CallingConvention("mapping")]
    parameters = _parameters(inner)
    conventions = [m for m in (_named(parameters, sources), _ordered(parameters, sources)) if m][:1]
    if not conventions or (conventions[0].kind == "ordered" and len(sources) == 1):
        conventions = _perhaps_mapping(parameters, conventions)
    if not conventions:
        raise ChiasmError(
            f"the model's forward takes ({_written(parameters)}), which does not fit the sources {', '.join(sources)}; "
            f"{EXPECTED}"
        )
    return conventions


def _same_sources(network: FusionNetwork, sources: Collection[str]) -> None:
    for name in sources:
        if name not in network.pathways:
            raise unknown("source", name, network.pathways)
    if len(sources) < len(network.pathways):
        raise ChiasmError(f"the network has sources {', '.join(network.pathways)}; given: {', '.join(sources)}")


def _parameters(model: nn.Module) -> list[Parameter]:
    """Return the parameters of the model's forward, without self."""
    if isinstance(model, torch.jit.ScriptModule):
        scripted: Any = model.forward
        return [
            Parameter(
                a.name,
                Parameter.POSITIONAL_OR_KEYWORD,
                default=None if a.has_default_value() else Parameter.empty,
                annotation=str(a.type),
            )
            for a in scripted.schema.arguments[1:]
        ]
    if getattr(model.forward, "__func__", None) is nn.Module.forward:
        raise ChiasmError(f"the model is a {type(model).__name__}, which has no forward; give a module that has one")
    try:
        return list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError) as error:
        raise ChiasmError(
            f"the signature of the forward of {type(model).__name__} cannot be read; give forward=(model, sources) -> "
            "output"
        ) from error


def _written(parameters: Sequence[Parameter]) -> str:
    return ", ".join("*" * (p.kind is p.VAR_POSITIONAL) + "**" * (p.kind is p.VAR_KEYWORD) + p.name for p in parameters)


def _required(parameters: Sequence[Parameter]) -> list[str]:
    variable = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is Parameter.empty and p.kind not in variable]


def _keywords(sources: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Lay sources out as keywords; a dict that has no parameter of its name is spread where all its keys have one."""
    given: dict[str, Any] = {}
    for source, value in sources.items():
        spread = source not in names and isinstance(value, Mapping) and value and all(key in names for key in value)
        for key, x in (value if spread else {source: value}).items():
            if key in given:
                raise ChiasmError(
                    f"source '{source}' holds '{key}', which another source has given already; {EXPECTED}"
                )
            given[key] = x
    return given


def _named(parameters: Sequence[Parameter], sources: Mapping[str, Any]) -> CallingConvention | None:
    names = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    given = set(_keywords(sources, names))
    # A model that also takes **kwargs would swallow a source whose name it does not know. So unknown names go there
    # only where nothing else is left to be meant by them.
    unnamed = not given <= set(names)
    if unnamed and not (any(p.kind is p.VAR_KEYWORD for p in parameters) and set(names) <= given):
        return None
    return CallingConvention("named", names, sure=not unnamed) if set(_required(parameters)) <= given else None


def _ordered(parameters: Sequence[Parameter], sources: Mapping[str, Any]) -> CallingConvention | None:
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p.name for p in places if p.default is p.empty]
    if set(_required(parameters)) != set(needed):
        return None  # a keyword is required that no source is named after
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        fits = len(needed) == len(places) <= len(sources)
    else:
        # An optional place is as likely a mask or a flag as a source, so only what is required is filled in order.
        fits = len(needed) == len(sources) or (len(sources) == 1 and not needed and bool(places))
    return CallingConvention("ordered", tuple(needed) if set(needed) == set(sources) else ()) if fits else None


def _perhaps_mapping(parameters: Sequence[Parameter], others: list[CallingConvention]) -> list[CallingConvention]:
    """Add the mapping where the first parameter may be one, and leave nothing else where it says that it is."""
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not places or not set(_required(parameters)) <= {places[0].name}:
        return others
    annotated = _is_mapping(places[0].annotation)
    if annotated is not None:
        return [CallingConvention("mapping")] if annotated else others
    sole = len(places) == 1 or places[0].default is Parameter.empty
    return [*others, CallingConvention("mapping", sure=False)] if sole else others


def _is_mapping(annotation: Any) -> bool | None:
    """Tell whether an annotation is of a mapping (True), of a tensor (False), or says nothing (None)."""
    if isinstance(annotation, str):
        if re.fullmatch(r"(torch\.)?Tensor", annotation):
            return False
        return True if re.match(r"(\w+\.)*(Mapping|MutableMapping|[dD]ict|OrderedDict)\b", annotation) else None
    kind = typing.get_origin(annotation) or annotation
    if not isinstance(kind, type) or kind is Parameter.empty:
        return None
    return True if issubclass(kind, Mapping) else False if issubclass(kind, Tensor) else None
