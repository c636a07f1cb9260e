import numpy as np
import pytest

from diagkit.plots.levels import linear_levels, log_levels


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (1.83, 5.1), (-3.0, 1e-9), (2.0, 2.0 + 1e-9), (1e-20, 3e-20)]
)
def test_linear_levels_enclose_the_range(low, high):
    levels = linear_levels(low, high, 12)
    assert levels[0] <= low < high <= levels[-1]
    assert (np.diff(levels) > 0).all()
    assert 4 <= len(levels) <= 15


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 31.0), (0.02, 2.0), (1e-12, 1.0), (3e-7, 5e200), (1e-3, 1e-1)]
)
def test_log_levels_enclose_the_range(low, high):
    levels = log_levels(low, high, 9)
    assert levels[0] <= low < high <= levels[-1]
    assert (np.diff(levels) > 0).all()
    assert 3 <= len(levels) <= 16
