"""A descent is the optimizer's own: exact on a quadratic, equal to torch's loop elsewhere."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.training import descent_stages
from diagkit.work import watching
from leave_no_trace import Ward, Witness
from oracles import randn

VALLEYS = ("quadratic", "straight walls", "banana", "saddle", "two factors")
H = np.diag([1.0, 10.0])


def sgd(rate, **options):
    return lambda parameters: torch.optim.SGD(parameters, lr=rate, **options)


def adam(rate):
    return lambda parameters: torch.optim.Adam(parameters, lr=rate)


def objective(name):
    return dk.clinic.valley(name).objective()


@pytest.mark.parametrize("rate", [0.01, 0.15, 0.2, 0.25])
def test_on_a_quadratic_every_step_is_the_power_of_a_matrix(rate):
    start = np.array([1.0, -2.0])
    path = dk.descent_path(objective("quadratic"), sgd(rate), start=start, steps=30)
    exact = np.array([np.linalg.matrix_power(np.eye(2) - rate * H, t) @ start for t in range(31)])
    np.testing.assert_allclose(path.theta, exact, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(path.loss, 0.5 * np.einsum("ti,ij,tj->t", exact, H, exact), rtol=1e-12)
    np.testing.assert_allclose(path.ratios, rate * 10 / 2, rtol=1e-12)
    assert path.diverges == (rate > 0.2)


def test_momentum_on_a_quadratic_is_its_own_matrix():
    rate, beta = 0.3, 0.9
    path = dk.descent_path(objective("quadratic"), sgd(rate, momentum=beta), start=[1.0, 1.0], steps=25)
    for i, h in enumerate((1.0, 10.0)):
        step = np.array([[1 - rate * h, -rate * beta], [h, beta]])  # (w, velocity)
        states = [np.linalg.matrix_power(step, t) @ [1.0, 0.0] for t in range(26)]
        np.testing.assert_allclose(path.theta[:, i], np.array(states)[:, 0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(path.rate * path.limits, 2 + 2 * beta)


@pytest.mark.parametrize("make", [sgd(0.01), sgd(0.01, momentum=0.9, nesterov=True), adam(0.1)])
@pytest.mark.parametrize("name", VALLEYS)
def test_it_goes_where_torch_goes(name, make):
    valley = dk.clinic.valley(name)
    w = torch.tensor(valley.start, dtype=torch.float64, requires_grad=True)
    optimizer, height = make([w]), valley.model.height
    expected = [w.detach().clone()]
    for _ in range(20):
        optimizer.zero_grad()
        height(w).backward()
        optimizer.step()
        expected.append(w.detach().clone())
    path = dk.descent_path(valley.objective(), make, steps=20)
    np.testing.assert_allclose(path.theta, torch.stack(expected).numpy(), rtol=1e-9, atol=1e-12)
    whole = [torch.autograd.functional.hessian(height, point) for point in expected]
    largest = [float(torch.linalg.eigvalsh(matrix)[-1]) for matrix in whole]
    np.testing.assert_allclose(path.lambda_max, largest, rtol=1e-8, atol=1e-9)


def test_the_sharpness_of_adam_is_that_of_stability():
    valley = dk.clinic.valley("banana")
    path = dk.descent_path(valley.objective(), adam(0.1), steps=8)
    assert np.isnan(path.limits[0])  # no moments yet
    model = valley.model
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for t in range(1, 9):
        optimizer.zero_grad()
        model(torch.ones(1, dtype=torch.float64)).sum().backward()
        optimizer.step()
        found = dk.stability(dk.Objective(model, valley.loss_fn, valley.data), optimizer)
        np.testing.assert_allclose(path.sharpness[t], found.sharpness, rtol=1e-6)
        np.testing.assert_allclose(path.limits[t], found.limit)
    assert path.preconditioned


def test_between_straight_walls_it_swings_at_the_amplitude_of_theory():
    for rate in (0.25, 0.4):
        path = dk.descent_path(objective("straight walls"), sgd(rate), steps=200)
        swing = np.sqrt((rate * 10 / 2) ** 2 - 1)
        np.testing.assert_allclose(np.abs(path.theta[-2:, 1]), swing, rtol=1e-6)
        assert path.theta[-1, 1] * path.theta[-2, 1] < 0
        assert path.ratios[-1] < 1  # where it stands the rate is small enough
        assert not path.diverges


def test_stages_are_beginnings_of_the_path():
    obj = objective("banana")
    stages = list(descent_stages(obj, sgd(0.01), steps=100))
    whole = dk.descent_path(obj, sgd(0.01), steps=100)
    assert [stage.steps for stage in stages] == [10, 40, 100]
    assert [stage.complete for stage in stages] == [False, False, True]
    for stage in stages:
        np.testing.assert_array_equal(stage.theta, whole.theta[: stage.steps + 1])


def test_divergence_ends_the_path():
    path = dk.descent_path(objective("banana"), sgd(1.0), steps=100)
    assert (path.ended_by, path.complete, path.diverges) == ("diverged", True, True)
    assert path.steps < 100
    assert "diverged" in repr(path)


@pytest.mark.parametrize("start", [[1e200, 0.0], [0.0, 1e160]])
def test_a_start_beyond_all_numbers_is_a_path_of_one_point(start):
    path = dk.descent_path(objective("quadratic"), sgd(0.1), start=start, steps=9)
    assert (path.steps, path.diverges, path.steps_to(1e-3)) == (0, True, None)


def test_a_stop_keeps_what_is_there():
    stop = threading.Event()
    stop.set()
    with watching(stop=stop):
        path = dk.descent_path(objective("quadratic"), sgd(0.1), steps=50)
    assert (path.steps, path.complete, path.ended_by) == (0, False, "interrupted")


def test_numbers_read_from_a_path():
    path = dk.descent_path(objective("quadratic"), sgd(0.15), start=[2.0, 1.0], steps=40)
    there = path.steps_to(1e-3)
    assert path.loss[there] <= 1e-3 < path.loss[there - 1]
    assert path.steps_to(1e-30) is None
    assert path.rises == 0
    assert path.to_frame().loc[there, "loss"] == path.loss[there]


def test_an_optimizer_without_a_known_limit_still_goes():
    path = dk.descent_path(objective("banana"), lambda p: torch.optim.Rprop(p, lr=0.01), steps=5)
    assert np.isnan(path.limits).all()
    assert np.isfinite(path.lambda_max).all()


def test_a_copy_moves_and_the_users_model_does_not():
    ward = Ward()
    obj = dk.Objective(ward.model, ward.loss_fn, ward.loader)
    witness = Witness(ward)
    path = dk.descent_path(obj, sgd(0.1), steps=3)
    assert path.loss[-1] < path.loss[0]
    assert witness.changes() == []
    assert witness.data_order_is_kept()


def test_a_block_of_the_parameters_moves_alone():
    X, y = randn(20, 4), randn(20, 2, seed=1)
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    obj = dk.Objective(net, nn.MSELoss(), (X, y), params=["*.bias"])
    before = {name: p.clone() for name, p in net.named_parameters()}
    path = dk.descent_path(obj, sgd(0.1), steps=3)
    assert path.theta.shape == (4, 5)
    assert path.loss[-1] < path.loss[0]
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in net.named_parameters())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "steps"),
        ({"start": [1.0, 2.0, 3.0]}, "3"),
        ({"start": [1.0, float("nan")]}, "NaN"),
        ({"optimizer": lambda p: torch.optim.LBFGS(p)}, "closure"),
        ({"optimizer": torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)}, "a function"),
        ({"optimizer": None}, "optimizer"),
        ({"obj": dk.Objective(nn.Linear(200, 1), nn.MSELoss(), (randn(2, 200), randn(2, 1)))}, "100"),
        ({"obj": 3}, "Objective"),
    ],
)
def test_bad_arguments_are_named(change, words):
    arguments = {"obj": objective("quadratic"), "optimizer": sgd(0.1)} | change
    with pytest.raises(dk.DiagkitError, match=words):
        dk.descent_path(arguments.pop("obj"), arguments.pop("optimizer"), **arguments)
