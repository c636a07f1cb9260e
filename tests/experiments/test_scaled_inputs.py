"""One table under one scaling: equal to the study, by hand, and stage by stage."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.experiments.scaled_inputs import ScalingTask, pair_valley, scaled_input_stages, scaled_inputs


def data(n=60):
    X = torch.randn(n, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 10.0, 3.0])
    return X, X @ torch.tensor([[1.0], [0.1], [0.3]])


def make():
    return nn.Linear(3, 1)


TASK = ScalingTask("z-score", target=1e-3, max_steps=30)


@pytest.mark.parametrize("rule", ["fixed", "1/lambda_max", "Adam"])
def test_the_runs_are_those_of_the_study(rule):
    found = scaled_inputs(
        make, nn.MSELoss(), data(), ScalingTask("z-score", rule, 1e-3, max_steps=30), seed=3
    )
    study = dk.feature_scaling_study(
        make, nn.MSELoss(), data(), target=1e-3, lr=0.1, kinds=["none", "z-score"], rates=[rule],
        max_steps=30, seeds=[3],
    )  # fmt: skip
    for kind in ("none", "z-score"):
        row = study.frame[study.frame["kind"] == kind].iloc[0]
        assert found.runs[kind].scalars["loss"] == row["loss"]
        assert found.steps(kind) == (row["steps"] if row["reached"] else None)
    assert found.complete


def test_the_scaling_is_fitted_on_the_training_part():
    found = scaled_inputs(make, nn.MSELoss(), data(), TASK)
    assert found.scaling.num_examples == 48


def test_the_pair_is_the_widest_and_the_narrowest_column():
    found = next(scaled_input_stages(make, nn.MSELoss(), data(), TASK))
    assert found.pair == (1, 0)
    assert found.before.condition > 50 > 3 > found.after.condition


def test_columns_of_equal_spread_are_two_columns():
    X = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]).repeat(5, 1)
    found = next(scaled_input_stages(lambda: nn.Linear(2, 1), nn.MSELoss(), (X, X[:, :1]), TASK))
    assert sorted(found.pair) == [0, 1]


def test_the_path_is_that_of_gradient_descent():
    X = np.random.default_rng(0).normal(size=(50, 2)) * [1.0, 4.0]
    valley = pair_valley(X, steps=7)
    e = torch.ones(2, dtype=torch.float64, requires_grad=True)
    for t in range(8):
        np.testing.assert_allclose(valley.path[t], e.detach().numpy(), atol=1e-12)
        loss = ((torch.tensor(X) @ e) ** 2).mean() / 2
        (gradient,) = torch.autograd.grad(loss, e)
        with torch.no_grad():
            e -= gradient / np.linalg.eigvalsh(valley.H)[-1]


def test_stages_come_in_order_and_end_when_interrupted():
    stages = list(scaled_input_stages(make, nn.MSELoss(), data(), TASK))
    assert [list(stage.runs) for stage in stages] == [[], ["z-score"], ["z-score", "none"]]
    assert [stage.complete for stage in stages] == [False, False, True]
    stop = threading.Event()
    stop.set()
    with dk.watching(stop=stop):
        stages = list(scaled_input_stages(make, nn.MSELoss(), data(), TASK))
    assert [list(stage.runs) for stage in stages] == [[]]


def test_a_run_that_diverges_says_so():
    X, y = data()
    found = scaled_inputs(make, nn.MSELoss(), (100 * X, y), ScalingTask("none", "fixed", 1e-3, max_steps=20))
    assert found.diverges()
    assert found.steps() is None


def test_nothing_is_changed():
    model, (X, y) = make(), data()
    before, state = [p.clone() for p in model.parameters()], torch.random.get_rng_state()
    scaled_inputs(lambda: make(), nn.MSELoss(), (X, y), TASK)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert torch.equal(X, data()[0])
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    "task",
    [{"kind": "log"}, {"rule": "slow"}, {"target": 0.0}, {"max_steps": 0}, {"lr": -1.0}],
)
def test_bad_tasks_are_refused(task):
    with pytest.raises(dk.InputError):
        ScalingTask(**task)


def test_bad_data_are_refused():
    X, y = data()
    for bad, options in (((X[:, :1], y), {}), ((X[:2], y[:2]), {}), ((X, y), {"names": ("a",)})):
        with pytest.raises(dk.InputError):
            next(scaled_input_stages(make, nn.MSELoss(), bad, TASK, **options))
