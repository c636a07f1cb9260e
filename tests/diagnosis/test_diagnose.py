"""The call: its arguments, its budget, and what it takes for data and history."""

import threading
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import diagkit as dk
from diagkit.diagnosis.checks import all_checks

MSE = nn.MSELoss()
pytestmark = pytest.mark.usefixtures("short_trials")


def model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def sgd(net, rate=0.05):
    return torch.optim.SGD(net.parameters(), lr=rate)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": "a net"}, "model of type str"),
        ({"loss_fn": None}, "neither loss_fn nor step"),
        ({"step": lambda m, b: 0}, "both loss_fn and step"),
        ({"optimizer": "adam"}, "optimizer of type str"),
        ({"optimizer": torch.optim.Adam}, "optimizer of type type"),
        ({"budget": 0}, "budget = 0"),
        ({"budget": -1.0}, "budget = -1"),
        ({"budget": float("nan")}, "budget = nan"),
        ({"history": 3.0}, "got"),
        ({"history": {"loss": "abc"}}, "got"),
        ({"train_data": []}, "got"),
        ({"train_data": (torch.ones(3, 4), torch.ones(2, 1))}, "got"),
    ],
)
def test_what_is_refused(change, named, torch_data):
    arguments = {"model": model(), "loss_fn": MSE, "train_data": torch_data} | change
    with pytest.raises(dk.InputError, match=named):
        dk.diagnose(**arguments)


def test_histories_of_every_kind_agree(torch_data):
    net = model()
    optimizer = sgd(net, 1e-5)
    run = dk.train(net, MSE, torch_data, optimizer=optimizer, epochs=30, batch_size=8)
    losses = [float(v) for v in run.history.loss]
    kinds = [run, run.history, {"loss": losses}, np.array(losses)]
    reports = [dk.diagnose(net, MSE, torch_data, optimizer=optimizer, history=h) for h in kinds]
    assert {report.cause for report in reports} == {"learning-rate-too-small"}


def test_without_optimizer_the_rate_is_not_judged(torch_data):
    report = dk.diagnose(model(), MSE, torch_data)
    asked = {question.cause: question for question in report.questions}
    for cause in ("learning-rate-too-large", "learning-rate-too-small", "noise-floor"):
        assert not asked[cause].asked
        assert "optimizer=" in asked[cause].answer
    assert any("optimizer=" in text for text in report.not_seen)
    assert any("Adam at 0.001" in note for note in report.notes)


def test_step_with_dict_batches(torch_data):
    X, y = torch_data
    net = model()
    batches = [{"x": X[i : i + 16], "y": y[i : i + 16]} for i in range(0, 64, 16)]

    def step(network, batch):
        return ((network(batch["x"]) - batch["y"]) ** 2).mean()

    optimizer = sgd(net, 1e-6)
    report = dk.diagnose(net, None, batches, step=step, optimizer=optimizer)
    assert report.cause == "learning-rate-too-small"
    assert report.loss == pytest.approx(MSE(net(X), y).item(), rel=1e-5)


def test_shuffling_loader(torch_data):
    net = model()
    loader = DataLoader(TensorDataset(*torch_data), batch_size=8, shuffle=True)
    report = dk.diagnose(net, MSE, loader, optimizer=sgd(net, 1e-6))
    assert report.cause == "learning-rate-too-small"
    assert any("of 8 examples" in note for note in report.notes)


def test_same_seed_same_report(torch_data):
    net = model()
    history = [MSE(net(torch_data[0]), torch_data[1]).item()] * 50
    a, b = (
        dk.diagnose(net, MSE, torch_data, optimizer=sgd(net, 1e-4), history=history, seed=3) for _ in range(2)
    )
    assert a.cause == b.cause
    assert [f.statement for f in a.findings] == [f.statement for f in b.findings]
    assert np.array_equal(a.top.trial.with_remedy, b.top.trial.with_remedy)


def test_the_budget_is_kept_and_the_report_says_so(torch_data):
    X = torch.randn(4096, 512, generator=torch.manual_seed(0))

    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(512, 64), nn.Tanh(), nn.Linear(64, 1))

        def forward(self, x):
            time.sleep(0.02)
            return self.layers(x)

    net = Slow()
    started = time.perf_counter()
    report = dk.diagnose(net, MSE, (X, X[:, :1]), optimizer=sgd(net), history=[1.0] * 50, budget=1.0)
    assert time.perf_counter() - started < 8
    assert not report.complete
    assert any("time was up" in text for text in report.not_seen)
    assert len(report.questions) == len(all_checks())
    assert any(not question.asked for question in report.questions)


def test_the_stop_button(torch_data):
    stop = threading.Event()
    stop.set()
    with dk.watching(stop=stop):
        report = dk.diagnose(model(), MSE, torch_data)
    assert report.cause == "undecided"
    assert not report.complete


def test_arguments_that_are_missing_are_named(torch_data):
    report = dk.diagnose(model(), MSE, torch_data)
    assert any("val_data=..." in text for text in report.not_seen)


def test_a_loss_without_any_curvature_has_no_surface(torch_data):
    closed = nn.Sequential(nn.Linear(4, 1), nn.ReLU())
    nn.init.constant_(closed[0].bias, -100.0)
    report = dk.diagnose(closed, MSE, torch_data, budget=10)
    assert report.surface is None
    assert report.cause


def test_a_loss_that_is_finite_and_a_gradient_that_is_not():
    net = nn.Linear(2, 1, bias=False)
    data = (torch.zeros(8, 2), torch.zeros(8, 1))
    report = dk.diagnose(net, lambda o, t: ((o - t) ** 2).sqrt().mean(), data, optimizer=sgd(net))
    assert report.cause == "non-finite"
    assert report.loss == 0.0
    assert report.surface is None
    assert "gradient" in report.top.statement


def test_the_report_is_ranked_and_tells_its_price(torch_data):
    net = model()
    for p in net.parameters():
        nn.init.zeros_(p)
    report = dk.diagnose(net, MSE, torch_data, optimizer=sgd(net))
    order = [f.verdict for f in report.findings]
    assert order == sorted(order, key=["supported", "undecided", "refuted"].index)
    assert report.cause == report.findings[0].cause == report.top.cause == "symmetric-initialization"
    assert report.headline.startswith("symmetric-initialization (proven)")
    assert report.num_evals > 0
    assert report.num_hvps > 0
    assert report.seconds > 0
    assert report.complete
    assert len(report.to_frame()) == len(report.questions)
    assert "symmetric-initialization" in repr(report)
