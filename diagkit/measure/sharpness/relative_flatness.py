"""Curvature relative to the size of the weights, layer by layer: relative flatness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diagkit.measure.modules import Block
from diagkit.measure.sharpness.measured import Measured
from diagkit.objective import Objective
from diagkit.spectral import Samples, rounding_bound
from diagkit.spectral.random_vectors import rademacher
from diagkit.work import interrupted, progress


@dataclass(frozen=True)
class WeightLayer:
    """A weight of two or more dimensions: one row of W [units, inputs] for each unit or filter."""

    block: Block
    W: Tensor

    @property
    def name(self) -> str:
        return self.block.name

    @property
    def module(self) -> str:
        """The module that holds it; empty where that is the model itself."""
        return self.name.rpartition(".")[0]


def weight_layers(obj: Objective) -> list[WeightLayer]:
    """The weights of two or more dimensions, in the model's order.

    Example
    -------
    >>> import diagkit as dk
    >>> net = torch.nn.Conv2d(2, 3, 5)
    >>> obj = dk.Objective(net, lambda out, y: out.square().mean(), (torch.ones(4, 2, 6, 6), torch.ones(4)))
    >>> [(layer.name, tuple(layer.W.shape)) for layer in weight_layers(obj)]
    [('weight', (3, 50))]
    """
    theta, found, start = obj.theta, [], 0
    for name, shape, size in zip(obj.layout.names, obj.layout.shapes, obj.layout.sizes, strict=True):
        if len(shape) >= 2:
            W = theta[start : start + size].view(shape).flatten(1)
            found.append(WeightLayer(Block(name, start, start + size), W))
        start += size
    return found


@dataclass(frozen=True)
class RelativeFlatness:
    """``samples`` [n, layers] of kappa_l, and the ``total`` over the layers."""

    samples: Samples
    total: Measured


def relative_flatness(
    obj: Objective, layers: list[WeightLayer], *, num_hvps: int, seed: int
) -> RelativeFlatness:
    r"""kappa_l = sum_{s,s'} <w_s, w_s'> tr H_{s,s'}, for each layer l of weights with rows w_s.

    H_{s,s'} is the block d^2 L / dw_s dw_s' of the Hessian (Petzka et al. 2021, arXiv:2001.00939; published
    code divides by the number of inputs as well). W -> alpha W makes the blocks 1 / alpha^2 as large where
    the loss does not change, so that kappa_l stays. The larger, the sharper. A convolution's filter counts
    as a row, which goes beyond the paper.

    By samples: for independent random signs a, b the vector v = vec((W a) b^T) has E v v^T = (W W^T) x I, so
    that E v^T H v = kappa_l. With independent signs for each layer one product serves all of them, as in
    :func:`hessian_by_module`. A model without such layers has a total of 0.
    """
    if not layers:
        return RelativeFlatness(Samples(np.zeros((1, 0)), 0.0, 0.0), Measured(0.0, 0.0, "sem", 0))
    signs = rademacher(sum(2 * layer.W.shape[1] for layer in layers), obj.layout.device, seed)
    rows, sizes, complete = [], [], True
    with obj.products() as H, progress("relative flatness: products", num_hvps) as advance:
        for _ in range(num_hvps):
            v = _random_vector(layers, next(signs), obj.num_params)
            product = H.matvec(v)
            parts = v * product
            rows.append([float(parts[layer.block.start : layer.block.stop].sum()) for layer in layers])
            sizes.append(float(v.norm() * product.norm()))
            advance(1)
            if interrupted():
                complete = len(rows) == num_hvps
                break
    samples = Samples(np.array(rows), 1.0, rounding_bound(obj.fixed.precision, float(np.mean(sizes))))
    whole = samples.values.sum(axis=1)
    total = Measured(
        float(whole.mean()),
        float(samples.sem_of(whole)),
        "sem",
        len(whole),
        samples=tuple(whole.tolist()),
        complete=complete,
    )
    return RelativeFlatness(samples, total)


def _random_vector(layers: list[WeightLayer], signs: Tensor, num_params: int) -> Tensor:
    """vec((W a) b^T) in the place of each layer, zero elsewhere."""
    v = torch.zeros(num_params, dtype=signs.dtype, device=signs.device)
    for layer in layers:
        inputs = layer.W.shape[1]
        a, b, signs = signs[:inputs], signs[inputs : 2 * inputs], signs[2 * inputs :]
        v[layer.block.start : layer.block.stop] = torch.outer(layer.W.to(a) @ a, b).flatten()
    return v
