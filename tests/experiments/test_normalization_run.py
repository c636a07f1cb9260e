"""A short run with one kind of normalization: equal to the parts that it is made of."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.experiments.normalization.short_run import (
    NormalizationTask,
    ShortRun,
    normalization_run,
    normalization_run_stages,
)
from diagkit.experiments.seed_runs import made


def data(n=80):
    X = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    return X, (X[:, 0] > 0).long()


def make():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))


TASK = NormalizationTask("batch", steps=10)


def test_it_is_made_of_public_parts():
    found = normalization_run(make, nn.CrossEntropyLoss(), data(), TASK, seed=5)
    net = dk.with_normalization(made(make, 5), "batch")
    obj = dk.Objective(net, nn.CrossEntropyLoss(), data(), norm_stats="batch", batch_size=80)
    dense = np.linalg.eigvalsh(obj.hessian().double().numpy())[-1]
    assert found.chosen.lambda_max[0] == pytest.approx(dense, rel=0.05)
    assert found.signals.gradient_sq_norms.tolist() == dk.signal_propagation(obj).gradient_sq_norms.tolist()
    run = dk.train(
        net, nn.CrossEntropyLoss(), data(), optimizer=lambda p: torch.optim.SGD(p, lr=0.1), max_steps=10,
        batch_size=32, seed=5,
    )  # fmt: skip
    np.testing.assert_array_equal(found.chosen.losses, run.history.loss)


def test_stages_come_in_order():
    stages = list(normalization_run_stages(make, nn.CrossEntropyLoss(), data(), TASK))
    runs = [{kind: run.lambda_max.size for kind, run in stage.runs.items()} for stage in stages]
    assert runs == [
        {},
        {"batch": 0},
        {"batch": 0, "none": 0},
        {"batch": 4, "none": 0},
        {"batch": 4, "none": 4},
    ]
    assert [stage.complete for stage in stages] == [False] * 4 + [True]


def test_without_normalization_there_is_one_run():
    found = normalization_run(make, nn.CrossEntropyLoss(), data(), NormalizationTask(steps=5))
    assert list(found.runs) == ["none"]
    assert found.complete


def test_it_ends_when_interrupted():
    stop = threading.Event()
    stop.set()
    with dk.watching(stop=stop):
        stages = list(normalization_run_stages(make, nn.CrossEntropyLoss(), data(), TASK))
    assert [list(stage.runs) for stage in stages] == [[]]


def test_a_run_that_leaves_the_numbers():
    X, y = data()
    task = NormalizationTask("none", rate=1e6, steps=30)
    found = normalization_run(make, nn.CrossEntropyLoss(), (100 * X, y), task)
    assert found.chosen.diverged
    assert found.chosen.late_loss == float("inf")
    assert ShortRun(np.array([2.0, np.nan]), np.empty(0)).diverged


def test_batches_of_one_are_refused():
    with pytest.raises(dk.InputError, match="batch of 1"):
        next(normalization_run_stages(make, nn.CrossEntropyLoss(), data(33), TASK))


@pytest.mark.parametrize("task", [{"kind": "odd"}, {"rate": 0.0}, {"steps": 1}, {"batch_size": 0}])
def test_bad_tasks_are_refused(task):
    with pytest.raises(dk.InputError):
        NormalizationTask(**task)
