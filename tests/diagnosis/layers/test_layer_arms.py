"""What the arms change on a copy, how far gradients reach, and what a log tells of clipping."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.diagnosis import arms, layer_arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.checks.clipping_too_tight import clip_norm, clip_seen
from diagkit.diagnosis.checks.weight_decay_too_strong import balance
from diagkit.diagnosis.early_spike import full_rates
from diagkit.diagnosis.layers.depth import rate_is_to_blame, reach, restart
from diagkit.diagnosis.own_step.observe import observe
from diagkit.diagnosis.twin import Twin

MSE = nn.MSELoss()


def twin(decay=0.1, rate=0.5):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    return Twin(model, torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=decay))


def step(one):
    one.optimizer.zero_grad()
    (100 * one.model(torch.ones(6, 4) + torch.arange(6)[:, None]).square().mean()).backward()
    one.optimizer.step()


def test_only_the_named_layer_is_reset():
    one = twin()
    step(one)
    first, last = one.model[0].weight.clone(), one.model[3].weight.clone()
    layer_arms.reset_layers(["3"]).change(one, 0)
    assert torch.equal(one.model[0].weight, first)
    assert not torch.equal(one.model[3].weight, last)
    assert one.model[3].weight not in one.optimizer.state
    assert one.model[0].weight in one.optimizer.state


def test_dropout_decay_and_statistics_are_switched():
    one = layer_arms.NO_DROPOUT.change(twin(), 0)
    assert one.model[2].p == 0.0
    assert layer_arms.decay_times(0.1).change(one, 0).optimizer.param_groups[0]["weight_decay"] == 0.1 * 0.1
    model = layer_arms.BATCH_STATISTICS.change(one, 0).model.eval()
    h = model[1](torch.arange(12.0).reshape(6, 2).repeat(1, 4))
    assert h.mean(0).abs().max() < 1e-5


@pytest.mark.parametrize("norm", [1e-3, 1.0])
def test_steps_are_no_longer_than_the_clipped_gradient(norm):
    one = layer_arms.clipped(norm).change(twin(decay=0.0), 0)
    before = torch.cat([p.detach().flatten() for p in one.model.parameters()])
    step(one)
    after = torch.cat([p.detach().flatten() for p in one.model.parameters()])
    assert float((after - before).norm()) == pytest.approx(0.5 * norm, rel=1e-3)


def test_the_rate_is_warmed_up_along_a_line():
    one = layer_arms.afresh_at([0.8], warmup_steps=3).change(twin(), 0)
    rates = []
    for _ in range(6):
        step(one)
        rates.append(one.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    assert "warmed up" in layer_arms.afresh_at([0.8], warmup_steps=3).words


def test_a_fresh_start_with_another_arm():
    one = layer_arms.afresh_with(layer_arms.decay_times(0.0)).change(twin(), 0)
    assert one.optimizer.param_groups[0]["weight_decay"] == 0.0


def test_the_log_tells_the_limit():
    flat = {"loss": [1.0] * 6}
    assert clip_norm(dk.History.from_dict(flat)) is None
    assert clip_norm(dk.History.from_dict(flat | {"max_grad_norm": [0.5] * 6})) == 0.5
    norms = [0.1, 0.2999999, 0.3, 0.2, 0.3, 0.3]
    assert clip_norm(dk.History.from_dict(flat | {"grad_norm": norms})) == pytest.approx(0.3)
    assert clip_norm(dk.History.from_dict(flat | {"grad_norm": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]})) is None


@pytest.mark.parametrize("norm", [1e-3, 1e3, None])
def test_a_step_of_ones_own_tells_the_limit(norm):
    model = nn.Linear(3, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))

    def step(batch):
        sgd.zero_grad()
        nn.functional.mse_loss(model(batch), batch.sum(1, keepdim=True)).backward()
        if norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), norm)
        sgd.step()

    seen = clip_seen(observe(model, sgd, step, iter(X.split(8))))
    assert seen == (pytest.approx(1e-3, rel=1e-3) if norm == 1e-3 else None)


def test_sums_of_gradients_are_no_clipping():
    model = nn.Linear(3, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    X = torch.randn(96, 3, generator=torch.Generator().manual_seed(0))
    calls = []

    def step(batch):
        (model(batch).square().mean() / 2).backward()
        calls.append(1)
        if len(calls) % 2 == 0:
            for p in model.parameters():
                p.grad.div_(p.grad.norm() / 1e-3)
            sgd.step()
            sgd.zero_grad()

    assert clip_seen(observe(model, sgd, step, iter(X.split(8)))) is None


def test_another_rate_keeps_the_groups_apart():
    model = nn.Linear(1, 1)
    sgd = torch.optim.SGD([{"params": [model.weight], "lr": 0.1}, {"params": [model.bias], "lr": 0.2}])
    torch.optim.lr_scheduler.PolynomialLR(sgd, total_iters=1)
    for group in sgd.param_groups:
        group["lr"] = 0.0
    changed = arms.at_rate(0.05).change(Twin.of(model, sgd), 0)
    assert [group["lr"] for group in changed.optimizer.param_groups] == pytest.approx([0.05, 0.1])
    assert [group["lr"] for group in sgd.param_groups] == [0.0, 0.0]


def test_the_full_rate_is_that_of_the_peak():
    model = nn.Linear(1, 1)
    sgd = torch.optim.SGD([{"params": [model.weight], "lr": 0.01}, {"params": [model.bias], "lr": 0.02}])
    history = dk.History.from_dict({"loss": [1.0] * 3, "lr": [0.1, float("nan"), 0.01]})
    assert full_rates(SimpleNamespace(optimizer=sgd, history=history)) == pytest.approx([0.1, 0.2])


def test_balance_is_one_where_the_penalised_loss_is_least():
    """Ridge regression at its minimum: X^T(Xw - y) 2/n = -decay w."""
    X = torch.randn(64, 3, generator=torch.manual_seed(0)).double()
    y = X.sum(1, keepdim=True)
    model = nn.Linear(3, 1, bias=False).double()
    A = 2 * X.T @ X / 64
    model.weight.data = torch.linalg.solve(A + 0.5 * torch.eye(3), 2 * X.T @ y / 64).T.contiguous()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    assert balance(Case(model, MSE, (X, y), optimizer=sgd)) == pytest.approx(1.0, rel=1e-9)
    model.weight.data.zero_()
    assert balance(Case(model, MSE, (X, y), optimizer=sgd)) is None


def test_reach_of_a_chain():
    """Linear layers of one unit with weight w: the gradient shrinks by w for each on the way back."""
    model = nn.Sequential(*[nn.Linear(1, 1, bias=False) for _ in range(5)]).double()
    for p in model.parameters():
        p.data.fill_(0.1)
    found = reach(
        dk.signal_propagation(dk.Objective(model, MSE, (torch.ones(8, 1).double(), torch.ones(8, 1))))
    )
    assert (found.first, found.last) == ("0", "3")
    assert found.ratio == pytest.approx(1e-3, rel=1e-9)
    assert found.low == pytest.approx(found.high, rel=1e-6)
    short = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    assert (
        reach(dk.signal_propagation(dk.Objective(short, MSE, (torch.ones(8, 1), torch.ones(8, 1))))) is None
    )


@pytest.mark.usefixtures("short_trials")
def test_restart_takes_the_first_that_helps(torch_data):
    X, y = torch_data
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    model[0].bias.data.fill_(-50.0)
    case = Case(model, MSE, (X, y), optimizer=torch.optim.SGD(model.parameters(), lr=0.05))
    trial = restart(case, ["0"])
    assert trial.remedy == "layer 0 initialized again"
    assert case.helps(trial)
    assert not rate_is_to_blame(case)
    assert set(case.bench._runs) >= {arms.AS_IS.name}
    assert np.isfinite(trial.effect)
