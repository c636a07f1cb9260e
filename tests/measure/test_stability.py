"""torch's own optimizers on a quadratic diverge exactly where sharpness exceeds the limit.

Second moments are held still: for Adam by beta_2 = 1 - 1e-12 and a step count at which its bias correction is
over, for RMSprop by alpha = 1, for Adagrad by gradients far below the sum of squares it starts from.
"""

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.measure.stability import has_limit
from oracles import NO_DATA, FunctionOfParameters, mean_output, randn, symmetric_matrix

FIRST, SECOND = symmetric_matrix([0.1, 1.0, 3.0], seed=1), symmetric_matrix([0.2, 0.5, 2.0], seed=2)
COUPLING = randn(3, 3, seed=3) * 0.1
HESSIAN = torch.cat([torch.cat([FIRST, COUPLING], dim=1), torch.cat([COUPLING.T, SECOND], dim=1)])
MOMENTS = torch.tensor([4.0, 1.0, 0.25, 9.0, 0.5, 2.0], dtype=torch.float64)
STILL = (0.9, 1 - 1e-12)
LATE = torch.tensor(1e15)


def quadratic(sign=1.0):
    """L = (sign / 2) w^T H w with w = (u, v) in two tensors, at a tiny w."""

    def loss(u, v):
        w = torch.cat([u, v])
        return sign * 0.5 * w @ HESSIAN.to(w.dtype) @ w

    model = FunctionOfParameters(loss, torch.zeros(3), torch.zeros(3))
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(1e-12 * randn(3, seed=i))
    return model, dk.Objective(model, mean_output, NO_DATA)


def groups(model, rates):
    return [{"params": [p], "lr": rate} for p, rate in zip(model.parameters(), rates, strict=True)]


SQUARES = ("exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum")


def with_state(optimizer, model, **factors):
    """State tensors: these multiples of MOMENTS for squares, of 1 for the others."""
    for p, moments in zip(model.parameters(), MOMENTS.split(3), strict=True):
        ones = torch.ones_like(moments)
        state = {name: factor * (moments if name in SQUARES else ones) for name, factor in factors.items()}
        optimizer.state[p] = {"step": LATE.clone(), **state}
    return optimizer


def sgd(**options):
    return lambda model, rates: torch.optim.SGD(groups(model, rates), **options)


def adam(kind=torch.optim.Adam, betas=STILL, **options):
    def make(model, rates):
        optimizer = kind(groups(model, rates), betas=betas, eps=1e-3, **options)
        extra = {"max_exp_avg_sq": 2.0} if options.get("amsgrad") else {}
        return with_state(optimizer, model, exp_avg=0.0, exp_avg_sq=1.0, **extra)

    return make


def rmsprop(**options):
    def make(model, rates):
        optimizer = torch.optim.RMSprop(groups(model, rates), alpha=1.0, **options)
        extra = {"grad_avg": 0.3} if options.get("centered") else {}
        extra |= {"momentum_buffer": 0.0} if options.get("momentum") else {}
        return with_state(optimizer, model, square_avg=1.0, **extra)

    return make


def adagrad(**options):
    def make(model, rates):
        optimizer = torch.optim.Adagrad(groups(model, rates), **options)
        with_state(optimizer, model, sum=1.0)
        for state in optimizer.state.values():
            state["step"] = torch.tensor(1e9)
        return optimizer

    return make


KINDS = {
    "SGD": sgd(),
    "heavy ball": sgd(momentum=0.9),
    "light ball": sgd(momentum=0.5),
    "dampened": sgd(momentum=0.9, dampening=0.9),
    "Nesterov": sgd(momentum=0.9, nesterov=True),
    "SGD, penalty": sgd(momentum=0.9, weight_decay=0.7),
    "Adam": adam(),
    "Adam without momentum": adam(betas=(0.0, STILL[1])),
    "Adam, penalty": adam(weight_decay=0.7),
    "AMSGrad": adam(amsgrad=True),
    "AdamW": adam(torch.optim.AdamW, weight_decay=0.02),
    "RMSprop": rmsprop(),
    "RMSprop, momentum, penalty": rmsprop(momentum=0.8, weight_decay=0.3),
    "RMSprop, centered": rmsprop(centered=True),
    "Adagrad": adagrad(),
    "Adagrad, decay": adagrad(lr_decay=1e-10, weight_decay=0.1),
}


def growth(model, optimizer, sign=1.0, steps=400):
    """Factor by which |w| grows over the second half of the steps, from the true gradients."""
    parameters, sizes = list(model.parameters()), []
    for _ in range(steps):
        w = torch.cat([p.detach() for p in parameters])
        for p, g in zip(parameters, (sign * HESSIAN @ w).split(3), strict=True):
            p.grad = g.clone()
        optimizer.step()
        sizes.append(float(torch.cat([p.detach() for p in parameters]).norm()))
        if sizes[-1] > 1e-6 or sizes[-1] < 1e-100:
            break
    return sizes[-1] / sizes[len(sizes) // 2]


def scaled_to(ratio, make, rates, sign=1.0):
    """The optimizer at such rates that sharpness is ``ratio`` times the limit."""
    factor = 1.0
    for _ in range(30):  # the ratio grows with the rates; decoupled decay makes that not quite proportional
        model, obj = quadratic(sign)
        optimizer = make(model, [factor * rate for rate in rates])
        found = dk.stability(obj, optimizer, tol=1e-12)
        if found.ratio == pytest.approx(ratio, rel=1e-6):
            return model, optimizer, found
        factor *= ratio / found.ratio
    raise AssertionError("no such rates")


@pytest.mark.parametrize("ratio", [0.98, 1.02])
@pytest.mark.parametrize("rates", [(0.1, 0.1), (0.1, 0.03)], ids=["one rate", "two rates"])
@pytest.mark.parametrize("name", KINDS)
def test_diverges_exactly_above_the_limit(name, rates, ratio):
    model, optimizer, found = scaled_to(ratio, KINDS[name], rates)
    assert found.verdict == ("above" if ratio > 1 else "below")
    grown = growth(model, optimizer)
    assert grown > 2 if ratio > 1 else grown < 0.9


@pytest.mark.parametrize("ratio", [0.98, 1.02])
@pytest.mark.parametrize("make", [sgd(momentum=0.9, maximize=True, weight_decay=0.1), adam(maximize=True)])
def test_maximize(make, ratio):
    model, optimizer, _ = scaled_to(ratio, make, (0.1, 0.03), sign=-1.0)
    grown = growth(model, optimizer, sign=-1.0)
    assert grown > 2 if ratio > 1 else grown < 0.9


LIMITS = {
    "SGD": (sgd(), 2.0),
    "heavy ball": (sgd(momentum=0.9), 3.8),
    "Nesterov": (sgd(momentum=0.9, nesterov=True), 3.8 / 2.8),
    "Adam": (adam(), 38.0),
    "AdamW": (adam(torch.optim.AdamW, weight_decay=0.2), 38.0 * (1 - 0.05 * 0.2 / 2)),
    "RMSprop": (rmsprop(momentum=0.8), 3.6),
    "Adagrad": (adagrad(), 2.0),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_in_closed_form(name):
    make, constant = LIMITS[name]
    model, obj = quadratic()
    rate = torch.tensor(0.05) if name in ("SGD", "Adam") else 0.05
    found = dk.stability(obj, make(model, [rate, rate]))
    assert found.limit == pytest.approx(constant / 0.05, rel=1e-6)


def test_sharpness_is_that_of_the_preconditioned_hessian():
    model, obj = quadratic()
    found = dk.stability(obj, adam(weight_decay=0.7)(model, [0.01, 0.01]), tol=1e-10)
    root = (MOMENTS.sqrt() + 1e-3).rsqrt()
    dense = root[:, None] * (HESSIAN + 0.7 * torch.eye(6, dtype=torch.float64)) * root
    assert found.sharpness == pytest.approx(float(torch.linalg.eigvalsh(dense)[-1]), rel=1e-10)
    assert found.preconditioned
    assert found.to_frame().loc["Adam", "ratio"] == found.ratio


def test_a_known_spectrum_spares_the_products():
    model, obj = quadratic()
    largest = dk.hessian_eigenvalues(obj, 1)
    optimizer = sgd(weight_decay=0.5)(model, [0.1, 0.1])
    again, afresh = dk.stability(obj, optimizer, largest=largest), dk.stability(obj, optimizer)
    assert again.num_hvps == 0 < afresh.num_hvps
    assert again.sharpness == pytest.approx(afresh.sharpness, abs=again.residual + afresh.residual)
    two_rates = sgd()(model, [0.1, 0.2])
    assert dk.stability(obj, two_rates, largest=largest).num_hvps > 0, "it is not that spectrum"


def test_what_is_not_moved_counts_for_nothing():
    model, obj = quadratic()
    u, _ = model.parameters()
    found = dk.stability(obj, torch.optim.SGD([u], lr=0.1), tol=1e-10)
    assert found.sharpness == pytest.approx(3.0)
    still = [{"params": [p], "lr": lr} for p, lr in zip(model.parameters(), (0.1, 0.0), strict=True)]
    assert dk.stability(obj, torch.optim.SGD(still), tol=1e-10).sharpness == pytest.approx(3.0)


def test_at_rate_zero_everything_is_stable():
    model, obj = quadratic()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    found = dk.stability(obj, optimizer)
    assert (found.ratio, found.verdict) == (0.0, "below")
    assert not has_limit(obj, optimizer)


def test_an_unsure_sharpness_decides_nothing():
    model, obj = quadratic()
    sharp = float(torch.linalg.eigvalsh(HESSIAN)[-1])
    found = dk.stability(obj, torch.optim.SGD(model.parameters(), lr=1.9 / sharp), max_hvps=2)
    assert not found.converged
    assert found.verdict == "undecided"


def mixed(model, *differences):
    pairs = zip(model.parameters(), differences, strict=True)
    return torch.optim.SGD([{"params": [p], "lr": 0.1, **d} for p, d in pairs])


REFUSED = {
    "unknown": (lambda m: torch.optim.NAdam(m.parameters()), "NAdam.*allowed: .*SGD.*Adagrad"),
    "not an optimizer": (lambda m: 3, "type int"),
    "no step yet": (lambda m: torch.optim.Adam(m.parameters()), "without second moments"),
    "no step of Adagrad yet": (lambda m: torch.optim.Adagrad(m.parameters()), "without second moments"),
    "another model's": (lambda m: torch.optim.SGD([torch.zeros(1, requires_grad=True)]), "holds none"),
    "two momenta": (lambda m: mixed(m, {"momentum": 0.9}, {}), "different momentum"),
    "two directions": (lambda m: mixed(m, {"maximize": True}, {}), "different maximize"),
    "decay diverges": (lambda m: adam(torch.optim.AdamW, weight_decay=30.0)(m, [0.1, 0.1]), "diverges"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_words(name):
    make, words = REFUSED[name]
    model, obj = quadratic()
    with pytest.raises(dk.InputError, match=words) as caught:
        dk.stability(obj, make(model))
    caught.match("allowed: ")
    assert not has_limit(obj, make(model))


def test_negative_curvature_is_never_too_sharp():
    model, obj = quadratic(sign=-1.0)
    found = dk.stability(obj, torch.optim.SGD(model.parameters(), lr=1.0))
    assert found.ratio < 0
    assert np.isfinite(found.ratio_error)
