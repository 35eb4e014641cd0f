"""The pooling of the paper: a ratio for each pair of anchors, of the variances over one source with the other fixed."""

from __future__ import annotations

from torch import Tensor


def per_anchor(answers: Tensor, levels: int) -> Tensor:
    """Return a ratio for each pair of anchors of a block.

    For anchor pair k: RSV_k = [Var_a(f | b_k) - Var_b(f | a_k)] / [their sum], +1 where only the first-named source
    matters (Kleinman, Achille and Soatto, CVPR 2023, equation 5; the histograms they plot show the opposite sign).

    Args:
        answers: (blocks, levels * levels, units), the second source varying fastest.
        levels: anchors of each source in a block.

    Returns:
        (blocks * levels, units) in [-1, 1]; NaN where nothing varies.

    >>> import torch
    >>> a, b = torch.tensor([1.0, -1.0, 0.0])[:, None], torch.tensor([0.0, 1.0, 5.0])
    >>> per_anchor((a + b).reshape(1, 9, 1), 3)[:, 0].round(decimals=3).tolist()  # (1 - 7) / (1 + 7) at each pair
    [-0.75, -0.75, -0.75]
    """
    x = answers.reshape(len(answers), levels, levels, -1)
    # Relative to one answer, a unit that ignores a source has a variance of exactly zero over it.
    over_a = (x - x[:, :1]).var(1)
    over_b = (x - x[:, :, :1]).var(2)
    return ((over_a - over_b) / (over_a + over_b)).flatten(0, 1)
