"""Lesson 8, normalization layers: networks, statistics by hand, gradients over depth, the exercise."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import diagkit.measure as measure
from diagkit.clinic.digits import digits
from diagkit.experiments import NormalizationStudy, PairedDifference, TrainingPlan, paired_difference
from diagkit.experiments.seed_runs import made
from diagkit.lessons.exercise import Checked, needs_number, right, wrong
from diagkit.objective import Objective
from diagkit.training import with_normalization
from diagkit.work import progress

ANSWERS = ("rounder everywhere", "rounder by some measures only", "rounder nowhere")
LIMIT = math.pi / (math.pi - 1)  # of the squared gradient per ReLU layer
PLAN = TrainingPlan(lr=0.2, steps=200, max_examples=64, stable_steps=20)
BATCH, GAMMA, BETA = (1.0, 3.0, 5.0, 7.0), 2.0, 1.0  # of the exercise
ASKED = 7.0


def small_net() -> nn.Sequential:
    """64-32-32-10 with ReLU and torch's own initialization."""
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))


def first_net(seed: int) -> nn.Module:
    """The same with the weights of this seed."""
    return made(small_net, seed)


def data() -> tuple[Tensor, Tensor]:
    """The digits."""
    return digits()


def verdict_of(study: NormalizationStudy) -> str:
    """Which of ``ANSWERS`` the verdicts on the surface come to."""
    said = [v.verdict == "reproduced" for v in study.verdicts if "surface" in v.claim]
    return ANSWERS[0] if all(said) else ANSWERS[1] if any(said) else ANSWERS[2]


def wide_net(layers: int = 8, width: int = 256) -> nn.Sequential:
    """Equally wide ReLU layers with He's initialization."""
    parts: list[nn.Module] = []
    for inputs in (64, *[width] * (layers - 1)):
        parts += [nn.Linear(inputs, width), nn.ReLU()]
    net = nn.Sequential(*parts, nn.Linear(width, 10))
    for part in net:
        if isinstance(part, nn.Linear):
            nn.init.kaiming_normal_(part.weight)
            nn.init.zeros_(part.bias)
    return net


def gradient_factors(kind: str, seeds: Iterable[int] = range(8), examples: int = 256) -> np.ndarray:
    """Growth of the squared gradient per layer towards the input, at initialization [seeds]."""
    found, seeds = [], list(seeds)
    with progress("networks", len(seeds)) as advance:
        for seed in seeds:
            net = with_normalization(made(wide_net, seed), kind)
            g = torch.Generator().manual_seed(seed)
            X, y = torch.randn(examples, 64, generator=g), torch.randint(10, (examples,), generator=g)
            obj = Objective(net, nn.CrossEntropyLoss(), (X, y), norm_stats="batch", batch_size=examples)
            found.append(measure.signal_propagation(obj).gradient_growth.factor)
            advance(1)
    return np.array(found)


def against_theory(factors: np.ndarray) -> PairedDifference:
    """log of the factors less log(pi / (pi - 1)), over seeds."""
    return paired_difference(
        np.full(len(factors), math.log(LIMIT)), np.log(factors), unit="log of the factor"
    )


def rounded(values: Tensor) -> list[float]:
    """Two decimals, and no minus in front of a zero.

    Example
    -------
    >>> rounded(torch.tensor([[-0.001], [1.234]]))
    [0.0, 1.23]
    """
    return [round(float(value), 2) + 0.0 for value in values.detach().flatten()]


def normalized(values: Iterable[float], *, gamma: float = 1.0, beta: float = 0.0) -> Tensor:
    """One channel of a batch, as BatchNorm puts it out in training mode."""
    h = torch.tensor(list(values), dtype=torch.float64)[:, None]
    mean, variance = h.mean(0), h.var(0, correction=0)
    return (gamma * (h - mean) / (variance + 1e-12).sqrt() + beta)[:, 0]


def check(answer: Any) -> Checked:
    """What batch normalization with gamma 2 and beta 1 makes of the 7 in a batch 1, 3, 5, 7, in training."""
    problem = needs_number(answer, "what comes out for the 7")
    if problem is not None:
        return problem
    given = float(answer)
    h = np.array(BATCH)
    centred, variance = ASKED - h.mean(), h.var()

    def near(value: float) -> bool:
        return math.isclose(given, value, rel_tol=0.005, abs_tol=0.005)

    z = centred / math.sqrt(variance)
    if near(GAMMA * z + BETA):
        return right("Mean 4, variance 5: (7 − 4) / √5 = 1.34; times γ = 2, plus β = 1.")
    if near(GAMMA * centred / h.std(ddof=1) + BETA):
        return wrong("In training the variance is a mean of n squares. You divided by n − 1.")
    if near(z):
        return wrong("That is the normalized value. γ and β come after it.")
    if near(GAMMA * z):
        return wrong("β is missing.")
    if near(z + BETA):
        return wrong("γ is missing.")
    if near(GAMMA * (z + BETA)):
        return wrong("First times γ, then plus β.")
    if near(GAMMA * centred / variance + BETA):
        return wrong("Divide by the standard deviation, the root of the variance.")
    if near(GAMMA * ASKED + BETA) or near(ASKED):
        return wrong("That is a fresh BatchNorm in evaluation mode: its running mean is 0, its variance 1.")
    if near(BETA):
        return wrong("β alone comes out in a batch of one. Here are four examples.")
    return wrong("Mean of the four numbers, then the mean of the squared distances to it, then γ and β.")
