import numpy as np
import pytest
import torch

from diagkit.spectral import lanczos
from diagkit.work import watching
from oracles import randn, symmetric_matrix


def products_with(H, dtype=torch.float64):
    return lambda v: H.to(dtype) @ v.to(dtype)


@pytest.mark.parametrize("seed", range(5))
def test_ends_of_a_random_spectrum(seed):
    values = np.sort(np.random.default_rng(seed).standard_normal(120))
    H = symmetric_matrix(values, seed)
    ends = lanczos(products_with(H), 120, num_lowest=3, num_highest=4, tol=1e-10, seed=seed)
    np.testing.assert_allclose(ends.lowest.values, values[:3], atol=1e-10)
    np.testing.assert_allclose(ends.highest.values, values[::-1][:4], atol=1e-10)
    assert ends.lowest.converged.all()
    assert ends.highest.converged.all()
    assert ends.num_products <= 120


@pytest.mark.parametrize("seed", range(5))
def test_two_ends_of_nearly_equal_magnitude(seed):
    """Power iteration answers anything between -9.8 and 10 here."""
    values = np.r_[10.0, -9.9, np.linspace(-1, 1, 150)]
    ends = lanczos(products_with(symmetric_matrix(values)), 152, num_lowest=1, num_highest=1, seed=seed)
    assert ends.highest.values[0] == pytest.approx(10.0, abs=1e-4)
    assert ends.lowest.values[0] == pytest.approx(-9.9, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_a_small_negative_eigenvalue_among_large_ones(seed):
    values = np.r_[-0.5, np.linspace(0.1, 3, 150), np.linspace(50, 100, 50)]
    ends = lanczos(products_with(symmetric_matrix(values)), 201, num_lowest=1, tol=1e-4, seed=seed)
    assert ends.lowest.values[0] == pytest.approx(-0.5, abs=1e-4 * 100)
    assert ends.lowest.values[0] < -0.4
    assert ends.lowest.converged[0]


SPECTRA = {
    "random": np.random.default_rng(1).standard_normal(90),
    "clustered": np.r_[1 + 1e-5 * np.arange(45), -1 - 1e-5 * np.arange(45)],
    "geometric": 2.0 ** -np.arange(90.0),
    "repeated": np.r_[[5.0] * 3, [-4.0] * 3, np.zeros(84)],
}


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("budget", [3, 10, 30, None])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_true_eigenvalue_lies_within_every_residual(name, budget, dtype):
    values = np.sort(SPECTRA[name])
    H = symmetric_matrix(values)
    ends = lanczos(products_with(H, dtype), 90, num_lowest=2, num_highest=2, max_products=budget, dtype=dtype)
    true = np.linalg.eigvalsh(H.numpy())
    for end in (ends.lowest, ends.highest):
        distance = np.abs(true[:, None] - end.values).min(axis=0)
        assert (distance <= end.residuals + 1e-14).all()
        assert (np.linalg.norm(end.vectors.numpy(), axis=1) == pytest.approx(1.0, abs=1e-10)) is True
        explicit = H @ end.vectors.T - end.vectors.T * torch.as_tensor(end.values)
        assert (explicit.norm(dim=0).numpy() <= end.residuals + 1e-14).all()


@pytest.mark.parametrize("copies", [2, 3, 5])
@pytest.mark.parametrize("size", [12, 60, 200])
def test_repeated_eigenvalues_are_listed_as_often_as_they_occur(copies, size):
    values = np.r_[
        [2.0] * copies, [-1.5] * copies, np.linspace(-0.5, 0.5, 2), np.zeros(size - 2 * copies - 2)
    ]
    H = symmetric_matrix(values)
    ends = lanczos(products_with(H), size, num_lowest=copies + 1, num_highest=copies + 1, tol=1e-8)
    assert ends.multiplicities_seen
    np.testing.assert_allclose(ends.highest.values, np.sort(values)[::-1][: copies + 1], atol=1e-8)
    np.testing.assert_allclose(ends.lowest.values, np.sort(values)[: copies + 1], atol=1e-8)


@pytest.mark.parametrize("max_products", range(1, 25))
def test_copies_are_never_claimed_to_be_listed_where_they_are_missing(max_products):
    """Also where the products end right after the space has closed."""
    values = np.r_[[5.0] * 3, [-4.0] * 3, np.zeros(200)]
    ends = lanczos(
        products_with(torch.diag(torch.as_tensor(values))), 206, num_highest=3, max_products=max_products
    )
    if ends.multiplicities_seen:
        np.testing.assert_allclose(ends.highest.values, [5.0, 5.0, 5.0], atol=1e-6)
    assert ends.num_products <= max_products


def test_zero_and_identity():
    zero = lanczos(lambda v: 0 * v, 100, num_lowest=1, num_highest=1)
    assert zero.lowest.values[0] == zero.highest.values[0] == 0.0
    assert zero.rounding == 0.0
    one = lanczos(lambda v: v, 100, num_lowest=2, num_highest=2)
    np.testing.assert_allclose(np.r_[one.lowest.values, one.highest.values], 1.0, atol=1e-12)


def test_size_one():
    ends = lanczos(lambda v: -3.0 * v, 1, num_lowest=1, num_highest=1)
    assert ends.lowest.values.tolist() == ends.highest.values.tolist() == [-3.0]
    assert ends.multiplicities_seen


def test_same_seed_same_answer():
    H = symmetric_matrix(SPECTRA["random"])
    first, again = (lanczos(products_with(H), 90, num_highest=2, max_products=12, seed=3) for _ in range(2))
    other = lanczos(products_with(H), 90, num_highest=2, max_products=12, seed=4)
    np.testing.assert_array_equal(first.highest.values, again.highest.values)
    assert (first.highest.values != other.highest.values).any()


def test_no_more_products_than_asked():
    count = 0

    def matvec(v):
        nonlocal count
        count += 1
        return H @ v

    H = symmetric_matrix(np.random.default_rng(0).standard_normal(200))
    ends = lanczos(matvec, 200, num_highest=3, tol=1e-12, max_products=9)
    assert count == ends.num_products == 9
    assert not ends.highest.converged.all()


def test_enough_ends_the_search():
    H = symmetric_matrix(np.r_[-1.0, np.linspace(0, 1, 299)])
    ends = lanczos(products_with(H), 300, num_lowest=1, tol=1e-12, enough=lambda low, high, err: low < -0.5)
    assert ends.lowest.values[0] < -0.5
    assert ends.num_products < 100


def test_out_of_time():
    H = symmetric_matrix(SPECTRA["random"])
    with watching(budget=0.0):
        ends = lanczos(products_with(H), 90, num_lowest=1, num_highest=1)
    assert not ends.complete
    assert ends.num_products == 1
    true = np.linalg.eigvalsh(H.numpy())
    assert np.abs(true - ends.lowest.values[0]).min() <= ends.lowest.residuals[0]


def test_orthogonality_survives_many_products():
    H = symmetric_matrix(2.0 ** -np.arange(120.0))
    ends = lanczos(products_with(H), 120, num_highest=30, tol=1e-13)
    gram = ends.highest.vectors @ ends.highest.vectors.T
    torch.testing.assert_close(gram, torch.eye(30, dtype=torch.float64), atol=1e-12, rtol=0.0)
    np.testing.assert_allclose(ends.highest.values, 2.0 ** -np.arange(30.0), atol=1e-13)


def test_the_start_is_random_and_finds_what_lies_off_any_axis():
    """A start along an axis would never see the eigenvalue of another block."""
    H = torch.block_diag(torch.diag(randn(80).abs()), torch.tensor([[0.0, -7.0], [-7.0, 0.0]]).double())
    ends = lanczos(products_with(H), 82, num_lowest=1)
    assert ends.lowest.values[0] == pytest.approx(-7.0, abs=1e-2)
