from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk


def zero_head(d, k=1):
    layer = nn.Linear(d, k).double()
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def regression(n=80, scales=(1.0, 5.0, 0.3), noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(1.0, 1.0, (n, len(scales))) * np.array(scales)
    y = X @ (1 / np.array(scales))[:, None] + noise * rng.normal(size=(n, 1))
    return torch.tensor(X), torch.tensor(y)


def steps_by_spectrum(X, y, lr, target, most):
    """First t with L_t <= target for L = mean (x w + b - y)^2 from 0, in closed form from the eigenvalues."""
    A = np.column_stack([X, np.ones(len(X))])
    values, vectors = np.linalg.eigh(2 * A.T @ A / len(A))
    best, *_ = np.linalg.lstsq(A, y[:, 0], rcond=None)
    lowest = np.mean((A @ best - y[:, 0]) ** 2)
    parts = values * (vectors.T @ best) ** 2 / 2
    t = np.arange(most + 1)
    losses = lowest + (parts[:, None] * (1 - lr * values[:, None]) ** (2 * t)).sum(0)
    return int(np.argmax(losses <= target)) if (losses <= target).any() else most


@pytest.mark.parametrize("kind", ["none", "min-max", "mean", "z-score", "unit-length"])
def test_steps_are_those_of_the_spectrum(kind):
    X, y = regression()
    make = partial(zero_head, 3)
    study = dk.feature_scaling_study(
        make, nn.MSELoss(), (X, y), target=0.05, lr=0.02, max_steps=120, seeds=range(2),
        kinds=sorted({"none", kind}), rates=["fixed", "1/lambda_max"],
    )  # fmt: skip
    frame = study.frame[study.frame["kind"] == kind]
    for row in frame.itertuples():
        chosen = torch.randperm(len(X), generator=torch.Generator().manual_seed(row.seed))[:64]
        scaling = dk.fit_scaling(X[chosen], kind)
        expected = steps_by_spectrum(scaling.apply(X[chosen]).numpy(), y[chosen].numpy(), row.lr, 0.05, 120)
        assert row.steps == expected
        assert row.condition == pytest.approx(scaling.condition_after), "of the training examples alone"
        if row.rate == "1/lambda_max":
            A = np.column_stack([scaling.apply(X[chosen]).numpy(), np.ones(64)])
            assert row.lambda_max == pytest.approx(2 * np.linalg.norm(A, 2) ** 2 / 64, rel=1e-3)
    assert set(frame["reached"]) <= {True, False}


def test_unequal_columns_gain_and_equal_ones_do_not():
    """Correlation 0.7 between columns of one scale is what no scaling of columns can mend."""
    rng = np.random.default_rng(0)
    X = torch.tensor(0.7**0.5 * rng.normal(size=(400, 1)) + 0.3**0.5 * rng.normal(size=(400, 3)))
    stretched = X * torch.tensor([1.0, 10.0, 0.5])
    y = X @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)
    verdicts = [
        dk.feature_scaling_study(
            partial(zero_head, 3), nn.MSELoss(), (data, y), target=0.01, lr=0.01, max_steps=100,
            kinds=["none", "z-score"], rates=["1/lambda_max"],
        ).verdicts[0].verdict
        for data in (stretched, X)
    ]  # fmt: skip
    assert verdicts == ["reproduced", "not reproduced"]


def test_where_no_run_arrives_nothing_is_claimed():
    X, y = regression()
    study = dk.feature_scaling_study(
        partial(zero_head, 3), nn.MSELoss(), (X, y), target=1e-9, lr=1e-4, max_steps=5,
        kinds=["none", "z-score"], rates=["fixed"],
    )  # fmt: skip
    assert study.verdicts[0].verdict == "inconclusive"
    assert "did not end in a number: 8" in study.verdicts[0].explanation
    assert (study.frame["steps"] == 5).all()


def test_a_run_that_diverges_has_not_arrived():
    X, y = regression(scales=(1.0, 100.0, 1.0))
    study = dk.feature_scaling_study(
        partial(zero_head, 3), nn.MSELoss(), (X, y), target=0.05, lr=0.1, max_steps=60,
        kinds=["none", "z-score"], rates=["fixed", "Adam"], adam_lr=0.3,
    )  # fmt: skip
    frame = study.frame.set_index(["kind", "rate"])
    assert not frame.loc[("none", "fixed"), "reached"].any()
    assert frame.loc[("z-score", "fixed"), "reached"].all()
    assert study.verdicts[0].verdict == "reproduced"
    assert "Adam" in study.verdicts[1].claim


def test_partial_and_price():
    X, y = regression()
    task = {"target": 0.05, "lr": 0.01, "kinds": ["none", "mean"], "rates": ["fixed"], "max_steps": 3}
    with dk.watching(budget=0.0):
        nothing = dk.feature_scaling_study(partial(zero_head, 3), nn.MSELoss(), (X, y), **task)
    assert not nothing.complete
    assert nothing.verdicts[0].verdict == "inconclusive"
    one = dk.feature_scaling_study(partial(zero_head, 3), nn.MSELoss(), (X, y), seeds=[0], **task)
    assert one.estimate(range(8)).runs == 14


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": ["z-score"]}, "none"),
        ({"kinds": ["none", "whitening"]}, "whitening"),
        ({"rates": ["tuned"]}, "tuned"),
        ({"target": 0.0}, "target"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_refused(change, message):
    X, y = regression()
    with pytest.raises(dk.InputError, match=message):
        dk.feature_scaling_study(
            partial(zero_head, 3), nn.MSELoss(), (X, y), **({"target": 0.1, "lr": 0.1} | change)
        )


def test_images_are_refused():
    with pytest.raises(dk.InputError, match="inputs"):
        dk.feature_scaling_study(
            nn.Flatten, nn.MSELoss(), (torch.ones(8, 2, 2), torch.ones(8)), target=1, lr=1
        )
