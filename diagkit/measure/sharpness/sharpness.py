"""How sharp is the loss here? Five measures side by side, each with its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.errors import InputError
from diagkit.measure.price import Bill, check_objective
from diagkit.measure.probes import loss_noise
from diagkit.measure.sharpness.adaptive import adaptive_sharpness
from diagkit.measure.sharpness.keskar import keskar_sharpness
from diagkit.measure.sharpness.measured import Measured
from diagkit.measure.sharpness.neighbourhood import HighestLoss, Start
from diagkit.measure.sharpness.normalized_layers import ScaleFree, scale_free_curvatures
from diagkit.measure.sharpness.relative_flatness import relative_flatness, weight_layers
from diagkit.measure.sharpness.sam import sam_sharpness
from diagkit.measure.spectrum import Eigenpairs, hessian_eigenvalues
from diagkit.measure.trace import LEAST, Estimate, hessian_trace
from diagkit.objective import Objective, check_count, check_positive, check_seed
from diagkit.result import Result
from diagkit.work import progress

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("lambda_max", "trace", "keskar", "sam", "adaptive", "relative_flatness")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Sharpness(Result):
    r"""Measures of sharpness at one point; NaN where the time did not suffice.

    Attributes
    ----------
    lambda_max : largest eigenvalue of the Hessian, an interval. trace : its trace, with its standard error.
    keskar : the highest loss found in a small box, in percent of 1 + loss. sam : the rise to the highest loss
        found in the ball of radius ``rho``. adaptive : the same where every parameter moves in proportion to
        itself. These three are lower bounds, taken apart into gradient and curvature: :class:`HighestLoss`.
    relative_flatness : sum over the layers of kappa_l; the larger, the sharper.
    layers [l], layer_flatness [l], layer_flatness_sems [l] : weights of two or more dimensions, kappa_l each.
    normalized : those layers whose size the loss does not see, as before a normalization, with
        ||w||^2 lambda_max of each: their lambda_max alone means nothing.
    loss, gradient_norm : L and ||grad L||. eps, subspace, rho, rho_adaptive, offset : the neighbourhoods.
    num_gradients : gradients spent, beside ``num_hvps`` and ``num_evals``.
    """

    lambda_max: Measured
    trace: Measured
    keskar: HighestLoss
    sam: HighestLoss
    adaptive: HighestLoss
    relative_flatness: Measured
    layers: tuple[str, ...]
    layer_flatness: np.ndarray
    layer_flatness_sems: np.ndarray
    normalized: ScaleFree
    loss: float
    gradient_norm: float
    eps: float
    subspace: int | None
    rho: float
    rho_adaptive: float
    offset: float
    num_gradients: int

    @property
    def measures(self) -> dict[str, Measured]:
        """All of them by name."""
        return {name: getattr(self, name) for name in MEASURES}

    def summary(self) -> dict[str, Any]:
        facts: dict[str, Any] = {name: repr(found) for name, found in self.measures.items()}
        if self.normalized.names:
            facts["||w||^2 lambda_max"] = repr(self.normalized.largest)
        return facts | {"loss": self.loss, "gradient_norm": self.gradient_norm}

    def to_frame(self) -> pd.DataFrame:
        """One row per measure; the columns on orders of the loss are those of :class:`HighestLoss`."""
        import pandas as pd

        columns = ("value", "error", "kind", "num_passes")
        parts = ("first_order", "second_order", "beyond", "linear_model", "quadratic_bound")
        rows = [
            {name: getattr(found, name) for name in columns}
            | {name: getattr(found, name, float("nan")) for name in parts}
            for found in self.measures.values()
        ]
        return pd.DataFrame(rows, index=pd.Index(MEASURES, name="measure"))


def sharpness(
    obj: Objective,
    *,
    eps: float = 1e-3,
    subspace: int | None = None,
    rho: float = 0.05,
    rho_adaptive: float = 0.5,
    offset: float = 0.0,
    num_random: int = 2,
    steps: int = 10,
    num_hvps: int = 100,
    tol: float = 1e-3,
    seed: int = 0,
) -> Sharpness:
    r"""Measures of sharpness of L = (1/N) sum_n l_n at theta [P], g = grad L and H its Hessian there.

    - ``lambda_max`` (Lanczos) and ``trace`` (Hutchinson) of H.
    - ``keskar`` = 100 (max over \|z_i\| <= eps (\|theta_i\| + 1) of L(theta + z) - L) / (1 + L), by ten
      iterations of L-BFGS-B (Keskar et al. 2017, arXiv:1609.04836); in a random subspace of dimension
      ``subspace`` where that is given.
    - ``sam`` = max over ||e|| <= rho of L(theta + e) - L (Foret et al. 2021, arXiv:2010.01412).
    - ``adaptive`` = the same over ||T^-1 e|| <= rho_adaptive, T = diag(\|theta\| + offset) (Kwon et al. 2021,
      arXiv:2102.11600, who take offset 0.01; 0 makes it invariant under rescaling).
    - ``relative_flatness`` = sum over layers and rows of <w_s, w_s'> tr H_{s,s'} (Petzka et al. 2021,
      arXiv:2001.00939).

    A maximum over many parameters cannot be found for certain: the three maxima are lower bounds. Where the
    gradient is not small they are mostly gradient, which says how steep the place is and not how sharp;
    ``first_order`` and ``second_order`` tell. Which of the measures survive a rescaling of the weights that
    leaves the network as it is, :func:`sharpness_invariance` computes.

    Parameters
    ----------
    num_random : random starts of each search, besides the gradient and both signs of the top eigenvector.
    steps : of each search, at most. num_hvps : products for the trace, and as many for the relative
        flatness. tol : relative residual of eigenvalues.

    Raises
    ------
    InputError : eps, rho, rho_adaptive or tol not positive, a negative offset, a subspace larger than P or
        below 1, no random start, fewer than 8 products.
    NonFiniteError : the gradient is not finite.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> w = torch.nn.Linear(2, 1, bias=False).double()
    >>> X = torch.tensor([[2.0, 0.0], [0.0, 1.0]])  # L = (4 w_1^2 + w_2^2) / 2, H = diag(4, 1)
    >>> obj = dk.Objective(w, torch.nn.MSELoss(), (X, torch.zeros(2, 1))).at([0.0, 0.0])
    >>> found = dk.sharpness(obj, eps=0.1, rho=0.1)
    >>> round(found.lambda_max, 6), round(found.trace, 6)
    (4.0, 5.0)
    >>> round(found.sam, 6), round(found.keskar, 6)  # rho^2 lambda_max / 2, 100 eps^2 (4 + 1) / 2
    (0.02, 2.5)
    """
    check_objective(obj)
    for name, radius in {"eps": eps, "rho": rho, "rho_adaptive": rho_adaptive, "tol": tol}.items():
        check_positive(name, radius)
    if offset != 0.0:
        check_positive("offset", offset, write="0.01")
    check_count("num_random", num_random)
    check_count("steps", steps)
    check_count("num_hvps", num_hvps, least=LEAST)
    check_count("subspace", subspace, optional=True)
    if subspace is not None and subspace > obj.num_params:
        raise InputError(
            f"subspace = {subspace}", allowed=f"at most P = {obj.num_params}", write="subspace=None"
        )
    check_seed(seed)
    bill, gradients = Bill(obj), obj.meter.num_gradients
    searches: dict[str, Any] = {"num_random": num_random, "steps": steps, "seed": seed}
    layers = weight_layers(obj)
    # Entered once: getting the model ready takes as long as a small model's loss.
    with obj.quiet(), progress("sharpness: measures", len(MEASURES)) as advance:
        start = Start.of(obj, loss_noise(obj))
        largest = hessian_eigenvalues(obj, 1, tol=tol, seed=seed)
        advance(1)
        trace = hessian_trace(obj, num_hvps=num_hvps, seed=seed)
        advance(1)
        keskar = keskar_sharpness(obj, start, largest, eps=eps, subspace=subspace, **searches)
        advance(1)
        sam = sam_sharpness(obj, start, largest, rho=rho, **searches)
        advance(1)
        adaptive = adaptive_sharpness(obj, start, rho=rho_adaptive, offset=offset, tol=tol, **searches)
        advance(1)
        flatness = relative_flatness(obj, layers, num_hvps=num_hvps, seed=seed)
        normalized = scale_free_curvatures(obj, layers, start.loss, tol=tol, seed=seed)
        advance(1)
    parts = (largest, trace, keskar, sam, adaptive, flatness.total, normalized)
    return Sharpness(
        lambda_max=of_eigenvalue(largest),
        trace=of_trace(trace),
        keskar=keskar,
        sam=sam,
        adaptive=adaptive,
        relative_flatness=flatness.total,
        layers=tuple(layer.name for layer in layers),
        layer_flatness=flatness.samples.mean,
        layer_flatness_sems=flatness.samples.sem,
        normalized=normalized,
        loss=start.loss,
        gradient_norm=float(start.gradient.norm()),
        eps=eps,
        subspace=subspace,
        rho=rho,
        rho_adaptive=rho_adaptive,
        offset=offset,
        num_gradients=obj.meter.num_gradients - gradients,
        complete=all(part.complete for part in parts),
        seed=seed,
        **bill.paid(),
    )


def of_eigenvalue(found: Eigenpairs) -> Measured:
    """An eigenvalue lies within its residual."""
    return Measured(
        float(found.values[0]),
        float(found.residuals[0]),
        "interval",
        found.num_hvps,
        complete=found.complete,
    )


def of_trace(found: Estimate) -> Measured:
    """Samples that nothing was left to chance in are not compared one by one."""
    samples = () if found.exact else tuple(found.samples.tolist())
    return Measured(found.value, found.sem, "sem", found.num_hvps, samples, found.complete)
