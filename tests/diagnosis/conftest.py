"""Small data for the diagnosis."""

import pytest
import torch

from diagkit.diagnosis import bench


@pytest.fixture
def torch_data():
    g = torch.Generator().manual_seed(0)
    X = torch.randn(64, 4, generator=g)
    return X, X.sum(1, keepdim=True) + 0.1 * torch.randn(64, 1, generator=g)


@pytest.fixture
def short_trials(monkeypatch):
    """Runs of one short length, so that no test depends on the speed of the machine."""
    monkeypatch.setattr(bench, "LENGTHS", (40,))
