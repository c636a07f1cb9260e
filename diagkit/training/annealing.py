r"""How gradient noise is annealed: sigma_t = c / (1 + t)^r."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.errors import InputError
from diagkit.objective.arguments import NUMBER, check_count
from diagkit.result import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class NoiseAnnealing(Result):
    r"""The level of the noise at each step of a run, :math:`\sigma_t = c / (1 + t)^r`.

    Attributes
    ----------
    sigma [T] : standard deviation added to each entry of the gradient, in the units of the gradient
        (loss / parameter). c, r : level of the first step, and decay.
    """

    sigma: np.ndarray
    c: float
    r: float

    @property
    def step(self) -> np.ndarray:
        """t = 0 .. T-1."""
        return np.arange(len(self.sigma))

    @property
    def halved_at(self) -> float:
        """The t at which the noise is down to c / 2; inf where it never falls.

        Example
        -------
        >>> noise_annealing(1.0, 0.5, 10).halved_at  # (1 + t)^0.5 = 2
        3.0
        """
        with np.errstate(over="ignore"):
            return float(np.exp2(1.0 / self.r) - 1.0) if self.r > 0 else float("inf")

    def summary(self) -> dict[str, Any]:
        """The two numbers, and what becomes of the noise."""
        ends = {"first": self.sigma[0], "last": self.sigma[-1]}
        return {"c": self.c, "r": self.r, "steps": len(self.sigma)} | ends | {"halved_at": self.halved_at}

    def to_frame(self) -> pd.DataFrame:
        """One row per step."""
        import pandas as pd

        return pd.DataFrame({"sigma": self.sigma}, index=pd.Index(self.step, name="step"))


def noise_annealing(c: float, r: float, num_steps: int) -> NoiseAnnealing:
    r"""The levels :math:`\sigma_t = c / (1 + t)^r`, t = 0 .. num_steps - 1, that ``add_gradient_noise`` uses.

    Raises
    ------
    InputError : c or r below 0 or not finite, no steps.

    Example
    -------
    >>> noise_annealing(2.0, 1.0, 4).sigma.round(3)
    array([2.   , 1.   , 0.667, 0.5  ])
    """
    check_level(c, r)
    check_count("num_steps", num_steps)
    return NoiseAnnealing(sigma=noise_level(c, r, np.arange(num_steps)), c=float(c), r=float(r))


def noise_level(c: float, r: float, t: Any) -> Any:
    """sigma at step(s) t, counted from 0."""
    return c / (1.0 + t) ** r


def check_level(c: Any, r: Any) -> None:
    """c = 0 is the control without noise, r = 0 noise that stays."""
    for name, value in (("c", c), ("r", r)):
        number = isinstance(value, NUMBER) and not isinstance(value, bool)
        if not (number and np.isfinite(value) and value >= 0):
            raise InputError(
                f"{name} = {value!r}", allowed="a finite number of 0 or more", write="c=0.1, r=0.275"
            )
