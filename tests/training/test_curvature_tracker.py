"""Tracked values are the eigenvalues of the live model's Hessian, and the run does not notice."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import diagkit as dk
from diagkit.plots import draw
from oracles import dense_hessian, digits, randn

X, Y = digits()[0][:120].float(), digits()[1][:120]


def net(dropout=0.0, norm=False):
    torch.manual_seed(1)
    middle = [nn.BatchNorm1d(6)] if norm else []
    return nn.Sequential(nn.Linear(64, 6), *middle, nn.ReLU(), nn.Dropout(dropout), nn.Linear(6, 10))


def sgd(model, **options):
    return torch.optim.SGD(model.parameters(), **{"lr": 0.1, "momentum": 0.9, **options})


class Dense:
    """The whole spectrum at each step, as a callback."""

    def __init__(self, model):
        self.model, self.values = model, []

    def __call__(self, info):
        twin = net().double()
        twin.load_state_dict(self.model.state_dict())
        H = dense_hessian(twin.eval(), F.cross_entropy, (X.double(), Y))
        self.values.append(np.linalg.eigvalsh(H.numpy())[::-1][:2])


@pytest.mark.parametrize("seed", range(2))
def test_values_against_the_dense_hessian_at_each_step(seed):
    model = net()
    optimizer, dense = sgd(model), Dense(model)
    tracker = dk.CurvatureTracker(
        (model, nn.CrossEntropyLoss(), (X, Y)), k=2, every=1, optimizer=optimizer, seed=seed
    )
    dk.train(
        model, nn.CrossEntropyLoss(), (X, Y), optimizer=optimizer, max_steps=6, callbacks=[tracker, dense]
    )
    track = tracker.track
    assert track.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert track.converged.all()
    assert (np.abs(track.values - dense.values) <= track.residuals).all()
    assert (track.residuals <= 0.011 * track.values).all()
    np.testing.assert_allclose(track.limits, 3.8 / 0.1)
    np.testing.assert_allclose(track.ratios, track.values[:, 0] * 0.1 / 3.8)
    assert track.num_hvps == track.products.sum() == tracker.objective.meter.num_hvps
    assert track.num_examples == 120


def test_adam_is_measured_preconditioned():
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    tracker = dk.CurvatureTracker((model, nn.CrossEntropyLoss(), (X, Y)), every=3, optimizer=optimizer)
    dk.train(model, nn.CrossEntropyLoss(), (X, Y), optimizer=optimizer, max_steps=4, callbacks=[tracker])
    here = dk.Objective(model, nn.CrossEntropyLoss(), (X, Y))
    expected = dk.stability(here, optimizer)
    track = tracker.track
    assert track.steps.tolist() == [1, 4]
    assert track.preconditioned
    assert track.limits[-1] == expected.limit == pytest.approx(38 / 1e-2)
    assert track.values[-1, 0] == pytest.approx(expected.sharpness, abs=track.residuals[-1, 0])


def run(tracked, dropout, make_loop):
    model = net(dropout, norm=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(7)
    loader = DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True, generator=generator)
    tracker = None
    if tracked:
        tracker = dk.CurvatureTracker((model, nn.CrossEntropyLoss(), loader), every=2, optimizer=optimizer)
    make_loop(model, optimizer, loader, tracker)
    state = [t.clone() for t in model.state_dict().values()]
    random = torch.get_rng_state(), torch.as_tensor(np.random.rand()), generator.get_state()  # noqa: NPY002
    return [*state, *random], tracker


def own_loop(model, optimizer, loader, tracker):
    for _ in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if tracker is not None:
                tracker.step()


def our_loop(model, optimizer, loader, tracker):
    callbacks = [] if tracker is None else [tracker]
    dk.train(model, nn.CrossEntropyLoss(), loader, optimizer=optimizer, epochs=2, callbacks=callbacks)


@pytest.mark.parametrize("loop", [own_loop, our_loop])
def test_the_run_is_the_same_bit_for_bit(loop):
    """Weights, BatchNorm's statistics, random state and data order, with dropout and a shuffling loader."""
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    plain, _ = run(False, 0.5, loop)
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    tracked, tracker = run(True, 0.5, loop)
    assert len(tracker.track.steps) == 8
    assert all(torch.equal(a, b) for a, b in zip(plain, tracked, strict=True))


def test_batchnorm_statistics_are_those_of_the_moment():
    model = net(norm=True)
    tracker = dk.CurvatureTracker((model, nn.CrossEntropyLoss(), (X, Y)), every=1)
    for _ in range(3):
        model(3 * X)  # moves the statistics, nothing else
    tracker.step()
    here = dk.Objective(model, nn.CrossEntropyLoss(), (X, Y))
    expected = dk.hessian_eigenvalues(here, 1)
    assert tracker.track.values[0, 0] == pytest.approx(
        expected.values[0], abs=tracker.track.residuals[0, 0] + expected.residuals[0]
    )


def test_same_seed_same_answer():
    def once():
        model = net()
        tracker = dk.CurvatureTracker((model, nn.CrossEntropyLoss(), (X, Y)), every=2, max_examples=50)
        optimizer = sgd(model)
        dk.train(model, nn.CrossEntropyLoss(), (X, Y), optimizer=optimizer, max_steps=5, callbacks=[tracker])
        assert tracker.track.num_examples == 50
        return tracker.track.values

    assert np.array_equal(once(), once())


def test_an_objective_is_taken_and_thinned():
    model = net()
    obj = dk.Objective(model, nn.CrossEntropyLoss(), (X, Y))
    assert dk.CurvatureTracker(obj, max_examples=40).objective.num_examples == 40
    assert dk.CurvatureTracker(obj, max_examples=None).objective.num_examples == 120


def test_a_run_that_diverges_is_not_ended_by_its_watcher():
    model = net()
    tracker = dk.CurvatureTracker((model, nn.CrossEntropyLoss(), (X, Y)), every=1, optimizer=sgd(model))
    tracker.step()
    with torch.no_grad():
        model[0].weight.fill_(float("nan"))
    tracker.step()
    torch.manual_seed(1)
    model.load_state_dict(net().state_dict())
    tracker.step()
    track = tracker.track
    assert np.isnan(track.values[1]).all()
    assert track.converged.tolist() == [[True], [False], [True]]
    assert track.values[2, 0] == pytest.approx(track.values[0, 0], rel=1e-2)
    draw(track)


def test_warm_starts_cost_less():
    def products(tracker, model):
        slow = sgd(model, lr=0.01)
        dk.train(model, nn.CrossEntropyLoss(), (X, Y), optimizer=slow, max_steps=9, callbacks=[tracker])
        return tracker.track.products

    model = net()
    warm = products(dk.CurvatureTracker((model, nn.CrossEntropyLoss(), (X, Y)), every=1), model)
    assert warm[1:].mean() <= 0.75 * warm[0]


def test_table_text_and_picture(tmp_path):
    model = net()
    tracker = dk.CurvatureTracker((model, nn.CrossEntropyLoss(), (X, Y)), k=2, optimizer=sgd(model))
    assert repr(tracker.track) == "CurvatureTrack(measurements=0)"
    tracker.track.plot()
    tracker.step()
    tracker.measure()
    track = tracker.track
    assert track.steps.tolist() == [1, 1]
    assert list(track.to_frame().columns) == [
        "value_1", "residual_1", "value_2", "residual_2", "converged", "limit", "ratio", "products",
    ]  # fmt: skip
    drawn = track.plot()
    assert drawn.artists["limit"].get_ydata().tolist() == track.limits.tolist()
    np.testing.assert_array_equal(drawn.artists["value_2"][0].get_ydata(), track.values[:, 1])


DATA = (X, Y)
REFUSED = {
    "a model": (lambda m: dk.CurvatureTracker(m), "a Sequential"),
    "k": (lambda m: dk.CurvatureTracker((m, nn.CrossEntropyLoss(), DATA), k=0), "k = 0"),
    "large k": (lambda m: dk.CurvatureTracker((m, nn.CrossEntropyLoss(), DATA), k=10**6), "<= P = 460"),
    "every": (lambda m: dk.CurvatureTracker((m, nn.CrossEntropyLoss(), DATA), every=0), "every = 0"),
    "tol": (lambda m: dk.CurvatureTracker((m, nn.CrossEntropyLoss(), DATA), tol=0), "tol = 0"),
    "max_hvps": (lambda m: dk.CurvatureTracker((m, nn.CrossEntropyLoss(), DATA), max_hvps=1), "max_hvps = 1"),
    "optimizer": (
        lambda m: dk.CurvatureTracker(
            (m, nn.CrossEntropyLoss(), DATA), optimizer=torch.optim.NAdam(m.parameters())
        ),
        "NAdam",
    ),
    "its optimizer": (
        lambda m: dk.CurvatureTracker(
            (m, nn.CrossEntropyLoss(), DATA), optimizer=torch.optim.SGD([randn(2).requires_grad_()], lr=1.0)
        ).step(),
        "holds none",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_words(name):
    call, words = REFUSED[name]
    with pytest.raises(dk.InputError, match=words):
        call(net())
