"""Trials: paired, reproducible, with an effect and an interval that can be checked by hand."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import diagkit as dk
from diagkit.diagnosis import arms
from diagkit.diagnosis.bench import Bench
from diagkit.diagnosis.trial import GRID, LAST, NUM_SEEDS, Arm, paired
from diagkit.diagnosis.twin import Twin, can_start_afresh, scale_rate, thaw
from diagkit.work import StoppedError, watching

CURVATURE, RATE = 2.0, 0.05


def quadratic(rate=RATE):
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.ones_(model.weight)
    x = torch.full((1, 1), CURVATURE**0.5, dtype=torch.float64)
    half = lambda output, target: 0.5 * ((output - target) ** 2).mean()  # noqa: E731
    obj = dk.Objective(model, half, (x, torch.zeros_like(x)))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    return Bench(obj, lambda: Twin.of(model, optimizer), 1, 0, 60.0), model


def noisy(num_steps=24, batch_size=4, dropout=False):
    g = torch.Generator().manual_seed(0)
    X = torch.randn(64, 4, generator=g)
    y = X.sum(1, keepdim=True) + torch.randn(64, 1, generator=g)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5 if dropout else 0.0), nn.Linear(8, 1))
    obj = dk.Objective(model, nn.MSELoss(), (X, y))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    bench = Bench(obj, lambda: Twin.of(model, optimizer), batch_size, 0, 60.0)
    bench._num_steps = num_steps
    return bench


def test_effect_by_hand():
    """Gradient descent on (1/2) c w^2 from w = 1: the loss after t steps is (1/2) c (1 - rate c)^(2t)."""
    bench, _ = quadratic()
    bench._num_steps = 16
    trial = bench.compare(arms.rate_times(10.0), arms.AS_IS)
    steps = np.arange(0, 17, 2)
    by_hand = [0.5 * CURVATURE * (1 - rate * CURVATURE) ** (2 * steps) for rate in (RATE, 10 * RATE)]
    assert trial.steps.tolist() == steps.tolist()
    assert trial.without == pytest.approx(np.tile(by_hand[0], (NUM_SEEDS, 1)))
    assert trial.with_remedy == pytest.approx(np.tile(by_hand[1], (NUM_SEEDS, 1)), abs=1e-15)
    effect = by_hand[0][-LAST:].mean() - by_hand[1][-LAST:].mean()
    assert trial.effect == pytest.approx(effect)
    assert trial.interval == pytest.approx((effect, effect))
    assert trial.complete


def test_interval_by_hand():
    bench = noisy()
    trial = paired(bench.run(arms.AS_IS), bench.run(arms.rate_times(0.1)), np.inf, 0, 0.0)
    difference = (trial.without - trial.with_remedy)[:, -LAST:].mean(axis=1)
    half = stats.t.ppf(0.975, NUM_SEEDS - 1) * stats.sem(difference)
    assert trial.without.shape == (NUM_SEEDS, GRID + 1)
    assert trial.effect == pytest.approx(difference.mean())
    assert trial.interval == pytest.approx((difference.mean() - half, difference.mean() + half))
    assert difference.std() > 0


def test_a_seed_without_gain_ends_a_trial():
    """Two seeds are enough where one of them gains nothing; they are those that all four begin with."""
    bench = noisy()
    short = bench.compare(arms.rate_times(0.1), arms.AS_IS)
    assert (len(short.without), short.complete) == (2, True)
    whole = bench.run(arms.AS_IS)
    assert np.array_equal(whole.loss[:2], short.without)
    assert np.array_equal(whole.loss, noisy().run(arms.AS_IS).loss)


def test_what_ends_a_trial_cannot_be_made_good():
    """One gain that is not positive keeps 0 inside the interval, whatever the others are."""
    gains = np.abs(np.random.default_rng(0).standard_cauchy((2000, NUM_SEEDS)))
    gains[:1000] = 1.0 + 1e-9 * gains[:1000]  # equal gains come nearest to the limit
    gains[:, 0] *= -np.random.default_rng(1).choice([0.0, 1.0], 2000)
    half = stats.t.ppf(0.975, NUM_SEEDS - 1) * stats.sem(gains, axis=1)
    assert (gains.mean(axis=1) - half <= 0).all()


@pytest.mark.parametrize("dropout", [False, True])
def test_arms_are_paired(dropout):
    """Another arm that changes nothing sees the same batches and masks: no difference at all."""
    trial = noisy(dropout=dropout).compare(Arm("same", "the same", lambda twin, seed: twin), arms.AS_IS)
    assert np.array_equal(trial.without, trial.with_remedy)
    assert (trial.effect, trial.interval) == (0.0, (0.0, 0.0))


def test_seeds_differ_and_start_at_one_checkpoint():
    run = noisy().run(arms.AS_IS)
    assert np.unique(run.loss[:, 0]).size == 1
    assert np.unique(run.loss[:, -1]).size == NUM_SEEDS


def test_same_seed_same_trial():
    a, b = (noisy(dropout=True).compare(arms.LARGER_BATCH, arms.AS_IS) for _ in range(2))
    assert np.array_equal(a.with_remedy, b.with_remedy)


def test_an_arm_runs_once():
    bench = noisy()
    assert bench.run(arms.AS_IS) is bench.run(arms.AS_IS)


def test_divergence_is_bounded_by_the_ceiling():
    bench, _ = quadratic(rate=1e6)
    bench._num_steps, bench.ceiling = 200, 3.0
    trial = bench.compare(arms.rate_times(1e-7), arms.AS_IS)
    assert np.isinf(trial.without[:, -1]).all()
    assert trial.effect == pytest.approx(3.0, rel=0.1)
    assert np.isfinite(trial.interval).all()


def test_the_model_stays_where_it_is():
    bench, model = quadratic()
    bench._num_steps = 16
    bench.compare(arms.rate_times(10.0), arms.AS_IS)
    assert model.weight.item() == 1.0
    assert model.weight.grad is None


def test_frame_has_a_row_per_arm_seed_and_step():
    trial = noisy().compare(arms.rate_times(0.1), arms.AS_IS)
    frame = trial.to_frame()
    assert len(frame) == 2 * len(trial.without) * (GRID + 1)
    assert set(frame["arm"]) == {"as before", "learning rate x 0.1"}
    assert "effect" in repr(trial)


def test_twin_is_bound_to_its_own_optimizer():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    twin = Twin.of(model, optimizer)
    assert twin.optimizer.param_groups[0]["params"][0] is twin.model.weight
    assert twin.model.weight is not model.weight
    assert scale_rate(twin, 10).rate == pytest.approx(1e-2)
    assert optimizer.param_groups[0]["lr"] == 1e-3


def test_a_rate_of_zero_is_replaced():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    assert scale_rate(Twin.of(model, optimizer), 0.1).rate > 0


def test_thawing_gives_all_parameters_to_the_optimizer():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)).requires_grad_(False)
    twin = thaw(Twin.of(model, torch.optim.SGD(model[1].parameters(), lr=0.1)))
    held = {id(p) for group in twin.optimizer.param_groups for p in group["params"]}
    assert all(p.requires_grad and id(p) in held for p in twin.model.parameters())
    assert not any(p.requires_grad for p in model.parameters())


def test_a_model_that_cannot_be_copied_is_named():
    model = nn.Linear(2, 1)
    model.cache = model.weight * 2  # carries a graph
    with pytest.raises(dk.InputError, match="cannot be copied"):
        Twin.of(model, None)


def test_what_can_start_afresh():
    assert can_start_afresh(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)))

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(3))

    assert not can_start_afresh(Own())


def test_an_optimizer_with_a_closure():
    g = torch.Generator().manual_seed(0)
    data = (torch.randn(32, 4, generator=g), torch.randn(32, 1, generator=g))
    model = nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS(model.parameters())
    bench = Bench(dk.Objective(model, nn.MSELoss(), data), lambda: Twin.of(model, optimizer), 8, 0, 10.0)
    bench._num_steps = 8
    assert np.isfinite(bench.run(arms.AS_IS).loss).all()


def test_batches_of_one_example():
    assert np.isfinite(noisy(batch_size=1).run(arms.AS_IS).loss).all()


def stopping(arm, stop, after):
    """The arm, with a stop in the step ``after`` of its first run."""

    def change(twin, seed):
        twin, count = arm.change(twin, seed), 0

        def hook(*_):
            nonlocal count
            count += 1
            if count == after:
                stop.set()

        twin.optimizer.register_step_post_hook(hook)
        return twin

    return replace(arm, change=change)


@pytest.mark.parametrize("call", [Bench.run, lambda bench, arm: bench.compare(arms.rate_times(2.0), arm)])
def test_half_a_run_is_no_run(call):
    """Not a run that got stuck where the time was up: such a reference would make any remedy look good."""
    bench, stop = noisy(), threading.Event()
    with watching(stop=stop), pytest.raises(StoppedError):
        call(bench, stopping(arms.AS_IS, stop, after=11))
    whole = bench.run(arms.AS_IS)
    assert len(whole.loss) == NUM_SEEDS
    assert whole.loss == pytest.approx(noisy().run(arms.AS_IS).loss)


def test_a_stop_is_heard_in_every_step():
    bench, stop, steps = noisy(num_steps=200), threading.Event(), []
    arm = stopping(arms.AS_IS, stop, after=3)

    def count(twin, seed):
        twin = arm.change(twin, seed)
        twin.optimizer.register_step_post_hook(lambda *_: steps.append(1))
        return twin

    with watching(stop=stop), pytest.raises(StoppedError):
        bench.run(replace(arm, change=count))
    assert len(steps) == 3
