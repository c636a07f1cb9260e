"""How far the validation surface is shifted against that of training, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import chi2

from diagkit.errors import InputError
from diagkit.measure.price import Bill, check_objective
from diagkit.measure.surface.coordinates import check_grid
from diagkit.measure.surface.plane_minimum import PlaneMinimum, minimum_in
from diagkit.measure.surface.plane_slice import PlaneSlice, loss_plane
from diagkit.measure.surface.planes import as_plane
from diagkit.objective import Objective, check_positive, check_seed
from diagkit.result import Result, show_number

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SurfaceShift(Result):
    r"""Two surfaces over one plane: L_train and L_val at theta + a d1 + b d2.

    Attributes
    ----------
    verdict : "shifted": the minima lie apart by more than their error; "no shift seen"; or "undecided": one
        of them was not found inside the picture.
    train, val : the two pictures, with the same coordinates. train_minimum, val_minimum : see
        :class:`~diagkit.measure.surface.plane_minimum.PlaneMinimum`.
    shift [2] : of the minimum, val less train, in (a, b). shift_error [2] : one standard error: of both fits,
        and of the draw of the validation examples where that is known.
    rise : what the validation loss rises by from its own minimum to that of training. predicted_rise,
        predicted_rise_error : (1/2) shift^T H shift, H the curvature of the *training* surface in the plane.
    gap_here, gap_at_minima : L_val - L_train at theta, and between the two minima.
    """

    verdict: str
    train: PlaneSlice
    val: PlaneSlice
    train_minimum: PlaneMinimum
    val_minimum: PlaneMinimum
    shift: np.ndarray
    shift_error: np.ndarray
    rise: float
    predicted_rise: float
    predicted_rise_error: float
    gap_here: float
    gap_at_minima: float
    explanation: str

    def summary(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "shift": self.shift,
            "shift_error": self.shift_error,
            "rise": self.rise,
            "predicted_rise": self.predicted_rise,
            "gap_here": self.gap_here,
            "num_evals": self.num_evals,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per cell: a, b, train, val."""
        train, val = self.train.to_frame(), self.val.to_frame()
        return train[["a", "b"]].assign(train=train["loss"], val=val["loss"])


def surface_shift(
    train_obj: Objective,
    val_obj: Objective,
    *,
    directions: Any = None,
    extent: float = 1.0,
    resolution: int = 21,
    tol: float | None = 0.01,
    n_jobs: int = 1,
    seed: int = 0,
) -> SurfaceShift:
    r"""Draw both surfaces over the same plane, find both minima, and compare.

    Why should a flat minimum generalize? If the validation surface is that of training moved by s, the model
    at the training minimum pays (1/2) s^T H s: the same shift costs little where the curvature H is small
    (Keskar et al. 2017, arXiv:1609.04836, figure 1). Here s is measured, the price is predicted by H of the
    training surface, and compared with what is paid. Where they disagree the surfaces differ in more than
    their place. The plane is one of many: ``seed`` gives another.

    Parameters
    ----------
    train_obj, val_obj : the same parameters on training and on validation data.
    directions : as in :func:`loss_plane`; they belong to the training objective.
    extent, resolution, tol, n_jobs : of each picture, as in :func:`loss_plane`.

    Raises
    ------
    InputError : objectives at different points, with other parameters or other ``norm_stats``; what
        :func:`loss_plane` refuses.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Linear(2, 1, bias=False).double()
    >>> X, loss = torch.eye(2), torch.nn.MSELoss()  # L = |w - y|^2 / 2
    >>> targets = (torch.tensor([[y], [0.0]]) for y in (0.0, 0.5))
    >>> train, val = (dk.Objective(net, loss, (X, y)).at([0.0, 0.0]) for y in targets)
    >>> found = dk.surface_shift(train, val, directions=torch.eye(2))
    >>> found.verdict, found.shift.round(6) + 0, round(found.rise, 6), round(found.predicted_rise, 6)
    ('shifted', array([0.5, 0. ]), 0.125, 0.125)
    """
    _check_pair(train_obj, val_obj)
    check_grid(extent, resolution)
    check_positive("tol", tol, write="0.01", optional=True)
    check_seed(seed)
    bills = {id(obj.meter): Bill(obj) for obj in (train_obj, val_obj)}  # one where both are the same
    plane = as_plane(train_obj, directions, seed=seed)
    train, val = (
        loss_plane(obj, plane, extent=extent, resolution=resolution, tol=tol, n_jobs=n_jobs)
        for obj in (train_obj, val_obj)
    )
    at_train, at_val = minimum_in(train_obj, plane, train), minimum_in(val_obj, plane, val)
    both = at_train.found and at_val.found
    shift = at_val.where - at_train.where
    covariance = np.diag(at_train.error**2 + at_val.error**2)
    sampled = bool(np.isfinite(at_val.sampling).all())
    covariance = covariance + (at_val.sampling if sampled else 0.0)
    verdict = _verdict(shift, covariance) if both else "undecided"
    rise = val_obj.loss(plane.point(*at_train.where)) - at_val.loss if both else float("nan")
    predicted = float(shift @ at_train.hessian @ shift) / 2
    # To first order; the trace term is what a shift of zero would still seem to cost.
    slope = at_train.hessian @ shift
    error = np.hypot(np.sqrt(slope @ covariance @ slope), np.trace(at_train.hessian @ covariance) / 2)
    gap = val_obj.loss(plane.origin) - train_obj.loss(plane.origin)
    paid = [bill.paid() for bill in bills.values()]
    return SurfaceShift(
        verdict=verdict,
        train=train,
        val=val,
        train_minimum=at_train,
        val_minimum=at_val,
        shift=shift,
        shift_error=np.sqrt(np.diag(covariance)),
        rise=rise,
        predicted_rise=predicted,
        predicted_rise_error=float(error),
        gap_here=gap,
        gap_at_minima=at_val.loss - at_train.loss,
        explanation=_words(verdict, at_train, at_val, shift, np.sqrt(np.diag(covariance)), sampled)
        + (_price(rise, predicted, float(error), gap) if both else ""),
        complete=train.complete and val.complete,
        seed=plane.seed,
        num_hvps=sum(price["num_hvps"] for price in paid),
        num_evals=sum(price["num_evals"] for price in paid),
        seconds=paid[0]["seconds"],
    )


def _check_pair(train_obj: Objective, val_obj: Objective) -> None:
    """Both objectives are functions of the same parameters and stand at the same point."""
    for obj in (check_objective(train_obj), check_objective(val_obj)):
        layout = obj.layout
        if (layout.names, layout.shapes) != (train_obj.layout.names, train_obj.layout.shapes):
            raise InputError(
                f"objectives of P = {train_obj.num_params} and {obj.num_params} with other names or shapes",
                allowed="one model, on training and on validation data",
                write="dk.Objective(model, loss_fn, val_data)",
            )
    if not torch.equal(train_obj.theta.cpu().double(), val_obj.theta.cpu().double()):
        raise InputError(
            "objectives that stand at different points",
            allowed="the same parameters in both",
            write="surface_shift(train_obj, val_obj.at(train_obj.theta))",
        )
    if train_obj.norm_stats != val_obj.norm_stats:
        raise InputError(
            f"norm_stats={train_obj.norm_stats!r} for training and {val_obj.norm_stats!r} for validation",
            allowed="the same in both: a shift would be that of the statistics",
        )


def _verdict(shift: np.ndarray, covariance: np.ndarray) -> str:
    far = float(shift @ np.linalg.pinv(covariance) @ shift)
    return "shifted" if far > chi2.ppf(CONFIDENCE, 2) else "no shift seen"


def _words(
    verdict: str,
    at_train: PlaneMinimum,
    at_val: PlaneMinimum,
    shift: np.ndarray,
    error: np.ndarray,
    sampled: bool,
) -> str:
    if verdict == "undecided":
        sides = [
            f"{name}: {minimum.reason}"
            for name, minimum in (("training", at_train), ("validation", at_val))
            if not minimum.found
        ]
        return f"Undecided, a minimum was not found ({'; '.join(sides)}). Try another extent or resolution."
    a, b = (f"{show_number(x, 2)} ± {show_number(e, 2)}" for x, e in zip(shift, error, strict=True))
    kept = "" if sampled else " (for these very examples: what others would give is not known)"
    word = "is shifted" if verdict == "shifted" else "is not seen to be shifted"
    return f"The validation minimum {word} against that of training: by ({a}, {b}) in this plane{kept}."


def _price(rise: float, predicted: float, error: float, gap: float) -> str:
    paid, foretold = show_number(rise, 2), f"{show_number(predicted, 2)} ± {show_number(error, 2)}"
    return (
        f" At the training minimum the validation loss is {paid} above its own lowest; shift and training "
        f"curvature foretell {foretold}. The whole gap between the two losses here is {show_number(gap, 2)}."
    )
