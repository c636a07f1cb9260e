"""Are the Hessian products those of a symmetric matrix, as second derivatives of one loss must be?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diagkit.measure.price import Bill, check_objective
from diagkit.objective import Objective, check_count, check_seed
from diagkit.result import Result
from diagkit.spectral import KrylovSpace, Recurrence
from diagkit.work import interrupted


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SymmetryCheck(Result):
    """Whether H u and H v agree on u^T H v.

    Attributes
    ----------
    symmetric : ``asymmetry`` is no more than rounding explains.
    asymmetry : the largest |u^T H v - v^T H u| over the pairs of unit vectors tried. allowed : what rounding
        of two products explains. scale : the largest ||H v|| seen, to compare with.
    """

    symmetric: bool
    asymmetry: float
    allowed: float
    scale: float
    explanation: str

    def summary(self) -> dict[str, Any]:
        return {
            "symmetric": self.symmetric,
            "asymmetry": self.asymmetry,
            "allowed": self.allowed,
            "scale": self.scale,
            "num_hvps": self.num_hvps,
        }


def check_symmetry(obj: Objective, *, products: int = 3, seed: int = 0) -> SymmetryCheck:
    r"""Compare u^T (H v) with v^T (H u) for successive vectors of a Krylov space with a random start.

    Mixed second derivatives of a loss do not hang on their order. Products that do come from something which
    has no loss: a custom ``autograd.Function`` whose backward is not the derivative of its forward, or whose
    backward of backward is wrong, or a gradient that is clipped inside the model. All eigenvalues of such a
    "Hessian" mean nothing. The first vector is random and the next points where H is large, so that errors in
    a few large directions are seen too. An error that is itself symmetric is not seen, such as a term of the
    second derivative left out, or a gradient reversed inside the model.

    Parameters
    ----------
    products : how many, at least 2; each after the first compares one more pair.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> X = torch.randn(64, 3, generator=torch.manual_seed(0))
    >>> obj = dk.Objective(torch.nn.Linear(3, 1), torch.nn.MSELoss(), (X, X[:, :1]))
    >>> dk.check_symmetry(obj).symmetric
    True
    """
    check_objective(obj)
    check_count("products", products, least=2, write="3")
    check_seed(seed)
    bill, dtype, complete = Bill(obj), obj.fixed.precision, True
    seen = Recurrence(obj.num_params, dtype)
    with obj.products(expected=int(products)) as H:
        space = KrylovSpace(H.matvec, obj.num_params, dtype, obj.layout.device, seed)
        vector = space.fresh()
        while vector is not None and space.dim < products:
            product = space.extend(vector)
            seen.observe(vector, product)
            vector = space.orthogonal(product, space.rounding)[0]
            if interrupted():
                complete = vector is None
                break
    return SymmetryCheck(
        symmetric=seen.is_symmetric,
        asymmetry=seen.asymmetry,
        allowed=seen.asymmetry_allowed,
        scale=seen.norm_seen,
        explanation=(
            f"Symmetric: u^T H v and v^T H u differ by {seen.asymmetry:.2g}, and rounding explains "
            f"{seen.asymmetry_allowed:.2g}."
            if seen.is_symmetric
            else not_symmetric(seen.asymmetry, seen.asymmetry_allowed)
        ),
        complete=complete,
        seed=seed,
        **bill.paid(),
    )


def not_symmetric(asymmetry: float, allowed: float) -> str:
    """What it means that products are not symmetric, and where to look."""
    return (
        f"Not symmetric: u^T H v and v^T H u differ by {asymmetry:.2g}, but rounding explains {allowed:.2g}. "
        "These are no second derivatives of one loss, and their eigenvalues mean nothing. Look for a custom "
        "autograd.Function whose backward, or backward of backward, is wrong (torch.autograd.gradcheck and "
        "gradgradcheck find it), for a gradient that is clipped inside the model, or for lower precision "
        "inside it."
    )
