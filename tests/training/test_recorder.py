"""The recorder sees everything and touches nothing."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from diagkit.errors import InputError
from diagkit.training import Recorder


def make(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 1))
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def numpy_state():
    return np.random.get_state()[1].tobytes()  # noqa: NPY002


def loop(model, optimizer, recorder=None, steps=12, early=False):
    torch.manual_seed(1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    losses, norms, rates = [], [], []
    for step in range(steps):
        x = torch.randn(16, 4)
        optimizer.zero_grad()
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item())
        rates.append(optimizer.param_groups[0]["lr"])
        if recorder is not None and early:
            recorder.log(loss=loss)
        optimizer.step()
        if recorder is not None and not early:
            recorder.log(loss=loss)
        scheduler.step()
        if recorder is not None and step % 4 == 3:
            recorder.log(val_loss=step / 10, val_accuracy=torch.tensor(0.5))
    return losses, norms, rates


@pytest.mark.parametrize("early", [True, False])
def test_what_it_writes_is_what_happened(early):
    model, optimizer = make()
    recorder = Recorder(model, optimizer)
    losses, norms, rates = loop(model, optimizer, recorder, early=early)
    history = recorder.history
    assert history.source == "recorder"
    np.testing.assert_array_equal(history.step, np.arange(12))
    np.testing.assert_array_equal(history.loss, losses)
    np.testing.assert_array_equal(history.lr, rates)
    np.testing.assert_allclose(history.grad_norm, norms, rtol=1e-5)
    np.testing.assert_array_equal(history.val_step, [3, 7, 11])
    np.testing.assert_array_equal(history.val_loss, [0.3, 0.7, 1.1])
    np.testing.assert_array_equal(history.series["val_accuracy"], [0.5] * 3)
    assert history.first_non_finite is None


def test_it_leaves_no_trace():
    plain, watched = make(), make()
    loop(*plain)
    before = random.getstate(), numpy_state(), torch.get_rng_state()
    recorder = Recorder(*watched)
    loop(*watched, recorder)
    assert random.getstate() == before[0]
    assert numpy_state() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])  # both loops draw the same
    for (name, a), b in zip(plain[0].state_dict().items(), watched[0].state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    for p, q in zip(plain[0].parameters(), watched[0].parameters(), strict=True):
        assert torch.equal(p.grad, q.grad)
    assert not any(
        m._forward_hooks or m._backward_hooks or m._forward_pre_hooks for m in watched[0].modules()
    )
    assert plain[1].state_dict()["param_groups"] == watched[1].state_dict()["param_groups"]


def test_the_loss_is_a_copy():
    model, optimizer = make()
    recorder, loss = Recorder(model, optimizer), torch.tensor(2.0)
    recorder.log(loss=loss)
    loss += 1.0
    assert recorder.history.loss[0] == 2.0


def test_gradient_norm_where_there_is_none():
    model, optimizer = make()
    recorder = Recorder(model, optimizer)
    recorder.log(loss=1.0)
    model(torch.ones(4, 4)).sum().backward()
    recorder.log(loss=1.0)
    recorder.log(loss=1.0, grad_norm=7.0)
    norm = recorder.history.grad_norm
    assert np.isnan(norm[0])
    assert norm[1] > 0
    assert norm[2] == 7.0


def test_gradient_norm_at_a_cadence():
    model, optimizer = make()
    recorder = Recorder(model, optimizer, every=3)
    loop(model, optimizer, recorder, steps=7)
    np.testing.assert_array_equal(np.isfinite(recorder.history.grad_norm), [1, 0, 0, 1, 0, 0, 1])


def test_gradient_norm_of_half_precision_and_sparse_gradients():
    model = nn.Embedding(5, 2, sparse=True)
    recorder = Recorder(model, torch.optim.SGD(model.parameters(), lr=0.1))
    (3 * model(torch.tensor([1, 1]))).sum().backward()
    recorder.log(loss=1.0)
    half = nn.Linear(1, 1, bias=False).half()
    half.weight.grad = torch.full((1, 1), 3e4, dtype=torch.float16)
    other = Recorder(half, torch.optim.SGD(half.parameters(), lr=0.1))
    other.log(loss=1.0)
    assert recorder.history.grad_norm[0] == pytest.approx(6 * 2**0.5)
    assert other.history.grad_norm[0] == pytest.approx(3e4, rel=1e-3)


def test_groups_that_differ():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1))
    groups = [{"params": m.parameters(), "lr": rate} for m, rate in zip(model, (0.1, 0.1, 0.01), strict=True)]
    recorder = Recorder(model, torch.optim.SGD(groups))
    recorder.log(loss=1.0)
    history = recorder.history
    assert "lr_1" not in history.series
    assert history.series["lr_2"][0] == 0.01


def test_learning_rate_that_is_a_tensor():
    model = nn.Linear(1, 1)
    rate = torch.tensor(0.5)
    recorder = Recorder(model, torch.optim.Adam(model.parameters(), lr=rate, capturable=False, foreach=False))
    recorder.log(loss=1.0)
    rate.fill_(0.25)
    recorder.log(loss=1.0)
    np.testing.assert_array_equal(recorder.history.lr, [0.5, 0.25])


def test_steps_that_are_given_and_early_values():
    model, optimizer = make()
    recorder = Recorder(model, optimizer)
    recorder.log(val_loss=3.0)
    recorder.log(temperature=0.5)
    recorder.log(loss=2.0, step=10)
    recorder.log(loss=1.0, step=20, extra=None)
    recorder.log(loss=0.5)
    recorder.log(temperature=0.7)
    history = recorder.history
    np.testing.assert_array_equal(history.step, [10, 20, 21])
    np.testing.assert_array_equal(history.val_step, [0])
    np.testing.assert_array_equal(history.series["temperature"], [0.5, np.nan, 0.7])
    assert len(recorder) == 3
    with pytest.raises(InputError, match="step=5 after step 21"):
        recorder.log(loss=1.0, step=5)
    assert len(recorder) == 3


def test_a_loss_that_is_not_finite_is_known():
    model, optimizer = make()
    recorder = Recorder(model, optimizer)
    for loss in (1.0, torch.tensor(float("nan")), 0.5):
        recorder.log(loss=loss)
    history = recorder.history
    assert history.first_non_finite == 1
    assert history.notes == ("the loss is nan at step 1",)


def test_an_empty_history():
    history = Recorder(*make()).history
    assert history.num_steps == 0
    assert history.first_non_finite is None
    assert repr(history) == "History(steps=0)"
    assert len(history.to_frame()) == 0


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "without a value"),
        ({"loss": torch.ones(3)}, r"loss of shape \(3,\)"),
        ({"loss": "1.0"}, "loss of type str"),
        ({"loss": [1.0, 2.0]}, "loss of type list"),
        ({"loss": 1.0, "accuracy": torch.ones(2)}, "accuracy of shape"),
        ({"val_loss": torch.ones(2)}, "val_loss of shape"),
        ({"loss": 1.0, "step": -1}, "step=-1"),
        ({"loss": 1.0, "step": 1.5}, "step=1.5"),
        ({"val_loss": 1.0, "step": 3}, "without loss"),
        ({"loss": 1.0, "val_step": 3}, "val_step"),
    ],
)
def test_bad_values_are_named_and_nothing_is_logged(values, text):
    recorder = Recorder(*make())
    with pytest.raises(InputError, match=text):
        recorder.log(**values)
    assert recorder.history.num_steps == 0


def test_bad_arguments_are_named():
    model, optimizer = make()
    with pytest.raises(InputError, match="model of type SGD"):
        Recorder(optimizer, model)
    with pytest.raises(InputError, match="optimizer of type Sequential"):
        Recorder(model, model)
    for every in (0, 1.5, True):
        with pytest.raises(InputError, match="every="):
            Recorder(model, optimizer, every=every)


def test_values_that_wait_are_fetched_in_order(monkeypatch):
    """As on an accelerator: every value stays a tensor until it is asked for."""
    as_tensor = lambda value, name: None if value is None else torch.as_tensor(value)  # noqa: E731
    monkeypatch.setattr("diagkit.training.recorder._scalar", as_tensor)
    monkeypatch.setattr("diagkit.training.recorder.PENDING", 7)
    model, optimizer = make()
    recorder = Recorder(model, optimizer)
    losses = [1.0 / (t + 1) for t in range(20)]
    for t, loss in enumerate(losses):
        recorder.log(loss=torch.tensor(loss, dtype=torch.float64))
        if t % 5 == 4:
            recorder.log(val_loss=float(t))
    np.testing.assert_array_equal(recorder.history.loss, losses)
    np.testing.assert_array_equal(recorder.history.val_loss, [4, 9, 14, 19])
    np.testing.assert_allclose(recorder.history.lr, 0.1)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_values_on_the_device_are_fetched_late():
    model, _ = make()
    model = model.to("cuda")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder, losses = Recorder(model, optimizer), []
    for _ in range(300):
        optimizer.zero_grad()
        loss = model(torch.randn(8, 4, device="cuda")).square().mean()
        loss.backward()
        torch.cuda.set_sync_debug_mode("error")
        try:
            if len(recorder) < 100:  # before the first fetch no call may wait
                recorder.log(loss=loss)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        if len(losses) >= 100:
            recorder.log(loss=loss)
        losses.append(loss.item())
        optimizer.step()
    history = recorder.history
    np.testing.assert_array_equal(history.loss, losses)
    assert np.isfinite(history.grad_norm).all()
