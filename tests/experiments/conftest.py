import pytest
import torch


@pytest.fixture(autouse=True)
def same_start():
    """Models that a test makes start from the same weights, whichever tests ran before."""
    torch.manual_seed(0)
