"""`reconstruct`: rebuild the sources, or what was hidden of them."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Annotated, ClassVar, Literal, final

import msgspec
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from chiasm.errors import ChiasmError
from chiasm.objectives.judged import Judged
from chiasm.objectives.objective import Objective, Targets
from chiasm.objectives.outcome import Outcome
from chiasm.quantity import Quantity

REBUILT = Quantity("rebuild_error", "squared error of the rebuilt sources", "", "source", 0.0, inf, digits=3)
#: What share is hidden where the study does not say.
RATIO = {"tokens": 0.75, "sources": 0.5, "within": 0.75, "nothing": 0.0}


@final
class Reconstruct(
    Objective, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="reconstruct"
):
    """Mean squared error of the sources as the network's decoders rebuild them; no label is touched.

    What is rebuilt are the sources as the deficits left them: of a silent source, its silence.

    Attributes:
        mask: what the network does not see. "tokens": a share of all tokens, drawn anew for every sample; how many of
            those that are left come from which source is drawn from a symmetric Dirichlet distribution (Bachmann et
            al. 2022). "sources": in a share of the samples one source as a whole, drawn among all. "within": all
            sources but one, and a share of that one's tokens. "nothing".
        ratio: that share, in [0, 1); by default .75 of the tokens, .5 of the samples.
        concentration: of the Dirichlet distribution; 1 is uniform over all ways to share.
        rebuild: what counts: "everything", or only what was "hidden". Under "within" only the source that is shown.
        shuffled: whether each sample is to rebuild the sources of another one: a control that learns no content.
        weight: factor on the loss.
    """

    mask: Literal["tokens", "sources", "within", "nothing"] = "sources"
    ratio: Annotated[float, msgspec.Meta(ge=0, lt=1)] | None = None
    concentration: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    rebuild: Literal["everything", "hidden"] = "everything"
    shuffled: bool = False
    weight: Annotated[float, msgspec.Meta(ge=0)] = 1.0

    targets: ClassVar[Targets] = "nothing"
    decodes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.mask == "nothing" and self.rebuild == "hidden":
            raise ChiasmError(
                "mask = 'nothing' hides nothing that rebuild = 'hidden' could count; expected 'everything'"
            )

    @property
    def hides(self) -> bool:  # type: ignore[override]
        """Whether it hides anything."""
        return self.mask != "nothing"

    @property
    def share(self) -> float:
        """The share that is hidden."""
        return RATIO[self.mask] if self.ratio is None else self.ratio

    def outcome(self, chance: float | None = None) -> Outcome:
        """Return the squared error: lower is better."""
        return Outcome(REBUILT, None, higher_is_better=False)

    def check(self, tokens: Mapping[str, int]) -> None:
        """Refuse to hide tokens of a network that has none."""
        if self.mask == "tokens" and not tokens:
            raise ChiasmError(
                "mask = 'tokens': this network has no tokens; expected network.kind = 'multiview', "
                "or mask = 'sources', 'within' or 'nothing'"
            )

    def hide(self, shown: Mapping[str, Tensor], tokens: Mapping[str, int], draws: torch.Generator) -> dict[str, Tensor]:
        """Draw what is hidden of each sample: (samples, tokens) bool by source, or (samples, 1) of a whole source."""
        if not self.hides:
            return {}
        names, samples = list(shown), len(next(iter(shown.values())))
        counts = torch.tensor([tokens.get(name, 1) for name in names])
        if self.mask == "tokens":
            left = visible_counts(samples, counts, self.share, self.concentration, draws)
        else:
            one = one_hot(torch.randint(len(names), (samples,), generator=draws), len(names)).bool()
            if self.mask == "within":
                left = one * (counts * (1 - self.share)).round().long().clamp(min=1)
            else:
                left = counts * ~(one & (torch.rand(samples, 1, generator=draws) < self.share))
        hidden = {}
        for i, (name, x) in enumerate(shown.items()):
            order = torch.rand(samples, int(counts[i]), generator=draws).argsort(1).argsort(1)
            hidden[name] = (order >= left[:, i : i + 1]).to(x.device)
        return hidden

    def judge(self, step: Judged) -> tuple[Tensor, Tensor]:
        """Return the weighted error, the sum over sources of their means over all that counts, and the mean of them."""
        errors = []
        for name, x in step.sources.items():
            wanted = x.roll(1, 1) if self.shuffled else x
            error = (step.rebuilt[name].float() - wanted).square()
            errors.append(_mean(error, self._counted(step, name)))
        total = torch.stack(errors)
        return self.weight * total.sum(0), total.detach().mean(0)

    def _counted(self, step: Judged, name: str) -> Tensor | None:
        """Return where the error of a source counts, of its shape; None: everywhere."""
        if name not in step.hidden:
            return None
        marks = step.hidden[name]
        shown = ~marks.all(-1, keepdim=True)
        if self.mask == "within":
            counted = (marks if self.rebuild == "hidden" and marks.shape[-1] > 1 else torch.ones_like(marks)) & shown
        elif self.rebuild == "hidden":
            counted = marks
        else:
            return None
        return step.spread(name, counted, step.sources[name])

    def loss(self, answer: Tensor, target: Tensor) -> Tensor:
        """Refuse: it is `judge` that knows what was rebuilt."""
        raise ChiasmError("objective.kind = 'reconstruct' judges no answers; expected it in a phase or a sum")

    held_out = loss
    score = loss


def visible_counts(samples: int, tokens: Tensor, ratio: float, concentration: float, draws: torch.Generator) -> Tensor:
    """Draw how many tokens of each source stay visible: (samples, sources) whole numbers with one sum for all.

    Shares are drawn from a symmetric Dirichlet distribution, times the number of tokens that stay, rounded down; what
    is left over, and what exceeds a source's tokens, goes to the sources with most room, one by one.

    Args:
        samples: how many.
        tokens: (sources,) how many each has.
        ratio: the share of all tokens that is hidden; one token at least stays.
        concentration: of the distribution, above 0.
        draws: the stream.
    """
    total = max(1, round(int(tokens.sum()) * (1 - ratio)))
    shares = _dirichlet(samples, len(tokens), concentration, draws)
    left = torch.minimum((shares * total).floor().long(), tokens)
    while bool((short := total - left.sum(1)).any()):
        # Where a share was cut most, the first token more; full sources take none.
        wish = (shares * total - left).masked_fill(left >= tokens, -inf)
        place = wish.argmax(1, keepdim=True)
        left.scatter_add_(1, place, (short > 0).long().unsqueeze(1))
    return left


def _dirichlet(samples: int, sources: int, concentration: float, draws: torch.Generator) -> Tensor:
    if concentration == 1.0:
        weights = torch.empty(samples, sources).exponential_(generator=draws)
    else:
        # The only way that torch has to draw gamma variates from a stream of one's own.
        weights = torch._standard_gamma(torch.full((samples, sources), concentration), draws)
    return weights / weights.sum(1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)


def _mean(error: Tensor, counted: Tensor | None) -> Tensor:
    """Return each row's mean over all that counts; 0 where nothing does."""
    if counted is None:
        return error.flatten(1).mean(1)
    kept = torch.where(counted, error, 0.0).flatten(1).sum(1)
    return kept / counted.flatten(1).sum(1).clamp(min=1)
