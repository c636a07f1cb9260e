"""What a curvature tracker leaves behind: the sharpness at some steps of a run, beside its limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.result import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CurvatureTrack(Result):
    """The k largest curvatures at some steps of a run.

    Attributes
    ----------
    steps [n] : optimizer steps taken when it was measured.
    values [n, k], residuals [n, k] : most positive first; a true eigenvalue lies within the residual. nan
        where the derivatives were not finite.
    converged [n, k] : residual within the tolerance.
    limits [n] : the optimizer's stability limit at that step; nan without an optimizer, inf at rate 0.
    products [n] : Hessian-vector products of each measurement.
    preconditioned : the values are those of D^-1/2 H D^-1/2, see ``stability``.
    num_examples : of how many examples' mean loss.
    training_seconds : how long the run itself took, from the first measurement on; ``seconds`` is the time
        spent on measuring.
    """

    steps: np.ndarray
    values: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    limits: np.ndarray
    products: np.ndarray
    preconditioned: bool
    num_examples: int
    training_seconds: float

    @property
    def ratios(self) -> np.ndarray:
        """Sharpness over the limit [n]: above 1 the next step is unstable."""
        return self.values[:, 0] / self.limits

    @property
    def overhead(self) -> float:
        """Time spent on measuring, as a fraction of the time that the run itself took."""
        return self.seconds / self.training_seconds if self.training_seconds else float("nan")

    def summary(self) -> dict[str, Any]:
        if not len(self.steps):
            return {"measurements": 0}
        facts = {
            "measurements": len(self.steps),
            "first": self.values[0, 0],
            "last": self.values[-1, 0],
            "largest": np.nanmax(self.values, initial=-np.inf),
            "converged": f"{int(self.converged.all(axis=1).sum())} of {len(self.steps)}",
        }
        if not np.isnan(self.limits).all():
            facts["last_ratio"] = self.ratios[-1]
        return facts | {"num_hvps": self.num_hvps}

    def to_frame(self) -> pd.DataFrame:
        """One row per measurement, by the number of steps taken."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for i in range(self.values.shape[1]):
            columns |= {f"value_{i + 1}": self.values[:, i], f"residual_{i + 1}": self.residuals[:, i]}
        columns |= {"converged": self.converged.all(axis=1), "limit": self.limits, "ratio": self.ratios}
        return pd.DataFrame(columns | {"products": self.products}, index=pd.Index(self.steps, name="step"))
