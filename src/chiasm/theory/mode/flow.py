"""Gradient flow of balanced linear networks on a stack of cells at once, from any balanced state.

The network is the product of its factors, W = W_N ... W_1, and flows down half the squared error of W against a target,
with whitened inputs. Depth 2 with every input present is the solution of its matrix Riccati equation; all else goes by
Dormand and Prince's pair of orders 5 and 4, with one step size for the stack, held to an error far below what matters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chiasm.errors import ChiasmError
from chiasm.theory.arguments import Floats

#: Error allowed a step, as a share of the smallest singular value of any factor at the start: what is small is what
#: grows, so an error counts against it. Measured of the tasks: below 1e-7 in all, at depths 2 to 5.
TOLERANCE = 1e-8
#: Shares of a step tried after an error: no more, no less, and a margin.
MOST, LEAST, MARGIN = 5.0, 0.2, 0.9
#: Steps of one while of flow that are worth waiting for; a flow that wants more is too fast for its length.
LONGEST = 200_000
#: The largest rate times step at which the pair's steps do not swing.
STABLE = 3.3
#: The largest exponent of one Riccati step: beyond it fast and slow modes lose each other's digits.
EXPONENT = 8.0


@dataclass(frozen=True)
class FlowState:
    """A stack of balanced networks of one depth and size."""

    flat: Floats  # (cells, numbers) all factors of a cell, one after the other, W_1 first
    shapes: tuple[tuple[int, int], ...]  # (rows, columns) of each factor
    unit: float  # the least singular value of any factor at the start, the unit of errors
    step: float = 0.01  # the length of step to try next

    @property
    def factors(self) -> list[Floats]:
        """Views of the factors, (cells, rows, columns) each."""
        return parts(self.flat, self.shapes)

    @property
    def product(self) -> Floats:
        """W, (cells, outputs, inputs)."""
        return product(self.factors)


def parts(flat: Floats, shapes: tuple[tuple[int, int], ...]) -> list[Floats]:
    """Cut (cells, numbers) into the factors."""
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    return [each.reshape(len(flat), *shape) for each, shape in zip(np.split(flat, ends[:-1], 1), shapes, strict=True)]


def product(factors: list[Floats]) -> Floats:
    """Return the product of factors (cells, rows, columns) each, the first one on the right."""
    first, *others = factors
    for factor in others:
        first = factor @ first
    return first


def balanced(left: Floats, strengths: Floats, right: Floats, depth: int, unit: float) -> FlowState:
    """Return the balanced networks whose products are left diag(strengths) right'.

    left (outputs, modes) and right (inputs, modes) have orthonormal columns, strengths (cells, modes) are above 0; unit
    is the least strength of the product that matters.
    """
    root = strengths ** (1 / depth)
    if depth == 1:
        factors = [(left * strengths[:, None]) @ right.T]
    else:
        middle = root[:, :, None] * np.eye(root.shape[1])
        factors = [root[:, :, None] * right.T, *[middle] * (depth - 2), left * root[:, None]]
    flat = np.concatenate([factor.reshape(len(root), -1) for factor in factors], 1)
    return FlowState(flat, tuple(factor.shape[1:] for factor in factors), unit ** (1 / depth))


def advance(state: FlowState, target: Floats, present: NDArray[np.bool_], length: Floats) -> FlowState:
    """Return deep networks after gradient flow for a length of time (cells,), in units of 1 / learning rate.

    target (cells, outputs, inputs) is 0 in the columns of an input that is unrelated; weights from an input that is not
    `present` (cells, inputs) get no gradient of their own.

    Raises:
        ChiasmError: where rates are so high that a flow cannot be followed.
    """
    exact = present.all(1) & (len(state.shapes) == 2)
    flat, step = state.flat.copy(), state.step
    for which, move in ((exact, _riccati), (~exact, _integrate)):
        cells = np.flatnonzero(which & (length > 0))
        if len(cells):
            # What overflows is too fast to be followed, and refused as that.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                part = replace(state, flat=state.flat[cells])
                flat[cells], step = move(part, target[cells], present[cells], length[cells])
    return replace(state, flat=flat, step=step)


def _riccati(state: FlowState, target: Floats, present: NDArray[np.bool_], length: Floats) -> tuple[Floats, float]:
    """Depth 2, by the solution of Fukumizu 1998 in the form of Braun et al. 2022 (arXiv:2206.04127), theorem 3.1.

    Q = (W_1'; W_2) moves by Q' = F Q - Q Q' Q / 2 with F = (0 T'; T 0); so does e^(Ft) Q_0 L^-T with
    L L' = 1 + Q_0' S Q_0 and S the integral of e^(2Fs), up to a rotation of the hidden units, which W does not feel.
    """
    first, second = state.factors
    stacked = np.concatenate([first.transpose(0, 2, 1), second], 1)
    kinds, kind = np.unique(target.reshape(len(target), -1), axis=0, return_inverse=True)
    inputs = first.shape[2]
    field = np.zeros((len(kinds), *(stacked.shape[1],) * 2))
    field[:, inputs:, :inputs] = kinds.reshape(-1, *target.shape[1:])
    field += field.transpose(0, 2, 1)
    rates, vectors = (each[kind.ravel()] for each in np.linalg.eigh(field))
    turned = vectors.transpose(0, 2, 1) @ stacked
    times = max(1, int(np.ceil(min(2 * np.abs(rates).max() * length.max() / EXPONENT, LONGEST + 1))))
    if times > LONGEST:
        raise _hopeless(float(length.max()))
    x = rates * (length / times)[:, None]
    grown = np.exp(x)[..., None]
    integral = np.where(np.abs(x) < 1e-12, 1.0, np.expm1(2 * x) / (2 * x))
    integral = (integral * (length / times)[:, None])[..., None]
    eye = np.eye(turned.shape[2])
    for _ in range(times):
        root = np.linalg.cholesky(eye + turned.transpose(0, 2, 1) @ (integral * turned))
        turned = np.linalg.solve(root, (grown * turned).transpose(0, 2, 1)).transpose(0, 2, 1)
    stacked = vectors @ turned
    factors = stacked[:, :inputs].transpose(0, 2, 1), stacked[:, inputs:]
    return np.concatenate([factor.reshape(len(length), -1) for factor in factors], 1), state.step


def _integrate(state: FlowState, target: Floats, present: NDArray[np.bool_], length: Floats) -> tuple[Floats, float]:
    """Integrate at any depth, for any input: every cell through its own length, in steps of equal shares of it."""
    from scipy.integrate import RK45

    pace = present[:, None] * length[:, None, None]
    longest, depth = float(length.max()), len(state.shapes)
    # The rate at which the strongest mode settles, and how much of it an explicit step can span. Weights of a silent
    # input do not fall, so large ones keep the rate that they begin with.
    largest = target if present.all() else np.concatenate([target, state.product])
    rate = depth * float(np.linalg.norm(largest, axis=(1, 2)).max()) ** (2 - 2 / depth)
    if longest * rate / STABLE > LONGEST:
        raise _hopeless(longest)
    # Dormand and Prince's weights of the slopes so far, and of the difference of the two orders.
    stages, error = [*(row[:stage] for stage, row in enumerate(RK45.A) if stage), RK45.B], RK45.E
    # Two buffers that trade places, and views of every factor in them: cutting costs as much as multiplying.
    flat, moved = state.flat.copy(), np.empty_like(state.flat)
    at, there = parts(flat, state.shapes), parts(moved, state.shapes)
    slopes = np.empty((len(error), *flat.shape))
    rows, views = slopes.reshape(len(error), -1), [parts(slope, state.shapes) for slope in slopes]
    done, step, tried = 0.0, min(state.step / longest, 1.0), 0
    slope(at, target, pace, views[0])
    if not np.isfinite(slopes[0]).all():
        raise _hopeless(longest)
    while done < 1:
        tried += 1
        if tried > LONGEST:
            raise _hopeless(longest)
        taken = min(step, 1 - done)
        # A step that is too long may overflow; its error shows it, and it is tried again shorter.
        for stage, weights in enumerate(stages, 1):
            np.add(flat, (taken * weights @ rows[:stage]).reshape(flat.shape), out=moved)
            slope(there, target, pace, views[stage])
        wrong = taken * float(np.abs(error @ rows).max()) / (TOLERANCE * state.unit)
        if not np.isfinite(wrong):
            wrong = np.inf
        change = min(MOST, max(LEAST, MARGIN * wrong**-0.2)) if wrong else MOST
        if wrong <= 1:
            flat, moved, at, there, done = moved, flat, there, at, done + taken
            slopes[0] = slopes[-1]
        # The last step of an interval is cut short, which must not shrink the one that the next begins with.
        step = max(step, taken * change) if wrong <= 1 and taken < step else taken * change
    return flat, step * longest


def _hopeless(length: float) -> ChiasmError:
    return ChiasmError(
        f"the flow cannot be followed over {length:g} units of time: strengths or weights are too large for it; "
        "give shorter times, a smaller scale or start, or a matrix divided by its largest singular value"
    )


def slope(factors: list[Floats], target: Floats, pace: Floats, out: list[Floats]) -> None:
    """Write -dL/dW_l of every factor times `pace` into `out`."""
    below = [factors[0]]
    for factor in factors[1:]:
        below.append(factor @ below[-1])
    back = (target - below[-1]) * pace
    for layer in range(len(factors) - 1, 0, -1):
        np.matmul(back, below[layer - 1].transpose(0, 2, 1), out=out[layer])
        back = factors[layer].transpose(0, 2, 1) @ back
    out[0][...] = back
