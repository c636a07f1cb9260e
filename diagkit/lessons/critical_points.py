"""Lesson 2: critical points and saddles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd
import torch
from torch import nn

from diagkit.clinic import digits
from diagkit.clinic.places import places
from diagkit.experiments import train_seeds
from diagkit.lessons.exercise import Checked, needs_number, right, wrong
from diagkit.measure import classify_critical_point, hessian_eigenvalues
from diagkit.objective import Objective

LETTERS = {"A": "zero network", "B": "plateau", "C": "trained net"}
STEPS, EXAMPLES = 400, 600
TARGET = 2.0  # of the two weights in the exercise


def gradient_norms(seed: int = 0) -> dict[str, float]:
    """Three places without their names: letter -> norm of the gradient.

    Example
    -------
    >>> gradient_norms()["A"]
    0.0
    """
    return {letter: float(places()[name](seed).gradient().norm()) for letter, name in LETTERS.items()}


def tour(seed: int = 0) -> pd.DataFrame:
    """One row per place: gradient norm, both ends of the spectrum, verdict."""
    rows = {}
    for name, build in places().items():
        point = classify_critical_point(build(seed), seed=seed)
        ends = {"lowest": point.smallest.values[0], "highest": point.largest.values[0]}
        rows[name] = {"gradient norm": point.gradient_norm, **ends, "verdict": point.verdict}
    return pd.DataFrame.from_dict(rows, orient="index")


def small_net() -> nn.Module:
    """64-16-10 with tanh, for the digits; 1210 parameters."""
    return nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))


def ends_of_training(seeds: Iterable[int] = range(8)) -> pd.DataFrame:
    """Where runs of SGD (rate 0.1, 400 steps on 600 digits) were when they stopped, one row per seed.

    Columns: loss, gradient_norm, lowest (curvature), error (of it), proven (it is below 0).
    """
    X, y = digits()
    data = X[:EXAMPLES], y[:EXAMPLES]
    runs = train_seeds(
        small_net,
        nn.CrossEntropyLoss(),
        data,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        seeds=seeds,
        max_steps=STEPS,
    )
    rows = []
    for seed, theta in zip(runs.seeds, runs.theta, strict=True):
        obj = Objective(small_net(), nn.CrossEntropyLoss(), data).at(theta)
        low = hessian_eigenvalues(obj, 1, which="smallest", tol=1e-2, seed=seed)
        lowest = float(low.values[0])
        rows.append(
            {
                "seed": seed,
                "loss": obj.loss(),
                "gradient_norm": float(obj.gradient().norm()),
                "lowest": lowest,
                "error": float(low.residuals[0]),
                "proven": lowest < -low.rounding,
            }
        )
    return pd.DataFrame(rows).set_index("seed")


def check(answer: Any) -> Checked:
    r"""How long is the step off the saddle of (1/2)(w1 w2 - 2)^2 at 0 that ends at the lowest loss?

    Along (1, 1)/sqrt(2): w1 w2 = t^2/2 = 2 at t = 2. Either sign is a way down.
    """
    what = "the length t of the step"
    if (problem := needs_number(answer, what)) is not None:
        return problem
    t = abs(float(answer))
    if math.isclose(t, math.sqrt(2 * TARGET), rel_tol=0.01):
        return right("w1 = w2 = t/√2 gives w1 w2 = t²/2, which is 2 at t = 2. There the loss is 0.")
    if math.isclose(t, math.sqrt(TARGET), rel_tol=0.01):
        return wrong("That is each of the two weights. The step is as long as both together: √(w1² + w2²).")
    if math.isclose(t, 2 * TARGET, rel_tol=0.01):
        return wrong("That is t². The loss is lowest where t²/2 equals the target.")
    if t == 0.0:
        return wrong("At t = 0 you are still at the saddle, where the loss is 2.")
    product = t * t / 2
    loss = (product - TARGET) ** 2 / 2
    if loss >= TARGET**2 / 2:
        return wrong(
            f"At this t the loss is {loss:.3g}, no lower than at the saddle: w1 w2 has gone too far."
        )
    side = "below" if product < TARGET else "above"
    return wrong(
        f"Put w1 = w2 = t/√2 into the loss: w1 w2 is {product:.3g} here, which is {side} its target."
    )
