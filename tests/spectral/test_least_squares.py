import numpy as np
import pytest
import torch

from diagkit.spectral import newton_step
from diagkit.work import watching
from oracles import randn, symmetric_matrix


@pytest.mark.parametrize("seed", range(4))
def test_regular_indefinite_system(seed):
    values = np.random.default_rng(seed).uniform(0.5, 2.0, 40) * np.resize([1.0, -1.0], 40)
    H, g = symmetric_matrix(values, seed), randn(40, seed=seed + 50)
    newton = newton_step(lambda v: H @ v, g, tol=1e-12)
    torch.testing.assert_close(newton.step, torch.linalg.solve(H, -g), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(newton.product, -g, atol=1e-9, rtol=1e-9)
    assert newton.unexplained < 1e-9
    assert newton.curvature == pytest.approx(float(newton.step @ H @ newton.step), rel=1e-9)


def test_singular_system_gets_the_step_of_smallest_norm():
    values = np.r_[np.zeros(20), np.linspace(1, 3, 20)]
    H = symmetric_matrix(values)
    g = H @ randn(40, seed=3)  # in the range
    newton = newton_step(lambda v: H @ v, g, tol=1e-12)
    torch.testing.assert_close(newton.step, -torch.linalg.pinv(H) @ g, atol=1e-8, rtol=1e-8)
    assert newton.relative_residual < 1e-9


def test_what_lies_in_the_kernel_is_left_unexplained():
    H = torch.diag(torch.tensor([1.0, 2.0, 0.0, 0.0], dtype=torch.float64))
    newton = newton_step(lambda v: H @ v, torch.tensor([3.0, 0.0, 4.0, 0.0], dtype=torch.float64))
    assert newton.unexplained == pytest.approx(0.8)
    assert newton.step[0] == pytest.approx(-3.0)
    assert newton.step[2] == pytest.approx(0.0, abs=1e-9)


def test_gradient_in_the_kernel_is_flat():
    H = torch.diag(torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64))
    flat = newton_step(lambda v: H @ v, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    assert flat.relative_residual == pytest.approx(1.0)
    assert float(flat.step.norm()) == 0.0


def test_cutoff_makes_small_curvature_count_as_none():
    H = torch.diag(torch.tensor([1.0, 1e-6], dtype=torch.float64))
    g = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert newton_step(lambda v: H @ v, g).unexplained < 1e-6
    assert newton_step(lambda v: H @ v, g, norm=1.0, cutoff=1e-4).unexplained == pytest.approx(1.0)


def test_zero_gradient():
    newton = newton_step(lambda v: v, torch.zeros(5, dtype=torch.float64))
    assert float(newton.step.norm()) == 0.0
    assert newton.num_products == 0


def test_products_are_limited_also_by_time():
    H, g = symmetric_matrix(np.linspace(1e-3, 1, 100)), randn(100)
    assert newton_step(lambda v: H @ v, g, tol=1e-12, max_products=7).num_products == 7
    with watching(budget=0.0):
        assert newton_step(lambda v: H @ v, g, tol=1e-12).num_products == 1
