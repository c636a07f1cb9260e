"""Trials with another loss, other batches, scaled data, or without the last activation."""

import numpy as np
import pytest
import torch
from torch import nn

from diagkit.diagnosis import arms
from diagkit.diagnosis.audit.codes import Codes
from diagkit.diagnosis.audit.last_activation import without_activation
from diagkit.diagnosis.audit.repair import bench_of, lowers, shown, trained_on, with_output
from diagkit.diagnosis.audit.scales_of_data import Affine, scale_inputs, scale_targets
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.checks.labels_as_numbers import one_hot
from diagkit.diagnosis.trial import Trial
from diagkit.objective import Stepwise, of_model

pytestmark = pytest.mark.usefixtures("short_trials")
SQUARED = Stepwise.of_pairs(nn.MSELoss()).step


def line(slope=1.0):
    """One weight, targets slope * x: the loss is (w - slope)^2 E x^2."""
    X = torch.linspace(-1, 1, 64)[:, None]
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    sgd = torch.optim.SGD(model.parameters(), lr=0.3)
    return Case(model, nn.MSELoss(), (X, slope * X), optimizer=sgd, budget=20.0)


def test_an_arm_trains_on_the_batches_that_it_is_shown():
    case = line()
    X = case.read[0][0]
    wrong = shown([(X, -X)], "the wrong sign")
    right, other = case.bench.run(arms.AS_IS), case.bench.run(wrong)
    assert right.level.max() < 1e-3
    # Looked at with the right targets: w = -1 costs 4 E x^2.
    assert other.level == pytest.approx(4 * float(X.square().mean()), rel=1e-2)
    assert lowers(case.bench.compare(arms.AS_IS, wrong))
    assert not lowers(case.bench.compare(wrong, arms.AS_IS))


def test_an_arm_trains_on_its_own_loss():
    case = line()
    nothing = trained_on(lambda model, payload: 0 * model(payload[0]).sum(), "a loss without a slope")
    assert case.bench.run(nothing).level == pytest.approx(case.loss)
    assert case.bench.compare(arms.AS_IS, nothing).effect > 0


def test_a_bench_of_another_step_looks_at_that_step():
    case = line()
    doubled = with_output(SQUARED, lambda output: 2 * output)
    bench = bench_of(case, doubled)
    assert bench.objective.loss(torch.tensor([0.5])) == pytest.approx(0.0, abs=1e-12)
    assert case.objective.loss(torch.tensor([0.5])) > 0.05
    assert bench.ceiling == pytest.approx(1.5 * case.loss)


def test_what_lowers_means():
    flat, low = np.ones((2, 9)), np.full((2, 9), 0.5)
    facts = {"remedy": "a", "reference": "b", "steps": np.arange(9), "without": flat, "with_remedy": low}
    assert lowers(Trial(**facts, effect=0.5, interval=(0.4, 0.6)))
    assert not lowers(Trial(**facts, effect=0.5, interval=(-0.1, 0.6)))
    assert not lowers(Trial(**facts, effect=0.05, interval=(0.04, 0.06)))


def test_without_the_last_activation_the_layer_speaks():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    X = torch.randn(10, 3)
    case = Case(model, nn.MSELoss(), (X, torch.zeros(10, 2)))
    twin = without_activation("0").change(case.twin(), 0)
    assert torch.equal(twin.model(X), model[0](X))
    assert torch.equal(model(X), model[0](X).tanh())


@pytest.mark.parametrize("seed", range(3))
def test_scaled_data_give_the_same_function_of_scaled_units(seed):
    torch.manual_seed(seed)
    X, y = 30 + 9 * torch.randn(50, 3), 500 + 80 * torch.randn(50, 1)
    model = nn.Linear(3, 1)
    case = Case(model, nn.MSELoss(), (X, y))
    of_inputs, of_targets = Affine.of(X), Affine.of(y)
    scaled = scale_inputs(case.twin(), of_inputs)
    assert torch.allclose(scaled.model(X), model(of_inputs.apply(X)))
    twin = scale_targets(case.twin(), of_targets, nn.MSELoss())
    assert torch.allclose(twin.model(X), of_targets.inverse(model(X)))
    loss = twin.step(twin.model, (X, y))
    assert float(loss.detach()) == pytest.approx(
        float(nn.MSELoss()(model(X), of_targets.apply(y)).detach()), rel=1e-4
    )


def test_one_unit_per_class_answers_with_the_mean_code():
    torch.manual_seed(0)
    X = torch.randn(40, 3)
    y = (torch.arange(40) % 4).float()[:, None] + 5
    model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 1))
    case = Case(model, nn.MSELoss(), (X, y), optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    codes = Codes(torch.arange(5.0, 9.0).double(), y[:, 0].long() - 5)
    twin = one_hot("2", codes).change(case.twin(), 0)
    output = twin.model(X)
    assert output.shape == (40, 1)
    assert bool(((output > 5) & (output < 8)).all())
    assert float(twin.step(twin.model, (X, y)).detach()) == pytest.approx(np.log(4), abs=0.5)
    assert of_model(case.objective, twin.model).loss() == pytest.approx(
        float(nn.MSELoss()(output, y).detach()), rel=1e-5
    )
    head = [p for g in twin.optimizer.param_groups for p in g["params"]][-2:]
    assert [tuple(p.shape) for p in head] == [(4, 6), (4,)]
