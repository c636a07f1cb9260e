"""Is there a direction of negative curvature? A proof, a probability, or "undecided"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.measure.operator_ends import most_products
from diagkit.measure.price import Bill, check_objective
from diagkit.measure.symmetry import not_symmetric
from diagkit.objective import Objective, check_count, check_positive, check_seed
from diagkit.result import Result
from diagkit.spectral import NegativeCurvature, negative_curvature, products_needed, smallest_share

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CurvatureCertificate(Result):
    """The answer to "no curvature below -eps?", and what it rests on.

    Attributes
    ----------
    verdict : "negative-curvature" (proven: ``vector`` is a witness), "none-below" (probable: wrong with
        probability ``failure_probability``) or "undecided".
    eps : the curvature asked about. value : v^T H v, the lowest curvature found. vector [P] : its v.
    bound : no curvature lies below it, but for ``failure_probability``; rounding is taken off. -inf where the
        run itself found its own bound wrong, as happens with that probability.
    rounding : what rounding may move a curvature by. asymmetry : the largest |u^T H v - v^T H u| over
        successive unit vectors; far above ``rounding`` H is no Hessian and nothing is claimed.
    failure_probability : of ``bound``, over the random start; 0 where the whole space was searched.
    needed : products after which theory promises the answer for a spectrum as wide as this one may be.
    lowest [m], bounds [m] : ``value`` and ``bound`` after each product.
    """

    verdict: str
    eps: float
    value: float
    vector: np.ndarray
    bound: float
    rounding: float
    asymmetry: float
    failure_probability: float
    needed: int
    lowest: np.ndarray
    bounds: np.ndarray
    explanation: str

    def summary(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "eps": self.eps,
            "lowest_found": self.value,
            "none_below": self.bound,
            "failure_probability": self.failure_probability,
            "num_hvps": self.num_hvps,
            "needed": self.needed,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per product: the lowest curvature found, and the bound below which there is none."""
        import pandas as pd

        index = pd.RangeIndex(1, len(self.bounds) + 1, name="products")
        return pd.DataFrame({"lowest_found": self.lowest, "none_below": self.bounds}, index=index)


def certify_no_curvature_below(
    obj: Objective,
    eps: float,
    *,
    failure_probability: float = 0.01,
    max_hvps: int | None = None,
    seed: int = 0,
) -> CurvatureCertificate:
    r"""The claim "no curvature of L at theta lies below -eps", examined until it is settled.

    Lanczos runs from a random start, its basis kept orthogonal. A unit vector with v^T H v < -eps beyond
    rounding ends it: that is a *proof* of the contrary. After each product every curvature below ``bound``
    is excluded, but for ``failure_probability`` over the random start: the value x below the Ritz values at
    which the Lanczos polynomial obeys |p_k(x)| = 1 / tau, tau the component along an eigenvector that a
    random unit vector falls short of with that probability (van Dorsselaer, Hochstenbach and van der Vorst
    2000). All products rest on one event, so stopping early costs no confidence, and the spread of the
    spectrum need not be known.

    What to expect beforehand: ``products_needed(eps / spread, P, failure_probability)`` products at most
    (Kuczynski and Wozniakowski 1992) with spread = lambda_max - lambda_min; most spectra ask for fewer.

    Parameters
    ----------
    eps : in the units of the curvature, loss per squared unit of the parameters.
    max_hvps : stop undecided after so many (default: what 4 GB of basis hold).

    Raises
    ------
    InputError : eps not positive, failure_probability outside (0, 1).

    Example
    -------
    >>> import torch, diagkit as dk
    >>> loss = lambda w, y: (2 * w[0, 0] ** 2 - w[0, 1] ** 2) / 2 + 0 * y.sum()  # curvatures 2 and -1
    >>> obj = dk.Objective(torch.nn.Linear(1, 2, bias=False), loss, (torch.ones(1, 1), torch.ones(1)))
    >>> dk.certify_no_curvature_below(obj, 0.5).verdict, dk.certify_no_curvature_below(obj, 1.5).verdict
    ('negative-curvature', 'none-below')
    """
    check_objective(obj)
    check_positive("eps", eps, write="1e-3")
    check_positive("failure_probability", failure_probability, write="0.01")
    check_count("max_hvps", max_hvps, optional=True)
    check_seed(seed)
    smallest_share(obj.num_params, failure_probability)  # refuses 1 and more
    bill = Bill(obj)
    limit = most_products(obj)
    with obj.products() as products:
        found = negative_curvature(
            products.matvec,
            obj.num_params,
            eps,
            failure_probability=failure_probability,
            max_products=limit if max_hvps is None else min(limit, max_hvps),
            dtype=obj.fixed.precision,
            device=obj.layout.device,
            seed=seed,
        )
    verdict = "negative-curvature" if found.proven else "none-below" if found.excluded else "undecided"
    seen, failure = found.recurrence, 0.0 if found.whole else failure_probability
    spread = seen.upper_bound(failure_probability) - seen.lower_bound(failure_probability)
    needed = products_needed(eps / spread, obj.num_params, failure_probability) if spread > eps else 1
    return CurvatureCertificate(
        verdict=verdict,
        eps=float(eps),
        value=found.value,
        vector=found.vector.cpu().numpy(),
        bound=float(found.bounds[-1]),
        rounding=seen.rounding,
        asymmetry=seen.asymmetry,
        failure_probability=failure,
        needed=needed,
        lowest=found.lowest,
        bounds=found.bounds,
        explanation=_words(verdict, found, eps, failure, needed),
        complete=found.complete,
        seed=seed,
        **bill.paid(),
    )


def _words(verdict: str, found: NegativeCurvature, eps: float, failure: float, needed: int) -> str:
    seen, bound, spent = found.recurrence, found.bounds[-1], len(found.bounds)
    products = f"{spent} product{'s' if spent > 1 else ''}"
    excluded = f"no curvature below {bound:.3g} ({chance(failure)})"
    if verdict == "negative-curvature":
        return (
            f"Proven by {products}: along a unit vector v, v^T H v = {found.value:.3g}, which is below "
            f"{-eps:.3g} by more than rounding ({seen.rounding:.1g})."
        )
    if verdict == "none-below":
        return f"After {products} from a random start: {excluded}; the lowest found is {found.value:.3g}."
    if not seen.is_symmetric:
        return not_symmetric(seen.asymmetry, seen.asymmetry_allowed)
    known = f"lowest curvature found {found.value:.3g}, {excluded}"
    if found.value - bound <= 2 * seen.rounding:
        return (
            f"Undecided after {products}: {known}. Between them lies {-eps:.3g}, and rounding "
            f"({seen.rounding:.1g}) hides the rest: ask for a larger eps, or use float64 parameters."
        )
    return f"Undecided after {products}: {known}. At most {needed} products answer; write max_hvps={needed}."


def chance(failure_probability: float) -> str:
    """How sure a statement is, in words.

    Example
    -------
    >>> chance(0.01), chance(1e-6), chance(0.0)
    ('99 %', '99.9999 %', 'certain')
    """
    return f"{100 * (1 - failure_probability):.9g} %" if failure_probability else "certain"
