"""Steps against examples: exact curves, and runs whose steps are known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from diagkit.errors import InputError
from diagkit.experiments import critical_batch_size
from diagkit.experiments.batch_size.critical_fit import critical_interval, fit_tradeoff
from diagkit.work import watching

SIZES = np.array([4, 16, 64, 256])


@pytest.mark.parametrize(("s_min", "e_min"), [(20.0, 3000.0), (500.0, 100.0), (1000.0, 1e6)])
def test_an_exact_curve_gives_its_two_numbers(s_min, e_min):
    found = fit_tradeoff(SIZES, s_min + e_min / SIZES)
    assert found.s_min == pytest.approx(s_min, rel=1e-6)
    assert found.e_min == pytest.approx(e_min, rel=1e-6)
    steps = found.steps(found.critical)  # there both are twice their least
    assert steps == pytest.approx(2 * s_min)
    assert (steps / s_min - 1) * (steps * found.critical / e_min - 1) == pytest.approx(1.0)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        noisy = (20.0 + 1000.0 / SIZES)[:, None] * np.exp(0.03 * rng.normal(size=(4, 8)))
        _, (low, high), resolved = critical_interval(SIZES, noisy)
        assert resolved
        hits += low < 50.0 < high
    # binomial, 4 standard deviations around 95 %
    assert abs(hits / 300 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 300)


def test_a_curve_without_a_bend_is_not_resolved():
    saving = 1000.0 / SIZES[:, None] * np.array([1.0, 1.1])  # every example counts
    value, (_, high), resolved = critical_interval(SIZES, saving)
    assert not resolved
    assert high == value == float("inf")
    flat = np.full((4, 2), 30.0)
    value, (low, _), resolved = critical_interval(SIZES, flat)
    assert not resolved
    assert low == value == 0.0


@pytest.mark.parametrize(("sizes", "steps"), [([4], [3.0]), ([4, 8], [3.0, 0.0]), ([4, 8], [3.0, np.nan])])
def test_what_is_no_curve_is_refused(sizes, steps):
    with pytest.raises(InputError, match="positive number of steps"):
        fit_tradeoff(sizes, steps)


def alike():
    return torch.ones(8, 1, dtype=torch.float64), torch.zeros(8, 1, dtype=torch.float64)


def weight():
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.uniform_(model.weight, 1.0, 2.0)
    return model


def study(**options):
    settings = {
        "target_loss": 1e-3,
        "rates": [0.1, 0.2, 0.9],
        "seeds": range(2),
        "max_epochs": 4,
        "checkpoints": 20,
    }
    return critical_batch_size(weight, nn.MSELoss(), alike(), [2, 8], least_steps=30, **(settings | options))


def test_steps_to_a_loss_and_the_rate_that_needs_fewest(tmp_path):
    found = study(folder=tmp_path)
    assert found.rates == (0.2, 0.2)
    for k, seed in enumerate(found.seeds):
        torch.manual_seed(seed)
        w = float(weight().weight.detach())
        expected = math.log(w**2 / 1e-3) / (-2 * math.log(0.6))
        np.testing.assert_allclose(found.steps[:, k], expected, rtol=1e-6)
    assert not found.resolved  # no noise: larger batches save nothing
    np.testing.assert_allclose(found.examples, found.steps * [[2], [8]])
    assert found.to_frame()["examples"].tolist() == found.examples.ravel().tolist()
    again = study(folder=tmp_path)
    np.testing.assert_array_equal(found.steps, again.steps)
    assert any("4 of 4 runs" in note for note in again.runs.notes)


def test_a_rate_on_the_edge_is_said():
    assert any("edge of the grid" in note for note in study(rates=[0.05, 0.1]).notes)


def test_a_loss_that_is_not_reached_is_said():
    found = study(target_loss=1e-30, rates=[0.1])
    assert found.batch_sizes == ()
    assert math.isnan(found.value)
    assert any("B = 8 did not reach" in note for note in found.notes)
    assert "fewer than two" in found.notes[-1]


def test_time_that_is_up_leaves_a_partial_answer():
    with watching(budget=0.0):
        found = study()
    assert not found.complete
    assert not found.resolved


def test_larger_batches_save_steps_until_the_noise_is_small():
    g = torch.Generator().manual_seed(0)
    X = torch.randn(256, 4, generator=g, dtype=torch.float64)
    y = X.sum(1, keepdim=True) + 2 * torch.randn(256, 1, generator=g, dtype=torch.float64)
    least = float(nn.functional.mse_loss(X @ torch.linalg.lstsq(X, y).solution, y))
    found = critical_batch_size(
        lambda: nn.Linear(4, 1, bias=False).double(),
        nn.MSELoss(),
        (X, y),
        [2, 64],
        target_loss=1.03 * least,
        rates=[0.01, 0.1],
        seeds=range(2),
        max_epochs=2,
        checkpoints=20,
        least_steps=60,
    )
    means = found.steps.mean(axis=1)
    assert (np.diff(means) < 0).all()
    assert (np.diff(found.examples.mean(axis=1)) > 0).all()
    assert found.noise_range[0] <= found.noise_scale <= found.noise_range[1]
    assert found.noise_scale > 1.0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"target_loss": 0.0}, "target_loss"),
        ({"target_loss": 9.0}, "before its first step"),
        ({"rates": [-0.1]}, "rates"),
        ({"checkpoints": 1}, "checkpoints"),
        ({"max_epochs": 0}, "max_epochs"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, text):
    with pytest.raises(InputError, match=text):
        study(**options)
