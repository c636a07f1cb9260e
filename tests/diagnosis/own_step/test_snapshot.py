"""What a step did is undone: bit for bit, also when it raises."""

import contextlib
import random

import numpy as np
import pytest
import torch
from torch import nn

from diagkit.diagnosis.own_step.observe import observe
from diagkit.diagnosis.own_step.reach import reachable
from diagkit.diagnosis.own_step.snapshot import restored
from leave_no_trace import Ward, Witness

ERRORS = {"error": RuntimeError("the fuse has burnt"), "interrupt": KeyboardInterrupt("the fuse has burnt")}


def step_of(ward, log=None, momenta=None):
    """A step that changes whatever a step can."""

    def step(batch):
        inputs, targets = batch
        ward.model.train()
        ward.optimizer.zero_grad()
        ward.loss_fn(ward.model(inputs), targets).backward()
        ward.model.frozen.weight.data.mul_(1.1)
        ward.optimizer.step()
        ward.optimizer.param_groups[0]["lr"] *= 0.9
        ward.model.out.register_forward_hook(lambda *_: None)
        ward.model.note = "new"
        ward.model.frozen.requires_grad_(True)
        random.random()
        np.random.random()  # noqa: NPY002
        if log is not None:
            log.append(1)
            momenta["all"].mul_(0.5)

    return step


def batches(ward):
    while True:
        yield from ward.loader


def test_the_ward_is_as_before():
    ward = Ward()
    ward.optimizer.zero_grad()
    witness = Witness(ward)
    log, momenta = [], {"all": torch.ones(3)}
    generator = ward.loader.generator.get_state()
    books = observe(ward.model, ward.optimizer, step_of(ward, log, momenta), batches(ward))
    ward.loader.generator.set_state(generator)
    assert books.calls == 4
    assert books.error == ""
    assert (books.of("moved") > 0).all()
    assert witness.changes() == []
    assert log == []
    assert momenta["all"].tolist() == [1.0] * 3
    assert not hasattr(ward.model, "note")
    assert len(ward.model.out._forward_hooks) == 0


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("call", [1, 3])
def test_a_step_that_raises(kind, call):
    ward = Ward()
    witness = Witness(ward)
    ward.fuse.arm(call, ERRORS[kind])
    generator = ward.loader.generator.get_state()
    with contextlib.suppress(KeyboardInterrupt):
        books = observe(ward.model, ward.optimizer, step_of(ward), batches(ward))
        assert kind == "error"
        assert "the fuse has burnt" in books.error
        assert not books.complete
    ward.loader.generator.set_state(generator)
    assert witness.changes() == []


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
        lambda p: torch.optim.Adagrad(p, lr=0.01),
        lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3, history_size=2),
    ],
)
def test_training_goes_on_as_if_nothing_had_been(make):
    X = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))

    def run(disturbed):
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
        optimizer = make(net.parameters())
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
        lbfgs = isinstance(optimizer, torch.optim.LBFGS)

        def step(batch):
            def closure():
                optimizer.zero_grad()
                loss = net(batch).square().mean()
                (loss if lbfgs else scaler.scale(loss)).backward()
                return loss

            if lbfgs:
                optimizer.step(closure)
            else:
                closure()
                scaler.step(optimizer)
                scaler.update()
            schedule.step()

        for i in range(6):
            if i in disturbed:
                books = observe(net, optimizer, step, iter([X] * 4))
                assert books.calls == 4
                assert books.scheduler_steps == (1,) * 4
            step(X)
        return net.state_dict() | {"rate": torch.tensor(schedule.get_last_lr()), "scale": scaler.get_scale()}

    plain, disturbed = run(()), run((0, 3))
    for name, value in plain.items():
        assert value == disturbed[name] if isinstance(value, float) else torch.equal(value, disturbed[name])


def test_variables_that_a_step_sets():
    count, seen = 0, {"loss": [1.0]}

    class Trainer:
        def __init__(self):
            self.steps, self.net = 0, nn.Linear(2, 1)
            self.ema = {"weight": torch.ones(2)}

        def step(self, batch):
            nonlocal count
            count += 1
            self.steps += 1
            seen["loss"].append(float(batch.sum()))
            self.ema["weight"] = self.ema["weight"] * 0.9
            self.net.weight.data.zero_()

    trainer = Trainer()
    before = trainer.net.weight.detach().clone()
    generator = np.random.default_rng(0)
    stream = iter([1, 2])

    def step(batch):
        generator.random()
        next(stream)
        trainer.step(batch)

    state = generator.bit_generator.state
    with restored(step=step) as snapshot:
        step(torch.ones(2))
        assert (count, trainer.steps) == (1, 1)
    assert (count, trainer.steps, seen) == (0, 0, {"loss": [1.0]})
    assert torch.equal(trainer.net.weight, before)
    assert trainer.ema["weight"].tolist() == [1.0, 1.0]
    assert generator.bit_generator.state == state
    assert snapshot.lost == ["stream (list_iterator) cannot be wound back"]


def test_a_graph_that_waits_for_its_backward_pass_survives():
    net = nn.Linear(2, 1)
    waiting = (net(torch.ones(1, 2)) ** 2).sum()
    with restored(net=net), torch.no_grad():
        net.weight.add_(1.0)
    waiting.backward()
    assert torch.isfinite(net.weight.grad).all()


def test_data_sets_and_libraries_are_not_opened():
    data = torch.utils.data.TensorDataset(torch.ones(3))
    found = [item for _, item in reachable("step", lambda: (data, np))]
    assert data in [item for item in found if isinstance(item, torch.utils.data.Dataset)]
    assert not any(isinstance(item, torch.Tensor) for item in found)
