"""Ends of the spectrum of an operator that is made from an objective's products, but is not H itself."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from diagkit.measure.spectrum import MAX_HVPS, most_products
from diagkit.objective import Objective
from diagkit.spectral import Ends, lanczos


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
    """Lanczos on ``matvec`` [P] -> [P], symmetric, with the ceilings of ``hessian_eigenvalues``."""
    ceiling = max(MAX_HVPS, num_lowest, num_highest) if max_products is None else max_products
    return lanczos(
        matvec,
        obj.num_params,
        num_lowest=num_lowest,
        num_highest=num_highest,
        tol=tol,
        max_products=min(ceiling, most_products(obj)),
        dtype=obj.fixed.precision,
        device=obj.layout.device,
        seed=seed,
        enough=enough,
    )
