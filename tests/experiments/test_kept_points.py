"""Parameters on the way are those of a run that ends there, trained together or one by one."""

import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.errors import InputError
from diagkit.experiments import train_seeds


def task(lr=0.1, **options):
    g = torch.Generator().manual_seed(0)
    X = torch.randn(20, 3, generator=g, dtype=torch.float64)
    return {
        "make_model": lambda: nn.Linear(3, 1).double(),
        "loss_fn": nn.MSELoss(),
        "data": (X, X.sum(1, keepdim=True)),
        "optimizer": lambda p: torch.optim.SGD(p, lr=lr, momentum=0.5),
        "seeds": [0, 3],
        "batch_size": 6,
    } | options


@pytest.mark.parametrize("together", [True, False])
def test_points_are_the_ends_of_shorter_runs(together):
    runs = train_seeds(**task(), max_steps=9, keep_at=[7, 2, 9], together=together)
    assert runs.kept_at == (2, 7, 9)
    assert runs.kept.shape == (2, 3, 4)
    for i, steps in enumerate(runs.kept_at):
        shorter = train_seeds(**task(), max_steps=steps, together=False)
        torch.testing.assert_close(runs.kept[:, i], shorter.theta, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("together", [True, False])
def test_nothing_is_kept_after_the_end(together):
    runs = train_seeds(**task(lr=1e150), max_steps=9, keep_at=[1, 9], together=together)
    assert runs.diverged.all()
    assert runs.kept[:, 0].isfinite().all()
    assert runs.kept[:, 1].isnan().all()


def test_running_statistics_are_kept_too():
    make = lambda: nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1)).double()  # noqa: E731
    runs = train_seeds(**task(make_model=make, seeds=[1]), max_steps=5, keep_at=[5])
    torch.manual_seed(1)
    model = make()
    given = {name: value for name, value in task().items() if name not in ("make_model", "seeds")}
    dk.train(model, given.pop("loss_fn"), given.pop("data"), **given, max_steps=5, seed=1)
    expected = torch.cat([model[1].running_mean, model[1].running_var])
    torch.testing.assert_close(runs.kept_buffers[0, 0], expected, rtol=0, atol=0)


@pytest.mark.parametrize("steps", [[0], [1.5], [True]])
def test_numbers_of_steps_are_whole_and_positive(steps):
    with pytest.raises(InputError, match="keep_at"):
        train_seeds(**task(), max_steps=2, keep_at=steps)
