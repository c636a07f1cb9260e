"""One Hessian product, several ways: CPU time in units of one gradient, set-up apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.func import functional_call, grad, jvp, linearize

from benchmarks.curvature.models import MODELS, Trained
from diagkit.objective.kernels import CheapSecondDerivatives

Product = Callable[[tuple[Tensor, ...]], Any]


def kept_graph(case: Trained) -> Product:
    """Double backward over a graph of the gradient that is kept."""
    parameters = list(case.model.parameters())
    gradient = torch.autograd.grad(case.loss_fn(case.model(case.X), case.y), parameters, create_graph=True)
    return lambda v: torch.autograd.grad(gradient, parameters, v, retain_graph=True)


def kept_graph_with_kernels(case: Trained) -> Product:
    with CheapSecondDerivatives():
        return kept_graph(case)


def rebuilt_graph(case: Trained) -> Product:
    """The graph is built for each product and freed."""
    parameters = list(case.model.parameters())

    def product(v: tuple[Tensor, ...]) -> Any:
        loss = case.loss_fn(case.model(case.X), case.y)
        gradient = torch.autograd.grad(loss, parameters, create_graph=True)
        return torch.autograd.grad(gradient, parameters, v)

    return product


def gradient_function(case: Trained) -> tuple[Callable[..., Any], tuple[Tensor, ...]]:
    names = [name for name, _ in case.model.named_parameters()]

    def loss(parameters: tuple[Tensor, ...]) -> Tensor:
        out = functional_call(case.model, dict(zip(names, parameters, strict=True)), (case.X,))
        return case.loss_fn(out, case.y)

    return grad(loss), tuple(p.detach() for p in case.model.parameters())


def forward_over_reverse(case: Trained) -> Product:
    function, point = gradient_function(case)
    return lambda v: jvp(function, (point,), (v,))[1]


def linearized(case: Trained) -> Product:
    function, point = gradient_function(case)
    _, tangent = linearize(function, point)
    return tangent


WAYS = {
    "graph kept, kernels (diagkit)": kept_graph_with_kernels,
    "graph kept": kept_graph,
    "graph rebuilt": rebuilt_graph,
    "forward over reverse": forward_over_reverse,
    "torch.func.linearize": linearized,
}


def cpu(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def run(repeats: int = 7) -> pd.DataFrame:
    torch.set_num_threads(1)
    rows = []
    for make in MODELS.values():
        case = make(0)
        v = tuple(torch.randn_like(p) for p in case.model.parameters())
        parameters = list(case.model.parameters())

        def one_gradient(case: Trained = case, parameters: list[Tensor] = parameters) -> Any:
            return torch.autograd.grad(case.loss_fn(case.model(case.X), case.y), parameters)

        one_gradient()
        unit = float(np.median([cpu(one_gradient) for _ in range(repeats)]))
        for name, way in WAYS.items():
            start = time.process_time()
            product = way(case)
            setup = time.process_time() - start
            product(v)
            each = float(np.median([cpu(partial(product, v)) for _ in range(repeats)]))
            rows.append({"model": case.name, "way": name, "set-up": setup / unit, "product": each / unit})
        print(f"  {case.name}: gradient {1e3 * unit:.2f} ms", flush=True)
    return pd.DataFrame(rows)
