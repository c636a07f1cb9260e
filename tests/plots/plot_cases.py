"""Results with known numbers, written by hand: nothing is measured here."""

import numpy as np
import torch

from diagkit.diagnosis import Consultation
from diagkit.diagnosis.audit.dependence import Dependence
from diagkit.diagnosis.layers import ModeLosses, UnitSlopes
from diagkit.diagnosis.loss_curve import read_curve
from diagkit.diagnosis.own_step.books import OwnStep, Tensors, Update
from diagkit.diagnosis.own_step.mode_gap import ModeGap
from diagkit.experiments import SeedRuns, judge, paired_difference, rate_difference, sweep
from diagkit.measure import (
    CriticalPoint,
    CurvatureCertificate,
    Eigenpairs,
    EigenvalueOverData,
    Escape,
    Estimate,
    GaussNewtonSplit,
    GradientNoise,
    GradientPredictiveness,
    HighestLoss,
    LayerNoise,
    LineSlice,
    Measured,
    ModeConnection,
    ModuleCurvature,
    Plane,
    PlaneSlice,
    RandomPlanes,
    Sharpness,
    SharpnessInvariance,
    SignalPropagation,
    SpectralDensity,
    Stability,
    SurfaceShift,
    SymmetryCheck,
    TrajectoryPlane,
)
from diagkit.measure.growth import growth
from diagkit.measure.sharpness.normalized_layers import ScaleFree
from diagkit.measure.surface.barrier import barrier
from diagkit.measure.surface.plane_minimum import PlaneMinimum, nowhere
from diagkit.measure.surface.plane_slice import MarkedLoss
from diagkit.training import CurvatureTrack, DescentPath, History, fit_scaling, noise_annealing
from plots import study_cases
from plots.batch_size_cases import BATCH_SIZE_KINDS


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


def between(height=1.0, **changes):
    """From (0, 0) to (1, 0), both of loss 0.25, over a rise in the middle."""
    a, b = np.linspace(-0.25, 1.25, 31), np.linspace(-0.75, 0.75, 31)
    loss = 0.25 + 4 * height * np.clip(a * (1 - a), 0, None)[:, None] + b**2
    fields = {"a": a, "b": np.where(np.abs(b) < 1e-9, 0.0, b), "loss": loss, "evaluated": loss > 0}
    fields |= {"kind": "between two points", "marks": (MarkedLoss("other", 1.0, 0.0, 0.25),)}
    return plane(**(fields | changes))


def line(loss=lambda t: 1 - t**2, n=11, **changes):
    t = np.linspace(-1, 1, n)
    return LineSlice(**({"t": t, "loss": loss(t), "direction": np.eye(4)[0], "kind": "given"} | changes))


def straight_way(loss=lambda t: 0.5 + 4 * t * (1 - t), n=11, **changes):
    t = np.linspace(0, 1, n)
    found = barrier(t, loss(t), rounding=1e-9)
    fields = {"kind": "between two points", "barrier": found.height, "barrier_at": found.at}
    fields |= {"t": t, "loss": loss(t), "direction": np.eye(4)[0], "barrier_interval": found.interval}
    return LineSlice(**(fields | changes))


def unit_slopes(stuck=(0.1, 1.0, 0.6), shut=(0.05, 1.0, 0.0), kinds=("relu", "relu", "tanh"), **changes):
    fields = {"names": tuple(f"body.{2 * i}" for i in range(len(stuck))), "kinds": kinds}
    fields |= {"num_units": np.full(len(stuck), 32), "slopes": 0.5 * (1 - np.array(stuck))}
    fields |= {"shut": np.array(shut), "stuck": np.array(stuck), "num_examples": 256}
    return UnitSlopes(**(fields | changes))


def mode_losses(batch=0.02, dropout=0.9, **changes):
    wave = 1 + 0.1 * np.sin(np.arange(6))
    fields = {"sizes": np.full(6, 32), "evaluation": 0.6 * wave, "batch_statistics": batch * wave}
    fields |= {"dropout": dropout * wave, "both": 0.3 * wave}
    return ModeLosses(**(fields | changes))


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
        num_examples=1000,
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


def trajectory(explained=(0.9, 0.06), n=20, **changes):
    path = np.stack([np.linspace(-3.0, 0.0, n), 0.4 * np.sin(np.linspace(0.0, np.pi, n))], axis=1)
    loss = np.geomspace(2.3, 0.5, n)
    fields = {
        "plane": Plane(torch.zeros(3), *torch.eye(3)[:2], "trajectory"),
        "path": path,
        "distance": 0.3 * np.sin(np.linspace(0.0, np.pi, n)),
        "explained": np.array(explained),
        "explained_by_random_walk": np.array([0.61, 0.15]),
        "loss_on_path": loss,
        "loss_on_plane": loss - 0.3 * np.sin(np.linspace(0.0, np.pi, n)),
    }
    return TrajectoryPlane(**(fields | changes))


def highest_loss(value=2.0, first=0.5, second=1.8, **changes):
    fields = {"first_order": first, "second_order": second, "linear_model": 0.9, "searches": (1.0, 2.0)}
    return HighestLoss(value, 0.1, "lower bound", 50, **(fields | changes))


def sharp(**changes):
    fields = {
        "lambda_max": Measured(4.0, 0.01, "interval", 10),
        "trace": Measured(20.0, 1.0, "sem", 100),
        "keskar": highest_loss(),
        "sam": highest_loss(0.01, 0.001, 0.008),
        "adaptive": highest_loss(0.2, 0.01, 0.1),
        "relative_flatness": Measured(100.0, 10.0, "sem", 100),
        "layers": ("0.weight", "2.weight"),
        "layer_flatness": np.array([60.0, 40.0]),
        "layer_flatness_sems": np.array([8.0, 6.0]),
        "normalized": ScaleFree((), np.zeros(0), np.zeros(0)),
        "loss": 0.1,
        "gradient_norm": 0.05,
        "eps": 1e-3,
        "subspace": None,
        "rho": 0.05,
        "rho_adaptive": 0.5,
        "offset": 0.0,
        "num_gradients": 60,
    }
    return Sharpness(**(fields | changes))


def invariance(ratios=(64.0, 0.3, 1.2, 100.0, 1.0, 1.0), verdicts=None, **changes):
    words = verdicts or ("does not", "does not", "undecided", "does not", "survives", "survives")
    fields = {
        "measures": tuple(sharp().measures),
        "ratios": np.array(ratios),
        "ratio_errors": np.array([0.1, 0.1, 0.4, 5.0, 1e-4, 1e-8]),
        "verdicts": words,
        "before": sharp(),
        "after": sharp(),
        "transformation": "ReLU rescaling, alpha = 10",
        "factors": {"0.weight": 10.0, "2.weight": 0.1},
        "tolerance": 0.05,
        "loss_change": 0.0,
        "allowed_change": 1e-7,
    }
    return SharpnessInvariance(**(fields | changes))


def noise_of_layers(snr=(0.5, 0.01, 0.0)):
    snr = np.array(snr)
    return LayerNoise(
        names=tuple(f"features.{i}.conv" for i in range(len(snr))),
        num_params=np.arange(10, 10 + len(snr)),
        snr=snr,
        intervals=np.stack([snr / 2, np.maximum(2 * snr, 0.002)], axis=1),
        gradient_sq_norms=snr,
        gradient_sq_norm_sems=snr / 4,
        trace_covariances=np.ones(len(snr)),
        resolved=snr > 0,
        num_groups=64,
    )


def predictiveness(curvature=4.0, lr=0.1, **changes):
    """L = curvature w^2 / 2 at w = 1."""
    eta = lr * np.linspace(0.5, 4.0, 8)
    fields = {
        "step_sizes": eta,
        "losses": 0.5 * curvature * (1 - eta * curvature) ** 2,
        "loss": 0.5 * curvature,
        "gradient_changes": eta * curvature**2,
        "gradient_norm": curvature,
        "rounding": 1e-7,
    }
    return GradientPredictiveness(**(fields | changes))


def signal(factor=4.0, layers=5, dead=0.0, **changes):
    """Linear layers, the last one the output; the squared gradient grows by ``factor`` towards the input."""
    ones = np.ones(layers)
    norms = factor ** np.arange(layers)[::-1]
    fields = {
        "names": tuple(f"fc{i}" for i in range(layers)),
        "kinds": ("Linear",) * layers,
        "num_units": np.full(layers, 16),
        "is_weight_layer": np.ones(layers, dtype=bool),
        "means": 0.0 * ones,
        "mean_sems": 0.01 * ones,
        "variances": 2.0 * ones,
        "variance_sems": 0.1 * ones,
        "zeros": 0.0 * ones,
        "zero_sems": 0.0 * ones,
        "dead": dead * ones,
        "gradient_sq_norms": norms,
        "gradient_sq_norm_sems": 0.1 * norms,
        "gradient_variances": norms / 16,
        "signal_growth": growth(ones[1:-1]),
        "gradient_growth": growth(norms[1:-1][::-1]),
        "num_examples": 32,
    }
    return SignalPropagation(**(fields | changes))


def paired():
    a = np.linspace(1.0, 2.0, 8)
    return paired_difference(a, a + np.linspace(0.4, 0.6, 8), unit="nat")


def rates():
    return rate_difference([True] * 2 + [False] * 18, [True] * 15 + [False] * 5)


def seed_runs():
    loss = np.array([[2.0, 1.0, 0.5], [2.2, 1.4, 0.7], [2.4, np.nan, np.nan]])
    return SeedRuns.of((0, 1, 2), theta=torch.zeros(3, 4), loss=loss, together=True)


def sweep_result():
    return sweep(
        lambda lr, arm, seed: {"loss": lr + 0.1 * seed}, {"lr": [0.1, 1.0], "arm": ["a", "b"]}, seeds=range(3)
    )


def descent(rate=0.15, steps=10, **changes):
    """Gradient descent from (1, 1) on curvatures 1 and 10."""
    curvature, limit = np.full(steps + 1, 10.0), np.full(steps + 1, 2 / rate)
    theta = (1 - rate * np.array([1.0, 10.0])) ** np.arange(steps + 1)[:, None]
    fields = {"theta": theta, "loss": 0.5 * (theta**2) @ [1.0, 10.0], "lambda_max": curvature}
    fields |= {"sharpness": curvature, "limits": limit, "rate": rate, "optimizer": "SGD"}
    return DescentPath(**(fields | {"preconditioned": False, "ended_by": "steps"} | changes))


def connection(verdict="connected", rise=0.1, **changes):
    t = np.linspace(0.0, 1.0, 11)
    fields = {
        "verdict": verdict,
        "t": t,
        "loss": 0.2 + 4 * rise * t * (1 - t),
        "line_loss": 0.2 + 8 * t * (1 - t),
        "start": np.zeros(3),
        "control": np.array([0.5, 1.0, 0.0]),
        "end": np.eye(3)[0],
        "barrier": rise,
        "barrier_at": 0.5,
        "barrier_interval": (rise, rise + 0.01),
        "line_barrier": 2.0,
        "line_barrier_interval": (2.0, 2.1),
        "max_loss": 0.2 + rise,
        "max_loss_at": 0.5,
        "max_loss_error": 0.01,
        "limit": 0.15,
        "length": 1.5,
        "line_length": 1.0,
        "mean_losses": np.array([1.5, 0.3]),
        "num_gradients": 10,
        "explanation": "",
    }
    return ModeConnection(**(fields | changes))


def shift(by=(0.5, -0.25), verdict="shifted", **changes):
    where = np.array(by)
    H, error = np.diag([2.0, 4.0]), np.array([0.01, 0.02])
    train, val = (
        PlaneMinimum(x, error, np.diag(error**2), H, floor) for x, floor in ((np.zeros(2), 0.1), (where, 0.3))
    )
    bowls = [
        plane(lambda a, b, m=m: m.loss + (a - m.where[0]) ** 2 + 2 * (b - m.where[1]) ** 2, n=17)
        for m in (train, val)
    ]
    fields = {
        "verdict": verdict,
        "train": bowls[0],
        "val": bowls[1],
        "train_minimum": train,
        "val_minimum": val,
        "shift": where,
        "shift_error": 2 * error,
        "rise": float(where @ H @ where) / 2,
        "predicted_rise": float(where @ H @ where) / 2,
        "predicted_rise_error": 0.02,
        "gap_here": 0.575,
        "gap_at_minima": 0.2,
        "explanation": "",
    }
    return SurfaceShift(**(fields | changes))


def no_shift():
    gap = {"shift": np.full(2, np.nan), "shift_error": np.full(2, np.nan), "rise": np.nan}
    return shift(verdict="undecided", val_minimum=nowhere("the lowest loss lies on the border"), **gap)


def many_planes(convex=(True, False, True), lowest=-1.0, **changes):
    bowl, saddle = plane(lambda a, b: 1 + a**2 + b**2), plane(lambda a, b: 4 + b**2 - a**2 / 2)
    fields = {
        "planes": tuple(bowl if x else saddle for x in convex),
        "bumps": np.array([0.0 if x else 0.3 for x in convex]),
        "looks_convex": np.array(convex),
        "convex_interval": (0.1, 0.99),
        "hessians": np.stack([np.diag([2.0, 2.0 if x else -1.0]) for x in convex]),
        "curvature": 1.5,
        "curvature_sem": 0.3,
        "expected_curvature": 1.4,
        "expected_sem": 0.1,
        "lowest": pairs([lowest]),
    }
    return RandomPlanes(**(fields | changes))


def dependence(n=8, one_way=True):
    rows, columns = np.indices((n, n))
    change = np.where(rows > columns if one_way else rows == columns, 0.1, 0.0) + 0.5 * np.eye(n)
    return Dependence(change=change, over="examples", slack=1e-4)


def dependence_of_positions(n=16):
    change = np.where(np.tri(n, k=1), 0.3, 0.0)
    change[:, 2::3] = np.nan
    return Dependence(change=change, over="positions", slack=1e-4)


def own_step(gone=False, **changes):
    """Four updates; with ``gone`` the optimizer saw no gradient."""
    sizes = [{"w": 3.0}, {"w": 2.5}, {"w": 2.8}, {"w": 2.2}]
    updates = [
        Update(
            i,
            0.1,
            False,
            Tensors(size, {"w": 0.0 if gone else size["w"]}, {"w": 0.0 if gone else 0.1 * size["w"]}),
        )
        for i, size in enumerate(sizes)
    ]
    return OwnStep(**({"calls": 4, "updates": tuple(updates)} | changes))


def mode_gap(logged):
    wave = 0.1 * np.sin(np.arange(24))
    return ModeGap(training=2.0 + wave, evaluation=1.0 + wave, logged=logged + wave)


EVERY_KIND = {
    "noise escape": study_cases.noise_escape(),
    "feature scaling study": study_cases.feature_scaling(),
    "scaled inputs": study_cases.scaled_inputs(),
    "scaled inputs, nothing trained": study_cases.scaled_inputs(runs={}),
    "normalization run": study_cases.normalization_run(signal()),
    "normalization run, none yet": study_cases.normalization_run(signal(), runs={}),
    "label losses": study_cases.label_losses(),
    "label losses, none yet": study_cases.label_losses({}),
    "stable rate": study_cases.stable_rate(),
    "normalization study": study_cases.normalization(),
    "descent": descent(),
    **BATCH_SIZE_KINDS,
    "own step": own_step(),
    "own step, gradients gone": own_step(gone=True),
    "own step, an error": own_step(updates=(), calls=0, error="ValueError: no such key"),
    "mode gap": mode_gap(1.0),
    "sweep": sweep_result(),
    "paired difference": paired(),
    "rate difference": rates(),
    "verdict": judge("larger batches end at a larger loss", paired(), expects="increase", smallest=0.2),
    "seed runs": seed_runs(),
    "certificate": certificate(),
    "symmetry": symmetry(),
    "eigenvalue over data": over_data(),
    "plane": plane(),
    "plane between two points": between(),
    "dependence": dependence(),
    "dependence, none": dependence(one_way=False),
    "dependence of positions": dependence_of_positions(),
    "line": line(),
    "line with its parabola": line(slope=0.5, curvature=-2.0),
    "line between two points": straight_way(),
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
    "sharpness": sharp(),
    "sharpness of a slope": sharp(keskar=highest_loss(2.0, 1.9, 0.2), sam=highest_loss(1.0, 0.9, 0.1)),
    "sharpness invariance": invariance(),
    "estimate": estimate(),
    "estimate, exact": estimate(exact=True),
    "noise not resolved": noise(np.inf, (np.inf, np.inf), False),
    "mode connection": connection(),
    "mode connection, none found": connection("no low path found", 1.0),
    "surface shift": shift(),
    "surface shift, undecided": no_shift(),
    "random planes": many_planes(),
    "random planes, ten": many_planes((True,) * 10, lowest=1.0),
    "trajectory": trajectory(),
    "signal propagation": signal(),
    "signal propagation, many layers": signal(0.1, 12, dead=0.25),
    "signal propagation, one layer": signal(layers=1),
    "unit slopes": unit_slopes(),
    "unit slopes, none": unit_slopes((), (), ()),
    "unit slopes, alive": unit_slopes((0.1,), (0.0,), ("sigmoid",)),
    "mode losses": mode_losses(),
    "mode losses, no dropout": mode_losses(dropout=np.nan),
    "feature scaling": fit_scaling(np.random.default_rng(0).normal(5.0, 2.0, (20, 3)), "z-score"),
    "feature scaling, constant": fit_scaling(np.ones((4, 12)), "none"),
    "noise of layers": noise_of_layers(),
    "noise of many layers": noise_of_layers([0.0] * 20),
    "gradient predictiveness": predictiveness(),
    "gradient predictiveness, too large a step": predictiveness(12.0),
    "noise annealing": noise_annealing(0.5, 0.275, 100),
    "noise annealing, constant": noise_annealing(0.5, 0.0, 1),
    "consultation": Consultation(
        card="a network",
        curve=read_curve(History.from_dict({"loss": [2.0] * 40})),
        level=2.1,
        answers=(),
        spent=1,
        budget=10,
    ),
    "consultation without a log": Consultation(
        card="a network", curve=None, level=None, answers=(), spent=0, budget=10
    ),
    "history": History.from_dict({"loss": [2.0, 1.0, 0.5]}),
    "loss curve, falling": read_curve(History.from_dict({"loss": np.linspace(2.0, 1.0, 40)})),
    "loss curve, flat": read_curve(History.from_dict({"loss": [2.0 - 0.1 * min(t, 15) for t in range(60)]})),
    "loss curve, too short": read_curve(History.from_dict({"loss": [2.0, 1.0, 0.5]})),
}
