import threading
from functools import lru_cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import diagkit as dk
from diagkit.measure.surface.bezier import NODES, Bezier
from oracles import NO_DATA, FunctionOfParameters, digits, mean_output, randn

EXAMPLES = 600


def of(f, *start):
    return dk.Objective(FunctionOfParameters(f, *start), mean_output, NO_DATA)


def curved_valley(scale=1.0):
    """Loss 0 on y = 1 - x^2, which joins (-1, 0) and (1, 0); straight between them it is (1 - x^2)^2."""
    return of(lambda w: scale * (w[1] - 1 + w[0] ** 2) ** 2, [-1.0, 0.0])


@lru_cache
def trained(seed, hidden=16):
    X, y = digits()
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(model(X[:EXAMPLES].float()), y[:EXAMPLES]).backward()
        optimizer.step()
    return model


def objective(model):
    X, y = digits()
    return dk.Objective(model, nn.CrossEntropyLoss(), (X[:EXAMPLES].float(), y[:EXAMPLES]))


def permuted(model, order):
    """The same function with its hidden units in another order."""
    state = model.state_dict()
    return {
        "0.weight": state["0.weight"][order],
        "0.bias": state["0.bias"][order],
        "2.weight": state["2.weight"][:, order],
        "2.bias": state["2.bias"],
    }


def test_the_control_point_of_a_known_valley():
    found = dk.connect_modes(curved_valley(), [1.0, 0.0])
    assert found.verdict == "connected"
    assert found.line_barrier == 1.0
    assert found.max_loss < 1e-6
    np.testing.assert_allclose(found.control, [0.0, 2.0], atol=1e-3)  # of the parabola, which a Bezier is
    # Arc length of y = 1 - x^2 from -1 to 1.
    assert found.length == pytest.approx(np.sqrt(5) + np.arcsinh(2) / 2, rel=1e-3)
    assert found.line_length == 2.0


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_loss_does_not_matter(scale):
    plain, scaled = (dk.connect_modes(curved_valley(s), [1.0, 0.0]) for s in (1.0, scale))
    assert scaled.verdict == "connected"
    np.testing.assert_allclose(scaled.control, plain.control, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_mirror_images_whose_middle_is_a_saddle_of_the_mean(seed):
    """A ring: by symmetry the gradient at the middle has no part that bends the line."""
    ring = of(lambda w: (w.square().sum() - 1) ** 2, [-1.0, 0.0])
    found = dk.connect_modes(ring, [1.0, 0.0], seed=seed)
    assert found.line_barrier == 1.0
    # By hand, for control (0, y): |phi|^2 = u^2 + (1 - u^2)^2 y^2 / 4 with u = 2 t - 1; y = 2 has 1/16.
    assert found.barrier < 1 / 16


def test_where_there_is_no_way_around_it_says_only_that_none_was_found():
    wall = of(lambda w: (w[0] ** 2 - 1) ** 2 + 0 * w[1], [-1.0, 0.0])
    found = dk.connect_modes(wall, [1.0, 0.0])
    assert found.verdict == "no low path found"
    low, high = found.barrier_interval
    assert low <= 1.0 <= high, "every path crosses w_0 = 0, where the loss is 1"
    assert "proves nothing" in found.explanation


@pytest.mark.parametrize("seeds", [(0, 1), (2, 3)])
def test_networks_from_different_seeds(seeds):
    one, other = map(trained, seeds)
    obj = objective(one)
    found = dk.connect_modes(obj, other)
    assert found.verdict == "connected"
    assert found.line_barrier_interval[0] > 10 * found.limit > 0
    assert found.barrier <= found.limit
    # The error of sampling against brute force.
    t = np.linspace(0, 1, 201)
    loss = np.array([obj.loss(found.point(x)) for x in t])
    excess = loss - ((1 - t) * loss[0] + t * loss[-1])
    assert loss.max() <= found.max_loss + found.max_loss_error
    assert found.barrier_interval[0] <= max(0.0, excess.max()) <= found.barrier_interval[1]


def test_a_permuted_copy_and_its_alignment():
    model = trained(0)
    obj, order = objective(model), torch.randperm(16, generator=torch.Generator().manual_seed(1))
    copy = permuted(model, order)
    found = dk.connect_modes(obj, copy)
    assert found.loss[0] == pytest.approx(found.loss[-1], rel=1e-5), "the same function"
    assert found.line_barrier_interval[0] > 0
    assert found.verdict == "connected"
    aligned = copy | {
        "0.weight": copy["0.weight"][order.argsort()],
        "0.bias": copy["0.bias"][order.argsort()],
        "2.weight": copy["2.weight"][:, order.argsort()],
    }
    same = dk.connect_modes(obj, aligned)
    assert (same.verdict, same.barrier, same.line_barrier, same.length) == ("connected", 0.0, 0.0, 0.0)
    assert same.num_gradients == 0
    with pytest.raises(dk.InputError):
        _ = same.plane


def test_the_curve_lies_in_its_plane():
    model = trained(0)
    obj = objective(model)
    found = dk.connect_modes(obj, trained(1), steps=3, num_points=5)
    points = torch.as_tensor(np.array([found.point(x) for x in found.t]))
    np.testing.assert_allclose(found.plane.coordinates(points), found.path, atol=1e-9)
    assert found.plane.distance(points).max() < 1e-9 * found.line_length
    np.testing.assert_allclose(found.path[[0, -1]], [[0, 0], [1, 0]], atol=1e-12)
    for (a, b), loss in zip(found.path, found.loss, strict=True):
        assert obj.loss(found.plane.point(a, b)) == pytest.approx(loss, rel=1e-4)


def test_same_seed_same_curve_and_the_price():
    obj = objective(trained(0))
    spent = obj.meter.num_evals, obj.meter.num_gradients
    one = dk.connect_modes(obj, trained(1), steps=5)
    assert one.num_evals == obj.meter.num_evals - spent[0]
    assert one.num_gradients == obj.meter.num_gradients - spent[1] == NODES * len(one.mean_losses)
    two, other = (dk.connect_modes(obj, trained(1), steps=5, seed=s) for s in (0, 1))
    np.testing.assert_array_equal(one.control, two.control)
    np.testing.assert_array_equal(one.loss, two.loss)
    assert (one.control != other.control).any()
    assert one.to_frame().shape == (41, 3)


def test_a_stop_returns_the_best_curve_so_far():
    obj, stop = objective(trained(0)), threading.Event()

    def listener(what, done, total):
        if what.startswith("curve: L-BFGS") and done >= 4:
            stop.set()

    with dk.watching(stop=stop, listener=listener):
        found = dk.connect_modes(obj, trained(1))
    assert not found.complete
    assert found.verdict == "undecided"
    assert found.mean_losses.min() < 0.8 * found.mean_losses[0]
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    losses = [obj.loss(found.point((x + 1) / 2)) for x in nodes]
    assert weights @ losses / 2 == pytest.approx(found.mean_losses.min(), rel=1e-6)


def test_out_of_time_from_the_start():
    with dk.watching(budget=0.0):
        found = dk.connect_modes(curved_valley(), [1.0, 0.0])
    assert not found.complete
    assert (found.verdict, found.num_gradients) == ("undecided", 0)
    assert np.isnan(found.loss).all()


def test_a_loss_that_is_not_finite_on_the_way():
    obj = of(lambda w: torch.log(w[0].abs() - 0.5) ** 2 + w[1] ** 2, [-1.0, 0.0])
    found = dk.connect_modes(obj, [1.0, 0.0])
    assert found.verdict == "no low path found"
    assert "not finite" in found.explanation
    assert np.isnan(found.loss).any()


def test_what_running_statistics_mean_for_a_path_is_said():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 2))
    data = randn(24, 4).float(), torch.arange(24) % 2
    for norm_stats, told in (("running", True), ("batch", False)):
        obj = dk.Objective(model, nn.CrossEntropyLoss(), data, norm_stats=norm_stats)
        found = dk.connect_modes(obj, obj.theta + 1, steps=1, num_points=5)
        assert ("running statistics" in found.explanation) == told


@pytest.mark.parametrize("seed", range(3))
def test_length_against_a_fine_polygon(seed):
    curve = Bezier(*(randn(5, seed=10 * seed + k).numpy() for k in range(3)))
    points = np.array([curve.point(t) for t in np.linspace(0, 1, 4001)])
    polygon = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    assert curve.length == pytest.approx(polygon, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"steps": 0}, "steps"),
        ({"num_points": 4}, "num_points"),
        ({"tol": 0}, "tol"),
        ({"seed": -1}, "seed"),
        ({"to": [1.0]}, "shape"),
        ({"to": [1.0, np.nan]}, "NaN"),
    ],
)
def test_bad_arguments(options, match):
    with pytest.raises(dk.InputError, match=match):
        dk.connect_modes(curved_valley(), **({"to": [1.0, 0.0]} | options))
