"""Noise of a known level, after clipping, and nothing of the user's left changed."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk

NUM = 20_000  # independent coordinates: a variance is known to sqrt(2 / NUM) = 1 %
SPREAD = 5 * (2 / NUM) ** 0.5


def parameter(value=0.0, n=NUM):
    return nn.Parameter(torch.full((n,), value, dtype=torch.float64))


def step(optimizer, w, gradient=0.0):
    w.grad = torch.full_like(w, gradient)
    optimizer.step()


def moved(make_optimizer, c=1.0, r=0.0, seed=0, steps=1, gradient=0.0, n=NUM):
    """Where w = 0 is after some steps with a constant gradient."""
    w = parameter(n=n)
    optimizer = make_optimizer([w])
    with dk.add_gradient_noise(optimizer, c, r, seed):
        for _ in range(steps):
            step(optimizer, w, gradient)
    return w.detach()


def sgd(parameters, lr=1.0, **options):
    return torch.optim.SGD(parameters, lr=lr, **options)


@pytest.mark.parametrize(("eta", "curvature", "c"), [(0.1, 1.0, 0.5), (0.5, 3.0, 2.0), (1.5, 1.0, 1.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_stationary_variance_on_a_quadratic(eta, curvature, c, seed):
    """w <- w - eta (lambda w + sigma xi) has variance eta sigma^2 / (lambda (2 - eta lambda)) in the end."""
    w = parameter()
    optimizer = sgd([w], eta)
    with dk.add_gradient_noise(optimizer, c, 0.0, seed):
        for _ in range(150):  # (1 - eta lambda)^300 is below 1e-13
            w.grad = curvature * w.detach()
            optimizer.step()
    exact = eta * c**2 / (curvature * (2 - eta * curvature))
    assert float(w.detach().var()) == pytest.approx(exact, rel=SPREAD)


@pytest.mark.parametrize(("c", "r"), [(1.0, 0.0), (0.5, 0.275), (3.0, 1.0)])
def test_each_step_has_the_annealed_level(c, r):
    w = parameter()
    optimizer = sgd([w])
    levels = []
    with dk.add_gradient_noise(optimizer, c, r) as noise:
        for _ in range(5):
            before = w.detach().clone()
            levels.append(noise.sigma)
            step(optimizer, w)
            assert float((w.detach() - before).std()) == pytest.approx(levels[-1], rel=SPREAD)
    assert levels == pytest.approx([c / (1 + t) ** r for t in range(5)])
    assert levels == pytest.approx(dk.noise_annealing(c, r, 5).sigma)


def test_neelakantan_in_our_letters():
    eta = 0.3
    ours = dk.noise_annealing(eta**0.5, 0.275, 1000)
    assert ours.sigma**2 == pytest.approx(eta / (1 + np.arange(1000)) ** 0.55)
    assert ours.halved_at == pytest.approx(2 ** (1 / 0.275) - 1)
    assert dk.noise_annealing(1.0, 0.0, 3).halved_at == float("inf")


def test_noise_enters_after_clipping():
    w = parameter()
    optimizer = sgd([w])
    with dk.add_gradient_noise(optimizer, 1.0, 0.0):
        w.grad = torch.full_like(w, 100.0)
        nn.utils.clip_grad_norm_([w], 1.0)
        optimizer.step()
    assert float(w.detach().std()) == pytest.approx(1.0, rel=SPREAD), "noise of norm sqrt(NUM), not of norm 1"
    assert float(w.detach().mean()) == pytest.approx(0.0, abs=5 / NUM**0.5)


OPTIMIZERS = [
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
    torch.optim.NAdam,
    torch.optim.Adamax,
]


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.__name__)
def test_any_optimizer_sees_the_noisy_gradient(kind):
    """As a step by hand with the same noise, and without noise as without us, bit for bit."""

    def by_hand(c, ours):
        w, generator = parameter(0.3, 50), torch.Generator().manual_seed(4)
        optimizer = kind([w], lr=0.1)
        with dk.add_gradient_noise(optimizer, c, 0.5, seed=4) if ours else torch.enable_grad():
            for t in range(3):
                noise = torch.randn(50, generator=generator, dtype=torch.float64) * (c / (1 + t) ** 0.5)
                w.grad = w.detach() + (0.0 if ours else noise)
                optimizer.step()
        return w.detach()

    assert torch.equal(by_hand(0.2, True), by_hand(0.2, False))
    assert torch.equal(by_hand(0.0, True), by_hand(0.0, False))


def test_same_seed_same_run():
    assert torch.equal(moved(sgd, seed=3, steps=4), moved(sgd, seed=3, steps=4))
    assert not torch.equal(moved(sgd, seed=3), moved(sgd, seed=4))


def test_t_goes_on_when_entered_again():
    whole, w = moved(sgd, r=1.0, steps=6, n=10), parameter(n=10)
    optimizer = sgd([w])
    noise = dk.add_gradient_noise(optimizer, 1.0, 1.0)
    for _ in range(2):
        with noise:
            for _ in range(3):
                step(optimizer, w)
        between = w.detach().clone()
        step(optimizer, w)
        assert torch.equal(w.detach(), between), "no noise outside"
    assert noise.steps == 6
    assert torch.equal(w.detach(), whole)


def test_no_trace_is_left():
    w = parameter(n=4)
    optimizer = sgd([w])
    optimizer.register_step_pre_hook(lambda *_: None)
    before, random = list(optimizer._optimizer_step_pre_hooks), torch.get_rng_state()
    with dk.add_gradient_noise(optimizer, 1.0, 0.0):
        step(optimizer, w)
        assert list(optimizer._optimizer_step_pre_hooks) != before
    assert list(optimizer._optimizer_step_pre_hooks) == before
    with pytest.raises(KeyboardInterrupt), dk.add_gradient_noise(optimizer, 1.0, 0.0):
        raise KeyboardInterrupt
    assert list(optimizer._optimizer_step_pre_hooks) == before
    assert torch.equal(torch.get_rng_state(), random)


def test_parameters_without_a_gradient_stay():
    w, unused = parameter(n=4), parameter(2.0, 4)
    optimizer = sgd([w, unused])
    with dk.add_gradient_noise(optimizer, 1.0, 0.0):
        step(optimizer, w)
    assert unused.grad is None
    assert torch.equal(unused.detach(), torch.full((4,), 2.0, dtype=torch.float64))


def test_half_precision_and_complex_gradients():
    half = nn.Parameter(torch.zeros(NUM, dtype=torch.bfloat16))
    both = nn.Parameter(torch.zeros(NUM, dtype=torch.complex128))
    optimizer = sgd([half, both])
    with dk.add_gradient_noise(optimizer, 0.5, 0.0):
        half.grad, both.grad = torch.zeros_like(half), torch.zeros_like(both)
        optimizer.step()
    assert half.grad.dtype == torch.bfloat16
    for part in (half.detach().double(), both.detach().real, both.detach().imag):
        assert float(part.std()) == pytest.approx(0.5, rel=SPREAD + 2**-8)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("clipped", [False, True])
def test_grad_scaler_leaves_the_noise_in_unscaled_units(fused, clipped):
    w = nn.Parameter(torch.zeros(NUM))
    optimizer = sgd([w], fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with dk.add_gradient_noise(optimizer, 0.5, 0.0) as noise:
        scaler.scale((w * 3.0).sum()).backward()
        if clipped:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_value_([w], 1.0)
        scaler.step(optimizer)
        scaler.update()
    assert noise.steps == 1
    assert float(w.detach().std()) == pytest.approx(0.5, rel=SPREAD)
    assert float(w.detach().mean()) == pytest.approx(-1.0 if clipped else -3.0, abs=5 * 0.5 / NUM**0.5)


def test_a_step_that_the_scaler_leaves_out_does_not_count():
    w = nn.Parameter(torch.zeros(4))
    optimizer, scaler = sgd([w]), torch.amp.GradScaler("cpu")
    with dk.add_gradient_noise(optimizer, 0.5, 0.0) as noise:
        scaler.scale((w * float("inf")).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    assert noise.steps == 0
    assert torch.equal(w.detach(), torch.zeros(4))


@pytest.mark.parametrize("keyword", [False, True])
def test_a_closure_is_called_first(keyword):
    def run(with_closure):
        w = parameter(1.0, 10)
        optimizer = sgd([w], 0.1)

        def closure():
            optimizer.zero_grad()
            loss = (w**2).sum()
            loss.backward()
            return loss

        with dk.add_gradient_noise(optimizer, 1.0, 1.0):
            for _ in range(3):
                if not with_closure:
                    closure()
                    optimizer.step()
                elif keyword:
                    assert optimizer.step(closure=closure).requires_grad
                else:
                    assert optimizer.step(closure).requires_grad
        return w.detach()

    assert torch.equal(run(True), run(False))


class Twice(torch.optim.SGD):
    def step(self, closure=None):
        closure()
        return super().step(closure)


def test_what_cannot_be_meant_is_refused():
    w = parameter(n=4)
    optimizer = sgd([w])
    with pytest.raises(dk.InputError, match="LBFGS, which evaluates the gradient several times"):
        dk.add_gradient_noise(torch.optim.LBFGS([w]), 1.0, 0.0)
    twice = Twice([w], lr=0.1)
    with pytest.raises(dk.InputError, match="Twice, which"), dk.add_gradient_noise(twice, 1.0, 0.0):
        twice.step(lambda: torch.zeros(()))
    with pytest.raises(dk.InputError, match="optimizer of type list"):
        dk.add_gradient_noise([w], 1.0, 0.0)
    for bad in (-1.0, float("nan"), float("inf"), "1", None, True):
        with pytest.raises(dk.InputError, match="c = "):
            dk.add_gradient_noise(optimizer, bad, 0.0)
        with pytest.raises(dk.InputError, match="r = "):
            dk.add_gradient_noise(optimizer, 1.0, bad)
    with pytest.raises(dk.InputError, match="seed"):
        dk.add_gradient_noise(optimizer, 1.0, 0.0, seed=-1)
    with pytest.raises(dk.InputError, match="num_steps"):
        dk.noise_annealing(1.0, 0.0, 0)
    with dk.add_gradient_noise(optimizer, 1.0, 0.0) as noise:
        with pytest.raises(dk.InputError, match="already"):
            noise.__enter__()
        w.grad = torch.ones_like(w).to_sparse()
        with pytest.raises(dk.InputError, match="sparse"):
            optimizer.step()


def run(callback=None, noise=None, optimizer=None, model=None):
    model = model or nn.Linear(3, 1, dtype=torch.float64)
    with torch.no_grad():
        [p.zero_() for p in model.parameters()]
    X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return dk.train(
        model, nn.MSELoss(), (X, X.sum(1, True)), optimizer=optimizer, max_steps=10, callbacks=callback or ()
    )


def test_a_callback_is_entered_for_the_run():
    ends, histories = [], []
    for as_callback in (True, False):
        model = nn.Linear(3, 1, dtype=torch.float64)
        optimizer = sgd(model.parameters(), 0.05)
        noise = dk.add_gradient_noise(optimizer, 0.3, 0.5)
        if as_callback:
            done = run([noise], optimizer=optimizer, model=model)
        else:
            with noise:
                done = run(optimizer=optimizer, model=model)
        assert noise.steps == 10
        assert not optimizer._optimizer_step_pre_hooks
        ends.append(done.final_theta)
        histories.append(done.history.series["grad_norm"])
    assert torch.equal(*ends)
    assert np.array_equal(*histories)


def test_a_callback_is_left_when_the_run_breaks():
    model = nn.Linear(3, 1, dtype=torch.float64)
    optimizer = sgd(model.parameters(), 0.05)

    def fail(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run([dk.add_gradient_noise(optimizer, 0.3, 0.5), fail], optimizer=optimizer, model=model)
    assert not optimizer._optimizer_step_pre_hooks


def test_a_callback_for_another_optimizer_is_refused():
    model = nn.Linear(3, 1, dtype=torch.float64)
    other = sgd(model.parameters(), 0.05)
    with pytest.raises(dk.InputError, match="another optimizer"):
        run([dk.add_gradient_noise(other, 0.3, 0.5)], optimizer=sgd(model.parameters(), 0.05), model=model)


def test_table_of_the_annealing():
    frame = dk.noise_annealing(1.0, 1.0, 3).to_frame()
    assert frame["sigma"].tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    assert frame.index.tolist() == [0, 1, 2]
