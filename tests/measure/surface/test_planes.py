"""Planes: where points of them lie, and that each answers the question in its name."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.measure.surface.plane import Mark, Plane
from diagkit.measure.surface.planes import as_plane
from oracles import digits_objective, quadratic, randn, symmetric_matrix


@pytest.fixture(scope="module")
def digits():
    return digits_objective(examples=60)


# -- geometry -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_coordinates_and_distance_by_least_squares(seed, scale):
    origin, d1, d2, across = randn(4, 30, seed=seed)
    d1 = scale * (d1 + 3 * d2)  # neither orthogonal nor of unit length
    plane = Plane(origin, d1, d2)
    q, _ = torch.linalg.qr(torch.stack([d1, d2, across], dim=1))
    places = randn(5, 2, seed=seed + 9).numpy()
    heights = np.array([0.0, 1.0, 2.0, -3.0, 1e-3])
    thetas = torch.stack([plane.point(a, b) + h * q[:, 2] for (a, b), h in zip(places, heights, strict=True)])
    np.testing.assert_allclose(plane.coordinates(thetas), places, rtol=1e-6, atol=1e-6 / scale)
    np.testing.assert_allclose(plane.distance(thetas), np.abs(heights), atol=1e-8 * max(scale, 1.0))
    expected = np.linalg.lstsq(torch.stack([d1, d2], dim=1), (thetas - origin).T, rcond=None)[0].T
    np.testing.assert_allclose(plane.coordinates(thetas), expected, rtol=1e-6, atol=1e-6 / scale)


def test_float32_directions_are_measured_in_float64():
    origin, d1, d2 = randn(3, 500).float()
    plane = Plane(origin, d1, d2)
    point = plane.point(0.3, -0.7)
    assert point.dtype == torch.float32
    np.testing.assert_allclose(plane.coordinates(point[None]), [[0.3, -0.7]], atol=1e-7)
    assert plane.distance(point[None]) < 1e-5


def test_axes_are_true_and_hold_zero():
    plane = Plane(torch.zeros(2), *torch.eye(2), bounds=((-0.25, 1.25), (-3.0, 1.0)))
    a, b = plane.axes(extent=2.0, resolution=31)
    assert (a == 0).sum() == (b == 0).sum() == 1
    np.testing.assert_allclose([a[0], a[-1]], [-0.5, 2.5], atol=0.051)
    np.testing.assert_allclose([b[0], b[-1]], [-6.0, 2.0], atol=0.14)
    for axis in Plane(torch.zeros(2), *torch.eye(2)).axes(0.7, 5):
        np.testing.assert_array_equal(axis, np.linspace(-0.7, 0.7, 5))


EYE = torch.eye(3)
BAD = {
    "shapes": (lambda: Plane(EYE[0], EYE[1], torch.ones(2)), r"d2 \(2,\)"),
    "matrix": (lambda: Plane(EYE, EYE[1], EYE[2]), r"origin \(3, 3\)"),
    "list": (lambda: Plane([0.0, 1.0], EYE[1], EYE[2]), "list"),
    "NaN": (lambda: Plane(EYE[0], EYE[1] * torch.nan, EYE[2]), "d1 with NaN"),
    "zeros": (lambda: Plane(EYE[0], EYE[1], 0 * EYE[2]), "zeros"),
    "parallel": (lambda: Plane(EYE[0], EYE[1], -2 * EYE[1]), "parallel"),
    "bounds": (lambda: Plane(EYE[0], EYE[1], EYE[2], bounds=((0.5, 1.0), (-1.0, 1.0))), "bounds"),
    "a single point": (lambda: Plane(EYE[0], EYE[1], EYE[2]).coordinates(EYE[0]), r"thetas\[None\]"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_plane_is_refused(name):
    make, words = BAD[name]
    with pytest.raises(dk.InputError, match=words):
        make()


# -- which plane --------------------------------------------------------------------------------------


def test_same_seed_same_plane(digits):
    for directions in (None, "random", "eigenvectors", "gradient"):
        one, two = (as_plane(digits, directions, seed=3) for _ in range(2))
        assert torch.equal(one.d1, two.d1)
        assert torch.equal(one.d2, two.d2)
    assert not torch.equal(as_plane(digits, seed=3).d1, as_plane(digits, seed=4).d1)
    one, two = (as_plane(digits, to=randn(1210), seed=3) for _ in range(2))
    assert torch.equal(one.d2, two.d2)


def test_eigenvectors_are_of_unit_length_and_have_their_curvature(digits):
    plane = as_plane(digits, "eigenvectors")
    assert float(plane.d1.norm()) == pytest.approx(1.0, rel=1e-9)
    assert float(plane.d2 @ digits.hvp(plane.d2)) == pytest.approx(
        dk.hessian_eigenvalues(digits, 1).values[0], rel=1e-3
    )
    assert float(plane.d1 @ digits.hvp(plane.d1)) < 0


def test_the_plane_of_the_gradient(digits):
    plane = as_plane(digits, "gradient")
    assert (plane.kind, plane.seed) == ("gradient and its turn", None)
    gradient = digits.gradient()
    torch.testing.assert_close(plane.d1, -gradient / gradient.norm())
    change = digits.hvp(plane.d1)
    q = torch.stack([plane.d1, plane.d2])
    torch.testing.assert_close(q @ q.T, torch.eye(2, dtype=torch.float64), atol=1e-9, rtol=0.0)
    torch.testing.assert_close(q.T @ (q @ change), change, atol=1e-9, rtol=1e-6)
    # A step of gradient descent changes the gradient within the plane, to second order in its length.
    after = digits.gradient(plane.point(1e-4, 0.0))
    turned = after - gradient - 1e-4 * change
    assert float(turned.norm()) < 0.01 * 1e-4 * float(change.norm())


def test_where_the_gradient_does_not_turn_the_second_direction_is_random_and_says_so():
    obj = quadratic(2.0 * torch.eye(5, dtype=torch.float64)).at(randn(5))
    one, two = (as_plane(obj, "gradient", seed=seed) for seed in (0, 1))
    assert "random" in one.kind
    assert (one.seed, two.seed) == (0, 1)
    assert not torch.equal(one.d2, two.d2)
    assert abs(float(one.d1 @ one.d2)) < 1e-12
    assert float(one.d2.norm()) == pytest.approx(1.0)


def test_without_a_gradient_there_is_no_plane_of_it():
    obj = quadratic(symmetric_matrix([-1.0, 1.0, 2.0])).at(torch.zeros(3, dtype=torch.float64))
    with pytest.raises(dk.InputError, match=r"exactly 0.*'eigenvectors' for a plane"):
        as_plane(obj, "gradient")


def test_given_vectors_are_used_unchanged(digits):
    given = torch.stack([randn(1210, seed=1) * 7, randn(1210, seed=2) / 9])
    plane = as_plane(digits, given)
    assert torch.equal(plane.d1, given[0])
    assert torch.equal(plane.d2, given[1])
    assert (plane.kind, plane.seed) == ("given", None)


def test_a_plane_or_what_has_one_is_taken_as_it_is(digits):
    plane = Plane(digits.theta + 1, *randn(2, 1210))
    assert as_plane(digits, plane) is plane
    trajectory = dk.trajectory_plane(digits, randn(4, 1210))
    assert as_plane(digits, trajectory) is trajectory.plane
    with pytest.raises(dk.InputError, match="3 parameters; allowed: P = 1210"):
        as_plane(digits, Plane(*torch.eye(3)))


# -- through other points -----------------------------------------------------------------------------


def test_between_two_checkpoints(digits):
    other = digits.theta + randn(1210) / 10
    plane = as_plane(digits, to=other)
    assert plane.marks == (Mark("here", 0.0, 0.0), Mark("other", 1.0, 0.0))
    assert digits.loss(plane.point(0, 0)) == digits.loss()
    assert digits.loss(plane.point(1, 0)) == pytest.approx(digits.loss(other), rel=1e-13)
    (a_low, a_high), (b_low, b_high) = plane.bounds
    assert (a_low, a_high, -b_low) == (-0.25, 1.25, b_high)
    sides = (a_high - a_low) * float(plane.d1.norm()), (b_high - b_low) * float(plane.d2.norm())
    assert sides[0] == pytest.approx(sides[1]), "as wide as high in parameter space"
    rows = digits.layout.split(plane.d2)["0.weight"].norm(dim=1)
    torch.testing.assert_close(
        rows, digits.layout.split(digits.theta)["0.weight"].norm(dim=1), rtol=1e-7, atol=0.0
    )


def test_from_a_saddle_at_zero_the_filters_are_those_of_the_other_point(digits):
    saddle = digits.at(torch.zeros(1210, dtype=torch.float64))
    plane = as_plane(saddle, to=digits)
    assert torch.equal(plane.d1, digits.theta)
    assert torch.equal(plane.d2, as_plane(digits, seed=0).d1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_three_points_land_on_their_marks_with_their_losses(seed, dtype):
    obj = digits_objective(dtype, examples=60)
    second, third = (obj.theta + randn(2, 1210, seed=seed).to(dtype) / 10).unbind()
    plane = as_plane(obj, to=(second, third))
    rounding = 200 * torch.finfo(dtype).eps
    for mark, point in zip(plane.marks, (obj.theta, second, third), strict=True):
        np.testing.assert_allclose(plane.coordinates(point[None]), [[mark.a, mark.b]], atol=rounding)
        assert plane.distance(point[None]) < rounding * float(plane.d1.norm())
        assert obj.loss(plane.point(mark.a, mark.b)) == pytest.approx(obj.loss(point), rel=rounding)
        for (low, high), place in zip(plane.bounds, (mark.a, mark.b), strict=True):
            assert low < place < high
    assert plane.marks[:2] == (Mark("here", 0.0, 0.0), Mark("second", 1.0, 0.0))
    d1, d2 = plane.d1.double(), plane.d2.double()
    assert float(d1.norm()) == pytest.approx(float(d2.norm()), rel=rounding)
    assert abs(float(d1 @ d2)) < rounding * float(d1 @ d1)
    (a, b), (c, d) = plane.bounds
    assert b - a == pytest.approx(d - c), "undistorted"


def test_points_come_in_any_form(digits):
    second, third = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).double(), digits.theta / 2
    vector = torch.cat([p.detach().reshape(-1) for p in second.parameters()])
    expected = as_plane(digits, to=torch.stack([vector, third]))
    for to in ((second, third), [second.state_dict(), digits.at(third)], (vector.numpy(), third.tolist())):
        plane = as_plane(digits, to=to)
        torch.testing.assert_close(plane.d2, expected.d2)
    assert as_plane(digits, to=second).kind == "between two points"
    assert as_plane(digits, to=vector.tolist()).kind == "between two points"


def test_two_numbers_are_one_point_of_two_parameters():
    obj = quadratic(symmetric_matrix([1.0, 2.0])).at([3.0, 1.0])
    assert as_plane(obj, Plane(obj.theta, *torch.eye(2, dtype=torch.float64))).num_params == 2
    with pytest.raises(dk.InputError, match="very point"):
        as_plane(obj, to=[3.0, 1.0])


@pytest.mark.parametrize("share", [0.5, -2.0, 1.0])
def test_points_on_a_line_are_refused(digits, share):
    step = randn(1210)
    with pytest.raises(dk.InputError, match=r"three points on one line.*loss_line"):
        as_plane(digits, to=(digits.theta + step, digits.theta + share * step))


@pytest.mark.parametrize("how", [{"directions": "gradient"}, {}, {"to": [2.0]}])
def test_one_parameter_makes_no_plane(how):
    with pytest.raises(dk.InputError, match=r"one parameter.*loss_line"):
        as_plane(quadratic(torch.eye(1, dtype=torch.float64)).at([1.0]), **how)


def test_bad_combinations(digits):
    with pytest.raises(dk.InputError, match="both directions and to"):
        as_plane(digits, "random", to=randn(1210))
    with pytest.raises(dk.InputError, match="very point"):
        as_plane(digits, to=(randn(1210), digits.theta))
    with pytest.raises(dk.InputError, match=r"shape \(3,\)"):
        as_plane(digits, to=[1.0, 2.0, 3.0])
