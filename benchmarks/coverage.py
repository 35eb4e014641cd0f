"""How often an interval of 95 % covers, and how wide errors are: units of known indices, many draws of anchors.

Prints a table of coverages by unit and index, and the true spread of RSV and synergy, for several designs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from chiasm.measuring.result import LayerMeasurement
from chiasm.measuring.variance.components import Accumulator
from chiasm.measuring.variance.designs import FactorialDesign

REPEATS = 2000
UNITS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "linear, .95 a + .3 b": lambda a, b: 0.95 * a + 0.3 * b,
    "a + .5 b + .7 a b": lambda a, b: a + 0.5 * b + 0.7 * a * b,
    "product, a b": lambda a, b: a * b,
    "ReLU(a + b)": lambda a, b: (a + b).relu(),
    "ReLU, 8 % of pairs wake it": lambda a, b: ((a + b) / 2**0.5 - 1.405).relu(),
    "ReLU, 8 %, uneven": lambda a, b: (0.9 * a + 0.436 * b - 1.405).relu(),
    "ReLU, 2 % of pairs wake it": lambda a, b: ((a + b) / 2**0.5 - 2.054).relu(),
}
# (anchors, block): the default with samples enough; with 2,000 and 500 of them; pick-freeze on 8,192 and 2,048.
DESIGNS = ((4096, 4), (2000, 8), (496, 16), (8192, 2), (2048, 2))
QUANTITIES = (("rsv", None), ("synergy", None), ("total", 0), ("first", 0))


def truth(f: Callable[[Tensor, Tensor], Tensor]) -> tuple[float, ...]:
    """RSV, synergy, total and first of a, by quadrature over two standard normals."""
    x = torch.linspace(-8, 8, 1601, dtype=torch.float64)
    w = torch.exp(-(x**2) / 2)
    w /= w.sum()
    y = f(x[:, None], x[None])
    mean = w @ y @ w
    v, va, vb = w @ (y - mean) ** 2 @ w, w @ (y @ w - mean) ** 2, (w @ y - mean) ** 2 @ w
    ab = v - va - vb
    return tuple(float(q) for q in ((va - vb) / (va + vb + 2 * ab), ab / v, (va + ab) / v, va / v))


def main(repeats: int = REPEATS) -> None:
    generator = torch.Generator().manual_seed(0)
    for anchors, block in DESIGNS:
        design, blocks = FactorialDesign(2, block), anchors // block
        print(f"\n{anchors} anchors of each source in {blocks} blocks of {block}: {blocks * block**2} combinations")
        print(f"{'coverage of 95 %, of ' + str(repeats):32}    rsv synergy  total  first | sd of rsv, synergy")
        for name, f in UNITS.items():
            true, hits, seen = truth(f), np.zeros(4), []
            for _ in range(repeats // 50):
                a, b = (torch.randn(blocks, block, 50, generator=generator) for _ in range(2))
                sums = Accumulator(design, blocks, (50,))
                sums.add(0, f(a[:, design.points[:, 0]], b[:, design.points[:, 1]]))
                layer = LayerMeasurement("", ("a", "b"), sums.result())
                seen.append(np.stack([layer.rsv(), layer.synergy()]))
                for n, (quantity, own) in enumerate(QUANTITIES):
                    ends = layer.interval(quantity)
                    low, high = ends if own is None else ends[:, own]
                    hits[n] += ((low <= true[n] + 1e-6) & (true[n] - 1e-6 <= high)).sum()
            spread = np.concatenate(seen, 1).std(1)
            covered = "  ".join(f"{100 * h / (repeats // 50 * 50):5.1f}" for h in hits)
            print(f"{name:32}  {covered} | {spread[0]:.3f}, {spread[1]:.3f}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
