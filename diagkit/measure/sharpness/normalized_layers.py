"""Weights before a normalization: their size means nothing, and so does their raw curvature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from diagkit.measure.sharpness.measured import Measured, Passes
from diagkit.measure.sharpness.relative_flatness import WeightLayer
from diagkit.objective import Objective, ParameterLayout
from diagkit.spectral import lanczos
from diagkit.work import interrupted, progress

# A loss that moves by less when a layer is doubled does not see the layer's size. A normalization divides by
# sqrt(variance + epsilon), so that rounding is not all that remains.
UNCHANGED = 1e-3
MAX_HVPS = 100  # for one layer


def scaled(layout: ParameterLayout, theta: Tensor, factors: Mapping[str, float]) -> Tensor:
    """theta [P] with each tensor named in ``factors`` times its factor.

    Example
    -------
    >>> import torch
    >>> layout = ParameterLayout.of(torch.nn.Linear(2, 1))
    >>> scaled(layout, torch.ones(3), {"weight": 4.0})
    tensor([4., 4., 1.])
    """
    parts = layout.split(theta)
    return layout.join([part * factors.get(name, 1.0) for name, part in parts.items()])


def of_layer(layout: ParameterLayout, layer: WeightLayer, alpha: float) -> dict[str, float]:
    """Weight and bias of one module times alpha."""
    bias = f"{layer.module}.bias" if layer.module else "bias"
    return {name: alpha for name in (layer.name, bias) if name in layout.names}


def holds_normalization(model: nn.Module) -> bool:
    """Is any of the modules a normalization, by its name?"""
    return any("norm" in type(module).__name__.lower() for module in model.modules())


def scale_invariant_layers(obj: Objective, layers: list[WeightLayer], loss: float) -> list[WeightLayer]:
    r"""Those layers whose weight and bias can be doubled or halved without moving the loss.

    Seen, not looked up: two evaluations for each layer of a model that holds a normalization at all. Of
    BatchNorm this is so with ``norm_stats="batch"`` only: running statistics do not follow the weights.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> from diagkit.measure.sharpness.relative_flatness import weight_layers
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 1))
    >>> obj = dk.Objective(net, torch.nn.MSELoss(), (torch.randn(9, 3), torch.randn(9, 1)))
    >>> [layer.name for layer in scale_invariant_layers(obj, weight_layers(obj), obj.loss())]
    ['0.weight']
    """
    if not holds_normalization(obj.model):
        return []
    found = []
    for layer in layers:
        if interrupted():
            break
        points = [scaled(obj.layout, obj.theta, of_layer(obj.layout, layer, alpha)) for alpha in (2.0, 0.5)]
        moved = [abs(obj.loss(theta) - loss) for theta in points]
        if np.isfinite(moved).all() and max(moved) <= UNCHANGED * abs(loss):
            found.append(layer)
    return found


@dataclass(frozen=True)
class ScaleFree:
    """||w||^2 lambda_max [n] of the layers ``names`` whose size the loss does not see, with its residual."""

    names: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray
    num_passes: int = 0
    complete: bool = True

    @property
    def largest(self) -> Measured:
        """The largest of them; there must be one."""
        top = int(np.argmax(self.values))
        return Measured(
            float(self.values[top]),
            float(self.errors[top]),
            "interval",
            self.num_passes,
            complete=self.complete,
        )


def scale_free_curvatures(
    obj: Objective, layers: list[WeightLayer], loss: float, *, tol: float, seed: int
) -> ScaleFree:
    r"""||w||^2 lambda_max(H_ww) of each of :func:`scale_invariant_layers`.

    Since w . grad L = 0 and H(alpha w) = H(w) / alpha^2, lambda_max alone is arbitrary and this product is
    not (van Laarhoven 2017, arXiv:1706.05350).
    """
    passes = Passes(obj)
    chosen = scale_invariant_layers(obj, layers, loss)
    rows, complete = [], True
    if not chosen:
        return ScaleFree((), np.zeros(0), np.zeros(0), int(passes), not interrupted())
    with obj.products() as H, progress("normalized layers", len(chosen)) as advance:
        for layer in chosen:
            ends = lanczos(
                layer.block.products(H.matvec, obj.num_params),
                layer.block.size,
                num_highest=1,
                tol=tol,
                max_products=MAX_HVPS,
                dtype=obj.fixed.precision,
                device=obj.layout.device,
                seed=seed,
            )
            square = float(layer.W.to(H.wide).square().sum())
            rows.append([square * ends.highest.values[0], square * ends.highest.residuals[0]])
            complete = complete and ends.complete
            advance(1)
            if interrupted():
                complete = complete and len(rows) == len(chosen)
                break
    values, errors = np.array(rows).T
    return ScaleFree(
        tuple(layer.name for layer in chosen[: len(rows)]), values, errors, int(passes), complete
    )
