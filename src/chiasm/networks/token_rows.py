"""A transformer's rows: many sets of weights evaluated at once, each on its own batch and its own visible tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import vmap

from chiasm.networks.multiview import MultiViewTransformer
from chiasm.networks.response import Response

Weights = Mapping[str, Tensor]
Slot = tuple[dict[str, Tensor], str, str]  # a module's tensors, which of them, the name that the weights have for it


def evaluate_tokens(
    network: MultiViewTransformer,
    slots: Sequence[Slot],
    weights: Weights,
    sources: Mapping[str, Tensor],
    layers: Collection[str],
    decode: bool,
    hidden: Mapping[str, Tensor],
) -> Response:
    """Run a transformer with all rows' weights, one operation for all rows of which as much is visible.

    What a row goes through hangs on what is hidden of it alone, and so do its bits.

    Args:
        network: the template; its own weights are not used.
        slots: where it and the modules inside it hold their tensors, and by what names the weights know them.
        weights: parameters and buffers by name, each (rows, ...).
        sources: (rows, samples, *shape) by source.
        layers: names of the layers to return.
        decode: whether to rebuild the sources too.
        hidden: (rows, samples, tokens) bool by source, or (rows, samples, 1) of one as a whole.
    """
    if not hidden:
        return _vectorised(network, slots, weights, sources, layers, decode, {}, None)
    places: dict[int | None, list[int]] = {}
    left = torch.stack([(~m).sum(-1) * (network.tokens[n] // m.shape[-1]) for n, m in hidden.items()]).sum(0)
    for i, (least, most) in enumerate(zip(*left.aminmax(dim=1), strict=True)):
        places.setdefault(int(most) if least == most else None, []).append(i)
    parts: list[Response] = []
    for visible, rows in places.items():
        index = torch.tensor(rows * 2 if len(rows) == 1 else rows, device=left.device)  # a lone row is padded
        own, x, marks = (
            {n: t.index_select(0, index) for n, t in tensors.items()} for tensors in (weights, sources, hidden)
        )
        whole = visible == sum(network.tokens.values())
        part = _vectorised(network, slots, own, x, layers, decode, {} if whole else marks, visible)
        parts.append(part)
    if len(parts) == 1 and len(left) > 1:
        return parts[0]
    order = [place for rows in places.values() for place in rows]
    back = torch.tensor([order.index(i) for i in range(len(left))], device=left.device)
    counts = [len(rows) for rows in places.values()]

    def together(kind: str) -> dict[str, Tensor]:
        tables: list[dict[str, Tensor]] = [getattr(part, kind) for part in parts]
        return {
            name: torch.cat([table[name][:n] for table, n in zip(tables, counts, strict=True)]).index_select(0, back)
            for name in tables[0]
        }

    return Response(together("logits"), together("layers"), together("rebuilt"))


def _vectorised(
    network: MultiViewTransformer,
    slots: Sequence[Slot],
    weights: Weights,
    sources: Mapping[str, Tensor],
    layers: Collection[str],
    decode: bool,
    hidden: Mapping[str, Tensor],
    visible: int | None,
) -> Response:
    """Run a transformer with the weights of rows of which equally much is visible; None: it differs by sample."""

    def row(own: Weights, x: Mapping[str, Tensor], marks: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], ...]:
        kept: dict[str, Tensor] = {}
        hooks = [
            network.get_submodule(name).register_forward_hook(
                lambda _m, _i, out, name=name: kept.__setitem__(name, out)
            )
            for name in layers
            if name
        ]
        places = [(tensors, attribute, own[key]) for tensors, attribute, key in slots if key in own]
        before = [(tensors, attribute, tensors[attribute]) for tensors, attribute, _ in places]
        try:
            for tensors, attribute, w in places:
                tensors[attribute] = w
            answers, rebuilt = network.see(x, marks, visible, decode)
        finally:
            for tensors, attribute, w in before:
                tensors[attribute] = w
            for hook in hooks:
                hook.remove()
        return answers, kept | ({"": answers["both"]} if "" in layers else {}), rebuilt

    kinds = vmap(row)(dict(weights), dict(sources), dict(hidden))
    # Laid out alike whatever follows, as the bits of a gradient hang on how it lies in memory.
    return Response(*({name: x.contiguous() for name, x in kind.items()} for kind in kinds))
