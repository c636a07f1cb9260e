"""What a call does beside drawing, measured on small models: a digits MLP, one with BatchNorm in training
mode (400 examples each), and log(w x), whose loss is NaN where w x < 0. The models record their parameters
and the losses their values whenever they are called; the last 51 x 51 calls are the picture. Of
loss-landscapes, ``random_plane`` as it is called by default; ``deepcopy_model=True`` leaves the model alone.
"""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import diagkit as dk
from benchmarks.surface.watched import PACKAGES, STEPS, flat, objective, trained, undefined

RETURNED = {"diagkit": "yes", "loss-landscapes": "no", "Landscaper": "yes"}  # read, not measured


def in_grid_order(name: str, values: list[Tensor]) -> Tensor:
    """[n, n, ...] with b along the second axis; loss-landscapes walks every other row backwards."""
    grid = torch.stack(values[-(STEPS**2) :]).double()
    grid = grid.view(STEPS, STEPS, *grid.shape[1:]).clone()
    if name == "loss-landscapes":
        grid[1::2] = grid[1::2].flip(1)
    return grid


def shift_of_rows(points: Tensor, spacing: float) -> float:
    """How far every other row lies aside, along itself, in spacings; 0 on a straight grid."""
    along = (points[0, -1] - points[0, 0]) / (points[0, -1] - points[0, 0]).norm()
    starts = (points[:3] @ along).mean(dim=1)
    return abs(float(starts[1] - (starts[0] + starts[2]) / 2)) / spacing


def random_state() -> tuple[str, str]:
    return str(torch.get_rng_state().tolist()), str(np.random.get_state()[1:3])  # noqa: NPY002 - the global one


def geometry(name: str) -> dict[str, object]:
    """Where the points lie that were evaluated, and what is left behind."""
    net = trained()
    before = flat(net.model.parameters())
    of_weights = torch.cat([torch.full((p.numel(),), p.ndim > 1) for p in net.model.parameters()])
    needed = [p.requires_grad for p in net.model.parameters()]
    state = random_state()
    values = PACKAGES[name](net)
    same = state == random_state()
    kept = [p.requires_grad for p in net.model.parameters()] == needed
    change = (flat(net.model.parameters()) - before).norm() / before.norm()
    points = in_grid_order(name, net.model.points)
    offsets = points - before.double()
    asked = in_grid_order(name, [torch.tensor(v, dtype=torch.float64) for v in net.loss_fn.losses]).numpy()
    spacing = float((points[0, -1] - points[0, 0]).norm()) / (STEPS - 1)
    first = (points[-1, 0] - points[0, 0])[of_weights]
    return {
        "model after the call: size of the change over that of theta": float(change),
        "requires_grad afterwards as before": "yes" if kept else "no",
        "global random state afterwards as before": "yes" if same else "no",
        "from theta to the nearest point evaluated, in spacings": float(offsets.norm(dim=-1).min()) / spacing,
        "every other row lies aside by, in spacings": shift_of_rows(points, spacing),
        "entries of the first direction that are positive": f"{float((first > 0).double().mean()):.0%}",
        "biases are moved": "yes" if float(offsets[..., ~of_weights].abs().max()) > 1e-6 else "no",
        "an evaluated loss is changed by at most, % of the range": float(
            100 * np.abs(values - asked).max() / np.ptp(asked)
        ),
    }


def growth(name: str) -> float:
    """By what factor does the picture grow when the argument for its size is doubled?"""
    spans = []
    for argument in (1.0, 2.0):
        net = trained()
        # ``distance`` is 0.5 / extent there: this doubles it.
        PACKAGES[name](net, extent=1 / argument if name == "loss-landscapes" else argument)
        points = in_grid_order(name, net.model.points)
        spans.append(float((points[0, -1] - points[0, 0]).norm()))
    return spans[1] / spans[0]


def reach(name: str) -> float:
    """How far the picture reaches along a, over what the coordinate that is returned says."""
    if RETURNED[name] == "no":
        return float("nan")
    net = trained()
    theta = flat(net.model.parameters()).double()
    # A filter-normalized direction is as long as all weights together; Landscaper's are as long as theta.
    weights = flat(p for p in net.model.parameters() if p.ndim > 1 or name == "Landscaper").double()
    PACKAGES[name](net)
    points = in_grid_order(name, net.model.points)
    return float((points[-1, STEPS // 2] - theta).norm() / weights.norm())


def cosine(name: str) -> float:
    """Between the direction of highest curvature, given, and the way that the first axis goes."""
    if name == "loss-landscapes":
        return float("nan")  # it takes no directions, but the models at three corners
    net = trained()
    vectors = torch.as_tensor(dk.hessian_eigenvalues(objective(net), 2).vectors, dtype=torch.float32)
    PACKAGES[name](net, directions=vectors)
    points = in_grid_order(name, net.model.points)
    way = points[-1, 0] - points[0, 0]
    return float(way @ vectors[0].double() / way.norm() / vectors[0].double().norm())


def statistics_changed(name: str) -> str:
    net = trained(normalized=True)
    before = copy.deepcopy(dict(net.model.named_buffers()))
    PACKAGES[name](net)
    same = all(torch.equal(before[key], buffer) for key, buffer in net.model.named_buffers())
    return "no" if same else "yes"


def hidden(name: str) -> str:
    net = undefined()
    values = PACKAGES[name](net, extent=3.0)
    missing = int(np.isnan(net.loss_fn.losses[-(STEPS**2) :]).sum())
    return f"{missing - int(np.isnan(values).sum())} of {missing}"


def run() -> pd.DataFrame:
    torch.set_num_threads(1)
    columns: dict[str, dict[str, object]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in PACKAGES:
            columns[name] = {
                **geometry(name),
                "twice the argument for the size gives a picture larger by": growth(name),
                "cosine of a direction that is given and the one that is used": cosine(name),
                "coordinates are returned": RETURNED[name],
                "true reach over the one returned": reach(name),
                "BatchNorm statistics changed, in training mode": statistics_changed(name),
                "NaN cells returned as numbers": hidden(name),
            }
    return pd.DataFrame(columns).rename_axis("fact").reset_index()
