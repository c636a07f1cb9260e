"""The loss of some examples as that of all: its standard error, and verdicts that hinge on it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, SubsetRandomSampler, TensorDataset

import diagkit as dk
from diagkit.diagnosis import scales
from diagkit.diagnosis.assembly import without_fault
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.checks import converged
from diagkit.diagnosis.examples import affordable
from diagkit.diagnosis.sampling import examples_given, loss_error, slope_error, standard_error
from diagkit.objective import thinned

N = 3000


def noisy_line(seed, noise=1.0):
    """y = sum(x) + noise, and the linear model at the exact minimum of all N examples, in float64."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(N, 4, generator=g, dtype=torch.float64)
    y = x.sum(1, keepdim=True) + noise * torch.randn(N, 1, generator=g, dtype=torch.float64)
    model = nn.Linear(4, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.linalg.lstsq(x, y).solution.T)
    return model, x, y


def case_of(model, x, y, examples=None, seed=0):
    case = Case(
        model, nn.MSELoss(), (x, y), optimizer=torch.optim.SGD(model.parameters(), lr=0.05), seed=seed
    )
    part = case.everything if examples is None else thinned(case.everything, examples, seed)
    case.__dict__["objective"] = part  # as on a slow model: fewer examples than were read
    return case


def test_standard_error_against_repeated_samples():
    """s from 100 samples has a relative error of 7 %, the root mean square of 100 estimates one of 2 %."""
    model, x, y = noisy_line(0)
    whole = dk.Objective(model, nn.MSELoss(), (x, y))
    samples = [thinned(whole, 600, seed) for seed in range(100)]
    spread = np.std([part.loss() for part in samples], ddof=1)
    estimates = [standard_error(part, N, seed=0) for part in samples]
    assert np.sqrt(np.mean(np.square(estimates))) == pytest.approx(spread, rel=4 * np.hypot(0.07, 0.02))
    # Of more examples than these: the same spread without the correction for a finite population.
    unlimited = standard_error(samples[0], None, seed=0)
    assert unlimited * np.sqrt(1 - 600 / N) == pytest.approx(estimates[0], rel=1e-12)


def test_all_examples_have_no_error_and_one_an_unknown_one():
    model, x, y = noisy_line(0)
    assert standard_error(dk.Objective(model, nn.MSELoss(), (x, y)), N, seed=0) == 0.0
    assert standard_error(dk.Objective(model, nn.MSELoss(), (x[:1], y[:1])), N, seed=0) == np.inf


class Stream(IterableDataset):
    def __iter__(self):
        yield from [(torch.zeros(4), torch.zeros(1))] * 5


def test_how_many_examples_there_are():
    x, y = torch.zeros(30, 4), torch.zeros(30, 1)
    data = TensorDataset(x, y)
    assert examples_given((x, y)) == examples_given({"x": x}) == examples_given(data) == 30
    assert examples_given((x.numpy(), y.numpy())) == 30
    assert examples_given(DataLoader(data, batch_size=8)) == 30
    assert examples_given(DataLoader(data, sampler=SubsetRandomSampler(range(12)))) == 12
    assert examples_given([(x[:10], y[:10]), (x[10:15], y[10:15])]) == 15
    assert examples_given(iter([(x, y)])) is None
    assert examples_given(DataLoader(Stream())) is None


@pytest.mark.parametrize("seed", range(4))
def test_the_minimum_of_all_examples_is_not_denied_by_some(seed, short_trials):
    """At the exact minimum the slope on 64 of 3000 examples is nothing but noise."""
    model, x, y = noisy_line(seed)
    whole, part = (case_of(model, x, y, n, seed) for n in (None, 64))
    assert whole.relative_slope < 1e-6
    assert part.relative_slope > converged.LEVEL_SLOPE
    assert slope_error(part) == pytest.approx(part.relative_slope, rel=0.5)
    assert slope_error(whole) == 0.0
    evidence = converged.measure(part)
    assert evidence["error"] > 0
    assert evidence["least_slope"] < part.relative_slope
    judged = converged.judge(converged.Evidence(evidence.numbers | {"minimum": False, "least_slope": 0.0}))
    assert judged.verdict == "undecided"
    assert converged.judge(converged.measure(whole)).verdict == "supported"


def test_a_slope_beyond_the_noise_is_one():
    model, x, y = noisy_line(0)
    with torch.no_grad():
        model.weight += 1.0
    part = case_of(model, x, y, 64)
    assert slope_error(part) < 0.5 * part.relative_slope


def test_a_gain_within_the_interval_leaves_it_open():
    """An arm that gained a little over two seeds may gain much: nothing is claimed."""
    trial = dk.Trial(
        remedy="r", reference="n", steps=np.arange(4), without=np.full((2, 4), 1.0),
        with_remedy=np.full((2, 4), 0.98), effect=0.02, interval=(-0.3, 0.34),
    )  # fmt: skip
    model, x, y = noisy_line(0)
    case = case_of(model, x, y)
    most = converged.most_gain(case, trial)
    assert most == pytest.approx(min(0.02, case.loss - 0.98) + 0.32)
    assert case.is_material(most)
    assert not case.helps(trial)


@pytest.mark.parametrize(
    ("loss", "error", "expected"),
    [(0.4, 0.0, "healthy"), (0.4, 0.2, "undecided"), (0.6, 0.0, "undecided"), (0.4, 0.02, "healthy")],
)
def test_a_loss_at_the_border_is_not_called_healthy(loss, error, expected):
    case = Case(nn.Linear(1, 1), nn.MSELoss(), None)
    case.__dict__ |= {
        "objective": None, "loss": loss, "baseline": 1.0, "high": 0.5, "is_stuck": True, "unit": 1.0,
    }  # fmt: skip
    case.once("loss error", lambda: error)
    assert without_fault(case, stopped=False) == expected


def test_the_report_says_how_far_off_the_loss_may_be(short_trials, monkeypatch):
    model, x, y = noisy_line(0)
    monkeypatch.setattr(scales, "GRADIENT_SHARE", 0.0)
    assert affordable(Case(model, nn.MSELoss(), (x, y)).everything, 0.0).num_examples == 64
    report = dk.diagnose(model, nn.MSELoss(), (x, y), budget=20)
    whole = dk.Objective(model, nn.MSELoss(), (x, y)).loss()
    assert 0 < report.loss_error < 0.5
    assert abs(report.loss - whole) < 4 * report.loss_error
    assert " ± " in report.headings[1].answer
    assert report.to_dict()["loss_error"] == report.loss_error
    assert loss_error(case_of(model, x, y)) == 0.0
