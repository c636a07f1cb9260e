"""Ends of the spectrum of H, or of an operator made from its products, within the memory of the objective."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from diagkit.measure.price import in_words
from diagkit.objective import Objective
from diagkit.spectral import SPARE_ROWS, Ends, lanczos

WORTH_TELLING = 100 << 20  # a basis of so many bytes is told on the progress bar
BASIS_SHARE = 0.5  # of the memory budget: what the Krylov basis may hold
MAX_HVPS = 300  # default ceiling where convergence is slow


def expected_products(wanted: int) -> tuple[int, int]:
    """From .. to: what trained networks took for so many eigenvalues at tol 1e-3 (benchmarks); no bound.

    Example
    -------
    >>> expected_products(5)
    (12, 35)
    """
    return wanted + 7, 5 * wanted + 10


def basis_rows(obj: Objective, wanted: int) -> int:
    """Vectors [P] in float64 that the basis may hold: half the memory budget, and never more than useful.

    Where that is fewer than the products needed, the basis is compressed on the way (thick restart).
    """
    fitting = basis_memory(obj) // (8 * obj.num_params)
    useful = max(MAX_HVPS, 2 * wanted)
    return min(obj.num_params, max(wanted + SPARE_ROWS, min(fitting, useful)))


def most_products(obj: Objective) -> int:
    """As many as keep a basis that is not compressed, and its products, within half of the memory budget."""
    return max(2, basis_memory(obj) // (16 * obj.num_params))


def basis_memory(obj: Objective) -> int:
    """Bytes of the memory budget that vectors [P] may hold; the rest is for graphs."""
    return int(BASIS_SHARE * obj.memory_budget)


def operator_ends(
    obj: Objective,
    matvec: Callable[[Tensor], Tensor],
    num_lowest: int,
    num_highest: int,
    *,
    tol: float,
    seed: int,
    max_products: int | None = None,
    enough: Callable[[float, float, float], bool] | None = None,
) -> Ends:
    """Lanczos on a symmetric ``matvec`` [P] -> [P]; small spaces may be used up."""
    wanted = num_lowest + num_highest
    ceiling = max(MAX_HVPS, wanted) if max_products is None else max_products
    if obj.num_params <= 2 * max(num_lowest, num_highest) and max_products is None:
        ceiling = obj.num_params
    rows = basis_rows(obj, wanted)
    basis = 8 * obj.num_params * min(rows, expected_products(wanted)[1])
    told = f" (basis {in_words(basis)})" if basis >= WORTH_TELLING else ""
    return lanczos(
        matvec,
        obj.num_params,
        num_lowest=num_lowest,
        num_highest=num_highest,
        tol=tol,
        max_products=ceiling,
        dtype=obj.fixed.precision,
        device=obj.layout.device,
        seed=seed,
        most_rows=rows,
        what=f"eigenvalues: products{told}",
        enough=enough,
    )
