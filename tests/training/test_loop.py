"""The loop computes what the plain loop computes, and leaves everything else as it was."""

import random
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from diagkit import work
from diagkit.errors import InputError
from diagkit.training import StopTraining, train

torch.set_num_threads(1)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9)


def make_model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))


def make_data(n=70, seed=1):
    g = torch.Generator().manual_seed(seed)
    X = torch.randn(n, 3, generator=g)
    return X, X.sum(1, keepdim=True) + 0.1 * torch.randn(n, 1, generator=g)


def numpy_state():
    return np.random.get_state()[1].tobytes()  # noqa: NPY002


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def by_hand(model, X, y, *, epochs, seed, batch_size=32, schedule=None):
    """The loop that everyone writes."""
    optimizer = sgd(model.parameters())
    scheduler = schedule(optimizer) if schedule else None
    order = torch.Generator().manual_seed(seed)
    losses = []
    torch.manual_seed(seed)
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(X), generator=order).split(batch_size):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(X[chosen]), y[chosen])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if scheduler:
                scheduler.step()
    return losses


@pytest.mark.parametrize("seed", [0, 5])
def test_bit_for_bit_the_loop_by_hand(seed):
    def schedule(optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)

    X, y = make_data()
    mine, hand = make_model(), make_model()
    losses = by_hand(hand, X, y, epochs=4, seed=seed, schedule=schedule)
    run = train(mine, nn.MSELoss(), (X, y), optimizer=sgd, epochs=4, seed=seed, scheduler=schedule)
    np.testing.assert_array_equal(run.history.loss, losses)
    for (name, a), b in zip(hand.state_dict().items(), mine.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert torch.equal(run.final_theta, flat(mine))
    assert run.steps == len(losses) == 12
    assert (run.ended_by, run.epochs, run.complete) == ("epochs", 4, True)
    assert run.history.source == "train"
    assert run.history.lr[0] == 0.05
    assert run.history.lr[-1] < 0.05
    assert np.isfinite(run.history.grad_norm).all()


def test_same_seed_same_run_and_observers_change_nothing():
    X, y = make_data()
    runs = []
    noisy = [lambda info: torch.rand(3), lambda info: info.model.eval() and None]
    val_loader = DataLoader(TensorDataset(*make_data(20, seed=2)), batch_size=7, shuffle=True)
    for seed, extra in (
        (3, {}),
        (3, {"val_data": make_data(20, seed=2)}),
        (3, {"val_data": val_loader, "callbacks": noisy}),
        (4, {}),
    ):
        torch.rand(seed)  # the caller's random state plays no part
        runs.append(
            train(make_model(), nn.MSELoss(), (X, y), optimizer=sgd, max_steps=10, seed=seed, **extra)
        )
    for other in runs[1:3]:
        np.testing.assert_array_equal(runs[0].history.loss, other.history.loss)
        assert torch.equal(runs[0].final_theta, other.final_theta)
    assert not torch.equal(runs[0].final_theta, runs[3].final_theta)


def test_all_forms_of_data_give_the_same_run():
    X, y = make_data(64)
    order = torch.Generator().manual_seed(0)
    batches = [(X[i], y[i]) for i in torch.randperm(64, generator=order).split(16)]

    class Pairs(Dataset):
        def __len__(self):
            return 64

        def __getitem__(self, i):
            return X[i], y[i]

    forms = [
        ((X, y), 16),
        ([X, y], 16),
        ((X.numpy().astype(np.float64), y.numpy()), 16),  # dtype follows the model
        (TensorDataset(X, y), 16),
        (Pairs(), 16),
        (batches, None),
    ]
    thetas = [
        train(make_model(), nn.MSELoss(), data, optimizer=sgd, epochs=1, batch_size=size).final_theta
        for data, size in forms
    ]
    for theta in thetas[1:]:
        torch.testing.assert_close(theta, thetas[0], rtol=0, atol=1e-6)
    for i in (1, 3, 4, 5):
        assert torch.equal(thetas[i], thetas[0]), i


def test_a_loader_is_read_as_it_would_be_by_hand():
    X, y = make_data()
    loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)
    mine, hand = make_model(), make_model()
    optimizer = sgd(hand.parameters())
    torch.manual_seed(4)
    for _ in range(3):
        for x, target in loader:
            optimizer.zero_grad()
            nn.functional.mse_loss(hand(x), target).backward()
            optimizer.step()
    run = train(mine, nn.MSELoss(), loader, optimizer=sgd, epochs=3, seed=4)
    assert torch.equal(run.final_theta, flat(hand))


def test_many_inputs():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(()))

        def forward(self, a, b):
            return self.w * (a + b)

    a, b = torch.ones(6), 2 * torch.ones(6)
    make = lambda p: torch.optim.SGD(p, lr=0.05)  # noqa: E731
    for X in ((a, b), {"a": a, "b": b}):
        run = train(Sum(), nn.MSELoss(), (X, 6 * torch.ones(6)), optimizer=make, max_steps=60)
        assert float(run.final_theta) == pytest.approx(2.0, abs=1e-4)


def test_the_caller_keeps_state_and_modes():
    model, (X, y) = make_model(), make_data()
    model.eval()
    model[0].train()
    generator = torch.Generator().manual_seed(9)
    loader = DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True, generator=generator)
    before = (
        random.getstate(),
        numpy_state(),
        torch.get_rng_state(),
        generator.get_state(),
    )
    first = train(model, nn.MSELoss(), loader, optimizer=sgd, epochs=2, val_data=(X, y))

    def broken(info):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(model, nn.MSELoss(), loader, optimizer=sgd, epochs=2, callbacks=broken)
    assert [m.training for m in model] == [True, False, False, False, False]
    assert not model.training
    assert random.getstate() == before[0]
    assert numpy_state() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert torch.equal(generator.get_state(), before[3])
    again = train(make_model(), nn.MSELoss(), loader, optimizer=sgd, epochs=2)
    np.testing.assert_array_equal(first.history.loss, again.history.loss)


def test_works_where_gradients_are_switched_off():
    with torch.no_grad():
        run = train(make_model(), nn.MSELoss(), make_data(), optimizer=sgd, epochs=1)
        assert not torch.is_grad_enabled()
    assert run.steps == 3


def test_validation_and_the_best_point():
    model, (X, y), held_out = make_model(), make_data(), make_data(21, seed=2)
    seen = []

    def remember(info):
        if info.step % 3 == 2:
            seen.append(flat(info.model).clone())

    run = train(model, nn.MSELoss(), (X, y), optimizer=sgd, epochs=6, val_data=held_out, callbacks=[remember])
    assert list(run.history.val_step) == [2, 5, 8, 11, 14, 17]
    best = int(np.argmin(run.history.val_loss))
    assert run.best_loss == run.history.val_loss[best]
    assert run.best_step == 3 * (best + 1)
    assert torch.equal(run.best_theta, seen[best])
    assert run.best_theta.device.type == "cpu"
    assert not run.best_theta.requires_grad
    model.eval()
    with torch.no_grad():  # the last validation, over 21 examples in one go
        assert run.history.val_loss[-1] == pytest.approx(
            nn.functional.mse_loss(model(held_out[0]), held_out[1]).item()
        )


def test_best_point_without_validation_is_the_best_epoch():
    run = train(make_model(), nn.MSELoss(), make_data(), optimizer=sgd, max_steps=10)
    sizes, losses = np.array([32, 32, 6]), run.history.loss[:9].reshape(3, 3)
    means = losses @ sizes / 70
    assert run.best_loss == pytest.approx(means.min())
    assert run.best_step == 3 * (int(np.argmin(means)) + 1)
    assert (run.ended_by, run.epochs, run.steps) == ("max_steps", 3, 10)
    short = train(make_model(), nn.MSELoss(), make_data(), optimizer=sgd, max_steps=1)
    assert (short.best_step, short.best_loss) == (1, short.history.loss[0])


@pytest.mark.parametrize(
    ("epochs", "max_steps", "steps"), [(2, None, 6), (None, 7, 7), (2, 100, 6), (100, 4, 4)]
)
def test_the_end_that_comes_first(epochs, max_steps, steps):
    run = train(make_model(), nn.MSELoss(), make_data(), optimizer=sgd, epochs=epochs, max_steps=max_steps)
    assert run.steps == steps == run.history.num_steps


def test_schedulers():
    def lrs(**options):
        run = train(make_model(), nn.MSELoss(), make_data(), optimizer=sgd, epochs=3, **options)
        return list(np.round(run.history.lr / 0.05, 6))

    halve = lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)  # noqa: E731
    assert lrs(scheduler=halve) == [round(0.5**t, 6) for t in range(9)]
    assert lrs(scheduler=halve, scheduler_step="epoch") == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]

    def plateau(optimizer):  # the second epoch is never better than the first
        return torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode="max", factor=0.5, patience=0, threshold=1e3, threshold_mode="abs"
        )

    for extra in ({}, {"val_data": make_data(10)}):
        assert lrs(scheduler=plateau, **extra) == [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5]


def test_a_callback_ends_the_run():
    def by_value(info):
        return info.step == 4

    class Observer:
        def on_step(self, info):
            assert info.optimizer.param_groups
            if info.step == 4:
                raise StopTraining

    for callbacks in (by_value, [by_value], Observer(), [Observer()]):
        run = train(make_model(), nn.MSELoss(), make_data(), optimizer=sgd, epochs=9, callbacks=callbacks)
        assert (run.steps, run.ended_by, run.complete) == (5, "callback", True)
        assert "callback" in run.history.notes[0]


def test_a_stop_button_returns_what_there_is():
    stop, told = threading.Event(), []

    def press(info):
        if info.step == 3:
            stop.set()

    with work.watching(stop=stop, listener=lambda what, done, total: told.append((done, total))):
        run = train(make_model(), nn.MSELoss(), make_data(), optimizer=sgd, epochs=9, callbacks=press)
    assert (run.steps, run.ended_by, run.complete) == (4, "interrupted", False)
    assert told == [(i, 27) for i in range(5)]
    with work.watching(budget=0.0):
        nothing = train(make_model(), nn.MSELoss(), make_data(), optimizer=sgd, epochs=9)
    assert (nothing.steps, nothing.complete) == (0, False)
    assert torch.equal(nothing.best_theta, nothing.final_theta)
    assert "interrupted" in repr(nothing)


def test_a_loss_that_is_not_finite_ends_the_run_before_it_does_harm():
    X, y = make_data(96)
    y = y.clone()
    y[torch.randperm(96, generator=torch.Generator().manual_seed(0))[40]] = float(
        "inf"
    )  # in the second batch
    model = make_model()
    run = train(model, nn.MSELoss(), (X, y), optimizer=sgd, epochs=2)
    assert (run.steps, run.ended_by) == (1, "non-finite loss")
    assert run.history.first_non_finite == 1
    assert run.history.num_steps == 2
    assert run.history.notes == ("training was ended: the loss is inf at step 1",)
    assert torch.isfinite(flat(model)).all()
    on = train(make_model(), nn.MSELoss(), (X, y), optimizer=sgd, epochs=2, stop_on_non_finite=False)
    assert on.steps == 6
    assert on.history.first_non_finite == 1
    assert np.isnan(on.history.loss[2:]).all()


def test_an_optimizer_that_needs_a_closure():
    X, y = make_data()
    model = nn.Linear(3, 1)
    run = train(model, nn.MSELoss(), (X, y), optimizer=torch.optim.LBFGS, max_steps=8, batch_size=70)
    assert run.history.num_steps == run.steps == 8
    assert run.history.loss[-1] < 0.02


def test_oddities_are_noted():
    model, other = make_model(), make_model()
    wrong = sgd(other.parameters())
    run = train(model, nn.MSELoss(), make_data(), optimizer=wrong, epochs=1)
    assert "holds none of the model's 6 trainable tensors" in run.history.notes[0]
    right = sgd(model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(wrong, 1)
    wrong.step()  # else torch warns of it first
    run = train(model, nn.MSELoss(), make_data(), optimizer=right, scheduler=scheduler, epochs=1)
    assert "another optimizer" in run.history.notes[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"epochs": None}, "neither epochs nor max_steps"),
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": 1.5}, "epochs=1.5"),
        ({"max_steps": True}, "max_steps=True"),
        ({"seed": None}, "seed=None"),
        ({"model": "net"}, "model of type str"),
        ({"loss_fn": "mse"}, "loss_fn='mse'"),
        ({"optimizer": "sgd"}, "optimizer='sgd'"),
        ({"optimizer": lambda p: 3}, "returned a int"),
        ({"scheduler": "cosine"}, "scheduler='cosine'"),
        ({"scheduler_step": "batch"}, "scheduler_step='batch'"),
        ({"callbacks": [3]}, "callback of type int"),
        ({"model": nn.Linear(3, 1).requires_grad_(False)}, "none of them trainable"),
        ({"model": nn.LazyLinear(1)}, "uninitialized"),
        ({"loss_fn": nn.MSELoss(reduction="none")}, "loss of shape"),
        ({"loss_fn": lambda a, b: 1.0}, "loss of type float"),
        ({"loss_fn": lambda a, b: torch.zeros(())}, "does not depend"),
        ({"data": torch.ones(3, 3)}, "data of type Tensor"),
        ({"data": (torch.ones(0, 3), torch.ones(0, 1))}, "empty data"),
        ({"data": (torch.ones(4, 3), torch.ones(3, 1))}, "inputs with 4 examples and targets with 3"),
        ({"data": []}, "empty data"),
        ({"data": iter([(torch.ones(4, 3), torch.ones(4, 1))])}, "read only once"),
        ({"data": [torch.ones(4, 3)]}, "a batch of data that is a Tensor"),
        ({"data": [(torch.ones(4, 3),) * 3]}, "a batch of data that is a tuple of 3 parts"),
        ({"val_data": []}, "empty val_data"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"data": [(torch.ones(4, 3), torch.ones(4, 1))], "batch_size": 2}, "in batches already"),
        ({"data": (b for b in [1])}, "read only once"),
    ],
)
def test_bad_input_is_named(change, text):
    arguments = {
        "model": make_model(),
        "loss_fn": nn.MSELoss(),
        "data": make_data(),
        "optimizer": sgd,
        "epochs": 1,
    } | change
    state = torch.get_rng_state()
    with pytest.raises(InputError, match=text):
        train(arguments.pop("model"), arguments.pop("loss_fn"), arguments.pop("data"), **arguments)
    assert torch.equal(state, torch.get_rng_state())


def test_data_that_run_dry_are_named():
    class Once:
        def __init__(self):
            self.left = [(torch.ones(4, 3), torch.ones(4, 1))]

        def __iter__(self):
            while self.left:
                yield self.left.pop()

    with pytest.raises(InputError, match="without a batch in this epoch"):
        train(make_model(), nn.MSELoss(), Once(), optimizer=sgd, epochs=2)


@pytest.mark.gpu
def test_the_device_follows_the_model():
    cpu = train(nn.Linear(3, 1), nn.MSELoss(), make_data(), optimizer=sgd, epochs=1)
    state = torch.cuda.get_rng_state()
    model = make_model().to("cuda")
    run = train(model, nn.MSELoss(), make_data(), optimizer=sgd, epochs=2, val_data=make_data(9))
    assert run.final_theta.device.type == cpu.final_theta.device.type == "cpu"
    assert torch.equal(state, torch.cuda.get_rng_state())
    again = train(make_model().to("cuda"), nn.MSELoss(), make_data(), optimizer=sgd, epochs=2)
    np.testing.assert_array_equal(run.history.loss, again.history.loss)
