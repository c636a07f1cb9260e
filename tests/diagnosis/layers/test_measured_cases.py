"""What the checks of layers and regularization measure on tiny cases, and patients from end to end."""

import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.checks import all_checks
from diagkit.diagnosis.layers.capacity import trained_larger

CHECKS = {check.cause: check for check in all_checks()}
MSE = nn.MSELoss()
pytestmark = pytest.mark.usefixtures("short_trials")


def case_of(model, data, rate=0.05, history=None, **options):
    sgd = torch.optim.SGD(model.parameters(), lr=rate, **options)
    return Case(model, MSE, data, optimizer=sgd, history=history)


def verdict(cause, case):
    check = CHECKS[cause]
    evidence = check.measure(case)
    judgement = check.judge(evidence)
    assert check.answer(evidence, judgement).endswith(".")
    return judgement.verdict, evidence


def network(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), *layers, nn.Linear(16, 1))


@pytest.fixture
def centred(torch_data):
    X, y = torch_data
    return X, y - y.mean()


def test_dead_relus_are_found_and_a_cure_tried(centred):
    model = network(nn.ReLU())
    model[0].bias.data.fill_(-50.0)
    found, evidence = verdict("dead-units", case_of(model, centred))
    assert found == "supported"
    assert evidence["share"] == 1.0
    assert evidence["helps"]


def test_saturated_sigmoids_are_found(centred):
    model = network(nn.Sigmoid())
    model[0].bias.data.fill_(-40.0)
    found, evidence = verdict("saturated-units", case_of(model, centred, rate=0.2))
    assert found == "supported"
    assert evidence["slope"] < 1e-6


def test_a_network_that_fits_is_left_alone(torch_data):
    model = network(nn.Tanh())
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    dk.train(model, MSE, torch_data, optimizer=adam, max_steps=600)
    case = Case(model, MSE, torch_data, optimizer=adam)
    for cause in (
        "dead-units",
        "saturated-units",
        "vanishing-gradients",
        "exploding-gradients",
        "normalization-mismatch",
        "dropout-too-strong",
        "weight-decay-too-strong",
        "model-too-small",
    ):
        assert verdict(cause, case)[0] == "refuted", cause


def test_running_statistics_that_are_off(centred):
    model = network(nn.BatchNorm1d(16), nn.Tanh())
    dk.train(model, MSE, centred, optimizer=torch.optim.Adam(model.parameters(), lr=1e-2), max_steps=300)
    good, _ = verdict("normalization-mismatch", case_of(model, centred))
    model[1].running_mean.add_(30.0)
    model[1].momentum = 0.0
    bad, evidence = verdict("normalization-mismatch", case_of(model, centred))
    assert (good, bad) == ("refuted", "supported")
    assert evidence["batch"] < 0.1 * evidence["evaluation"]


def test_decay_that_holds_a_regression_at_nothing(centred):
    case = case_of(nn.Linear(4, 1), centred, rate=0.1, weight_decay=5.0)
    dk.train(case.model, MSE, centred, optimizer=case.optimizer, batch_size=64, max_steps=100)
    found, evidence = verdict("weight-decay-too-strong", case)
    assert found == "supported"
    assert evidence["balance"] == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize(("norm", "expected"), [(1e-4, "supported"), (1e3, "refuted")])
def test_clipping_is_judged_by_a_trial(centred, norm, expected):
    history = dk.History.from_dict({"loss": [4.0] * 40, "max_grad_norm": [norm] * 40})
    assert verdict("clipping-too-tight", case_of(nn.Linear(4, 1), centred, history=history))[0] == expected


def test_dropout_that_leaves_nothing(centred):
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.97), nn.Linear(16, 1))
    history = dk.History.from_dict({"loss": [4.0] * 40})
    assert verdict("dropout-too-strong", case_of(model, centred, history=history))[0] == "supported"


def test_a_line_cannot_follow_a_parabola():
    g = torch.Generator().manual_seed(0)
    X = torch.randn(256, 2, generator=g)
    y = X.square().sum(1, keepdim=True)
    history = dk.History.from_dict({"loss": [4.0] * 40})
    case = case_of(nn.Linear(2, 1), (X, y - y.mean()), history=history)
    case.bench._num_steps = 150
    found, evidence = verdict("model-too-small", case)
    assert found == "supported"
    assert evidence["larger"] < 0.5 * evidence["own"]


def test_noise_is_not_fitted_by_a_larger_model():
    g = torch.Generator().manual_seed(0)
    X = torch.randn(256, 2, generator=g)
    y = X[:, :1] + 3 * torch.randn(256, 1, generator=g)
    trial = trained_larger(case_of(nn.Linear(2, 1), (X, y)))
    assert trial.interval[0] < 0.2 * float(y.var())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "dead-after-a-jump",
        "saturated-tanh",
        "deep-sigmoid",
        "deep-and-large",
        "norm-lags",
        "dropout-nine-tenths",
        "decayed-to-nothing",
        "clipped-to-nothing",
        "one-unit-for-ten-digits",
        "far-out-on-a-bounded-loss",
        "half-dead-and-well",
        "deep-and-well",
        "norm-in-small-batches",
        "decay-as-it-should-be",
        "every-step-clipped",
        "momentum-hovers",
    ],
)
def test_patients(name, monkeypatch):
    monkeypatch.undo()  # trials of their full length
    patient = dk.clinic.patient(name)
    report = dk.diagnose(**patient.arguments(), budget=120)
    assert patient.accepts(report.cause), report.headline
