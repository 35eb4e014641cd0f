"""One network, many sets of weights: rows evaluated together, each on its own batch.

A row of a batched matrix product has the same bits whatever the other rows are, as long as there are two rows or more
(a single one takes another code path), so a run's numbers do not depend on its company. Convolutions give no such
promise and gain little from stacking; networks that hold them are run a row at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import pad

from chiasm.networks.calling import Arguments, CallingConvention, calling_conventions
from chiasm.networks.fusion import Fusion, FusionNetwork
from chiasm.networks.multiview import MultiViewTransformer
from chiasm.networks.response import Response
from chiasm.networks.token_rows import Slot, Weights, evaluate_tokens
from chiasm.randomness import seeded_globals

# Not nn.Sigmoid: its bits depend on an element's place in memory, and so on a row's company.
ELEMENTWISE = (nn.ReLU, nn.Tanh, nn.GELU, nn.Identity)
STACKABLE = (nn.Linear, nn.Flatten, nn.Sequential, Fusion, *ELEMENTWISE)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply each row's linear layer: (rows, samples, K), (rows, N, K) -> (rows, samples, N).

    A product's bits depend on how its matrices lie in memory. So that no row's do on its place in the stack, samples
    and outputs are padded with zeros wherever a row would not begin at a multiple of 16 bytes.
    """
    samples, K, N = x.shape[1], x.shape[2], weight.shape[1]
    wide = -N % 4 if N * K % 4 else 0
    long = -samples % 16 if samples * K % 4 or samples * (N + wide) % 4 else 0
    if wide:
        weight = pad(weight, (0, 0, 0, wide))
        bias = None if bias is None else pad(bias, (0, wide))
    if long:
        x = pad(x, (0, 0, 0, long))
    if bias is None:
        out = torch.bmm(x, weight.transpose(1, 2))
    else:
        out = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
    return out[:, :samples, :N].contiguous() if wide or long else out


def _row(x: Tensor, row: int) -> Tensor:
    # The gradient of an index is a copy of the whole, that of a squeeze is a view.
    return x.squeeze(0) if len(x) == 1 else x[row]


def _stack(rows: list[Tensor]) -> Tensor:
    return rows[0].unsqueeze(0) if len(rows) == 1 else torch.stack(rows)


class Stacked:
    """Evaluate a network template with weights that carry a row axis.

    Args:
        template: the network; its own weights are not used.

    Attributes:
        stackable: whether rows share the machine's work; otherwise give one row at a time.
        separable: whether pathways can be run apart from what follows (`encode`, then `join`).
        tokens: into how many tokens it cuts each source; empty where it cuts none.
    """

    def __init__(self, template: nn.Module) -> None:
        self.template = template
        self.separable = isinstance(template, FusionNetwork)
        leaves = [m for m in template.modules() if not isinstance(m, FusionNetwork | nn.ModuleDict)]
        layered = self.separable and all(isinstance(m, STACKABLE) for m in leaves)
        self.stackable = layered or isinstance(template, MultiViewTransformer)
        self.tokens: dict[str, int] = dict(getattr(template, "tokens", {}))
        self.names = {module: name for name, module in template.named_modules()}
        # By the tensor, as modules may share one: the weights know it by its first name alone.
        names = {id(t): name for name, t in (*template.named_parameters(), *template.named_buffers())}
        self._slots_of: dict[nn.Module, list[Slot]] = {
            module: [
                (cast(dict[str, Tensor], tensors), key, names[id(t)])
                for tensors in (module._parameters, module._buffers)
                for key, t in tensors.items()
                if t is not None
            ]
            for module in template.modules()
        }
        self._slots_inside: dict[nn.Module, list[Slot]] = {}
        self._convention: CallingConvention | None = None

    def __call__(
        self,
        weights: Weights,
        sources: Mapping[str, Tensor],
        layers: Collection[str] = (),
        decode: bool = False,
        hidden: Mapping[str, Tensor] | None = None,
        baseline: Mapping[str, Tensor] | None = None,
    ) -> Response:
        """Evaluate all rows.

        Args:
            weights: parameters and buffers by name, each (rows, ...).
            sources: (rows, samples, *shape) by source.
            layers: names of the layers to return.
            decode: whether to rebuild the sources too.
            hidden: what the network must not see, (rows, samples, tokens) bool by source, (rows, samples, 1) of one as
                a whole. Hidden tokens are left out; where there are none, hidden sources are at their baseline.
            baseline: (rows, 1, *shape) by source, where something is hidden.
        """
        if isinstance(self.template, MultiViewTransformer):
            slots = self._slots(self.template)
            return evaluate_tokens(self.template, slots, weights, sources, layers, decode, hidden or {})
        if hidden and baseline:
            sources = {n: torch.where(self.spread(n, hidden[n], x), baseline[n], x) for n, x in sources.items()}
        if not isinstance(self.template, FusionNetwork):
            return self._evaluate_rows(weights, sources, layers)
        kept: dict[str, Tensor] = {}
        encoded = self._encode(weights, sources, layers, kept)
        joined = self.join(weights, encoded, layers, decode=decode)
        return Response(joined.logits, kept | joined.layers, joined.rebuilt)

    def spread(self, source: str, marks: Tensor, x: Tensor) -> Tensor:
        """Spread marks of a source's parts over its numbers.

        Args:
            source: its name.
            marks: (rows, samples, tokens) bool, or (rows, samples, 1) of the source as a whole.
            x: (rows, samples, *shape), whose shape the marks are given.
        """
        network = self.template
        if marks.shape[-1] > 1 and isinstance(network, MultiViewTransformer):
            return network.cuts[source].spread(marks)
        return marks.view(*marks.shape[:2], *[1] * (x.dim() - 2)).expand_as(x)

    def encode(self, weights: Weights, sources: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run each pathway on its source; only for a separable network."""
        return self._encode(weights, sources, (), {})

    def join(
        self,
        weights: Weights,
        encoded: Mapping[str, Tensor],
        layers: Collection[str] = (),
        logits: bool = True,
        decode: bool = False,
    ) -> Response:
        """Run fusion, trunk and heads on encoded sources; only for a separable network.

        With `logits=False` the work stops at the fusion where no later layer is asked for.
        """
        network = self.template
        assert isinstance(network, FusionNetwork)
        kept: dict[str, Tensor] = {}
        fused = self._fuse(network.fusion, weights, [encoded[name] for name in network.pathways], layers, kept)
        owned = len(network.pathways) > 1  # of several sources, their fusion is a new tensor
        z = self._run(network.fusion.activation, weights, fused, layers, kept, owned)
        if "fusion" in layers:
            kept["fusion"] = z
        if not logits and all(name.split(".")[0] in ("fusion", "pathways") for name in layers):
            return Response({}, kept)
        decoders = network.decoders.items() if decode and network.decoders is not None else ()
        rebuilt = {name: self._run(decoder, weights, z, layers, kept) for name, decoder in decoders}
        z = self._run(network.trunk, weights, z, layers, kept)
        out = {name: self._run(head, weights, z, layers, kept) for name, head in network.heads.items()}
        if "" in layers:
            kept[""] = out["both"]
        return Response(out, kept, rebuilt)

    def _fuse(
        self,
        fusion: Fusion,
        weights: Weights,
        encoded: list[Tensor],
        layers: Collection[str],
        kept: dict[str, Tensor],
    ) -> Tensor:
        if fusion.operation in ("sum", "mean"):
            return fusion.combine(encoded)
        # Without the axis of a lone row torch sees that maps lie channels last, and keeps them so.
        lone = len(encoded[0]) == 1
        axis, z = (1, [x.squeeze(0) for x in encoded]) if lone else (2, encoded)
        if fusion.scores is None:
            fused = fusion.combine(z, axis)
        else:
            inputs = fusion.scores_input(z, axis)
            inputs = inputs.unsqueeze(0) if lone else inputs
            # Positions count as samples, so that the layer's product is one a row, as all the others are.
            flat = self._leaf(fusion.scores, "fusion.scores", weights, inputs.flatten(1, -2), (), {})
            scores = flat.reshape(*inputs.shape[:-1], -1)
            if "fusion.scores" in layers:
                kept["fusion.scores"] = scores
            fused = fusion.weighted_sum(z, scores.squeeze(0) if lone else scores, axis)
        return fused.unsqueeze(0) if lone else fused

    def _encode(
        self, weights: Weights, sources: Mapping[str, Tensor], layers: Collection[str], kept: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        assert isinstance(self.template, FusionNetwork)
        pathways = self.template.pathways.items()
        return {name: self._run(pathway, weights, sources[name], layers, kept) for name, pathway in pathways}

    def _run(
        self,
        module: nn.Module,
        weights: Weights,
        x: Tensor,
        layers: Collection[str],
        kept: dict[str, Tensor],
        owned: bool = False,
    ) -> Tensor:
        """Run one module; where `owned`, nobody else holds `x`, and a rectifier writes into it (memory is costly)."""
        name = self.names[module]
        if isinstance(module, nn.Sequential):
            out = x
            for child in module:
                out = self._run(child, weights, out, layers, kept, owned)
                owned = isinstance(child, nn.Linear) and self.names[child] not in layers
        elif owned and isinstance(module, nn.ReLU):
            out = torch.relu_(x)
        else:
            out = self._leaf(module, name, weights, x, layers, kept)
        if name in layers:
            kept[name] = out
        return out

    def _leaf(
        self,
        module: nn.Module,
        name: str,
        weights: Weights,
        x: Tensor,
        layers: Collection[str],
        kept: dict[str, Tensor],
    ) -> Tensor:
        out: Tensor
        if isinstance(module, nn.Linear) and x.dim() == 3:
            return _linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))
        if isinstance(module, nn.Flatten) and module.start_dim == 1 and module.end_dim == -1:
            return x.flatten(2)
        if isinstance(module, ELEMENTWISE):
            out = module(x)
            return out
        if self.stackable and len(x) > 1:
            own = {key[len(name) + 1 :]: w for key, w in weights.items() if key.startswith(f"{name}.")}
            out = vmap(lambda w, z: functional_call(module, w, (z,)))(own, x)
            return out
        # A row at a time, so that any module works, in place or random.
        inside = [layer for layer in layers if layer.startswith(f"{name}.")]
        answers = [self._run_row(module, weights, x, row, inside) for row in range(len(x))]
        kept.update({layer: _stack([outputs[layer] for _, outputs in answers]) for layer in inside})
        return _stack([answer for answer, _ in answers])

    def _run_row(
        self, module: nn.Module, weights: Weights, x: Tensor, row: int, inside: Collection[str]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run a module with one row's weights; returns its answer, and the layers asked for that lie inside of it."""
        kept: dict[str, Tensor] = {}
        hooks = [
            self.template.get_submodule(layer).register_forward_hook(
                lambda _m, _i, out, layer=layer: kept.__setitem__(layer, out.clone())  # as others may work in place
            )
            for layer in inside
        ]
        own = [
            (tensors, attribute, _row(weights[key], row))
            for tensors, attribute, key in self._slots(module)
            if key in weights
        ]
        before = [(tensors, attribute, tensors[attribute]) for tensors, attribute, _ in own]
        # What torch's functional_call does, which takes twice as long as the Python of a block itself.
        try:
            for tensors, attribute, w in own:
                tensors[attribute] = w
            return module(_row(x, row)), kept
        finally:
            for tensors, attribute, w in before:
                tensors[attribute] = w
            for hook in hooks:
                hook.remove()

    def _slots(self, module: nn.Module) -> list[Slot]:
        """Return where a module and those inside it hold their tensors, and by what names the weights know them."""
        if module not in self._slots_inside:
            self._slots_inside[module] = [slot for inner in module.modules() for slot in self._slots_of[inner]]
        return self._slots_inside[module]

    def _evaluate_rows(self, weights: Weights, sources: Mapping[str, Tensor], layers: Collection[str]) -> Response:
        rows = [
            self._evaluate_row({k: w[r] for k, w in weights.items()}, {k: x[r] for k, x in sources.items()}, layers)
            for r in range(len(next(iter(sources.values()))))
        ]
        heads, kept = rows[0]
        return Response(
            {name: torch.stack([logits[name] for logits, _ in rows]) for name in heads},
            {name: torch.stack([layer[name] for _, layer in rows]) for name in kept},
        )

    def _evaluate_row(
        self, weights: Weights, sources: Mapping[str, Tensor], layers: Collection[str]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        kept: dict[str, Tensor] = {}
        args, kwargs = self.arguments(weights, sources)
        modules = dict(self.template.named_modules())
        hooks = [
            modules[name].register_forward_hook(lambda _m, _i, out, name=name: kept.__setitem__(name, out.clone()))
            for name in layers
            if name
        ]
        try:
            out = functional_call(self.template, dict(weights), args, kwargs)
        finally:
            for hook in hooks:
                hook.remove()
        logits = {"both": out} if isinstance(out, Tensor) else dict(out)
        if "" in layers:
            kept[""] = logits["both"]
        return logits, kept

    def arguments(self, weights: Weights, sources: Mapping[str, Tensor]) -> Arguments:
        """Return the arguments that pass sources to the template, by the calling convention of its forward."""
        if self._convention is None:
            *others, self._convention = calling_conventions(self.template, sources)
            for convention in others:  # the signature leaves it open: the first way that it answers to
                # On copies and other random streams, so that the trial changes no number.
                mine = {name: w.clone() for name, w in weights.items()}
                with suppress(Exception), torch.no_grad(), seeded_globals(0, "convention"):
                    functional_call(self.template, mine, *convention.arguments(sources))
                    self._convention = convention
                    break
        return self._convention.arguments(sources)
