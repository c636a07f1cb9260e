"""The terms of a loss against sums written by hand, and their levels against closed forms."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import diagkit as dk
from diagkit.clinic.term_balance import VariationalAutoencoder, evidence_bound
from diagkit.diagnosis.audit.loss_terms import reweighted, terms_of
from diagkit.diagnosis.audit.probe import probe
from diagkit.diagnosis.audit.term_levels import gradient_ratio, term_levels
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.checks import loss_terms_unbalanced
from diagkit.objective import same_random_state
from leave_no_trace import Ward, Witness

X = torch.randn(24, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(24) % 3


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def weighted(model, batch):
    out = model(batch[0])
    return 2.0 * F.cross_entropy(out, batch[1]) + F.mse_loss(out, batch[0]) / 4


def in_place(model, batch):
    out = model(batch[0])
    loss = torch.zeros((), dtype=torch.float64)
    loss += 2.0 * F.cross_entropy(out, batch[1])
    loss += F.mse_loss(out, batch[0]) / 4
    return loss


def per_example(model, batch):
    out = model(batch[0])
    errors = (out - batch[0]).square().mean(1)
    return (2.0 * F.cross_entropy(out, batch[1], reduction="none") + 0.25 * errors).mean()


def stacked(model, batch):
    out = model(batch[0])
    return torch.stack([4.0 * F.cross_entropy(out, batch[1]), F.mse_loss(out, batch[0]) / 2]).mean()


def less_a_negative(model, batch):
    out = model(batch[0])
    return -(-(2.0 * F.cross_entropy(out, batch[1])) - 0.25 * F.mse_loss(out, batch[0]))


def weights_as_tensors(model, batch):
    out = model(batch[0])
    weights = torch.tensor([2.0, 0.25], dtype=torch.float64)
    return sum(
        weights[i] * loss for i, loss in enumerate((F.cross_entropy(out, batch[1]), F.mse_loss(out, X)))
    )


FORMS = [weighted, in_place, per_example, stacked, less_a_negative, weights_as_tensors]


@pytest.mark.parametrize("step", FORMS)
@pytest.mark.parametrize("grad", [True, False])
def test_a_sum_is_taken_apart_however_it_is_written(step, grad):
    model = net()
    out = model(X).detach()
    by_hand = [2.0 * float(F.cross_entropy(out, Y)), 0.25 * float(F.mse_loss(out, X))]
    with torch.set_grad_enabled(grad):
        loss, terms = terms_of(step, model, (X, Y))
    assert [float(part.term.detach()) for part in terms] == pytest.approx(by_hand, rel=1e-12)
    assert float(loss.detach()) == pytest.approx(sum(by_hand), rel=1e-12)


def test_the_gradients_of_the_terms_add_up():
    model = net()
    params = list(model.parameters())
    loss, terms = terms_of(in_place, model, (X, Y))
    whole = torch.autograd.grad(loss, params, retain_graph=True)
    parts = [torch.autograd.grad(part.term, params, retain_graph=True) for part in terms]
    for total, *own in zip(whole, *parts, strict=True):
        assert torch.allclose(total, sum(own), rtol=1e-12, atol=1e-14)


def one_formula(model, batch):
    """The divergence is a sum over elements inside: one term all the same."""
    out = model(batch[0])
    mean, log_variance = out[:, :1], out[:, 1:2]
    divergence = (-0.5 * (1 + log_variance - mean**2 - log_variance.exp())).sum(1).mean()
    return F.mse_loss(out, batch[0]) + divergence


def test_what_is_no_sum_is_one_term():
    model = net()
    assert (
        len(terms_of(lambda m, b: F.cross_entropy(m(b[0]), b[1], label_smoothing=0.1), model, (X, Y))[1]) == 1
    )
    assert len(terms_of(lambda m, b: weighted(m, b).sqrt(), model, (X, Y))[1]) == 1
    assert len(terms_of(one_formula, model, (X, Y))[1]) == 2


def test_nothing_is_left_on_the_model():
    model = net()
    before = [dict(p.__dict__) for p in model.parameters()]
    terms_of(weighted, model, (X, Y))
    assert [dict(p.__dict__) for p in model.parameters()] == before


@pytest.mark.parametrize("step", FORMS)
def test_reweighted(step):
    model = net()
    out = model(X).detach()
    loss = reweighted(step, lambda i, n: (10.0, 0.5)[i] if n == 2 else 0.0)(model, (X, Y))
    expected = 20.0 * float(F.cross_entropy(out, Y)) + 0.125 * float(F.mse_loss(out, X))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-12)


def test_levels_against_closed_forms():
    """The best constant leaves ln 3 of even classes, and the variance of targets."""
    levels = term_levels(probe(Case(net(), None, [(X, Y)] * 3, step=weighted)))
    classes, numbers = levels
    assert classes.constant == pytest.approx(2 * math.log(3), rel=1e-4)
    variance = float((X - X.mean(0)).square().mean())
    assert numbers.constant == pytest.approx(0.25 * variance, rel=1e-4)
    assert classes.has_a_level
    assert numbers.has_a_level


def test_penalties_have_no_level():
    def step(model, batch):
        out = model(batch[0])
        sizes = sum(p.square().sum() for p in model.parameters())
        return F.cross_entropy(out, batch[1]) + 0.1 * sizes + out.square().mean()

    first, *sizes, confidence = term_levels(probe(Case(net(), None, [(X, Y)] * 3, step=step)))
    assert first.has_a_level
    assert not any(level.of_outputs for level in sizes)
    assert confidence.of_outputs
    assert not confidence.has_a_level


def test_a_term_without_a_bound_is_never_stuck():
    def critic(model, batch):
        out = model(batch[0])
        return out[:, 0].mean() + F.mse_loss(out, batch[0]) - out[:, 1].mean()

    levels = term_levels(probe(Case(net(), None, [(X, Y)] * 3, step=critic)))
    assert [loss_terms_unbalanced.learned_nothing(level) for level in (levels[0], levels[2])] == [
        False,
        False,
    ]


def test_gradient_ratio_by_hand():
    def step(model, batch):
        out = model(batch[0])
        error = F.mse_loss(out, batch[0])
        return error + 99.0 * error

    found = probe(Case(net(), None, [(X, Y)] * 3, step=step))
    assert gradient_ratio(found, 0) == pytest.approx(100.0, rel=1e-9)


def drowned(seed=0):
    g = torch.Generator().manual_seed(seed)
    inputs = torch.randn(96, 8, generator=g) @ torch.randn(8, 8, generator=g)
    torch.manual_seed(seed)
    model = VariationalAutoencoder(8, code=4, width=16)
    loss_fn = evidence_bound(30.0)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    run = dk.train(model, loss_fn, (inputs, inputs), optimizer=adam, epochs=30, seed=seed, batch_size=16)
    batches = list(zip(inputs.split(16), inputs.split(16), strict=True))
    return Case(model, loss_fn, batches, optimizer=adam, history=run.history, seed=seed)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_divergence_that_drowns_the_rest(seed, monkeypatch):
    monkeypatch.setattr("diagkit.diagnosis.bench.LENGTHS", (40,))
    evidence = loss_terms_unbalanced.measure(drowned(seed))
    assert evidence["helps"]
    assert evidence["name"].startswith("term 1 of 2")
    assert evidence.trial.interval[0] > 0


def test_no_trace(monkeypatch):
    monkeypatch.setattr("diagkit.diagnosis.bench.LENGTHS", (4,))
    ward = Ward()
    witness = Witness(ward)

    def step(model, batch):
        error = ward.loss_fn(model(batch[0]), batch[1])
        return error + 1e3 * sum(p.square().sum() for p in model.parameters())

    case = Case(ward.model, None, ward.loader, step=step, optimizer=ward.optimizer)
    with same_random_state():  # as the ladder is climbed
        loss_terms_unbalanced.measure(case)
    assert witness.changes() == []
