"""Studies with known numbers, written by hand."""

import numpy as np

from diagkit.experiments import (
    EscapeTask,
    FeatureScalingStudy,
    LabelLosses,
    LabelLossTask,
    NoiseEscapeStudy,
    Normalization,
    NormalizationStudy,
    Outcome,
    StableRate,
    TrainingPlan,
    sweep,
)
from diagkit.experiments.normalization.claims import judge_all
from diagkit.experiments.normalization.short_run import NormalizationRun, NormalizationTask, ShortRun
from diagkit.experiments.scaled_inputs import ScaledInputs, ScalingTask, pair_valley
from diagkit.training import fit_scaling


def noise_escape(noisy=0.95, seeds=range(3)):
    """From zeros 0.1 without noise; ``noisy`` with it, less 0.1 with the last seed; from He's start 1."""

    def run(start, noise, seed):
        accuracy = 1.0 if start == "He" else noisy - 0.1 * (seed == 2) if noise else 0.1
        return {"accuracy": accuracy, "success": accuracy >= 0.9, "loss": 1.0 if accuracy else np.nan}

    runs = sweep(run, {"start": ["zero", "He"], "noise": [False, True]}, seeds=seeds)
    return NoiseEscapeStudy(sweep=runs, verdicts=(), task=EscapeTask(), num_params=10)


def feature_scaling(never="none"):
    """100, 200 and so on steps; those of the kind ``never`` do not get there."""

    def run(kind, rate, seed):
        kinds = {"none": (50_000.0, 300), "z-score": (2.0, 100)}
        condition, steps = kinds[kind]
        reached = kind != never
        return {
            "condition_with_bias": condition,
            "steps": steps + 10 * seed if reached else 500,
            "reached": reached,
        }

    settings = {"kind": ["none", "z-score"], "rate": ["fixed", "1/lambda_max", "Adam"]}
    return FeatureScalingStudy(
        sweep=sweep(run, settings, seeds=range(3)), verdicts=(), target=0.1, max_steps=500
    )


def stable_rate(ratios=(0.5, 0.1, 3.0, 1e30)):
    ratios = np.array(ratios)
    rates = 0.1 * 2.0 ** np.arange(len(ratios))
    low = float(rates[ratios <= 1].max(initial=0.0))
    high = float(rates[rates > low].min(initial=np.inf))
    return StableRate(
        rate=low, interval=(low, high), rates=rates, ratios=ratios, stable=ratios <= 1, steps=50
    )


def normalization(factor=0.5, seeds=range(8)):
    """lambda_max early is ``factor`` times that of the plain net; nothing else was measured."""

    def run(kind, place, affine, seed):
        return {"lambda_max_early": (1.0 if kind == "none" else factor) * (1 + 0.1 * seed)}

    kinds = (Normalization("none"), Normalization("batch", "after"), Normalization("layer"))
    runs = sweep(run, [kind.settings for kind in kinds], seeds=seeds)
    return NormalizationStudy(
        sweep=runs,
        verdicts=judge_all(runs, None, kinds, TrainingPlan(), ()),
        normalizations=kinds,
        sizes=None,
        training=TrainingPlan(),
    )


def label_losses(accuracy=None, head_start=10.0):
    """Two seeds, three points of accuracy; b from 0 to 20, at which cross-entropy is b and its slope 1."""
    b = np.linspace(0, 20, 21)
    if accuracy is None:
        accuracy = {"cross-entropy": np.array([[0.1, 0.5, 0.9], [0.1, 0.6, 1.0]])}
        accuracy |= {"squared, scores": np.array([[0.1, np.nan, np.nan], [0.1, 0.2, 0.3]])}
    return LabelLosses(
        task=LabelLossTask(head_start, steps=20),
        seeds=(0, 1),
        head_starts=b,
        start_loss={"cross-entropy": b, "class as number": np.array([2.0])},
        start_gradient={"cross-entropy": np.ones(21), "class as number": np.array([3.0])},
        steps=np.array([0, 10, 20]),
        accuracy=accuracy,
    )


def scaled_inputs(kind="z-score", runs=None, rule="fixed", target=0.1):
    """Columns of deviation 1 and 10; runs: kind -> losses, 10 and 2 steps to the target if None."""
    X = np.array([[1.0, 10.0], [1.0, -10.0], [-1.0, 10.0], [-1.0, -10.0]])
    scaling = fit_scaling(X, kind)
    runs = {"none": np.geomspace(1.0, 0.1, 11), kind: np.array([1.0, 0.3, 0.1])} if runs is None else runs
    return ScaledInputs(
        task=ScalingTask(kind, rule, target, max_steps=20),
        names=("metres", "milligrams"),
        scaling=scaling,
        pair=(1, 0),
        before=pair_valley(X[:, ::-1]),
        after=pair_valley(scaling.apply(X).numpy()[:, ::-1]),
        runs={
            name: Outcome(
                {"steps": len(losses) - 1, "reached": bool(losses[-1] <= target), "lr": 0.1},
                series={"step": np.arange(len(losses)), "loss": losses},
            )
            for name, losses in runs.items()
        },
    )


def normalization_run(signals, kind="batch", runs=None):
    """``signals`` are those at the start; without normalization a loss of 2, with it 2 to 1 in 20 steps."""
    if runs is None:
        runs = {
            kind: ShortRun(np.linspace(2.0, 1.0, 20), np.array([50.0, 20.0, 10.0, 5.0])),
            "none": ShortRun(np.full(20, 2.0), np.array([0.1, 0.1, 0.1, 0.1])),
        }
    return NormalizationRun(task=NormalizationTask(kind, steps=20), signals=signals, runs=runs)
