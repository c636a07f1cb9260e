import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.experiments import train_together
from diagkit.experiments.escape_task import deep_relu_net
from diagkit.experiments.seed_runs import made
from diagkit.experiments.stacked_noise import with_stacked_noise

QUICK = dk.EscapeTask(depth=3, width=12, lr=0.2, batch_size=20, steps=80, c=1.0, r=0.5)


@pytest.fixture(scope="module")
def data():
    g = torch.Generator().manual_seed(0)
    X = torch.randn(100, 2, generator=g)
    return X, (X[:, 0] > 0).long()


def test_stacked_noise_is_that_of_single_runs(data):
    """To rounding of 12 steps in float64: the same normal numbers in the same places."""
    X, y = data[0].double(), data[1]

    def make():
        return nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 2)).double()

    def sgd(parameters):
        return torch.optim.SGD(parameters, lr=0.1)

    seeds, loss_fn = (3, 8, 1), nn.CrossEntropyLoss()
    noisy = with_stacked_noise(sgd, c=0.5, r=0.3, seeds=seeds)
    stacked = train_together(make, loss_fn, (X, y), optimizer=noisy, seeds=seeds, max_steps=12)
    for seed, theta in zip(seeds, stacked.theta, strict=True):
        model = made(make, seed)
        optimizer = sgd(model.parameters())
        noise = dk.add_gradient_noise(optimizer, 0.5, 0.3, seed=seed)
        alone = dk.train(
            model, loss_fn, (X, y), optimizer=optimizer, max_steps=12, seed=seed, callbacks=[noise]
        )
        torch.testing.assert_close(theta, alone.final_theta, rtol=1e-10, atol=1e-12)


def test_from_zero_only_the_last_bias_moves(data):
    X, y = data
    model = deep_relu_net(X, y, QUICK, "zero")
    dk.train(model, nn.CrossEntropyLoss(), data, optimizer=lambda p: torch.optim.SGD(p, lr=0.5), max_steps=20)
    moved = [bool(p.detach().count_nonzero()) for p in model.parameters()]
    assert moved == [False] * (len(moved) - 1) + [True]


def test_noise_escapes_and_nothing_else_does(data):
    study = dk.noise_escape_study(data, QUICK)
    frame = study.frame.set_index(["start", "noise"])
    share = float(max((data[1] == k).double().mean() for k in (0, 1)))
    assert (frame.loc[("zero", False), "accuracy"] <= share + 1e-9).all(), "constant outputs"
    assert (frame.loc[("zero", False), "parameters_with_gradient"] == 2).all(), "the biases of two classes"
    assert study.rate("zero", False).successes == 0
    assert study.rate("zero", True).successes >= 15
    assert study.rate("He", False).successes == 20
    assert study.verdicts[0].verdict == "reproduced"
    assert [v.expects for v in study.verdicts] == ["increase", "no difference", "no difference"]


def test_few_seeds_prove_nothing(data):
    study = dk.noise_escape_study(data, dataclasses.replace(QUICK, steps=5), seeds=range(3))
    assert [v.verdict for v in study.verdicts] == ["inconclusive"] * 3
    assert study.estimate(range(10)).runs == 28


def test_interrupted_and_resumed(tmp_path, data):
    task = dataclasses.replace(QUICK, steps=5)
    with dk.watching(budget=0.0):
        nothing = dk.noise_escape_study(data, task, seeds=range(3), folder=tmp_path)
    assert not nothing.complete
    assert nothing.verdicts[-1].verdict == "inconclusive"
    first = dk.noise_escape_study(data, task, seeds=range(2), folder=tmp_path)
    more = dk.noise_escape_study(data, task, seeds=range(3), folder=tmp_path)
    fresh = dk.noise_escape_study(data, task, seeds=range(3))
    assert first.complete
    assert "8 of 12 runs" in more.sweep.notes[-1]
    columns = ["start", "noise", "seed", "success", "parameters_with_gradient"]
    assert more.frame[columns].equals(fresh.frame[columns])
    np.testing.assert_allclose(more.frame["loss"], fresh.frame["loss"], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"depth": 1}, "depth"), ({"c": 0.0}, "c = 0"), ({"reached": 1.5}, "reached"), ({"r": -1.0}, "r = ")],
)
def test_tasks_that_are_refused(change, message):
    with pytest.raises(dk.InputError, match=message):
        dk.EscapeTask(**change)


def test_labels_must_be_classes(data):
    with pytest.raises(dk.InputError, match="labels"):
        dk.noise_escape_study((data[0], data[0][:, 0]), QUICK)
    with pytest.raises(dk.InputError, match="data of type"):
        dk.noise_escape_study(3, QUICK)
