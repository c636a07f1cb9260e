"""Lesson 5: batch size and flat minima."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from diagkit.clinic import digits_net, digits_split
from diagkit.experiments import ARMS, BatchSizeStudy
from diagkit.experiments.batch_size.arms import Reference
from diagkit.lessons.exercise import Checked, needs_number, right, unanswered, wrong
from diagkit.training import train

RATE, EPOCHS = 0.1, 12
ENDS = ("sharper and worse", "about the same", "flatter and better")
# The exercise: from B = 128 at the rate 0.05 to B = 1024, with 50 000 examples.
START, LARGE = Reference(batch_size=128, rate=0.05, epochs=1, num_examples=50_000), 1024
WANTED = "(steps, rate, 'arm')"


def task(seed: int = 0) -> dict[str, Any]:
    """The digits and a small network, as arguments of ``dk.compare_batch_sizes``."""
    data, val_data = digits_split(seed=seed)
    loss_fn = nn.CrossEntropyLoss()
    settings = {"make_model": digits_net, "loss_fn": loss_fn, "data": data, "val_data": val_data}
    return settings | {"lr": RATE, "epochs": EPOCHS}


def one_weight(batch_size: int, rate: float, examples: int = 8) -> tuple[int, float]:
    """One epoch on L(w) = w^2 / 2, eight examples alike, from w = 1: (steps, w at the end).

    Example
    -------
    >>> one_weight(8, 0.1), one_weight(8, 3.0)
    ((1, 0.9), (1, -2.0))
    """
    steps = -(-examples // batch_size)
    return steps, round((1 - rate) ** steps, 4)


def end_point(study: BatchSizeStudy, arm: str = "same epochs") -> str:
    """What the large batch came to at the end of the runs, as one of the predictions."""
    answer = next(one for one in study.answers if one.arm == arm)
    if answer.verdict == "reproduced":
        return ENDS[0]
    sharper = next(j.verdict for j in study.judged if (j.arm, j.measure) == (arm, "lambda_max"))
    return ENDS[2] if sharper.interval[1] < -sharper.smallest else ENDS[1]


def table(study: BatchSizeStudy) -> pd.DataFrame:
    """A row per arm: steps of the large batch, effects with their 95 % intervals, and the two answers."""
    large = study.batch_sizes[-1]
    steps = study.frame[study.frame["batch_size"] == large].groupby("arm")["steps"].mean()
    sharp, tested = study.effects("lambda_max"), study.effects("test_accuracy")
    rows = {
        answer.arm: {
            "steps": int(steps[answer.arm]),
            "λ_max, ratio": _with_interval(sharp, answer.arm),
            "accuracy, points": _with_interval(tested, answer.arm),
            "sharper and worse": answer.verdict,
            "at the same loss": answer.at_same_loss,
        }
        for answer in study.answers
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _with_interval(effects: Any, arm: str) -> str:
    frame = effects.to_frame()
    row = frame[(frame["arm"] == arm) & (frame["at"] == "end")].iloc[0]
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def trained_net(seed: int = 0) -> nn.Module:
    """The network after two hundred steps on the digits, in float64."""
    torch.manual_seed(seed)
    model, (data, _) = digits_net(), digits_split(seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=RATE)
    train(model, nn.CrossEntropyLoss(), data, optimizer=sgd, max_steps=200, batch_size=20, seed=seed)
    return model.double()


def check(answer: Any) -> Checked:
    """Steps of B = 1024 in one epoch, its rate by the linear rule, the arm that changes the batch alone."""
    if answer is None:
        return unanswered(f"write {WANTED} in place of None, then run this cell again")
    if not isinstance(answer, (tuple, list)) or len(answer) != 3:
        return wrong(f"three things are asked for, in this order: {WANTED}")
    steps, rate, arm = answer
    for number, what in ((steps, "the steps of one epoch"), (rate, "the rate by the linear rule")):
        problem = needs_number(number, what)
        if problem is not None:
            return problem if number is not None else wrong(f"{what}: still None")
    return (
        _steps(float(steps))
        or _rate(float(rate))
        or _arm(arm)
        or right(
            "49 steps instead of 391, at 0.4 instead of 0.05. To see what the batch itself does, take as "
            "many steps at the same rate: only the noise of the gradients differs then. It costs eight times "
            "the epochs."
        )
    )


def _steps(steps: float) -> Checked | None:
    wanted = ARMS["same epochs"](START, LARGE, {}).steps
    before = START.steps(START.batch_size)
    if steps == wanted:
        return None
    if steps == wanted - 1:
        return wrong("steps: the last batch of the epoch is smaller, and it counts as a step, too")
    if steps != round(steps):
        return wrong(
            "steps: nobody can take part of a step. What happens to the examples that are left over?"
        )
    if steps in (before, before - 1):
        return wrong("steps: so many are taken with B = 128; the question is about B = 1024")
    return wrong("steps: each example is seen once in an epoch. How many batches do 50 000 of them fill?")


def _rate(rate: float) -> Checked | None:
    wanted = ARMS["linear rate"](START, LARGE, {}).rate
    factor = LARGE / START.batch_size
    if np.isclose(rate, wanted, rtol=1e-6):
        return None
    if np.isclose(rate, ARMS["square-root rate"](START, LARGE, {}).rate, rtol=0.02):
        return wrong("rate: that is the square-root rule; the linear one goes with B itself")
    if np.isclose(rate, START.rate):
        return wrong("rate: with the old rate, fewer steps go less far. The rule makes each of them longer")
    if np.isclose(rate, START.rate / factor):
        return wrong("rate: a large batch takes fewer steps, so each has to be longer, not shorter")
    if np.isclose(rate, factor):
        return wrong("rate: that is the factor between the batches; what does it multiply?")
    return wrong("rate: the linear rule keeps η / B as it was")


def _arm(arm: Any) -> Checked | None:
    if not isinstance(arm, str) or arm not in ARMS:
        return wrong(f"arm: one of these names, in quotes: {', '.join(list(ARMS)[:4])}")
    if arm == "same steps":
        return None
    if arm == "same epochs":
        return wrong(
            "arm: there two things change, the batch and how many steps are taken. Look at their number"
        )
    return wrong(
        "arm: there the rate changes along with the batch. Which arm keeps rate and number of steps?"
    )
