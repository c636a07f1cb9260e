"""A log alone: curves with known answers, false alarms counted, and what is said when little is there."""

import numpy as np
import pytest

import diagkit as dk
from diagkit.diagnosis.checks import all_checks
from diagkit.diagnosis.curve_checks import curve_checks
from diagkit.diagnosis.curve_shape import flat_since, levels
from diagkit.errors import InputError

WELL = {"still-improving", "converged", "healthy"}
T = 1000


def noisy(rng, loss, noise=0.1):
    return loss * np.exp(noise * rng.standard_normal(len(loss)))


def decay(n=T, length=0.1, floor=0.3):
    return floor + 2.0 * np.exp(-np.arange(n) / (length * n))


def cosine(n=T):
    return (1 + np.cos(np.pi * np.arange(n) / n)) / 2


def cause(**series):
    return dk.diagnose_history(series).cause


HEALTHY = {
    "improving": lambda rng: {"loss": noisy(rng, decay(length=0.6))},
    "converged": lambda rng: {"loss": noisy(rng, decay(length=0.05))},
    "cosine": lambda rng: {"loss": noisy(rng, decay() + 0.3 * cosine()), "lr": cosine()},
    "warm restarts": lambda rng: {
        "loss": noisy(rng, decay() + 0.3 * np.tile(cosine(T // 4), 4)),
        "lr": np.tile(cosine(T // 4), 4),
    },
    "spikes that pass": lambda rng: {
        "loss": noisy(rng, decay() + 3.0 * (rng.uniform(size=T) < 0.01)),
    },
    "validation levels off": lambda rng: {
        "loss": noisy(rng, decay()),
        "val_step": np.arange(24, T, 25),
        "val_loss": noisy(rng, 0.5 + decay(40), 0.02),
    },
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_curves_raise_no_alarm(name):
    """At one false alarm in a hundred, four of fifty would have a chance below 0.2 %."""
    seen = [cause(**HEALTHY[name](np.random.default_rng(seed))) for seed in range(50)]
    assert sum(found not in WELL for found in seen) < 4, seen


@pytest.mark.parametrize("length", [60, 400, 4000])
def test_noise_from_the_start_is_left_open(length):
    seen = [cause(loss=noisy(np.random.default_rng(s), np.full(length, 2.3))) for s in range(40)]
    assert seen.count("undecided") >= 38  # the slope is tested at 1 %


def test_the_change_point_of_a_plateau():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        at = int(rng.uniform(0.2, 0.6) * T)
        curve = np.concatenate([np.linspace(2.3, 1.5, at), np.full(T - at, 1.5)])
        report = dk.diagnose_history({"loss": noisy(rng, curve, 0.05)})
        assert report.cause == "undecided"
        assert abs(report.curve.flat_since - at) < 0.08 * T
        assert f"flat since about step {report.curve.flat_since:.0f}" in report.headline


def test_the_change_point_of_an_exact_curve():
    step = np.arange(200)
    curve = levels(step, np.maximum(2.0 - step / 50, 1.0))
    assert abs(flat_since(curve) - 50) <= 2 * 5  # blocks of five


@pytest.mark.parametrize("seed", range(5))
class TestFaults:
    def test_divergence(self, seed):
        rng = np.random.default_rng(seed)
        loss = decay()
        loss[600:] += np.linspace(0, 3, 400)
        report = dk.diagnose_history(noisy(rng, loss))
        assert report.cause == "learning-rate-too-large"
        assert not report.curve.rise.sudden
        assert abs(report.curve.rise.step - 600) < 150

    def test_a_jump_that_stays(self, seed):
        rng = np.random.default_rng(seed)
        loss = decay()
        loss[700:] = 2.3
        report = dk.diagnose_history(noisy(rng, loss))
        assert report.cause == "learning-rate-too-large"
        assert report.curve.rise.sudden
        assert abs(report.curve.rise.step - 700) <= 10
        assert "step 7" in report.top.statement

    def test_an_early_jump_that_stays(self, seed):
        rng = np.random.default_rng(seed)
        loss = np.concatenate([np.linspace(2.3, 1.4, 80), np.full(T - 80, 2.3)])
        series = {"loss": noisy(rng, loss, 0.05)}
        assert cause(**series, lr=np.full(T, 0.1)) == "warmup-missing"
        warm = np.minimum(np.arange(T) / 200, 1.0)
        assert cause(**series, lr=warm) == "learning-rate-too-large"

    def test_oscillation(self, seed):
        rng = np.random.default_rng(seed)
        for wave in ((-1.0) ** np.arange(T), np.sin(np.arange(T) / 1.5)):
            report = dk.diagnose_history(noisy(rng, decay(length=0.03) * (1 + 0.5 * wave), 0.03))
            assert report.cause == "learning-rate-too-large"
            assert report.curve.swing is not None

    def test_overfitting_and_its_onset(self, seed):
        rng = np.random.default_rng(seed)
        at = np.arange(24, T, 25)
        val = 1.0 + np.abs(at - 400) / 400
        report = dk.diagnose_history(
            {"loss": noisy(rng, decay(length=0.3)), "val_step": at, "val_loss": noisy(rng, val, 0.03)}
        )
        assert report.cause == "overfitting"
        assert abs(report.curve.overfit.step - 400) <= 50
        assert str(report.curve.overfit.step) in report.top.remedy

    def test_a_schedule_that_ended_early(self, seed):
        rng = np.random.default_rng(seed)
        lr = np.where(np.arange(T) < 500, 0.1, 1e-6)
        loss = 0.2 + 2.0 * np.exp(-np.cumsum(lr) / 50)
        assert cause(loss=noisy(rng, loss, 0.05), lr=lr) == "schedule-ended-early"
        # the same rate over a run that had converged before
        loss = 0.2 + 2.0 * np.exp(-np.cumsum(lr) / 4)
        assert cause(loss=noisy(rng, loss, 0.05), lr=lr) == "converged"

    def test_not_finite(self, seed):
        rng = np.random.default_rng(seed)
        loss = noisy(rng, decay())
        loss[800:] = np.nan
        report = dk.diagnose_history(loss)
        assert (report.cause, report.top.certainty) == ("non-finite", "proven")
        assert "step 800" in report.top.statement


def test_a_restart_of_the_rate_explains_a_rise():
    lr = np.concatenate([cosine(800), np.full(200, 1.0)])
    loss = noisy(np.random.default_rng(0), decay() + 1.5 * lr, 0.03)
    assert cause(loss=loss, lr=lr) in WELL
    assert cause(loss=loss, lr=np.full(T, 1.0)) == "learning-rate-too-large"


def test_rising_validation_without_a_training_loss_is_left_open():
    val = np.concatenate([np.linspace(2, 1, 20), np.linspace(1, 2, 30)])
    report = dk.diagnose_history({"val_step": np.arange(50), "val_loss": val})
    assert report.cause == "undecided"
    assert "no training loss" in report.headline


def test_rising_with_the_training_loss_is_no_overfitting():
    rise = np.concatenate([np.linspace(2, 1, 400), np.linspace(1, 2, 600)])
    at = np.arange(0, T, 20)
    report = dk.diagnose_history({"loss": rise, "val_step": at, "val_loss": rise[at] + 0.1})
    assert report.cause == "learning-rate-too-large"
    finding = next(f for f in report.findings if f.cause == "overfitting")
    assert finding.verdict == "refuted"


@pytest.mark.parametrize("loss", [[2.0], [2.0, 1.0, 0.5], list(np.linspace(2, 1, 19))])
def test_too_short_a_log_is_left_open(loss):
    report = dk.diagnose_history(loss)
    assert report.cause == "undecided"
    assert "fewer than 20" in report.headline
    assert report.to_html()


def test_constants_and_tiny_and_huge_losses():
    for scale in (1e-30, 1.0, 1e30):
        assert cause(loss=np.full(100, 2.3 * scale)) == "undecided"
        assert cause(loss=decay(200, 0.05) * scale) == "converged"
        assert cause(loss=decay(200, 0.5) * scale) == "still-improving"
    assert cause(loss=np.zeros(100)) == "undecided"


def test_the_answer_is_the_same_each_time():
    loss = noisy(np.random.default_rng(0), decay())
    first, second = dk.diagnose_history(loss), dk.diagnose_history(loss)
    assert first.to_markdown() == second.to_markdown()


@pytest.mark.parametrize("given", [None, 7, "nowhere.csv", {"lr": []}])
def test_what_is_no_history_is_refused(given):
    with pytest.raises((InputError, FileNotFoundError)):
        dk.diagnose_history(given)


def test_a_log_without_a_loss():
    report = dk.diagnose_history({"lr": np.full(50, 0.1)})
    assert report.cause == "undecided"


def test_diagnose_asks_the_curve_where_no_check_of_its_own_sees_more():
    causes = [check.cause for check in all_checks()]
    assert len(causes) == len(set(causes))
    assert {check.cause for check in curve_checks()} <= set(causes)
    from diagkit.diagnosis.checks import non_finite

    assert non_finite.CHECK in all_checks()


def test_diagnose_hears_of_overfitting_from_the_log(torch_data, short_trials):
    import torch

    model = torch.nn.Linear(4, 1)
    with torch.no_grad():  # at the bottom already, so that nothing else is to be found
        solution = torch.linalg.lstsq(torch_data[0], torch_data[1]).solution
        model.weight.copy_(solution.T)
        model.bias.zero_()
    val = np.concatenate([np.linspace(2, 1, 20), np.linspace(1.05, 2, 30)])
    history = {"loss": decay(50), "val_step": np.arange(50), "val_loss": val}
    report = dk.diagnose(model, torch.nn.MSELoss(), torch_data, history=history, budget=20)
    assert report.cause == "overfitting"
    assert report.curve.overfit.step in (19, 20)
