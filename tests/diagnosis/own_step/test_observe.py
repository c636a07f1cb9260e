"""The books of observed steps, against loops whose faults are known."""

import math

import pytest
import torch
from torch import nn

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import Evidence
from diagkit.diagnosis.checks import (
    gradients_accumulate,
    gradients_discarded,
    loss_scale_collapsed,
    mode_left_in_eval,
    optimizer_stale_params,
    update_lost,
)
from diagkit.diagnosis.own_step.observe import observe, own_step
from diagkit.diagnosis.own_step.observer import minds_mode

X = torch.randn(32, 3, generator=torch.Generator().manual_seed(0))
DATA = (X, X.sum(1, keepdim=True))


def network(seed=0, drop=0.0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(drop), nn.Linear(5, 1))


def case_of(net, optimizer, step, data=DATA, **options):
    return Case(net, nn.MSELoss(), data, optimizer=optimizer, train_step=step, **options)


def loss_of(net, batch):
    return ((net(batch[0]) - batch[1]) ** 2).mean()


def sgd(net, **options):
    return torch.optim.SGD(net.parameters(), **({"lr": 0.1} | options))


def plain(net, optimizer, *, clear="before", every=1):
    done = 0

    def step(batch):
        nonlocal done
        if clear == "before" and done % every == 0:
            optimizer.zero_grad()
        (loss_of(net, batch) / every).backward()
        done += 1
        if clear == "between":
            optimizer.zero_grad(set_to_none=False)  # zeros, so that weight decay still acts
        if done % every == 0:
            optimizer.step()
            if clear == "after":
                optimizer.zero_grad()

    return step


def ask(check, case):
    evidence = check.measure(case)
    judgement = check.judge(evidence)
    assert check.answer(evidence, judgement).endswith(".")
    return judgement.verdict, evidence


@pytest.mark.parametrize("clear", ["before", "after"])
@pytest.mark.parametrize("every", [1, 4, 16])
def test_accumulation_on_purpose_is_no_fault(clear, every):
    net = network()
    case = case_of(net, sgd(net), plain(net, optimizer := sgd(net), clear=clear, every=every))
    case.optimizer = optimizer
    assert ask(gradients_accumulate, case)[0] in ("refuted", "undecided")
    assert ask(gradients_discarded, case)[0] == "refuted"
    books = own_step(case)
    assert len(books.updates) == (4 if every < 16 else 2)
    assert books.calls == (4 * every if every < 16 else 36)


def test_gradients_of_the_books_are_those_of_autograd():
    net = network().double()
    batch = (X.double(), DATA[1].double())
    optimizer = sgd(net)
    expected = torch.autograd.grad(loss_of(net, batch), list(net.parameters()))
    books = observe(net, optimizer, plain(net, optimizer), iter([batch]))
    size = math.sqrt(sum(float((g**2).sum()) for g in expected))
    assert books.of("after_backward")[0] == pytest.approx(size, rel=1e-12)
    assert books.of("at_step")[0] == pytest.approx(size, rel=1e-12)
    assert books.of("moved")[0] == pytest.approx(0.1 * size, rel=1e-12)
    rounding = books.rounding["0.weight"]
    assert rounding.along == pytest.approx(rounding.exact, rel=1e-9)
    assert rounding.unmoved == 0


def test_never_cleared(monkeypatch):
    monkeypatch.setattr(gradients_accumulate, "try_plain_loop", lambda case: None)
    net = network()
    optimizer = sgd(net, lr=0.01)
    verdict, evidence = ask(gradients_accumulate, case_of(net, optimizer, plain(net, optimizer, clear="")))
    assert verdict == "supported"
    assert evidence["share"] == 1.0
    assert evidence["updates"] == 3


def test_cleared_between_backward_and_step():
    net = network()
    optimizer = sgd(net, weight_decay=0.1)
    case = case_of(net, optimizer, plain(net, optimizer, clear="between"))
    verdict, evidence = ask(gradients_discarded, case)
    assert verdict == "supported"
    assert evidence["decay"] == pytest.approx(1.0, abs=1e-6)  # rounding of float32
    assert ask(gradients_accumulate, case)[0] == "refuted"


def test_a_closure_is_no_fault():
    net = network()
    lbfgs = torch.optim.LBFGS(net.parameters(), max_iter=4)

    def step(batch):
        def closure():
            lbfgs.zero_grad()
            loss = loss_of(net, batch)
            loss.backward()
            return loss

        lbfgs.step(closure)

    case = case_of(net, lbfgs, step)
    assert ask(gradients_accumulate, case)[0] == "refuted"
    assert ask(gradients_discarded, case)[0] == "refuted"


def test_two_networks_against_each_other():
    """The generator's backward pass leaves gradients in the critic, which clears them before its own."""
    maker, critic = network(1), nn.Linear(1, 1)
    mine, other = sgd(maker, lr=0.01), sgd(critic, lr=0.01)

    def step(batch):
        other.zero_grad()
        critic(maker(batch[0]).detach()).mean().backward()
        other.step()
        mine.zero_grad()
        (-critic(maker(batch[0])).mean()).backward()
        mine.step()

    for net, optimizer in ((maker, mine), (maker, other)):
        case = case_of(net, optimizer, step)
        for check in (gradients_accumulate, gradients_discarded, optimizer_stale_params):
            assert ask(check, case)[0] == "refuted"


def test_stale_parameters_with_and_without_the_step():
    old, net = network(1), network()
    optimizer = sgd(old)
    for step in (plain(net, optimizer), None):
        verdict, evidence = ask(optimizer_stale_params, case_of(net, optimizer, step))
        assert verdict == "supported"
        assert evidence["seen"] == (step is not None)


def test_a_replaced_head_and_partial_training():
    net = network()
    optimizer = sgd(net)
    net[3] = nn.Linear(5, 2)
    assert ask(optimizer_stale_params, case_of(net, optimizer, None))[0] == "supported"
    part = torch.optim.SGD(net[3].parameters(), lr=0.1)
    assert ask(optimizer_stale_params, case_of(net, part, None))[0] == "refuted"
    loss_weight = nn.Parameter(torch.ones(1))
    both = torch.optim.SGD([*net.parameters(), loss_weight], lr=0.1)
    assert ask(optimizer_stale_params, case_of(net, both, None))[0] == "refuted"


def test_views_of_a_flat_buffer_and_master_copies():
    net = network()
    flat = nn.Parameter(torch.cat([p.detach().flatten() for p in net.parameters()]))
    place = 0
    for p in net.parameters():
        p.data = flat.data[place : place + p.numel()].view_as(p)
        place += p.numel()
    assert ask(optimizer_stale_params, case_of(net, torch.optim.SGD([flat], lr=0.1), None))[0] == "refuted"
    net = network().to(torch.bfloat16)
    masters = [p.detach().float().requires_grad_() for p in net.parameters()]
    optimizer = torch.optim.SGD(masters, lr=0.5)

    def step(batch):
        loss_of(net, batch).backward()
        for p, master in zip(net.parameters(), masters, strict=True):
            master.grad, p.grad = p.grad.float(), None
        optimizer.step()
        with torch.no_grad():
            for p, master in zip(net.parameters(), masters, strict=True):
                p.copy_(master)

    # A head of one output has a bias of one entry; counterparts differ in dtype.
    data = tuple(part.to(torch.bfloat16) for part in DATA)
    assert ask(optimizer_stale_params, case_of(net, optimizer, step, data))[0] == "refuted"


def rounding_case(rate, dtype=torch.bfloat16, **options):
    net = network().to(dtype)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    data = tuple(part.to(dtype) for part in DATA)
    return Case(net, nn.MSELoss(), data, optimizer=optimizer, **options)


def test_updates_below_half_an_ulp():
    verdict, evidence = ask(update_lost, rounding_case(1e-4))
    assert verdict == "supported"
    assert evidence["narrow"]
    assert evidence["unmoved"] > 0.5
    assert ask(update_lost, rounding_case(0.5))[0] == "refuted"
    # A rate of 0, as in the first step of a warm-up, makes no update that could be lost.
    assert ask(update_lost, rounding_case(0.0))[0] == "refuted"


@pytest.mark.parametrize("rate", [0.1, 1e-12, 0.0])
def test_single_precision_is_not_accused(rate):
    net = network()
    optimizer = sgd(net, lr=rate)
    assert ask(update_lost, case_of(net, optimizer, plain(net, optimizer)))[0] == "refuted"


def test_a_kernel_that_writes_nothing():
    class Broken(torch.optim.SGD):
        calls = 0

        def step(self, closure=None):
            if torch.get_default_dtype() and all(
                p.dtype == torch.float32 for p in self.param_groups[0]["params"]
            ):
                return
            super().step(closure)

    net = network()
    optimizer = Broken(net.parameters(), lr=0.1)
    verdict, evidence = ask(update_lost, case_of(net, optimizer, plain(net, optimizer)))
    assert verdict == "supported"
    assert not evidence["narrow"]
    assert evidence["arrived"] == 0.0


@pytest.mark.parametrize(
    ("scale", "size", "verdict"),
    [
        (2.0**-20, 1.0, "supported"),
        (2.0**16, 1.0, "refuted"),
        (2.0**120, 1e6, "refuted"),  # on its way down
        (2.0**16, 1e39, "undecided"),  # every step of those seen is skipped
    ],
)
def test_loss_scales(scale, size, verdict):
    net = network()
    optimizer = sgd(net)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    scaler.load_state_dict(scaler.state_dict() | {"scale": scale})

    def step(batch):
        optimizer.zero_grad()
        scaler.scale(size * loss_of(net, batch)).backward()
        scaler.step(optimizer)
        scaler.update()

    case = case_of(net, optimizer, step)
    assert ask(loss_scale_collapsed, case)[0] == verdict
    assert scaler.state_dict()["scale"] == scale
    for check in (gradients_accumulate, gradients_discarded):
        assert ask(check, case)[0] != "supported"


def test_modes():
    net = network(drop=0.5)
    optimizer = sgd(net)
    step = plain(net, optimizer)
    assert ask(mode_left_in_eval, case_of(net, optimizer, step))[0] == "refuted"
    net.eval()
    verdict, evidence = ask(mode_left_in_eval, case_of(net, optimizer, step))
    assert (verdict, evidence["seen"]) == ("undecided", "inherited")

    def set_by_the_step(batch):
        net.eval()
        step(batch)

    net.train()
    verdict, evidence = ask(mode_left_in_eval, case_of(net, optimizer, set_by_the_step))
    assert (verdict, evidence["seen"]) == ("supported", "set")
    assert net.training
    plain_net = network()
    assert ask(mode_left_in_eval, case_of(plain_net, sgd(plain_net), None))[0] == "refuted"


@pytest.mark.parametrize(
    ("layer", "minds"),
    [
        (nn.Dropout(0.1), True),
        (nn.Dropout(0.0), False),
        (nn.BatchNorm1d(2), True),
        (nn.BatchNorm1d(2, track_running_stats=False), False),
        (nn.LSTM(2, 2, 2, dropout=0.1), True),
        (nn.MultiheadAttention(2, 1, dropout=0.1), True),
        (nn.TransformerEncoderLayer(2, 1, 4), False),  # its parts do
        (nn.Linear(2, 2), False),
    ],
)
def test_layers_that_mind_the_mode(layer, minds):
    assert minds_mode(layer) == minds


def test_batches_counted_by_running_statistics():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    adam = torch.optim.Adam(net.parameters())
    net.eval()
    for _ in range(8):
        adam.zero_grad()
        loss_of(net, DATA).backward()
        adam.step()
    verdict, evidence = ask(mode_left_in_eval, case_of(net, adam, plain(net, adam)))
    assert verdict == "supported"
    assert (evidence["counted"], evidence["updates"]) == (0, 8)
    net[1].requires_grad_(False)
    assert ask(mode_left_in_eval, case_of(net, adam, None))[0] == "refuted"


def test_an_error_in_the_step_is_told():
    net = network()

    def step(batch):
        raise ValueError("no such key")

    case = case_of(net, sgd(net), step)
    books = own_step(case)
    assert books.error == "ValueError: no such key"
    assert any("no such key" in note for note in books.notes)
    for check in (gradients_accumulate, gradients_discarded):
        verdict, evidence = ask(check, case)
        assert verdict == "undecided"
        assert "no such key" in check.answer(evidence, check.judge(evidence))


def test_shapes_that_lose_the_pairing():
    net = network()
    optimizer = sgd(net)

    def step(batch):
        optimizer.zero_grad()
        nn.functional.mse_loss(net(batch[0]), batch[1].squeeze(1)).backward()
        optimizer.step()

    books = own_step(case_of(net, optimizer, step))
    assert books.pairs[0][1:] == ((32, 1), (32,))
    assert any("(32, 1) and (32,)" in note for note in books.notes)
    assert own_step(case_of(net, optimizer, plain(net, optimizer))).pairs == ()


def test_unused_evidence_is_not_invented():
    with pytest.raises(KeyError):
        gradients_discarded.judge(Evidence())
