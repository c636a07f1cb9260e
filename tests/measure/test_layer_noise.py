"""Layers whose signal and noise are known: linear ones of their own inputs, half squared loss."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from oracles import half_square, randn


class TwoLayers(nn.Module):
    """a . x + b . z: two layers, of d = 3 and 5 inputs, that share a residual."""

    def __init__(self, distance):
        super().__init__()
        self.a, self.b = (nn.Linear(d, 1, bias=False, dtype=torch.float64) for d in (3, 5))
        with torch.no_grad():
            self.a.weight.fill_(distance / 3**0.5)
            self.b.weight.zero_()

    def forward(self, x):
        return self.a(x[:, :3]) + self.b(x[:, 3:])


def objective(seed, sigma=0.5, distance=1.0, examples=1024):
    """y = sigma * noise. At a = Delta, b = 0 the residual is e = Delta . x - y."""
    X, y = randn(examples, 8, seed=seed), sigma * randn(examples, 1, seed=1000 + seed)
    return dk.Objective(TwoLayers(distance), half_square, (X, y))


def exact(sigma, distance):
    """Layer a as alone: |Delta|^2 / ((d + 1) |Delta|^2 + d sigma^2). Layer b: 0 signal, d E e^2 of noise."""
    return distance**2 / (4 * distance**2 + 3 * sigma**2), 5 * (distance**2 + sigma**2)


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_known_layers(sigma):
    snr, noise_of_b = exact(sigma, 1.0)
    found = [dk.layer_noise(objective(s, sigma), seed=s) for s in range(20)]
    assert found[0].names == ("a", "b")
    assert all(f.resolved[0] for f in found)
    assert sum(f.resolved[1] for f in found) <= 4, "there is nothing to be told"
    covered = sum(f.intervals[0, 0] <= snr <= f.intervals[0, 1] for f in found)
    assert covered >= 15, "95 % intervals; 15 of 20 or fewer has probability 0.003"
    squares = np.array([f.gradient_sq_norms for f in found])
    assert squares.mean(0) == pytest.approx([1.0, 0.0], abs=4 * squares.std(0).max() / 20**0.5), "unbiased"
    assert np.mean([f.trace_covariances[1] for f in found]) == pytest.approx(noise_of_b, rel=0.05)
    assert all(f.snr[1] == 0 for f in found if not f.resolved[1])


def test_layers_add_up_to_the_whole():
    obj = objective(0)
    layers, whole = dk.layer_noise(obj, seed=3), dk.gradient_noise(obj, seed=3)
    assert layers.trace_covariances.sum() == pytest.approx(whole.trace_covariance, rel=1e-10)
    assert layers.gradient_sq_norms.sum() == pytest.approx(whole.gradient_sq_norm, rel=1e-10)
    one = dk.layer_noise(dk.Objective(nn.Sequential(obj.model), half_square, obj.batches[0].payload), depth=1)
    assert one.names == ("0",)
    assert 1 / one.snr[0] == pytest.approx(dk.gradient_noise(obj).noise_scale, rel=1e-10)
    assert one.noise_scales[0] == pytest.approx(1 / one.snr[0])


def test_same_seed_same_answer_and_a_table():
    obj = objective(0)
    a, b = dk.layer_noise(obj, seed=1), dk.layer_noise(obj, seed=1)
    assert np.array_equal(a.intervals, b.intervals)
    frame = a.to_frame()
    assert frame.loc["a", "snr"] == a.snr[0]
    assert (frame["snr_low"] <= frame["snr"]).all()
    assert "resolved=1 of 2" in repr(a) or "resolved=2 of 2" in repr(a)


def test_refused():
    obj = objective(0, examples=8)
    with pytest.raises(dk.InputError, match="groups"):
        dk.layer_noise(obj, groups=2)
    with pytest.raises(dk.InputError, match="depth"):
        dk.layer_noise(obj, depth=0)
    with pytest.raises(dk.InputError, match="norm_stats='batch'"):
        dk.layer_noise(dk.Objective(obj.model, half_square, obj.batches[0].payload, norm_stats="batch"))
    with pytest.raises(dk.InputError, match="batch_size"):
        dk.layer_noise(obj, groups=4).plot(batch_size=0)
