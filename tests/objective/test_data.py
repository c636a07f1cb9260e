"""Data are read once, kept in order, and weighted by their number of examples."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import diagkit as dk
from oracles import dense_hessian, randn, seeded

X, Y = randn(97, 5), torch.arange(97) % 3
LOSS = nn.CrossEntropyLoss()


def net():
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(randn(*p.shape, seed=20 + i) / 2)
    return model


class Counted(Dataset):
    """Counts how often each example is read; ``noise`` augments by the global generator of NumPy or torch."""

    def __init__(self, noise=None):
        self.reads, self.noise = np.zeros(len(X), dtype=int), noise

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        self.reads[i] += 1
        draw = {
            None: lambda: 0.0,
            "torch": lambda: torch.randn(()).double(),
            "numpy": lambda: np.random.randn(),  # noqa: NPY002
            "python": lambda: random.gauss(0, 1),
        }[self.noise]
        return X[i] + draw(), Y[i]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y, strict=True))


SOURCES = {
    "tensors": lambda: (X, Y),
    "list of two": lambda: [X, Y],
    "arrays": lambda: (X.numpy(), Y.numpy()),
    "dataset": Counted,
    "tensor dataset": lambda: TensorDataset(X, Y),
    "iterable dataset": Stream,
    "loader": lambda: DataLoader(TensorDataset(X, Y), batch_size=32),
    "shuffling loader": lambda: DataLoader(TensorDataset(X, Y), batch_size=32, shuffle=True),
    "own generator": lambda: DataLoader(TensorDataset(X, Y), 32, shuffle=True, generator=seeded(3)),
    "list of batches": lambda: list(zip(X.split(40), Y.split(40), strict=True)),
    "generator": lambda: (batch for batch in zip(X.split(10), Y.split(10), strict=True)),
    "uneven batches": lambda: list(zip(X.split([1, 90, 6]), Y.split([1, 90, 6]), strict=True)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_is_the_same_function(name):
    model = net()
    obj = dk.Objective(model, LOSS, SOURCES[name]())
    assert obj.num_examples == 97
    assert obj.loss() == pytest.approx(LOSS(model(X), Y).item(), rel=1e-12)
    torch.testing.assert_close(obj.hessian(), dense_hessian(model, LOSS, (X, Y)), atol=1e-12, rtol=1e-9)


def test_batches_are_weighted_by_their_examples():
    """97 examples in batches of 32: the mean of batch means is another function."""
    model = net()
    batches = list(zip(X.split(32), Y.split(32), strict=True))
    whole, cut = dk.Objective(model, LOSS, (X, Y)), dk.Objective(model, LOSS, batches)
    v = randn(whole.num_params, seed=1)
    torch.testing.assert_close(cut.hvp(v), whole.hvp(v), atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(cut.gradient(), whole.gradient(), atol=1e-13, rtol=1e-10)
    unweighted = torch.stack([dk.Objective(model, LOSS, b).hvp(v) for b in batches]).mean(dim=0)
    assert (unweighted - whole.hvp(v)).norm() > 1e-2 * whole.hvp(v).norm(), "else this test shows nothing"
    assert dk.hessian_eigenvalues(cut, 1).values[0] == pytest.approx(
        np.linalg.eigvalsh(whole.hessian().numpy())[-1], rel=1e-6
    )


@pytest.mark.parametrize("noise", [None, "torch", "numpy", "python"])
def test_data_are_read_once_and_the_same_seed_reads_the_same(noise):
    data = Counted(noise)
    loader = DataLoader(data, batch_size=20, shuffle=True)
    obj = dk.Objective(net(), LOSS, loader, seed=4)
    assert (data.reads == 1).all()
    losses = {obj.loss() for _ in range(3)}
    dk.hessian_eigenvalues(obj, 1)
    dk.loss_plane(obj, resolution=5)
    assert len(losses) == 1
    assert (data.reads == 1).all()
    assert dk.Objective(net(), LOSS, loader, seed=4).loss() == losses.pop()


def test_an_augmenting_loader_gives_another_function_at_another_seed():
    one, two = (dk.Objective(net(), LOSS, Counted("torch"), seed=s).loss() for s in (0, 1))
    assert one != two


def test_data_changed_later_do_not_move_the_objective():
    model, inputs = net(), X.clone()
    obj = dk.Objective(model, LOSS, DataLoader(TensorDataset(inputs, Y), batch_size=50))
    before = obj.loss()
    inputs.mul_(2.0)
    assert obj.loss() == before


@pytest.mark.parametrize("name", SOURCES)
def test_max_examples(name):
    obj = dk.Objective(net(), LOSS, SOURCES[name](), max_examples=33, seed=2)
    assert obj.num_examples == sum(b.size for b in obj.batches) == 33
    rows = torch.cat([b.payload[0] for b in obj.batches])
    assert len(rows) == 33
    known = {tuple(x.tolist()) for x in X}
    assert {tuple(x.tolist()) for x in rows} <= known
    assert len({tuple(x.tolist()) for x in rows}) == 33


def test_max_examples_draws_from_everywhere_by_seed():
    drawn = [
        dk.Objective(net(), LOSS, (X, Y), max_examples=10, seed=s).batches[0].payload[0] for s in (0, 0, 1)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], X[:10])
    assert dk.Objective(net(), LOSS, (X, Y), max_examples=1000).num_examples == 97


def test_batch_size_cuts_evenly():
    obj = dk.Objective(net(), LOSS, (X, Y), batch_size=32)
    assert [b.size for b in obj.batches] == [25, 24, 24, 24]


def test_floating_data_follow_the_model_and_integers_stay():
    obj = dk.Objective(net().float(), LOSS, (X, Y))
    inputs, targets = obj.batches[0].payload
    assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
    assert obj.gradient().dtype == torch.float32
    assert dk.Objective(net(), LOSS, (X.float(), Y)).batches[0].payload[0].dtype == torch.float64


def test_several_inputs_and_keyword_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([2.0, 3.0], dtype=torch.float64))

        def forward(self, a, b):
            return a * self.w[0] + b * self.w[1]

    a, b, y = randn(8), randn(8, seed=1), randn(8, seed=2)
    expected = float(nn.functional.mse_loss(2 * a + 3 * b, y))
    for data in ([((a, b), y)], [({"b": b, "a": a}, y)], ((a, b), y)):
        assert dk.Objective(Two(), nn.MSELoss(), data).loss() == pytest.approx(expected)
