"""Results with known numbers, written by hand: nothing is measured here."""

import numpy as np

from diagkit.measure import CriticalPoint, Eigenpairs, Escape, GradientNoise, LineSlice, PlaneSlice
from diagkit.training import History


def plane(f=lambda a, b: b**2 - a**2, n=9, extent=2.0, **changes):
    axis = np.linspace(-extent, extent, n)
    fields = {
        "a": axis,
        "b": axis,
        "loss": f(*np.meshgrid(axis, axis, indexing="ij")) + 0.0 * axis,
        "evaluated": np.ones((n, n), dtype=bool),
        "directions": np.eye(2, 4),
        "kind": "eigenvectors",
        "max_error": 0.0,
    }
    return PlaneSlice(**(fields | changes))


def line(loss=lambda t: 1 - t**2, n=11, **changes):
    t = np.linspace(-1, 1, n)
    return LineSlice(**({"t": t, "loss": loss(t), "direction": np.eye(4)[0], "kind": "given"} | changes))


def pairs(values, which="smallest", residual=1e-6, **changes):
    values = np.asarray(values, dtype=float)
    fields = {
        "values": values,
        "vectors": np.eye(len(values), 4),
        "residuals": np.full(len(values), residual),
        "converged": np.ones(len(values), dtype=bool),
        "which": which,
        "rounding": 1e-7,
        "scale": 1.0,
        "multiplicities_seen": False,
    }
    return Eigenpairs(**(fields | changes))


def point(lowest=-1.0, highest=2.0, verdict="saddle", **changes):
    fields = {
        "verdict": verdict,
        "loss": 2.303,
        "gradient_norm": 1e-9,
        "smallest": pairs([lowest]),
        "largest": pairs([highest], "largest"),
        "index": None,
        "none_below": lowest - 0.1,
        "newton_residual": float("nan"),
        "explanation": "",
        "theta": np.zeros(4),
    }
    return CriticalPoint(**(fields | changes))


def escape(step=-1.5, direction=(1.0, 0, 0, 0), t=(-2.0, -1.5, -1.0, 0.0, 1.0), **changes):
    t = np.array(t)
    fields = {
        "loss_before": 2.0,
        "loss_after": 1.0,
        "predicted_loss": 2.0 - 0.5 * step**2,
        "step": step,
        "curvature": -1.0,
        "escaped": True,
        "theta": np.zeros(4),
        "direction": np.array(direction, dtype=float),
        "t": t,
        "loss": np.maximum(2.0 - 0.5 * t**2, 1.0),
        "predicted": 2.0 + 0.1 * t - 0.5 * t**2,
        "explanation": "",
    }
    return Escape(**(fields | changes))


def noise(scale=100.0, interval=(50.0, 200.0), resolved=True):
    return GradientNoise(
        noise_scale=scale,
        interval=interval,
        gradient_sq_norm=1.0 if resolved else -0.1,
        gradient_sq_norm_sem=0.2,
        trace_covariance=100.0,
        num_groups=64,
        resolved=resolved,
    )


EVERY_KIND = {
    "plane": plane(),
    "line": line(),
    "eigenpairs": pairs([-1.0, 0.5]),
    "critical point": point(),
    "escape": escape(),
    "noise": noise(),
    "noise not resolved": noise(np.inf, (np.inf, np.inf), False),
    "history": History.from_dict({"loss": [2.0, 1.0, 0.5]}),
}
