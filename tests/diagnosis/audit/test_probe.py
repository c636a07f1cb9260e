"""What passes between model and loss, and how the loss answers to other outputs."""

import pytest
import torch
from torch import nn

from diagkit.diagnosis.audit.loss_response import answer_to, sight, takes_a_sigmoid, takes_a_softmax
from diagkit.diagnosis.audit.probe import Probe, probe
from diagkit.diagnosis.case import Case
from diagkit.objective import Stepwise
from leave_no_trace import Ward, Witness

N = 32
X = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(N) % 3
BITS = (torch.arange(N) % 2).float()[:, None]


def probing(model, loss_fn, y):
    found = Probe(model, Stepwise.of_pairs(loss_fn).step, [(X, y)], seed=0)
    return found, found.batches[0]


def net(outputs, *more, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs), *more)


def test_output_target_and_loss_are_those_of_the_model():
    model = net(3)
    found, batch = probing(model, nn.CrossEntropyLoss(), CLASSES)
    with found.quiet():
        seen = found.see(batch)
    assert torch.equal(seen.output, model(X))
    assert seen.target is batch.payload[1]
    assert float(seen.loss.detach()) == float(nn.CrossEntropyLoss()(model(X), CLASSES).detach())
    assert seen.has_rows
    assert [t.data_ptr() for t in seen.inputs] == [batch.payload[0].data_ptr()]


def test_dict_batches_and_models_that_return_several_things():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = net(3)

        def forward(self, x, labels=None):
            logits = self.body(x)
            return {"hidden": x, "loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    def step(model, batch):
        return model(**batch)["loss"]

    found = Probe(Named(), step, [{"x": X, "labels": CLASSES}], seed=0)
    with found.quiet():
        seen = found.see(found.batches[0])
    assert seen.output.shape == (N, 3)
    assert seen.target is found.batches[0].payload["labels"]
    changed = seen.with_target(CLASSES.flip(0))
    assert torch.equal(changed["labels"], CLASSES.flip(0))
    assert torch.equal(changed["x"], X)


def test_a_step_that_never_calls_the_model_as_a_whole_has_no_output():
    found = Probe(net(3), lambda m, b: m[2](m[0](b[0])).square().mean(), [(X, CLASSES)], seed=0)
    with found.quiet():
        assert found.see(found.batches[0]).output is None


@pytest.mark.parametrize("seed", range(3))
def test_the_derivative_by_the_output_is_that_of_the_formula(seed):
    found, batch = probing(net(3, seed=seed), nn.CrossEntropyLoss(), CLASSES)
    with found.quiet():
        output = found.see(batch).output.detach()
        answer = answer_to(found, batch, None)
    exact = (output.softmax(1) - nn.functional.one_hot(CLASSES, 3)) / N
    assert torch.allclose(answer.gradient, exact, atol=1e-7)


def test_an_output_that_the_loss_refuses_gives_no_answer():
    found, batch = probing(net(1, nn.Sigmoid()), nn.BCELoss(), BITS)
    with found.quiet():
        assert answer_to(found, batch, torch.full((N, 1), -3.0)) is None
        assert answer_to(found, batch, torch.full((N, 1), 0.5)) is not None


def one_unit(output, target):
    return -(target * torch.log_softmax(output, 1)).sum(1).mean()


LOSSES = {
    # loss, model, target -> (blind, void, unseen)
    "cross-entropy": (nn.CrossEntropyLoss(), 3, CLASSES, (False, False, 0.0)),
    "of one unit": (one_unit, 1, BITS, (True, False, None)),
    "all ignored": (nn.CrossEntropyLoss(), 3, torch.full((N,), -100), (False, True, None)),
    "half ignored": (
        nn.CrossEntropyLoss(), 3, torch.where(torch.arange(N) < N // 2, -100, CLASSES), (False, False, 0.5)
    ),
    "hinge at zero": (lambda o, t: torch.relu(1 - 0 * o.sum() + o).mean() * 0 + torch.relu(o - 5).mean(), 3,
                      CLASSES, (False, False, None)),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_what_a_loss_sees(name):
    loss_fn, outputs, y, (blind, void, unseen) = LOSSES[name]
    found, batch = probing(net(outputs), loss_fn, y)
    with found.quiet():
        seen = found.see(batch)
        result = sight(found, batch, seen)
    assert (result.blind, result.void) == (blind, void)
    if unseen is not None:
        assert result.unseen == unseen


def nll(output, target):
    return nn.functional.nll_loss(torch.log(output.clamp_min(1e-9)), target)


@pytest.mark.parametrize(
    ("loss_fn", "takes_softmax"),
    [
        (nn.CrossEntropyLoss(), True),
        (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0])), True),
        (nn.CrossEntropyLoss(label_smoothing=0.1), True),
        (nll, False),
        (nn.MultiMarginLoss(), False),  # differences of outputs only, but no softmax
        (lambda o, t: ((o - nn.functional.one_hot(t, 3)) ** 2).mean(), False),
    ],
)
def test_which_losses_take_a_softmax(loss_fn, takes_softmax):
    found, batch = probing(net(3, nn.Softmax(dim=1)), loss_fn, CLASSES)
    with found.quiet():
        assert takes_a_softmax(found, batch, found.see(batch)) is takes_softmax


@pytest.mark.parametrize(
    ("loss_fn", "takes_it"),
    [
        (nn.BCEWithLogitsLoss(), True),
        (nn.BCEWithLogitsLoss(pos_weight=torch.tensor([5.0])), True),
        (nn.BCELoss(), False),
        (nn.MSELoss(), False),
        (nn.L1Loss(), False),
    ],
)
def test_which_losses_take_a_sigmoid(loss_fn, takes_it):
    found, batch = probing(net(1, nn.Sigmoid()), loss_fn, BITS)
    with found.quiet():
        assert takes_a_sigmoid(found, batch, found.see(batch)) is takes_it


def test_probing_leaves_no_trace():
    ward = Ward()
    witness = Witness(ward)
    case = Case(ward.model, ward.loss_fn, ward.loader, optimizer=ward.optimizer)
    found = probe(case)
    with found.quiet():
        seen = found.see(found.batches[0])
        sight(found, found.batches[0], seen)
    assert witness.changes() == []
    assert witness.data_order_is_kept()


def test_no_batch_gets_through():
    case = Case(net(3), lambda o, t: (o @ t).mean(), (X, CLASSES))
    assert probe(case) is None
