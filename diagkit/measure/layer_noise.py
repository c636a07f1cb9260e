"""Signal-to-noise ratio of the gradient, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.measure.gradient_noise import GROUPS, ResampledNoise, group_gradients, resampled_noise
from diagkit.measure.modules import blocks_of
from diagkit.measure.price import Bill, check_objective
from diagkit.objective import Objective, check_count
from diagkit.result import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LayerNoise(Result):
    """Signal and noise of the gradient of each of L layers, in the model's order.

    Attributes
    ----------
    names [L], num_params [L] : the layers and their numbers of parameters.
    snr [L] : |G|^2 / tr(Sigma) of one example; of a batch of B it is B times that. 0 where |G|^2 is not told
        from zero. intervals [L, 2] : 95 % bootstrap intervals, cut off at 0.
    gradient_sq_norms [L] : unbiased estimates of |G|^2 (can be negative); gradient_sq_norm_sems [L].
    trace_covariances [L] : tr(Sigma), the variance of a single example's gradient, summed over the layer.
    resolved [L] : |G|^2 differs from zero beyond the noise of this sample of examples.
    """

    names: tuple[str, ...]
    num_params: np.ndarray
    snr: np.ndarray
    intervals: np.ndarray
    gradient_sq_norms: np.ndarray
    gradient_sq_norm_sems: np.ndarray
    trace_covariances: np.ndarray
    resolved: np.ndarray
    num_groups: int

    @property
    def noise_scales(self) -> np.ndarray:
        """Batch size at which noise and gradient are equal [L], 1 / snr; inf where not resolved."""
        with np.errstate(divide="ignore"):
            return 1.0 / self.snr

    def summary(self) -> dict[str, Any]:
        quietest = int(np.argmin(self.snr))
        return {
            "layers": len(self.names),
            "resolved": f"{int(self.resolved.sum())} of {len(self.names)}",
            "lowest": f"{self.names[quietest]} ({self.snr[quietest]:.3g})",
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per layer."""
        import pandas as pd

        columns = {"num_params": self.num_params, "snr": self.snr}
        columns |= {"snr_low": self.intervals[:, 0], "snr_high": self.intervals[:, 1]}
        columns |= {"gradient_sq_norm": self.gradient_sq_norms}
        columns |= {"gradient_sq_norm_sem": self.gradient_sq_norm_sems}
        columns |= {"trace_covariance": self.trace_covariances, "resolved": self.resolved}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="layer"))


def layer_noise(
    obj: Objective, *, depth: int | None = None, groups: int = GROUPS, seed: int = 0
) -> LayerNoise:
    r"""|G_b|^2 / tr(Sigma_b) for the parameters b of each module: the mean gradient against its noise.

    As :func:`gradient_noise`, from the same groups of examples for all layers: |G_b|^2 is the squared norm of
    the mean gradient less its variance, and where that does not exceed twice its standard error there is no
    signal to be told.

    Parameters
    ----------
    depth : None for the modules that hold parameters, 1 for the children of the model, ...

    Raises
    ------
    InputError : fewer than 4 examples or groups; batch statistics, under which examples have no gradient of
        their own.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Linear(2, 1).double()  # half squared loss, y = 1 + noise, at 0: the bias has a signal
    >>> _ = net.weight.data.zero_(), net.bias.data.zero_()
    >>> numbers = torch.randn(512, 3, generator=torch.manual_seed(0)).double()
    >>> data = numbers[:, :2], 1 + 2 * numbers[:, 2:]
    >>> obj = dk.Objective(net, lambda out, y: ((out - y) ** 2).mean() / 2, data)
    >>> found = dk.layer_noise(obj)
    >>> found.names, found.resolved, bool(found.intervals[1, 0] < 1 / 4 < found.intervals[1, 1])
    (('weight', 'bias'), array([False,  True]), True)
    """
    check_count("depth", depth, optional=True)
    check_objective(obj)
    bill = Bill(obj)
    rows, weights = group_gradients(obj, groups, seed)
    blocks = blocks_of(obj.layout, depth)
    found = []
    for block in blocks:
        part = rows[:, block.start : block.stop]
        found.append(resampled_noise((part @ part.T).cpu().numpy(), weights, seed))
    resolved = np.array([noise.resolved for noise in found])
    snr = np.array([noise.square / noise.trace if noise.trace > 0 else np.inf for noise in found])
    return LayerNoise(
        names=tuple(block.name for block in blocks),
        num_params=np.array([block.size for block in blocks]),
        snr=np.where(resolved, snr, 0.0),
        intervals=np.array([_interval(noise) for noise in found]),
        gradient_sq_norms=np.array([noise.square for noise in found]),
        gradient_sq_norm_sems=np.array([noise.square_sem for noise in found]),
        trace_covariances=np.array([noise.trace for noise in found]),
        resolved=resolved,
        num_groups=len(weights),
        seed=seed,
        **bill.paid(),
    )


def _interval(noise: ResampledNoise) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(noise.squares > 0, noise.squares / noise.traces, 0.0)
    return np.quantile(ratios, [0.025, 0.975], method="nearest")
