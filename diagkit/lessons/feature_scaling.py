"""Lesson 7, scaling of the inputs: tables in their own units, steps by hand, the exercise."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.clinic.tables import table
from diagkit.lessons.exercise import Checked, needs_number, right, wrong
from diagkit.training import fit_scaling
from diagkit.widgets.feature_scaling import linear_model

ANSWERS = ("less than twice as many", "2 to 10 times as many", "more than 10 times as many")
TARGETS = {"diabetes": 0.5, "wine": 0.2, "twins": 0.01}
DEGREES, METRES = 5.0, 0.2  # standard deviations of the two columns of the exercise
AFTER = (100 * METRES / DEGREES) ** 2


def hand_made(unit: float = 1.0) -> Tensor:
    """Four examples of two columns, +1 or -1 each; the second one is multiplied by ``unit``.

    Example
    -------
    >>> X = hand_made(10.0)
    >>> (X.T @ X / 4).tolist()
    [[1.0, 0.0], [0.0, 100.0]]
    """
    X = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    return X * torch.tensor([1.0, unit])


def steps_for(condition: float, share: float = 0.01) -> int:
    """Steps at 1 / lambda_max until the flattest direction has ``share`` of its error left.

    Example
    -------
    >>> steps_for(1.0), steps_for(100.0)
    (1, 459)
    """
    factor = 1 - 1 / condition
    return 1 if factor <= 0 else math.ceil(math.log(share) / math.log(factor))


def task(name: str) -> dict[str, Any]:
    """A linear model on "diabetes" or "wine" in their own units, or on "twins": eight correlated columns.

    Returns make_model, loss_fn, data, and the loss to reach.
    """
    data = twins() if name == "twins" else table(name, raw=True)
    classes = name == "wine"
    make: Callable[[], nn.Module] = partial(linear_model, data[0].shape[1], 3 if classes else 1)
    loss_fn = nn.CrossEntropyLoss() if classes else nn.MSELoss()
    return {"make_model": make, "loss_fn": loss_fn, "data": data, "target": TARGETS[name]}


def twins(correlation: float = 0.9, n: int = 300, d: int = 8) -> tuple[Tensor, Tensor]:
    """Columns of one scale, each pair of them correlated, and a target that is linear in them."""
    g = torch.Generator().manual_seed(0)
    common, own = torch.randn(n, 1, generator=g), torch.randn(n, d, generator=g)
    X = correlation**0.5 * common + (1 - correlation) ** 0.5 * own
    return X, X @ torch.randn(d, 1, generator=g)


def answer_of(ratio: float) -> str:
    """Which of ``ANSWERS`` a ratio of steps is."""
    return ANSWERS[0] if ratio < 2 else ANSWERS[1] if ratio <= 10 else ANSWERS[2]


def refit(X: Tensor, stranger: float) -> float:
    """Largest change of the scaled training inputs when one number of the *test* part is replaced.

    Scaling fitted on all of the data: the training sees what it must not know.
    """
    training = X[: int(0.8 * len(X))]
    changed = X.clone()
    changed[-1, 0] = stranger
    first, second = (fit_scaling(data, "min-max").apply(training) for data in (X, changed))
    return float((first - second).abs().max())


def check(answer: Any) -> Checked:
    """kappa of a temperature of deviation 5 and a length of deviation 0.2 m that is given in centimetres."""
    problem = needs_number(answer, "the condition number")
    if problem is not None:
        return problem
    given = float(answer)

    def near(value: float) -> bool:
        return math.isclose(given, value, rel_tol=0.02)

    before = (DEGREES / METRES) ** 2
    if near(AFTER):
        return right("In centimetres the deviations are 5 and 20, the curvatures 25 and 400: 400 / 25.")
    if near(before):
        return wrong("That is κ with the length in metres. How large is its deviation in centimetres?")
    if near(math.sqrt(AFTER)) or near(math.sqrt(before)):
        return wrong("That is a ratio of standard deviations. A curvature is a mean of squares.")
    if near(1 / AFTER) or near(1 / before):
        return wrong("κ is the larger eigenvalue over the smaller one, and so at least 1.")
    if near(before * 1e4):
        return wrong("One metre is 100 centimetres: the numbers in the column become larger, not smaller.")
    if near(before / 100):
        return wrong("The column grows by 100. By how much does its mean square grow?")
    if near(before / 1e4):
        return wrong("The length now has the larger curvature of the two. Which one stands on top?")
    if near(1.0):
        return wrong("A better unit is not yet the same scale: compare the two deviations in the new unit.")
    if given < 1:
        return wrong("κ is the larger eigenvalue over the smaller one, and so at least 1.")
    return wrong("H = XᵀX / n is diagonal here. Write down its two entries, with the length in centimetres.")
