"""The Krylov decomposition holds, with and without a bound on its rows, and residuals follow from it."""

import numpy as np
import pytest
import torch

from diagkit.spectral import lanczos
from diagkit.spectral.decomposition import KrylovDecomposition
from oracles import symmetric_matrix

SPECTRUM = np.r_[np.linspace(5, 10, 6), 3 * np.random.default_rng(2).standard_normal(240)]


def grown(steps, size=None, values=SPECTRUM, most_rows=None, compress_to=8):
    H = symmetric_matrix(values)
    space = KrylovDecomposition(
        lambda v: H @ v, len(values), torch.float64, torch.device("cpu"), 0, most_rows
    )
    while space.num_products < steps and space.next is not None:
        if space.full:
            ritz = space.ritz()
            space.compress(ritz, np.arange(len(ritz.values))[-compress_to:])
        space.step(lambda norm: 1e-9 * norm)
        if space.next is None:
            space.restart()
    return H, space


@pytest.mark.parametrize(("steps", "most_rows"), [(30, None), (30, 12), (90, 12), (90, 20)])
def test_the_decomposition_holds(steps, most_rows):
    H, space = grown(steps, most_rows=most_rows)
    V = space.basis
    torch.testing.assert_close(V @ V.T, torch.eye(space.dim, dtype=torch.float64), atol=1e-13, rtol=0)
    right = V.T @ torch.as_tensor(space.C) + torch.outer(space.next, torch.as_tensor(space._last_row))
    assert float((H @ V.T - right).norm(dim=0).max()) < 1e-12
    assert space.dim <= (most_rows or steps)


@pytest.mark.parametrize("most_rows", [None, 12])
def test_residuals_are_explicit_ones(most_rows):
    H, space = grown(40, most_rows=most_rows)
    ritz, top = space.ritz(), np.arange(space.dim)[-4:]
    x = space.combine(ritz.rotation[:, top])
    explicit = (H @ x.T - x.T * torch.as_tensor(ritz.values[top])).norm(dim=0).numpy()
    np.testing.assert_allclose(space.residuals(ritz, top), explicit, atol=1e-12)


def test_residuals_hold_also_where_remainders_were_set_aside():
    """A geometric spectrum closes again and again at the threshold; what is set aside is taken back."""
    H, space = grown(60, values=2.0 ** -np.arange(80.0))
    assert space.aside_of, "no closure: the test is void"
    ritz, top = space.ritz(), np.arange(space.dim)[-30:]
    x = space.combine(ritz.rotation[:, top])
    explicit = (H @ x.T - x.T * torch.as_tensor(ritz.values[top])).norm(dim=0).numpy()
    assert (explicit <= space.residuals(ritz, top) + 1e-14).all()
    true = 2.0 ** -np.arange(80.0)
    assert (np.abs(ritz.values[top][:, None] - true).min(axis=1) <= space.residuals(ritz, top) + 1e-14).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_bounded_basis_reaches_the_same_values(dtype, seed):
    H = symmetric_matrix(SPECTRUM)

    def matvec(v):
        return (H.to(dtype) @ v.to(dtype)).double()

    free = lanczos(matvec, 246, num_highest=3, num_lowest=2, dtype=dtype, seed=seed)
    bound = lanczos(matvec, 246, num_highest=3, num_lowest=2, dtype=dtype, seed=seed, most_rows=14)
    true = np.sort(SPECTRUM)
    for ends in (free, bound):
        assert ends.highest.converged.all()
        assert ends.lowest.converged.all()
        np.testing.assert_allclose(ends.highest.values, true[::-1][:3], atol=2e-2)
        np.testing.assert_allclose(ends.lowest.values, true[:2], atol=2e-2)
        explicit = (
            H @ ends.highest.vectors.T - ends.highest.vectors.T * torch.tensor(ends.highest.values)
        ).norm(dim=0)
        assert (explicit.numpy() <= ends.highest.residuals + 1e-13).all()
    assert bound.num_products <= 3 * free.num_products
    assert not bound.multiplicities_seen


def test_a_bounded_basis_stays_bounded():
    H, rows = symmetric_matrix(SPECTRUM), []
    space = KrylovDecomposition(lambda v: H @ v, 246, torch.float64, torch.device("cpu"), 0, 12)
    while space.num_products < 60:
        if space.full:
            space.compress(space.ritz(), np.arange(12)[-6:])
        space.step(lambda norm: 0.0)
        rows.append(sum(len(block) for block in space.blocks))
    assert max(rows) == 12


def test_misuse_is_told():
    _, space = grown(5, values=np.arange(5.0))
    assert space.next is None
    with pytest.raises(RuntimeError, match="restart"):
        space.step(lambda norm: 0.0)
    H = symmetric_matrix(SPECTRUM)
    full = KrylovDecomposition(lambda v: H @ v, 246, torch.float64, torch.device("cpu"), 0, 3)
    for _ in range(3):
        full.step(lambda norm: 0.0)
    with pytest.raises(RuntimeError, match="compress"):
        full.step(lambda norm: 0.0)
