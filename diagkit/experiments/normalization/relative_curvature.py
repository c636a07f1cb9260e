"""Curvature in coordinates that do not know how large the weights of a layer are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diagkit.objective import Objective
from diagkit.spectral import lanczos


@dataclass(frozen=True)
class RelativeCurvature:
    """Largest eigenvalue of D H D, and how far from one it may be."""

    value: float
    residual: float


def relative_curvature(
    obj: Objective, names: Iterable[str], *, tol: float = 1e-2, seed: int = 0
) -> RelativeCurvature:
    r"""Largest eigenvalue of D H D over the weights ``names``; D multiplies each layer by its norm |w_l|.

    With w_l = |w_l| u_l it is the curvature in the u_l. Where a normalization follows each layer, L(alpha
    w_l) = L(w_l) and H(alpha w_l) = H(w_l) / alpha^2, so that it stays when weights are rescaled, and
    lambda_max of H does not (van Laarhoven 2017, arXiv:1706.05350); for one layer it is |w|^2 lambda_max.
    Without normalization it is the same quantity, of a function that is not blind to |w_l|; the rescaling of
    neighbouring ReLU layers (Dinh et al. 2017, arXiv:1703.04933) leaves it alone too.

    Example
    -------
    >>> import diagkit as dk
    >>> net = torch.nn.Linear(1, 1, bias=False)
    >>> _ = net.weight.data.fill_(3.0)
    >>> half = lambda out, y: ((out - y) ** 2).mean() / 2
    >>> obj = dk.Objective(net, half, (torch.full((4, 1), 2.0), torch.zeros(4, 1)))
    >>> round(relative_curvature(obj, ["weight"]).value, 4)  # 3^2 * 4
    36.0
    """
    parts, chosen = obj.layout.split(obj.theta), set(names)
    stretch = obj.layout.join(
        [
            torch.full_like(part, float(part.double().norm()) if name in chosen else 0.0)
            for name, part in parts.items()
        ]
    ).double()
    inside = stretch.nonzero().flatten()
    stretch = stretch[inside]
    if not len(inside):
        return RelativeCurvature(0.0, 0.0)
    with obj.products() as H:

        def matvec(v: Tensor) -> Tensor:
            whole = torch.zeros(obj.num_params, dtype=v.dtype, device=v.device)
            whole[inside] = stretch * v
            return stretch * H.matvec(whole)[inside]

        ends = lanczos(
            matvec,
            len(inside),
            num_highest=1,
            tol=tol,
            dtype=obj.fixed.precision,
            device=obj.layout.device,
            seed=seed,
        )
    return RelativeCurvature(float(ends.highest.values[0]), float(ends.highest.residuals[0]))


def root_mean_square_curvature(obj: Objective, *, num_probes: int = 12, seed: int = 0) -> float:
    r"""Root of the mean squared eigenvalue, |H|_F / sqrt(P), from random signs v: E|Hv|^2 = |H|_F^2.

    lambda_max over it is 1 for a bowl that is equally steep in all directions, and sqrt(P) for a single
    ravine; the scale of loss and weights drops out.

    Example
    -------
    >>> import diagkit as dk
    >>> bowl = lambda w, y: (w**2).sum() / 2 + 0 * y.sum()
    >>> obj = dk.Objective(torch.nn.Linear(1, 4, bias=False), bowl, (torch.ones(1, 1), torch.ones(1)))
    >>> round(root_mean_square_curvature(obj), 4)
    1.0
    """
    generator = torch.Generator().manual_seed(seed)
    theta = obj.theta
    signs = torch.randint(0, 2, (num_probes, obj.num_params), generator=generator) * 2.0 - 1.0
    squares = obj.hvp(signs.to(theta)).double().square().sum(dim=1)
    return float(np.sqrt(float(squares.mean()) / obj.num_params))
