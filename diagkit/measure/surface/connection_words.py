"""Words for the verdict on a path between two minima: what was found, and what that does not prove."""

from __future__ import annotations

import numpy as np
from torch.nn.modules.batchnorm import _NormBase

from diagkit.measure.surface.barrier import Barrier
from diagkit.measure.surface.bezier import Trained
from diagkit.objective import Objective
from diagkit.result import show_number


def judge(found: Barrier, limit: float) -> str:
    """The verdict on a path whose barrier is allowed to be ``limit``."""
    low, high = found.interval
    if high <= limit:
        return "connected"
    return "no low path found" if low > limit else "undecided"


def explain(verdict: str, found: Barrier, limit: float, line_barrier: float, trained: Trained) -> str:
    """One or two sentences; every number in them is measured."""
    height, allowed, straight = (show_number(x, 3) for x in (found.height, limit, line_barrier))
    if verdict == "connected":
        already = " The straight line would do as well." if line_barrier <= limit else ""
        return (
            f"A low path joins the two: along it the loss rises at most {height} above what lies between the "
            f"ends, {straight} along the straight line.{already}"
        )
    if verdict == "no low path found":
        if not np.isfinite(trained.mean_losses).any():
            return (
                "No low path was found: on the first curve the loss is not finite, which ended the training."
            )
        return (
            f"No low path was found: the best curve still rises by {height} ({straight} along the straight "
            f"line; allowed {allowed}). That proves nothing: more steps, or a path with more bends, may "
            "find one."
        )
    return (
        f"Undecided: the curve rises by {height} at the sampled points (allowed {allowed}), and may rise "
        "more in between, or could not be followed to its end. More num_points or more time would settle it."
    )


def statistics_used(obj: Objective) -> str:
    """What BatchNorm does to a path, where there is one."""
    kept = [m for m in obj.model.modules() if isinstance(m, _NormBase) and m.running_mean is not None]
    if not kept or obj.norm_stats == "batch":
        return ""
    return (
        " The model normalizes with running statistics, which were kept from this end and fit neither the "
        'other one nor the points between: dk.Objective(..., norm_stats="batch") measures each with its own.'
    )
