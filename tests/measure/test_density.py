"""The spectral density of real Hessians against their eigenvalues."""

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.work import watching
from oracles import digits_objective, digits_spectrum, least_squares, quadratic, symmetric_matrix


def integral(found):
    """Trapezoids, ends included."""
    return float((np.diff(found.grid) * (found.density[1:] + found.density[:-1]) / 2).sum())


def blurred(values, found):
    """What the density estimates: all eigenvalues under the same Gaussian."""
    z = (found.grid[:, None] - values) / found.sigma
    return np.exp(-(z**2) / 2).mean(axis=1) / (found.sigma * np.sqrt(2 * np.pi))


@pytest.fixture(scope="module")
def network():
    return dk.hessian_density(digits_objective(), num_probes=12, steps=40)


def test_a_network_against_all_its_eigenvalues(network):
    values = digits_spectrum()
    exact = blurred(values, network)
    assert not network.exact
    assert network.num_hvps == 480
    assert integral(network) == pytest.approx(1.0, abs=1e-5)
    one = exact.max() / len(values)
    error = np.abs(network.density - exact)
    assert error.max() <= 0.02 * exact.max()
    # The band holds what is sampled, not what the quadrature blurs: hence a tenth of one eigenvalue's height.
    inside = error <= 2 * network.sem + 0.1 * one
    assert inside.mean() >= 0.9
    assert (network.lower <= network.density).all()
    assert (network.density <= network.upper).all()


def test_moments(network):
    values = digits_spectrum()
    assert abs(network.mean - values.mean()) <= 3 * network.mean_sem
    assert abs(network.second_moment - (values**2).mean()) <= 3 * network.second_moment_sem
    assert 0 < network.mean_sem < 0.3 * network.mean


def test_moments_cover_their_truth():
    obj = digits_objective(params="2")
    values = np.linalg.eigvalsh(obj.hessian().numpy())
    found = [dk.hessian_density(obj, num_probes=10, steps=3, seed=seed) for seed in range(60)]
    first = [abs(one.mean - values.mean()) <= 2 * one.mean_sem for one in found]
    second = [abs(one.second_moment - (values**2).mean()) <= 2 * one.second_moment_sem for one in found]
    assert np.mean(first) >= 0.8, "ten probes, skewed: 0.92 expected of Student's t"
    assert np.mean(second) >= 0.75


def test_ends_of_the_spectrum_are_among_the_nodes(network):
    values = digits_spectrum()
    low, high = network.range
    assert values[0] - 1e-10 <= low
    assert high <= values[-1] + 1e-10
    assert high == pytest.approx(values[-1], rel=1e-6)
    assert low < 0.9 * values[0] < 0, "negative curvature is seen"


@pytest.mark.parametrize("sigma", [None, 0.3, 1e-9])
def test_integral_is_one_whatever_the_width(sigma):
    obj = quadratic(symmetric_matrix(np.r_[-1.0, np.linspace(0, 2, 99)]))
    for probes, steps in ((10, 20), (3, 10)):
        found = dk.hessian_density(obj, num_probes=probes, steps=steps, sigma=sigma)
        assert found.exact == (probes * steps >= 100)
        assert integral(found) == pytest.approx(1.0, abs=1e-5)
        assert sigma is None or found.sigma == pytest.approx(max(sigma, 3 / 1013), rel=0.05)


@pytest.mark.parametrize("diagonal", [[0.0] * 5, [2.0] * 5, [-3.0, 1e-9, 1e3]])
def test_degenerate_spectra(diagonal):
    obj = quadratic(torch.diag(torch.tensor(diagonal, dtype=torch.float64)))
    found = dk.hessian_density(obj)
    assert found.exact
    assert integral(found) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(found.nodes[0], sorted(diagonal), atol=1e-9)


def test_a_small_hessian_exactly():
    case = least_squares()
    found = dk.hessian_density(case.objective())
    np.testing.assert_allclose(found.nodes[0], case.eigenvalues, atol=1e-12)
    np.testing.assert_allclose(found.density, blurred(case.eigenvalues, found), atol=1e-9)
    assert found.num_hvps == 6
    assert not found.sem.any()
    assert found.mean == pytest.approx(case.eigenvalues.mean())
    assert found.mean_sem == found.second_moment_sem == 0.0


def test_a_spectrum_without_gaps_does_not_fall_apart():
    """The default width: peaks of the curve would be taken for eigenvalues."""
    obj = quadratic(symmetric_matrix(np.linspace(-1, 1, 400)))
    found = dk.hessian_density(obj, num_probes=10, steps=20)
    middle = found.density[np.abs(found.grid) < 0.7]
    assert middle.max() / middle.min() < 1.3


def test_out_of_time():
    with watching(budget=0.0):
        for obj in (digits_objective(), least_squares().objective()):
            found = dk.hessian_density(obj)
            assert not found.complete
            assert found.num_hvps <= 2
            assert np.isinf(found.sem).all()
            assert integral(found) == pytest.approx(1.0, abs=1e-5)


def test_same_seed_same_answer_and_a_table():
    obj = digits_objective(params="2")
    first, again, other = (dk.hessian_density(obj, num_probes=2, steps=5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.density, again.density)
    assert (first.nodes != other.nodes).any()
    frame = first.to_frame()
    assert list(frame.columns) == ["density", "lower", "upper"]
    assert len(frame) == len(first.grid) == 1024


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_probes": 1}, "num_probes = 1"),
        ({"steps": 1}, "steps = 1"),
        ({"num_points": 15}, "num_points = 15"),
        ({"sigma": 0}, "sigma = 0"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_refused_in_words(options, words):
    with pytest.raises(dk.InputError, match=words):
        dk.hessian_density(least_squares().objective(), **options)
