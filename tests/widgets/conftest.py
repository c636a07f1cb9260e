import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Threads of a small model that wait for each other on a busy machine would be the slowest part."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def lenient(monkeypatch):
    """As in a notebook: errors are shown, not raised."""
    monkeypatch.delenv("DIAGKIT_STRICT", raising=False)
