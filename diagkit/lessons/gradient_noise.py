"""Lesson 6: gradient noise, shuffling, dropout."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from diagkit.clinic import digits, digits_net
from diagkit.experiments import EscapeTask, NoiseEscapeStudy
from diagkit.lessons.exercise import Checked, needs_number, right, wrong
from diagkit.objective import Objective
from diagkit.objective.trace import same_random_state, seed_everything
from diagkit.training import add_gradient_noise, train

EXAMPLES, BATCH, RATE, STEPS = 400, 20, 0.3, 200
FOUR = (1.0, 3.0, 5.0, 7.0)
# A small deep network, with the annealing and the middle level of Neelakantan et al. 2015: c^2 = 0.3.
TASK = EscapeTask(depth=4, width=16, lr=0.2, steps=150, c=0.55, r=0.275)
HELPERS = ("the noise of the minibatches", "only noise that is added", "neither of them")
ORDERS = ("sorted by class", "shuffled once", "shuffled each epoch")
WEIGHTS = 4000  # each of them a run of its own
# The exercise: the standard deviation of a batch of 50 of 1000 examples is to be halved.
NUM_EXAMPLES, START = 1000, 50


def four_points() -> Objective:
    """L(w) = mean of (w - x)^2 / 2 over x = 1, 3, 5, 7, at w = 0: the gradients are -1, -3, -5, -7.

    Example
    -------
    >>> float(four_points().gradient())
    -4.0
    """
    x = torch.tensor(FOUR, dtype=torch.float64)[:, None]
    weight = nn.Linear(1, 1, bias=False).double()
    loss = lambda output, target: ((output - target) ** 2).mean() / 2  # noqa: E731
    return Objective(weight, loss, (torch.ones_like(x), x)).at([0.0])


def gradients_of_batches(batch_size: int) -> np.ndarray:
    """The mean gradient of every batch of so many of the four examples.

    Example
    -------
    >>> gradients_of_batches(2).tolist()
    [-2.0, -3.0, -4.0, -4.0, -5.0, -6.0]
    """
    return np.array([-np.mean(batch) for batch in combinations(FOUR, batch_size)])


def data() -> tuple[Tensor, Tensor]:
    """400 digits: inputs [400, 64] and labels [400]."""
    X, y = digits()
    return X[:EXAMPLES], y[:EXAMPLES]


def helper(study: NoiseEscapeStudy) -> str:
    """What got a start at zero to learn, as one of the predictions."""
    if study.rate("zero", False).value > 0.5:
        return HELPERS[0]
    return HELPERS[1] if study.rate("zero", True).value > 0.5 else HELPERS[2]


def net(seed: int = 0, *, dropout: float = 0.0) -> nn.Module:
    """64-32-10, not trained; ``dropout`` behind the hidden layer."""
    with same_random_state():
        seed_everything(seed)
        model = digits_net()
    return model.insert(2, nn.Dropout(dropout)) if dropout else model


def trained(
    model: nn.Module, batches: Any, *, seed: int = 0, rate: float = RATE, steps: int = STEPS
) -> nn.Module:
    """The same model after so many steps of SGD; (X, y) is cut in batches of 20 and shuffled each epoch."""
    cut = BATCH if isinstance(batches, tuple) else None
    sgd = torch.optim.SGD(model.parameters(), lr=rate)
    train(model, nn.CrossEntropyLoss(), batches, optimizer=sgd, max_steps=steps, batch_size=cut, seed=seed)
    return model


def losses_by_order(
    seeds: Iterable[int] = range(8), *, rate: float = 1.0, steps: int = 40
) -> dict[str, np.ndarray]:
    """Order of the examples -> loss on all of them after so many steps [seeds]; each seed is one start."""
    X, y = data()
    found: dict[str, list[float]] = {name: [] for name in ORDERS}
    for seed in seeds:
        shuffled = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
        for name, order in zip(ORDERS, (y.argsort(stable=True), shuffled, None), strict=True):
            fed = (X, y) if order is None else [(X[i], y[i]) for i in order.split(BATCH)]
            model = trained(net(seed), fed, seed=seed, rate=rate, steps=steps)
            with torch.no_grad():
                found[name].append(float(cross_entropy(model(X), y)))
    return {name: np.array(values) for name, values in found.items()}


def losses_by_mode(
    seeds: Iterable[int] = range(8), *, dropout: float = 0.5, masks: int = 20
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss of the same weights on the same data: evaluation mode, training mode, each [seeds].

    In training mode it is the mean over masks; the third array holds the standard deviations over masks.
    """
    X, y = data()
    rows = []
    for seed in seeds:
        model = trained(net(seed, dropout=dropout), (X, y), seed=seed)
        with torch.no_grad(), same_random_state():
            seed_everything(seed)
            noisy = [float(cross_entropy(model.train()(X), y)) for _ in range(masks)]
            rows.append((float(cross_entropy(model.eval()(X), y)), np.mean(noisy), np.std(noisy, ddof=1)))
    quiet, mean, spread = np.array(rows).T
    return quiet, mean, spread


def spread_at_the_end(r: float, *, sigma: float = 1.0, rate: float = 0.1, steps: int = 400) -> float:
    """Standard deviation of w after gradient steps on w^2 / 2 with noise sigma / (1 + t)^r, from w = 3.

    Example
    -------
    >>> round(spread_at_the_end(0.0), 1), round((0.1 / (2 - 0.1)) ** 0.5, 1)  # and what theory says
    (0.2, 0.2)
    """
    w = nn.Parameter(torch.full((WEIGHTS,), 3.0, dtype=torch.float64))
    sgd = torch.optim.SGD([w], lr=rate)
    with add_gradient_noise(sgd, sigma, r):
        for _ in range(steps):
            w.grad = w.detach().clone()  # of w^2 / 2
            sgd.step()
    return float(w.detach().std())


def wanted() -> float:
    """B' with (1/B' - 1/N) = (1/B - 1/N) / 4: a quarter of the variance."""
    return 1 / (1 / NUM_EXAMPLES + (1 / START - 1 / NUM_EXAMPLES) / 4)


def check(answer: Any) -> Checked:
    """The batch size at which the standard deviation of a batch of 50 of 1000 examples is halved."""
    problem = needs_number(answer, "the batch size")
    if problem is not None:
        return problem
    size = float(answer)
    if abs(size - wanted()) <= 1:
        return right(
            "1/B′ − 1/N is a quarter of 1/B − 1/N. It takes less than four times the batch: drawn without "
            "replacement, a larger part of all examples leaves less to chance."
        )
    if size < 1 or size > NUM_EXAMPLES:
        return wrong(f"A batch has between 1 and {NUM_EXAMPLES} examples here.")
    if size == NUM_EXAMPLES:
        return wrong("With all of the data there is no noise left at all. Asked for is half of it.")
    hints = {
        4
        * START: "That is right with replacement, or for endless data. Here N = 1000: use the whole formula.",
        2 * START: "The formula gives a variance. How does it change when the standard deviation is halved?",
        1 / (1 / NUM_EXAMPLES + (1 / START - 1 / NUM_EXAMPLES) / 2): (
            "That halves the variance. Asked for is half the standard deviation."
        ),
        math.sqrt(2) * START: "That takes a root too many: the noise falls more slowly than the batch grows.",
    }
    for value, hint in hints.items():
        if abs(size - value) <= 1:
            return wrong(hint)
    if size < START:
        return wrong("A smaller batch is noisier.")
    return wrong("Write down (1/B − 1/N) for B = 50, divide it by 4, and solve for the new B.")
