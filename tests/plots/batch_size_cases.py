"""Comparisons of batch sizes with known numbers, written by hand: nothing is trained here."""

import itertools

import numpy as np
import pandas as pd

from diagkit.experiments import BatchSizeStudy, CriticalBatchSize, sweep
from diagkit.experiments.batch_size.claims import Margins, answer, judge_arms
from diagkit.experiments.batch_size.critical_fit import Tradeoff, critical_interval, fit_tradeoff

ARMS = {"same epochs": (9.0, 2.2, -0.05), "same steps": (1.0, 1.0, 0.0)}  # training loss, sharpness, accuracy


def no_runs():
    return sweep(lambda lr, seed: {"loss": lr}, {"lr": [0.1]}, seeds=[0])


def batch_size_study():
    """Digits in small, in the shape of the real ones: the effect is there at the same epochs alone."""
    rows, curves = [], []
    for (arm, (loss, sharp, accuracy)), b, seed in itertools.product(ARMS.items(), (20, 200), range(8)):
        large, wobble = b == 200, np.exp(0.02 * np.sin(3 * seed + b))
        about = {"arm": arm, "batch_size": b, "seed": seed}
        end = {
            "train_loss": 0.04 * wobble * (loss if large else 1.0),
            "test_accuracy": 0.96 + large * accuracy + 0.001 * np.sin(seed + b),
            "lambda_max": 0.6 * wobble * (sharp if large else 1.0),
            "keskar": 0.1 * wobble,
        }
        matched = {"lambda_max": 1.3 * wobble, "keskar": 0.7 * wobble, "test_accuracy": 0.9 + 0.001 * wobble}
        rows.append(about | end | {f"matched_{name}": value for name, value in matched.items()})
        step = np.array([0.0, 1.0, 10.0, 100.0])
        series = {
            "step": step,
            "epoch": step * b / 1437,
            "seconds": step * 1e-3,
            "train_loss": 2.3 / (1 + step) * wobble * (loss if large else 1.0),
            "test_accuracy": 1 - 0.9 / (1 + step),
        }
        curves.append(pd.DataFrame(about | series))
    frame = pd.DataFrame(rows)
    judged = judge_arms(frame, tuple(ARMS), (20, 200), Margins(1.25, 1.05, 0.01))
    return BatchSizeStudy(
        frame=frame,
        curves=pd.concat(curves, ignore_index=True),
        target_loss=0.4,
        judged=judged,
        answers=tuple(answer(judged, arm, 200) for arm in ARMS),
        arms=tuple(ARMS),
        batch_sizes=(20, 200),
        seeds=tuple(range(8)),
        rates={},
        notes=(),
        training=no_runs(),
        measured=no_runs(),
        costs=no_runs(),
    )


def critical(s_min=30.0, e_min=1500.0, **changes):
    sizes = (8, 32, 128, 512)
    wobble = np.exp(0.05 * np.sin(np.arange(32).reshape(4, 8)))
    steps = Tradeoff(s_min, e_min).steps(sizes)[:, None] * wobble
    value, interval, resolved = critical_interval(sizes, steps)
    fields = {
        "value": value,
        "interval": interval,
        "resolved": resolved,
        "target_loss": 0.2,
        "batch_sizes": sizes,
        "rates": (0.1, 0.2, 0.4, 0.8),
        "seeds": tuple(range(8)),
        "steps": steps,
        "fit": fit_tradeoff(sizes, steps.mean(axis=1)),
        "noise_scale": 70.0,
        "noise_range": (20.0, 300.0),
        "notes": (),
        "runs": no_runs(),
    }
    return CriticalBatchSize(**(fields | changes))


BATCH_SIZE_KINDS = {
    "batch sizes": batch_size_study(),
    "batch sizes, one measure": batch_size_study().effects(),
    "batch sizes, accuracy": batch_size_study().effects("test_accuracy"),
    "batch sizes, verdicts": batch_size_study().table(),
    "critical batch size": critical(),
    "critical batch size, no bend": critical(s_min=0.0, noise_scale=np.inf, noise_range=(50.0, np.inf)),
    "critical batch size, none": critical(batch_sizes=(), steps=np.zeros((0, 8)), resolved=False),
}
