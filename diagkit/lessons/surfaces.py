"""Lesson 4, loss surfaces and what they hide: its networks, a study over eight of them, its exercise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.clinic import digits
from diagkit.experiments import Verdict, judge, paired_difference
from diagkit.lessons.exercise import Checked, needs_number, right, wrong
from diagkit.measure.surface import loss_plane
from diagkit.objective import Objective
from diagkit.training import TrajectoryRecorder, train

TRAIN, VAL = slice(0, 500), slice(500, 1000)  # of the digits
UNITS, ITERATIONS = 8, 200
NETWORKS = 8  # of the study
MATTERS = 0.05  # the smallest fall of the loss that counts in the study
REACH = 2.0  # of the plane of the eigenvectors, in units of theta
# The spectrum of the exercise: eigenvalue -> how many weights have it.
SPECTRUM = {40.0: 5, 0.1: 695, -0.5: 300}


class _Bowl(nn.Module):
    """L = (1/2) sum_i h_i w_i^2."""

    def __init__(self, curvatures: Tensor) -> None:
        super().__init__()
        self.h, self.w = curvatures, nn.Parameter(torch.zeros_like(curvatures))

    def forward(self, x: Tensor) -> Tensor:
        return (self.h * self.w**2).sum().expand(len(x)) / 2


def _mean(output: Tensor, target: Tensor) -> Tensor:
    return output.mean()


def twenty_weights() -> Objective:
    r"""L = (1/2) (w_1^2 + ... + w_19^2 - 2 w_20^2) at w = 0: nineteen ways up, one way down.

    Example
    -------
    >>> obj = twenty_weights()
    >>> obj.hessian().diag()[[0, 18, 19]].tolist()
    [1.0, 1.0, -2.0]
    """
    h = torch.ones(20, dtype=torch.float64)
    h[19] = -2.0
    nothing = torch.zeros(1, dtype=torch.float64)
    return Objective(_Bowl(h), _mean, (nothing, nothing))


def random_curvatures(obj: Objective, count: int, seed: int) -> np.ndarray:
    """u^T H u [count] of unit vectors u drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    u = torch.randn(count, obj.num_params, generator=generator, dtype=torch.float64)
    u = u / u.norm(dim=1, keepdim=True)
    return (u * obj.hvp(u)).sum(1).numpy()


def alike(seed: int = 0) -> tuple[Objective, Objective]:
    """A digits network whose eight hidden units started alike, trained till it stood still.

    All units get the same gradient, so they stay alike for ever: eight units do the work of one. Returned are
    the losses on 500 training and on 500 other digits.
    """
    X, y = digits()
    X = X.double()
    torch.manual_seed(seed)
    into, out = nn.Linear(64, UNITS).double(), nn.Linear(UNITS, 10).double()
    model = nn.Sequential(into, nn.Tanh(), out)
    with torch.no_grad():
        into.weight.copy_(into.weight[:1].expand(UNITS, -1).clone())
        into.bias.fill_(float(into.bias[0]))
        out.weight.copy_(out.weight[:, :1].expand(-1, UNITS).clone())
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=ITERATIONS, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = loss_fn(model(X[TRAIN]), y[TRAIN])
        loss.backward()
        return loss

    optimizer.step(closure)
    model.zero_grad()
    return Objective(model, loss_fn, (X[TRAIN], y[TRAIN])), Objective(model, loss_fn, (X[VAL], y[VAL]))


def deeper(networks: int = NETWORKS) -> Verdict:
    """Which plane shows a lower place: a random one, or that of the extreme eigenvectors?

    Each of ``networks`` starts from a seed of its own (see :func:`alike`) and has a random plane of its own.
    Compared is how far the lowest place of each picture lies below the network.
    """
    falls: dict[str, list[float]] = {"random": [], "eigenvectors": []}
    for seed in range(networks):
        obj, _ = alike(seed)
        for kind, extent in (("random", 1.0), ("eigenvectors", REACH)):
            picture = loss_plane(obj, kind, extent=extent, resolution=21, seed=seed)
            falls[kind].append(obj.loss() - float(picture.loss.min()))
    effect = paired_difference(falls["random"], falls["eigenvectors"])
    claim = "the plane of the extreme eigenvectors shows a lower place than a random one"
    return judge(claim, effect, expects="increase", smallest=MATTERS)


def rescaled(factor: float, seed: int = 0) -> tuple[Objective, Objective]:
    r"""A trained ReLU network, and the same function with other weights.

    T_alpha: the first layer times alpha, the second one by alpha (Dinh et al. 2017, arXiv:1703.04933).

    Example
    -------
    >>> one, other = rescaled(10.0)
    >>> abs(one.loss() - other.loss()) < 1e-12
    True
    """
    X, y = digits()
    data = (X.double()[TRAIN], y[TRAIN])
    torch.manual_seed(seed)
    into, out = nn.Linear(64, 16).double(), nn.Linear(16, 10).double()
    model, loss_fn = nn.Sequential(into, nn.ReLU(), out), nn.CrossEntropyLoss()
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    train(model, loss_fn, data, optimizer=adam, max_steps=100, seed=seed)
    obj = Objective(model, loss_fn, data)
    factors = [torch.full_like(p, factor) for p in into.parameters()]
    factors += [torch.full_like(out.weight, 1 / factor), torch.ones_like(out.bias)]
    return obj, obj.at(obj.theta * torch.cat([f.flatten() for f in factors]))


def plain_directions(obj: Objective, seed: int = 0) -> Tensor:
    """Two random vectors [2, P] of unit length, not normalized by filters."""
    generator = torch.Generator().manual_seed(seed)
    d = torch.randn(2, obj.num_params, generator=generator, dtype=torch.float64)
    return d / d.norm(dim=1, keepdim=True)


def noisy_path(seed: int = 0) -> tuple[Objective, TrajectoryRecorder]:
    """200 steps of SGD with five examples each and a rate of 0.6; the loss where they ended."""
    X, y = digits()
    data, loss_fn = (X.double()[TRAIN], y[TRAIN]), nn.CrossEntropyLoss()
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).double()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, loss_fn, data, optimizer=sgd, epochs=5, batch_size=25, seed=seed)
    recorder = TrajectoryRecorder(model, max_points=60)
    sgd = torch.optim.SGD(model.parameters(), lr=0.6)
    train(
        model,
        loss_fn,
        data,
        optimizer=sgd,
        max_steps=200,
        batch_size=5,
        callbacks=[recorder],
        seed=seed + 1,
    )
    return Objective(model, loss_fn, data), recorder


def check(answer: Any) -> Checked:
    """The mean curvature along a random unit direction, of the spectrum of the exercise."""
    if (refused := needs_number(answer, "the curvature along a random direction")) is not None:
        return refused
    given, h = float(answer), np.repeat(list(SPECTRUM), list(SPECTRUM.values()))
    mean = float(h.mean())
    if np.isclose(given, mean, rtol=0.01):
        down = int((h < 0).sum())
        return right(
            f"{mean:.4g}, above zero: a random line bends up, although {down} of {len(h)} directions go "
            "down. Five steep walls outvote them. Only the lowest eigenvector shows the way."
        )
    hints = (
        (h.sum(), "that is the trace; a direction of unit length shares itself among all weights"),
        (np.mean(list(SPECTRUM)), "each eigenvalue counts as often as it occurs"),
        (h.min(), "that is the curvature along the best direction; a random one hardly meets it"),
        (h.max(), "that is the curvature along the steepest direction; a random one hardly meets it"),
        (np.abs(h).mean(), "curvatures below zero pull the mean down: mind the sign"),
        (h[h > 0].sum() / len(h), "the negative eigenvalues count, too"),
        (h[h > 0].mean(), "the negative eigenvalues count, too, and so do their weights"),
        (mean / 2, "the loss rises by half the curvature; asked for is the curvature itself"),
        (-mean, "the size is right; look at the sign"),
    )
    for value, hint in hints:
        if np.isclose(given, float(value), rtol=0.01):
            return wrong(hint)
    return wrong("take the mean of u_i^2 over random unit vectors u, 1 / P, and sum h_i u_i^2")
