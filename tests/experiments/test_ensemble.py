"""Seeds trained together are the runs of the plain loop, to rounding; what cannot be stacked is refused."""

import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import diagkit as dk
from diagkit.errors import InputError
from diagkit.experiments import pays_together, train_seeds, train_together
from diagkit.work import watching

torch.set_num_threads(1)
SEEDS = (0, 3, 11)


def make_data(n=50, classes=3, shape=(4,), dtype=torch.float64):
    g = torch.Generator().manual_seed(1)
    return torch.randn(n, *shape, generator=g, dtype=dtype), torch.randint(classes, (n,), generator=g)


def mlp():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.GroupNorm(1, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3)
    ).double()


def normalized():
    """Batch statistics without running ones; a frozen layer, which differs between seeds."""
    net = nn.Sequential(
        nn.Linear(4, 6),
        nn.BatchNorm1d(6, track_running_stats=False),
        nn.ReLU(),
        nn.LayerNorm(6),
        nn.Linear(6, 3),
    ).double()
    net[0].requires_grad_(False)
    return net


class Tied(nn.Module):
    """One weight used twice, and a buffer that differs between seeds."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 4).double(), nn.Linear(4, 4).double()
        self.outer.weight = self.inner.weight
        self.register_buffer("shift", torch.randn(4, dtype=torch.float64))

    def forward(self, x):
        return self.outer(torch.sin(self.inner(x + self.shift)))


MODELS = {"MLP": (mlp, (4,)), "CNN": (cnn, (1, 6, 6)), "norms": (normalized, (4,)), "tied": (Tied, (4,))}
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
}


def alone(make, data, seed, **how):
    """A model made and trained by hand under one seed."""
    torch.manual_seed(seed)
    model = make()
    return dk.train(model, nn.CrossEntropyLoss(), data, seed=seed, **how)


def together(make, data, seeds=SEEDS, **how):
    return train_together(make, nn.CrossEntropyLoss(), data, seeds=seeds, **how)


# Every step adds its rounding, amplified by training: some hundred eps in float64 over 12 steps; Adam's and
# RMSprop's division by small roots of gradients takes more.
CLOSE = {"rtol": 1e-9, "atol": 1e-10}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_equal_to_separate_runs(model, optimizer):
    make, shape = MODELS[model]
    data = make_data(shape=shape)
    how = {"optimizer": OPTIMIZERS[optimizer], "epochs": 3, "batch_size": 16}
    runs = together(make, data, **how)
    assert runs.complete
    assert runs.steps.tolist() == [12] * 3
    for k, seed in enumerate(SEEDS):
        run = alone(make, data, seed, **how)
        np.testing.assert_allclose(runs.loss[k], run.history.loss, **CLOSE)
        torch.testing.assert_close(runs.theta[k], run.final_theta, **CLOSE)
    assert not torch.allclose(runs.theta[0], runs.theta[1], atol=0.01)


def test_one_by_one_is_the_same_and_leaves_the_random_state(tmp_path):
    data, how = make_data(), {"optimizer": OPTIMIZERS["momentum"], "max_steps": 7, "batch_size": 16}
    state = torch.get_rng_state()
    both = [
        train_seeds(mlp, nn.CrossEntropyLoss(), data, seeds=SEEDS, together=together, **how)
        for together in (True, False)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert [runs.together for runs in both] == [True, False]
    np.testing.assert_allclose(both[0].loss, both[1].loss, **CLOSE)
    torch.testing.assert_close(both[0].theta, both[1].theta, **CLOSE)
    assert torch.equal(both[1].theta[1], alone(mlp, data, SEEDS[1], **how).final_theta)
    frame = both[0].to_frame()
    assert len(frame) == 3 * 7
    assert frame["loss"].tolist() == both[0].loss.ravel().tolist()


def test_datasets_and_the_dtype_of_the_model():
    X, y = make_data(dtype=torch.float32)
    how = {"optimizer": OPTIMIZERS["SGD"], "epochs": 1}
    runs = together(mlp, TensorDataset(X, y), **how)
    for k, seed in enumerate(SEEDS):
        torch.testing.assert_close(runs.theta[k], alone(mlp, (X, y), seed, **how).final_theta, **CLOSE)


def test_a_run_that_diverges_ends_as_alone_and_the_others_go_on():
    g = torch.Generator().manual_seed(0)
    X = torch.rand(32, 1, generator=g, dtype=torch.float64)

    def make():
        net = nn.Linear(1, 1, bias=False).double()
        if torch.rand(()) < 0.5:  # seeds 0, 1, 2, ... start near or far from 0
            nn.init.constant_(net.weight, 1e80)
        return net

    def loss_fn(out, y):  # quartic: a large weight explodes, a small one shrinks
        return (out**4).mean()

    how = {"optimizer": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5), "max_steps": 9}
    runs = train_together(make, loss_fn, (X, X), seeds=range(8), **how)
    assert 0 < runs.diverged.sum() < 8
    for seed in range(8):
        torch.manual_seed(seed)
        run = dk.train(make(), loss_fn, (X, X), seed=seed, **how)
        n = len(run.history.loss)
        assert runs.steps[seed] == n
        np.testing.assert_allclose(runs.loss[seed, :n], run.history.loss, **CLOSE)
        assert np.isnan(runs.loss[seed, n:]).all()
        torch.testing.assert_close(runs.theta[seed], run.final_theta, **CLOSE, equal_nan=True)
        assert runs.diverged[seed] == (run.ended_by == "non-finite loss")
    single = train_seeds(make, loss_fn, (X, X), seeds=range(8), together=False, **how)
    np.testing.assert_array_equal(single.diverged, runs.diverged)
    np.testing.assert_array_equal(single.steps, runs.steps)


class Drops(nn.Linear):
    def forward(self, x):
        return super().forward(nn.functional.dropout(x, 0.5, self.training))


class Counts(nn.Linear):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls = self.calls + 1
        return super().forward(x) / self.calls


class Hides(nn.Linear):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.shift = torch.randn(4)

    def forward(self, x):
        return super().forward(x + self.shift)


class Branches(nn.Linear):
    def forward(self, x):
        return super().forward(x) * (1 if float(self.weight.detach().sum()) > 0 else 2)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)),
            "buffers change in training \\(1.running_mean",
        ),
        (lambda: nn.Sequential(nn.Dropout(0.1), nn.Linear(4, 3)), "draws random numbers"),
        (lambda: Drops(4, 3), "draws random numbers"),
        (lambda: Counts(4, 3), "buffers change in training \\(calls"),
        (lambda: Hides(4, 3), "tensor shift differs between seeds; .*register_buffer\\('shift'"),
        (lambda: Branches(4, 3), "torch.func.vmap cannot stack"),
    ],
)
def test_models_that_cannot_be_stacked_are_refused_and_trained_one_by_one(make, text):
    data, how = make_data(dtype=torch.float32), {"optimizer": OPTIMIZERS["SGD"], "max_steps": 2}
    with pytest.raises(InputError, match=text):
        together(make, data, **how)
    runs = train_seeds(make, nn.CrossEntropyLoss(), data, seeds=range(4), together=False, **how)
    assert torch.equal(runs.theta[3], alone(make, data, 3, **how).final_theta)


def test_where_stacking_is_known_to_fail_runs_are_trained_one_by_one():
    data = make_data(dtype=torch.float32)
    for make in (lambda: nn.Sequential(nn.Dropout(0.1), nn.Linear(4, 3)), lambda: Counts(4, 3)):
        runs = train_seeds(
            make, nn.CrossEntropyLoss(), data, seeds=range(4), optimizer=OPTIMIZERS["SGD"], max_steps=2
        )
        assert not runs.together
    plain = train_seeds(
        mlp, nn.CrossEntropyLoss(), data, seeds=range(4), optimizer=OPTIMIZERS["SGD"], max_steps=2
    )
    assert plain.together


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"optimizer": lambda p: torch.optim.LBFGS(p)}, "optimizer LBFGS"),
        ({"optimizer": torch.optim.SGD([torch.zeros(1)], lr=0.1)}, "made beforehand \\(SGD\\)"),
        ({"optimizer": None}, "made beforehand \\(NoneType\\)"),
        ({"data": [make_data()]}, "come in batches already"),
        ({"data": DataLoader(TensorDataset(*make_data()))}, "come in batches already"),
        ({"seeds": []}, "at least one"),
        ({"seeds": [1, 1]}, "different integers"),
        ({"max_steps": None}, "neither epochs nor max_steps"),
        ({"make_model": lambda: 3}, "returns a int"),
    ],
)
def test_bad_arguments(changes, text):
    how = {
        "make_model": mlp,
        "loss_fn": nn.CrossEntropyLoss(),
        "data": make_data(),
        "optimizer": OPTIMIZERS["SGD"],
        "seeds": SEEDS,
        "max_steps": 2,
    }
    with pytest.raises(InputError, match=text):
        train_together(**(how | changes))


@pytest.mark.parametrize("together", [True, False])
def test_stopped_early(together):
    stop = threading.Event()

    def heard(what, done, total):
        if what.startswith("train seeds") and done == (2 if together else 1):
            stop.set()

    with watching(stop=stop, listener=heard):
        runs = train_seeds(
            mlp,
            nn.CrossEntropyLoss(),
            make_data(),
            seeds=SEEDS,
            optimizer=OPTIMIZERS["SGD"],
            max_steps=5,
            together=together,
        )
    assert not runs.complete
    assert runs.loss.shape == ((3, 2) if together else (1, 5))
    assert len(runs.seeds) == len(runs.theta) == len(runs.loss)


def test_what_was_measured_decides():
    small, wide = nn.Linear(64, 10), nn.Linear(1000, 1000, device="meta")
    convolved = nn.Conv2d(1, 8, 3)
    assert pays_together(small, 8, 32)
    assert not pays_together(small, 1, 32)
    assert not pays_together(wide, 8, 1)
    assert not pays_together(nn.Linear(64, 512), 8, 256)
    assert pays_together(convolved, 8, 32)
    assert not pays_together(convolved, 8, 256)
