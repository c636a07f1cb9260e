"""Loss curves with known answers: families to tune on, and others that thresholds never saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Series = dict[str, Any]
Make = Callable[[np.random.Generator, int, float], Series]  # (rng, entries, relative noise) -> series


@dataclass(frozen=True)
class Family:
    """``right``: answers that are right. ``alarm`` is any fault that is not among them."""

    name: str
    half: str  # "development" or "held-out"
    right: frozenset[str]
    make: Make

    @property
    def is_healthy(self) -> bool:
        return bool(self.right & WELL)


WELL = frozenset({"still-improving", "converged", "healthy"})
FAMILIES: list[Family] = []


def family(half: str, *right: str) -> Callable[[Make], Make]:
    def enter(make: Make) -> Make:
        FAMILIES.append(Family(make.__name__.replace("_", "-"), half, frozenset(right), make))
        return make

    return enter


def noisy(rng: np.random.Generator, loss: np.ndarray, noise: float) -> np.ndarray:
    """Minibatch noise in proportion to the loss."""
    return loss * np.exp(noise * rng.standard_normal(len(loss)))


def decay(n: int, length: float, floor: float = 0.2, start: float = 2.3) -> np.ndarray:
    return floor + (start - floor) * np.exp(-np.arange(n) / (length * n))


def driven(lr: np.ndarray, length: float, floor: float = 0.2, start: float = 2.3) -> np.ndarray:
    """Exponential in the path travelled: the rate moves the loss."""
    path = np.cumsum(lr / lr.max())
    return floor + (start - floor) * np.exp(-path / (length * len(lr)))


def cosine(n: int, end: float = 0.0) -> np.ndarray:
    return end + (1 - end) * (1 + np.cos(np.pi * np.arange(n) / n)) / 2


def validated(rng: np.random.Generator, n: int, count: int, loss: np.ndarray, noise: float) -> Series:
    at = np.unique(np.linspace(n // count, n - 1, count).astype(int))
    return {"val_step": at, "val_loss": noisy(rng, loss[at], noise)}


# Healthy, development


@family("development", "still-improving", "healthy")
def falls_exponentially(rng, n, noise):
    return {"loss": noisy(rng, decay(n, rng.uniform(0.4, 1.0)), noise)}


@family("development", "still-improving", "converged", "healthy")
def falls_as_a_power(rng, n, noise):
    t = np.arange(1, n + 1)
    return {"loss": noisy(rng, 3.0 * (t / 3) ** -rng.uniform(0.2, 0.4), noise)}


@family("development", "converged", "still-improving", "healthy", "undecided")
def converged_with_minibatch_noise(rng, n, noise):
    return {"loss": noisy(rng, decay(n, rng.uniform(0.02, 0.1), rng.uniform(0.05, 0.8)), noise)}


@family("development", "converged", "still-improving", "healthy", "undecided")
def cosine_to_zero(rng, n, noise):
    lr = cosine(n)
    loss = driven(lr, rng.uniform(0.05, 0.3)) + 0.3 * lr
    return {"loss": noisy(rng, loss, noise), "lr": 0.1 * lr} | validated(rng, n, 12, loss + 0.1, noise / 5)


@family("development", "converged", "still-improving", "healthy", "undecided")
def warm_restarts(rng, n, noise):
    cycles = rng.integers(3, 7)
    phase = (np.arange(n) * (cycles + rng.uniform(-0.3, 0.3)) / n) % 1.0
    lr = (1 + np.cos(np.pi * phase)) / 2
    return {"loss": noisy(rng, decay(n, 0.15) + 0.3 * lr, noise), "lr": 0.1 * lr}


@family("development", "converged", "still-improving", "healthy", "undecided")
def step_decay(rng, n, noise):
    lr = np.where(np.arange(n) < n // 2, 1.0, np.where(np.arange(n) < 3 * n // 4, 0.1, 0.01))
    return {"loss": noisy(rng, decay(n, 0.06, 0.1) + 0.4 * lr, noise), "lr": lr}


@family("development", "converged", "still-improving", "healthy", "undecided")
def validation_levels_off(rng, n, noise):
    return {"loss": noisy(rng, decay(n, 0.3, 0.05), noise)} | validated(
        rng, n, int(rng.integers(8, 60)), decay(n, 0.15, 0.6), noise / 4
    )


@family("development", "converged", "still-improving", "healthy", "undecided")
def spikes_that_recover(rng, n, noise):
    loss = decay(n, 0.15, 0.3)
    for at in rng.integers(n // 10, 9 * n // 10, 4):
        loss[at:] += 2.0 * np.exp(-np.arange(n - at) / (0.01 * n))
    return {"loss": noisy(rng, loss, noise)}


# Healthy, held out


@family("held-out", "converged", "still-improving", "healthy", "undecided")
def correlated_noise(rng, n, noise):
    shocks = rng.standard_normal(n)
    ar = np.zeros(n)
    for t in range(1, n):
        ar[t] = 0.8 * ar[t - 1] + 0.6 * shocks[t]
    return {"loss": decay(n, rng.uniform(0.03, 0.2), 0.4) * np.exp(noise * ar)}


@family("held-out", "converged", "still-improving", "healthy", "undecided")
def heavy_tails(rng, n, noise):
    loss = decay(n, rng.uniform(0.03, 0.2), 0.4)
    return {"loss": loss * (1 + noise * np.abs(rng.standard_t(3, n)))}


@family("held-out", "converged", "still-improving", "healthy", "undecided")
def one_cycle(rng, n, noise):
    up = max(n // 3, 1)
    lr = np.concatenate([np.linspace(0.04, 1, up), cosine(n - up, 1e-4)])
    loss = driven(lr, rng.uniform(0.05, 0.2)) + 0.25 * lr
    return {"loss": noisy(rng, loss, noise), "lr": lr} | validated(rng, n, 20, loss + 0.2, noise / 5)


@family("held-out", "converged", "still-improving", "healthy", "undecided")
def restarts_without_a_rate_in_the_log(rng, n, noise):
    phase = (np.arange(n) * rng.integers(3, 6) / n) % 1.0
    return {"loss": noisy(rng, decay(n, 0.15) + 0.2 * (1 + np.cos(np.pi * phase)), noise)}


@family("held-out", "converged", "still-improving", "healthy", "undecided")
def exponential_schedule(rng, n, noise):
    lr = 10.0 ** (-3.0 * np.arange(n) / n)
    return {"loss": noisy(rng, driven(lr, rng.uniform(0.02, 0.05)) + 0.3 * lr, noise), "lr": lr}


@family("held-out", "converged", "still-improving", "healthy", "undecided")
def batches_in_a_fixed_order(rng, n, noise):
    batches = int(rng.integers(10, 40))
    hard = np.tile(np.exp(0.15 * rng.standard_normal(batches)), n // batches + 1)[:n]
    return {"loss": noisy(rng, decay(n, 0.1, 0.3) * hard, noise / 2)}


@family("held-out", "converged", "still-improving", "healthy", "undecided")
def memorizes_while_validation_waits(rng, n, noise):
    val = decay(n, 0.1, 1.0) * (1 + 0.01 * np.sin(np.arange(n) / n * 9))
    return {"loss": noisy(rng, decay(n, 0.2, 0.01), noise)} | validated(rng, n, 30, val, max(noise / 4, 0.01))


@family("held-out", "converged", "still-improving", "healthy")
def likelihood_below_zero(rng, n, noise):
    return {"loss": decay(n, rng.uniform(0.05, 0.8), -3.0, 2.0) + noise * rng.standard_normal(n)}


@family("held-out", "converged", "still-improving", "healthy", "undecided")
def idle_after_a_cosine(rng, n, noise):
    end = int(rng.uniform(0.5, 0.8) * n)
    lr = np.concatenate([cosine(end), np.zeros(n - end)])
    return {"loss": noisy(rng, driven(lr, rng.uniform(0.015, 0.03)) + 0.3 * lr, noise), "lr": lr}


# Not healthy, development


@family("development", "non-finite")
def ends_in_nan(rng, n, noise):
    loss = noisy(rng, decay(n, 0.3), noise)
    loss[int(rng.uniform(0.5, 0.9) * n) :] = np.nan
    return {"loss": loss}


@family("development", "learning-rate-too-large")
def climbs_at_the_end(rng, n, noise):
    loss = decay(n, 0.1, 0.4)
    at = int(rng.uniform(0.5, 0.8) * n)
    loss[at:] += np.linspace(0, rng.uniform(1.0, 5.0), n - at)
    return {"loss": noisy(rng, loss, noise)}


@family("development", "learning-rate-too-large")
def jumps_and_stays(rng, n, noise):
    loss = decay(n, 0.1, 0.4)
    loss[int(rng.uniform(0.4, 0.8) * n) :] = rng.uniform(1.5, 3.0)
    return {"loss": noisy(rng, loss, noise)}


@family("development", "warmup-missing")
def early_jump(rng, n, noise):
    loss = decay(n, 0.02, 1.2)
    at = int(rng.uniform(0.06, 0.12) * n)
    loss[at:] = 2.3 + 5.0 * np.exp(-np.arange(n - at) / (0.01 * n))
    return {"loss": noisy(rng, loss, noise), "lr": np.full(n, 0.1)}


@family("development", "learning-rate-too-large")
def swings(rng, n, noise):
    wave = np.sin(2 * np.pi * np.arange(n) / rng.uniform(2.5, min(20, n / 20)))
    return {"loss": noisy(rng, decay(n, 0.03, 0.5) * (1 + rng.uniform(0.4, 0.8) * wave), noise / 2)}


@family("development", "overfitting")
def overfits(rng, n, noise):
    turn = rng.uniform(0.25, 0.5)
    x = np.arange(n) / n
    val = 0.8 + 1.5 * np.exp(-x / 0.08) + 1.2 * np.maximum(x - turn, 0)
    return {"loss": noisy(rng, decay(n, 0.25, 0.05), noise)} | validated(
        rng, n, int(rng.integers(15, 60)), val, noise / 5
    )


@family("development", "schedule-ended-early")
def rate_ran_out(rng, n, noise):
    lr = np.zeros(n)
    end = int(rng.uniform(0.4, 0.7) * n)
    lr[:end] = cosine(end)
    return {"loss": noisy(rng, driven(lr, rng.uniform(0.4, 1.0)), noise), "lr": 0.1 * lr}


@family("development", "undecided")
def never_learns(rng, n, noise):
    return {"loss": noisy(rng, np.full(n, 2.3), noise)}


@family("development", "undecided")
def stops_high(rng, n, noise):
    at = int(rng.uniform(0.2, 0.5) * n)
    return {"loss": noisy(rng, np.concatenate([np.linspace(2.3, 1.8, at), np.full(n - at, 1.8)]), noise)}


# Not healthy, held out


@family("held-out", "non-finite")
def overflows(rng, n, noise):
    at = int(rng.uniform(0.3, 0.95) * n)
    loss = noisy(rng, decay(n, 0.3), noise)
    loss[at:] = np.inf
    return {"loss": loss}


@family("held-out", "learning-rate-too-large")
def explodes(rng, n, noise):
    t = np.maximum(np.arange(n) / n - rng.uniform(0.6, 0.8), 0)
    return {"loss": noisy(rng, decay(n, 0.1, 0.4) * np.exp(12 * t), noise)}


@family("held-out", "learning-rate-too-large")
def alternates(rng, n, noise):
    sign = (-1.0) ** np.arange(n) * rng.uniform(0.3, 0.7)
    return {"loss": noisy(rng, decay(n, 0.05, 0.6) * (1 + sign), noise / 2), "lr": np.full(n, 0.1)}


@family("held-out", "learning-rate-too-large")
def falls_back_to_the_start(rng, n, noise):
    at = int(rng.uniform(0.4, 0.85) * n)
    loss = decay(n, 0.2, 0.3)
    loss[at:] = 2.3
    return {"loss": noisy(rng, loss, noise), "lr": cosine(n, 0.1)}


@family("held-out", "overfitting")
def overfits_after_a_wait(rng, n, noise):
    x = np.arange(n) / n
    val = 1.0 + np.exp(-x / 0.1) + 3.0 * np.maximum(x - 0.5, 0) ** 2 * rng.uniform(1, 2)
    return {"loss": noisy(rng, decay(n, 0.15, 0.02), noise), "lr": np.full(n, 1e-3)} | validated(
        rng, n, int(rng.integers(20, 80)), val, noise / 8
    )


@family("held-out", "schedule-ended-early")
def linear_rate_ran_out(rng, n, noise):
    end = int(rng.uniform(0.3, 0.75) * n)
    lr = np.clip(1 - np.arange(n) / end, 0, None)
    loss = driven(np.maximum(lr, 1e-9), rng.uniform(0.5, 1.0), 0.1, 8.0)
    return {"loss": noisy(rng, loss, noise), "lr": 3e-4 * lr}


@family("held-out", "schedule-ended-early")
def rate_cut_to_nothing(rng, n, noise):
    end = int(rng.uniform(0.4, 0.8) * n)
    lr = np.where(np.arange(n) < end, 1.0, 1e-4)
    return {"loss": noisy(rng, driven(lr, rng.uniform(0.3, 0.8)), noise), "lr": 1e-3 * lr}


@family("held-out", "undecided")
def noise_of_a_dead_network(rng, n, noise):
    return {"loss": np.abs(np.log(10) + noise * rng.standard_t(4, n)), "lr": np.full(n, 0.1)}
