"""Lesson 3: plateaus, losses and labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.clinic import digits
from diagkit.lessons.exercise import Checked, needs_number, right, wrong
from diagkit.objective import Objective

EXAMPLES = 400
SCORE = -6.0  # of the unit in the exercise, whose label is 1


def half_squared(p: Tensor, y: Tensor) -> Tensor:
    """(1/2)(p - y)^2, mean over examples."""
    return 0.5 * ((p - y) ** 2).mean()


def two_losses() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """Name -> loss of a probability p [N, 1] and a label [N, 1]."""
    return {"squared error": half_squared, "cross-entropy": nn.functional.binary_cross_entropy}


def one_unit(name: str, score: float = 0.0) -> Objective:
    """One sigmoid unit without input, p = 1/(1 + e^-z), and one example of label 1; z is its only parameter.

    Example
    -------
    >>> one_unit("squared error").loss(), round(one_unit("cross-entropy").loss(), 4)
    (0.125, 0.6931)
    """
    one = torch.ones(1, 1, dtype=torch.float64)
    unit = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Sigmoid()).double()
    return Objective(unit, two_losses()[name], (one, one)).at([score])


def data() -> tuple[Tensor, Tensor]:
    """400 digits: inputs [400, 64] and labels [400]."""
    X, y = digits()
    return X[:EXAMPLES], y[:EXAMPLES]


def small_net() -> nn.Module:
    """64-16-10 with ReLU."""
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def check(answer: Any) -> Checked:
    r"""Cross-entropy's gradient over that of (1/2)(p - y)^2, for one sigmoid unit with y = 1 at z = -6.

    |p - 1| / (|p - 1| p (1 - p)) = 1 / (p (1 - p)) = 2 + 2 cosh z = 405.4.
    """
    problem = needs_number(answer, "how many times larger")
    if problem is not None:
        return problem
    ratio = 2 + 2 * math.cosh(SCORE)
    p = 1 / (1 + math.exp(-SCORE))
    given = float(answer)

    def near(value: float) -> bool:
        return math.isclose(given, value, rel_tol=0.02)

    if near(ratio):
        return right("1 / (p (1 − p)) with p = 1 / (1 + e⁶): about e⁶.")
    if near(1 / ratio):  # to 1 % also the gradient of the squared error itself
        return wrong(
            "That is the squared error's gradient, alone or as a share. Asked for is the other way round."
        )
    if near(ratio / 2):
        return wrong("A factor 2 is missing: the squared error has a ½ in front here.")
    if near(1 - p):
        return wrong("That is the gradient of cross-entropy alone. Divide it by that of the squared error.")
    if near(abs(SCORE)):
        return wrong("That is |z|. The factor is 1 / (p (1 − p)): compute p first.")
    if near(4):
        return wrong("1 / (p (1 − p)) is 4 at z = 0. Here z is −6.")
    if given < 0:
        return wrong("Both gradients have the same sign, so their ratio is positive.")
    size = "too small" if given < ratio else "too large"
    return wrong(
        f"That is {size}. Compute p = 1 / (1 + e^−z) at z = −6, then the factor between the gradients."
    )
