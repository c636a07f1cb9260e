"""Results with known numbers, written by hand: nothing is measured here."""

import numpy as np

from diagkit.measure import (
    CriticalPoint,
    CurvatureCertificate,
    Eigenpairs,
    EigenvalueOverData,
    Escape,
    Estimate,
    GaussNewtonSplit,
    GradientNoise,
    LineSlice,
    ModuleCurvature,
    PlaneSlice,
    SpectralDensity,
    Stability,
    SymmetryCheck,
)
from diagkit.training import CurvatureTrack, History


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


def density(nodes=(-0.5, 0.0, 3.0), weights=(0.1, 0.7, 0.2), sigma=0.1, **changes):
    nodes, weights = np.atleast_2d(nodes), np.atleast_2d(weights)
    grid = np.linspace(nodes.min() - 5 * sigma, nodes.max() + 5 * sigma, 401)
    bumps = np.exp(-0.5 * ((grid[:, None] - nodes[0]) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    fields = {
        "grid": grid,
        "density": bumps @ weights[0],
        "sem": 0.1 * bumps @ weights[0],
        "sigma": sigma,
        "nodes": nodes,
        "weights": weights,
        "mean": float((nodes * weights).sum()),
        "mean_sem": 0.05,
        "second_moment": float((nodes**2 * weights).sum()),
        "second_moment_sem": 0.1,
        "num_params": 100,
        "rounding": 1e-7,
        "exact": False,
    }
    return SpectralDensity(**(fields | changes))


def modules(shares=(0.7, 0.4, -0.1), sem=0.05, names=None, **changes):
    shares = np.asarray(shares, dtype=float)
    rows = len(shares)
    fields = {
        "names": tuple(names or (f"layer{i}" for i in range(rows))),
        "num_params": np.full(rows, 10),
        "eigenvalues": np.linspace(3.0, 1.0, rows)[:, None],
        "residuals": np.full((rows, 1), 0.01),
        "converged": np.ones((rows, 1), dtype=bool),
        "traces": 2.0 * shares,
        "trace_sems": np.full(rows, 2.0 * sem),
        "shares": shares,
        "share_sems": np.full(rows, sem),
        "trace": 2.0,
        "trace_sem": 0.1,
        "exact": False,
    }
    return ModuleCurvature(**(fields | changes))


def estimate(samples=(1.0, 2.0, 3.0, 6.0), sem=0.5, **changes):
    samples = np.asarray(samples)
    fields = {"value": samples.mean(), "sem": sem, "samples": samples, "quantity": "trace of the Hessian"}
    return Estimate(**(fields | {"method": "hutchinson"} | changes))


def certificate(verdict="none-below", lowest=(1.0, 0.1, 0.05), bounds=(-900.0, -2.0, -0.3), **changes):
    fields = {
        "verdict": verdict,
        "eps": 0.5,
        "value": lowest[-1],
        "vector": np.eye(1, 4)[0],
        "bound": bounds[-1],
        "rounding": 1e-9,
        "asymmetry": 0.0,
        "failure_probability": 0.01,
        "needed": 9,
        "lowest": np.array(lowest),
        "bounds": np.array(bounds),
        "explanation": "",
    }
    return CurvatureCertificate(**(fields | changes))


def symmetry(asymmetry=1e-9, allowed=1e-7, scale=2.0):
    return SymmetryCheck(
        symmetric=asymmetry <= allowed, asymmetry=asymmetry, allowed=allowed, scale=scale, explanation=""
    )


def over_data(**changes):
    fields = {
        "value": 4.0,
        "interval": (3.0, 5.5),
        "sem": 0.6,
        "eigenvalue": 4.0,
        "groups": np.linspace(1.0, 7.0, 8),
        "sizes": np.full(8, 4.0),
        "resampled": np.random.default_rng(0).normal(4.0, 0.6, 500),
        "explanation": "",
    }
    return EigenvalueOverData(**(fields | changes))


def split(**changes):
    fields = {
        "hessian": pairs([4.0, 2.0], "largest"),
        "gauss_newton": pairs([3.5, 2.5], "largest"),
        "residual_smallest": pairs([-1.0]),
        "residual_largest": pairs([1.5], "largest"),
        "shares": np.array([0.75, 1.2]),
        "share_errors": np.full(2, 1e-3),
        "overlap": 0.9,
    }
    return GaussNewtonSplit(**(fields | changes))


def stability(sharpness=5.0, residual=0.1, **changes):
    fields = {
        "sharpness": sharpness,
        "residual": residual,
        "converged": True,
        "rounding": 1e-7,
        "limit": 10.0,
        "preconditioned": False,
        "optimizer": "SGD",
    }
    return Stability(**(fields | changes))


def track(**changes):
    values = np.array([[4.0, 2.0], [6.0, 3.0], [9.0, 5.0]])
    fields = {
        "steps": np.array([1, 11, 21]),
        "values": values,
        "residuals": np.full((3, 2), 0.05),
        "converged": np.array([[True, True], [True, False], [True, True]]),
        "limits": np.array([10.0, 10.0, 8.0]),
        "products": np.array([8, 4, 4]),
        "preconditioned": False,
        "num_examples": 100,
        "training_seconds": 10.0,
    }
    return CurvatureTrack(**(fields | changes))


EVERY_KIND = {
    "certificate": certificate(),
    "symmetry": symmetry(),
    "eigenvalue over data": over_data(),
    "plane": plane(),
    "line": line(),
    "eigenpairs": pairs([-1.0, 0.5]),
    "critical point": point(),
    "escape": escape(),
    "Gauss-Newton": split(),
    "stability": stability(),
    "unstable": stability(20.0, 0.5, preconditioned=True, optimizer="Adam"),
    "curvature track": track(),
    "noise": noise(),
    "density": density(),
    "density of all eigenvalues": density(exact=True, sem=np.zeros(401)),
    "modules": modules(),
    "estimate": estimate(),
    "estimate, exact": estimate(exact=True),
    "noise not resolved": noise(np.inf, (np.inf, np.inf), False),
    "history": History.from_dict({"loss": [2.0, 1.0, 0.5]}),
}
