"""What will it cost? Products, seconds and memory of a Hessian's eigenvalues, before they are asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from diagkit.measure.operator_ends import basis_rows, expected_products
from diagkit.measure.price import Bill, check_objective, in_words
from diagkit.objective import Objective, check_count, check_seed
from diagkit.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CostEstimate(Result):
    """What :func:`diagkit.hessian_eigenvalues` will take.

    Attributes
    ----------
    products : (from, to), what trained networks took for so many values at tol 1e-3; no bound.
    seconds_each, seconds_setup : of one product and of what precedes the first, measured here.
    seconds_expected : (from, to). basis_bytes : the Krylov basis at ``to`` products.
    basis_rows : vectors after which the basis is compressed instead of growing.
    graph_bytes : graphs of the gradient that are kept between products, estimated.
    num_batches, num_kept : batches as products see them, and how many keep their graph.
    """

    products: tuple[int, int]
    seconds_each: float
    seconds_setup: float
    seconds_expected: tuple[float, float]
    basis_bytes: int
    basis_rows: int
    graph_bytes: int
    num_batches: int
    num_kept: int

    def summary(self) -> dict[str, Any]:
        # Seconds are attributes only: the same seed prints the same text.
        return {
            "products": f"{self.products[0]} to {self.products[1]}",
            "basis": in_words(self.basis_bytes),
            "basis_rows": self.basis_rows,
            "graphs": in_words(self.graph_bytes),
            "batches": f"{self.num_batches}, {self.num_kept} kept",
        }


def estimate_cost(obj: Objective, k: int = 5, *, seed: int = 0) -> CostEstimate:
    """Estimate the price of ``k`` eigenvalues by two products, and their memory without any.

    Raises
    ------
    InputError : k is no positive integer.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> data = torch.ones(8, 64), torch.ones(8, 10)
    >>> obj = dk.Objective(torch.nn.Linear(64, 10), torch.nn.MSELoss(), data)
    >>> dk.estimate_cost(obj, k=1)
    CostEstimate(products=8 to 15, basis=76.2 KiB, basis_rows=300, graphs=9.2 KiB, batches=1, 1 kept)
    """
    check_objective(obj)
    check_count("k", k)
    check_seed(seed)
    bill = Bill(obj)
    low, high = expected_products(k)
    low, high = min(low, obj.num_params), min(high, obj.num_params)
    rows = basis_rows(obj, k)
    strategy = obj.strategy(high, reserve=rows * 8 * obj.num_params)
    noise = torch.randn(obj.num_params, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    start = time.perf_counter()
    with obj.products(expected=high, reserve=rows * 8 * obj.num_params) as products:
        vector = noise.to(obj.layout.device, products.wide)
        float(products.matvec(vector).norm())  # reading a number waits for the device
        middle = time.perf_counter()
        float(products.matvec(vector).norm())
    each = time.perf_counter() - middle
    setup = max(0.0, middle - start - each)
    return CostEstimate(
        products=(low, high),
        seconds_each=each,
        seconds_setup=setup,
        seconds_expected=(setup + low * each, setup + high * each),
        basis_bytes=8 * obj.num_params * min(rows, high),
        basis_rows=rows,
        graph_bytes=strategy.bytes_kept,
        num_batches=len(strategy.keep),
        num_kept=sum(strategy.keep),
        seed=seed,
        **bill.paid(),
    )
