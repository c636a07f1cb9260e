"""Studies with known numbers, written by hand."""

import numpy as np

from diagkit.experiments import (
    EscapeTask,
    FeatureScalingStudy,
    NoiseEscapeStudy,
    Normalization,
    NormalizationStudy,
    StableRate,
    TrainingPlan,
    sweep,
)
from diagkit.experiments.normalization.claims import judge_all


def noise_escape(noisy=0.95, seeds=range(3)):
    """From zeros 0.1 without noise; ``noisy`` with it, less 0.1 with the last seed; from He's start 1."""

    def run(start, noise, seed):
        accuracy = 1.0 if start == "He" else noisy - 0.1 * (seed == 2) if noise else 0.1
        return {"accuracy": accuracy, "success": accuracy >= 0.9}

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
