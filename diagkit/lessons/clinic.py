"""Lesson 9, the clinic: two runs with one log, three causes at ln 10, how far a rule can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit import clinic
from diagkit.diagnosis import Consultation
from diagkit.diagnosis.loss_curve import read_curve
from diagkit.errors import InputError
from diagkit.experiments import RateDifference, rate_difference
from diagkit.lessons.exercise import Checked, right, unanswered, wrong
from diagkit.training import History

THREE = ("dead-after-a-jump", "sgd-crawls", "deep-sigmoid")  # with one and the same curve
MYSTERY = "stale-optimizer"
RUNS, STEPS, EXAMPLES, FEATURES, BATCH = 30, 120, 64, 5, 16  # of the rules that are put to the test
CRAWL, SANE = 1e-5, 0.05  # learning rates


class _Half(nn.Module):
    """L = w^2 / 2."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self) -> Tensor:
        return (self.w**2).sum() / 2


class _Product(nn.Module):
    """L = (w_1 w_2 - 1)^2 / 2."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self) -> Tensor:
        return (self.w.prod() - 1) ** 2 / 2


def two_flat_runs(steps: int = 6) -> dict[str, dict[str, list[float]]]:
    """Loss and gradient norm of two runs at a rate of 2: one swings across a valley, one rests on a saddle.

    Example
    -------
    >>> runs = two_flat_runs(3)
    >>> runs["swings"]
    {'loss': [0.5, 0.5, 0.5], 'gradient': [1.0, 1.0, 1.0]}
    >>> runs["rests"]
    {'loss': [0.5, 0.5, 0.5], 'gradient': [0.0, 0.0, 0.0]}
    """
    runs = {}
    for name, model in (("swings", _Half()), ("rests", _Product())):
        optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
        log: dict[str, list[float]] = {"loss": [], "gradient": []}
        for _ in range(steps):
            loss = model()
            log["loss"].append(loss.item())
            (gradient,) = torch.autograd.grad(loss, [model.w])
            log["gradient"].append(float(gradient.norm()))
            model.w.grad = gradient
            optimizer.step()
        runs[name] = log
    return runs


def reading(seen: Consultation) -> str:
    """The cause that the answers "layers" and "higher rate" speak for, by rules that one can say aloud.

    All units of a layer at 0: dead. Gradients that shrink tenfold and more on their way back: vanishing. A
    higher rate that ends lower beyond its interval, and by a hundredth of the loss: the rate is too small.

    Raises
    ------
    InputError : one of the two was not ordered.
    """
    answers = {answer.order: answer.result for answer in seen.answers}
    layers: Any = answers.get("layers")
    trial: Any = answers.get("higher rate")
    if layers is None or trial is None:
        raise InputError(f"answers to {list(answers)}", allowed="layers and higher rate among them")
    if np.nanmax(layers.dead) >= 1.0:
        return "dead-units"
    if layers.verdict == "vanishing":
        return "vanishing-gradients"
    if trial.interval[0] > 0 and trial.effect > 0.01 * trial.level:
        return "learning-rate-too-small"
    return "undecided"


def two_rules(seed: int = 0) -> Mapping[str, RateDifference]:
    """How often two rules raise an alarm over 30 runs that are well, and over 30 that crawl.

    Linear regression with noise, in minibatches: at a sane rate, trained to its end, and at a rate so small
    that nothing moves. "flat": the log no longer falls beyond its noise. "nothing learned": its end is less
    than a tenth below the loss of a constant prediction. ``first`` are the well runs, ``second`` the sick.
    """
    alarms: dict[str, list[list[bool]]] = {"flat": [], "nothing learned": []}
    for rate in (SANE, CRAWL):
        losses, constants = _regressions(seed, rate)
        curves = [read_curve(History.from_dict({"loss": row})) for row in losses]
        ends = losses[:, -STEPS // 4 :].mean(axis=1)
        alarms["flat"].append([not curve.is_falling for curve in curves])
        alarms["nothing learned"].append((ends > 0.9 * constants).tolist())
    return {name: rate_difference(*both) for name, both in alarms.items()}


def _regressions(seed: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Losses of all runs at once [RUNS, STEPS], and of the best constant predictions [RUNS]."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(RUNS, EXAMPLES, FEATURES))
    y = X.sum(axis=2) + rng.normal(size=(RUNS, EXAMPLES))
    w, losses = np.zeros((RUNS, FEATURES)), np.empty((RUNS, STEPS))
    for step in range(STEPS):
        batch = rng.choice(EXAMPLES, BATCH, replace=False)
        errors = np.einsum("rnd,rd->rn", X[:, batch], w) - y[:, batch]
        losses[:, step] = (errors**2).mean(axis=1)
        w -= rate * 2 * np.einsum("rnd,rn->rd", X[:, batch], errors) / BATCH
    return losses, y.var(axis=1)


def precision(recall: float, false_alarms: float, share: float) -> float:
    """Of those accused, the share that is guilty, by Bayes: r p / (r p + f (1 - p)).

    Parameters
    ----------
    recall : P(alarm | sick). false_alarms : P(alarm | well). share : P(sick), before anything was measured.

    Example
    -------
    >>> precision(0.9, 0.1, 0.1)
    0.5
    """
    accused = recall * share + false_alarms * (1 - share)
    return recall * share / accused if accused > 0 else float("nan")


def mystery(seed: int = 0) -> clinic.Patient:
    """The patient of the exercise, without name and story."""
    return replace(clinic.patient(MYSTERY, seed), name="mystery", story="")


HINTS = {
    "healthy": "the loss is still near that of a constant prediction: order “constant”",
    "learning-rate-too-small": "a small step moves the weights a little; here they do not move at all: why?",
    "learning-rate-too-large": "look at the log: does it swing, or does it go up?",
    "saddle-point": "on a saddle the gradient is next to nothing: order “gradient”",
    "vanishing-gradients": "order “layers”: does the gradient arrive at the first layer?",
    "dead-units": "order “layers”: how many units are 0 for every example?",
    "noise-floor": "a run that hovers on noise has fallen before: has this one?",
}


def check(answer: Any) -> Checked:
    """Is this the cause of the mystery patient?"""
    if answer is None:
        return unanswered('write the id of a cause, such as "noise-floor", in place of None')
    if not isinstance(answer, str):
        return wrong(
            f'the id of a cause is asked for, a text such as "noise-floor", not a {type(answer).__name__}'
        )
    named = answer.strip().lower().replace("_", "-").replace(" ", "-")
    truth = clinic.patient(MYSTERY)
    if truth.accepts(named):
        return right(
            "the steps go to tensors that are not the model's: it was built again after its optimizer. One "
            "point (“optimizer”) proves it; no trial was needed"
        )
    return wrong(HINTS.get(named, "go up the ladder from its lowest rung: which question costs one point?"))
