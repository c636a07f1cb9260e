"""Which layers carry the curvature? The diagonal blocks of the Hessian, module by module."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from diagkit.measure.price import Bill, check_objective
from diagkit.measure.trace import LEAST, NUM_HVPS
from diagkit.objective import Objective, ParameterLayout, check_count, check_positive, check_seed
from diagkit.result import Result
from diagkit.spectral import Samples, diagonal, hutchinson, lanczos, sample
from diagkit.spectral.krylov import Matvec
from diagkit.work import interrupted, progress

if TYPE_CHECKING:
    import pandas as pd

MAX_HVPS = 100  # products for the eigenvalues of one block


@dataclass(frozen=True)
class Block:
    """The parameters of one module: theta[start:stop]."""

    name: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    def products(self, matvec: Matvec, num_params: int) -> Matvec:
        """v [size] -> H_bb v: v set among zeros, H applied, the result cut out."""

        def block_matvec(v: Tensor) -> Tensor:
            whole = torch.zeros(num_params, dtype=v.dtype, device=v.device)
            whole[self.start : self.stop] = v
            return matvec(whole)[self.start : self.stop]

        return block_matvec


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ModuleCurvature(Result):
    """The diagonal blocks H_bb of the Hessian, one row for each of B modules, in the model's order.

    Attributes
    ----------
    names [B], num_params [B] : the modules and their numbers of parameters.
    eigenvalues [B, k] : the largest of each block, NaN where a block has fewer than k, or where the time ran
        out. residuals [B, k], converged [B, k] : as in ``hessian_eigenvalues``.
    traces [B], trace_sems [B] : tr H_bb and its standard error.
    shares [B], share_sems [B] : tr H_bb / tr H; NaN where tr H is within two standard errors of 0. A
        share can be negative or above 1, since a trace can.
    trace, trace_sem : of the whole, the sum over the blocks. exact : the traces are (up to rounding).
    """

    names: tuple[str, ...]
    num_params: np.ndarray
    eigenvalues: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    traces: np.ndarray
    trace_sems: np.ndarray
    shares: np.ndarray
    share_sems: np.ndarray
    trace: float
    trace_sem: float
    exact: bool

    @property
    def lambda_max(self) -> np.ndarray:
        """Largest eigenvalue of each block [B]; that of the whole Hessian is not below any of them."""
        return self.eigenvalues[:, 0]

    def summary(self) -> dict[str, Any]:
        top = int(np.argmax(self.traces))
        return {
            "modules": len(self.names),
            "largest trace": f"{self.names[top]} ({self.traces[top]:.4g})",
            "trace": self.trace,
            "trace_sem": self.trace_sem,
            "num_hvps": self.num_hvps,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per module; further eigenvalues, where asked for, are lambda_2, residual_2, ..."""
        import pandas as pd

        columns: dict[str, np.ndarray] = {"num_params": self.num_params}
        for rank in range(self.eigenvalues.shape[1]):
            suffix = ("max", "") if rank == 0 else (str(rank + 1), f"_{rank + 1}")
            columns[f"lambda_{suffix[0]}"] = self.eigenvalues[:, rank]
            columns[f"residual{suffix[1]}"] = self.residuals[:, rank]
        columns |= {"trace": self.traces, "trace_sem": self.trace_sems}
        columns |= {"share": self.shares, "share_sem": self.share_sems}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="module"))


def blocks_of(layout: ParameterLayout, depth: int | None) -> list[Block]:
    """The modules that hold the parameters; with ``depth`` names are cut to so many parts.

    A parameter of the model itself is a block of its own name.

    Example
    -------
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), nn.Linear(1, 1))
    >>> [(block.name, block.size) for block in blocks_of(ParameterLayout.of(net), None)]
    [('0.0', 9), ('0.1', 4), ('1', 2)]
    >>> [block.name for block in blocks_of(ParameterLayout.of(net), 1)]
    ['0', '1']
    """

    def module_of(name: str) -> str:
        parts = name.split(".")
        return ".".join(parts[: len(parts) - 1][:depth]) or name

    # Parameters come module by module (named_parameters walks the tree depth first): groups are in one piece.
    blocks, start = [], 0
    for module, group in groupby(zip(layout.names, layout.sizes, strict=True), key=lambda p: module_of(p[0])):
        stop = start + sum(size for _, size in group)
        blocks.append(Block(module, start, stop))
        start = stop
    return blocks


def hessian_by_module(
    obj: Objective,
    *,
    depth: int | None = None,
    k: int = 1,
    num_hvps: int = NUM_HVPS,
    tol: float = 1e-2,
    max_hvps: int = MAX_HVPS,
    seed: int = 0,
) -> ModuleCurvature:
    r"""Largest eigenvalues and trace of each module's diagonal block of the Hessian H(theta) [P, P] of L.

    Eigenvalues by Lanczos on v_b -> (H v)_b. Traces from the same ``num_hvps`` probes for all blocks: with
    random signs v, v_b . (H v)_b is an unbiased sample of tr H_bb, since E v v^T = I takes the other blocks'
    share out of the mean; what they leave in the spread is the price for one product in place of one for each
    block, and the samples of the blocks add up to that of the whole, so that shares are compared like with
    like. Where P <= num_hvps the diagonal is summed instead, and the traces are exact.

    Parameters
    ----------
    depth : None for the modules that hold parameters, 1 for the children of the model, 2 for theirs, ...
    k : eigenvalues for each block. tol, max_hvps : their relative residual, and products at most for a block.
    num_hvps : products for the traces.

    Raises
    ------
    InputError : depth or k below 1, fewer than 8 products (P if that is less), tol not positive.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False))
    >>> _ = net[0].weight.data.fill_(2.0), net[1].weight.data.fill_(1.0)
    >>> loss = lambda out, y: ((out - y) ** 2).mean() / 2  # (v w - y)^2 / 2: blocks v^2 and w^2
    >>> found = dk.hessian_by_module(dk.Objective(net, loss, (torch.ones(1, 1), torch.zeros(1, 1))))
    >>> found.names, found.lambda_max.round(5), found.shares.round(5)
    (('0', '1'), array([1., 4.]), array([0.2, 0.8]))
    """
    check_objective(obj)
    size = obj.num_params
    check_count("depth", depth, optional=True)
    check_count("k", k)
    check_count("num_hvps", num_hvps, least=min(LEAST, size))
    check_count("max_hvps", max_hvps)
    check_positive("tol", tol, write="1e-2")
    check_seed(seed)
    bill = Bill(obj)
    blocks = blocks_of(obj.layout, depth)
    eigenvalues, residuals = np.full((2, len(blocks), k), np.nan)
    converged = np.zeros((len(blocks), k), dtype=bool)
    options: dict[str, Any] = {"dtype": obj.fixed.precision, "device": obj.layout.device, "seed": seed}
    with obj.products() as H, progress("modules", len(blocks) + 1) as advance:
        estimator = (diagonal if size <= num_hvps else hutchinson)(
            H.matvec, size, cut=[block.size for block in blocks], **options
        )
        complete = sample(estimator, num_hvps)
        advance(1)
        for row, block in enumerate(blocks):
            if interrupted():
                complete = False
                break
            ends = lanczos(
                block.products(H.matvec, size),
                block.size,
                num_highest=min(k, block.size),
                tol=tol,
                max_products=max_hvps,
                **options,
            )
            found = slice(len(ends.highest.values))
            eigenvalues[row, found] = ends.highest.values
            residuals[row, found] = ends.highest.residuals
            converged[row, found] = ends.highest.converged
            complete = complete and ends.complete
            advance(1)
    samples = estimator.samples()
    whole = estimator.estimate()
    shares, share_sems = _shares(samples, whole.value, whole.sem)
    return ModuleCurvature(
        names=tuple(block.name for block in blocks),
        num_params=np.array([block.size for block in blocks]),
        eigenvalues=eigenvalues,
        residuals=residuals,
        converged=converged,
        traces=samples.mean,
        trace_sems=samples.sem,
        shares=shares,
        share_sems=share_sems,
        trace=whole.value,
        trace_sem=whole.sem,
        exact=whole.exact,
        complete=complete,
        seed=seed,
        **bill.paid(),
    )


def _shares(samples: Samples, trace: float, sem: float) -> tuple[np.ndarray, np.ndarray]:
    """tr H_bb / tr H [B] and its standard error; numerator and denominator vary together.

    To first order the ratio's error is that of t_b - share * t, divided by the trace.
    """
    if not abs(trace) > 2 * sem:
        unknown = np.full(samples.values.shape[1], np.nan)
        return unknown, unknown
    shares = samples.mean / trace
    apart = samples.values - shares * samples.values.sum(axis=1, keepdims=True)
    return shares, samples.sem_of(apart) / abs(trace)
