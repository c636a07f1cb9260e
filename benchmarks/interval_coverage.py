"""How often does an interval of 95 % hold the mean, with 8 seeds? By simulation, as Markdown.

    python benchmarks/interval_coverage.py [--samples 2000] > benchmarks/results/interval-coverage.md

Student's interval, the studentized bootstrap, and scipy's BCa and percentile bootstraps, on distributions
that differences of pairs may have.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy import stats

from diagkit.experiments import bootstrap_t_interval, student_interval

Rng = np.random.Generator
SIZES = (5, 8, 20)
RESAMPLES = 1999
CHUNK = 100  # samples resampled at once


def two_lognormals(rng: Rng, shape: tuple[int, int]) -> np.ndarray:
    return rng.lognormal(size=shape) - rng.lognormal(size=shape)


def shifted(rng: Rng, shape: tuple[int, int]) -> np.ndarray:
    return 5.0 * (rng.random(shape) < 0.2) + rng.normal(size=shape)


# name -> (draw, mean)
DISTRIBUTIONS: dict[str, tuple[Callable[[Rng, tuple[int, int]], np.ndarray], float]] = {
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.0),
    "Student, 3 degrees": (lambda rng, shape: rng.standard_t(3, size=shape), 0.0),
    "difference of two lognormals": (two_lognormals, 0.0),
    "exponential": (lambda rng, shape: rng.exponential(size=shape), 1.0),
    "lognormal": (lambda rng, shape: rng.lognormal(size=shape), float(np.exp(0.5))),
    "one in five shifted by 5": (shifted, 1.0),
}


def ends(method: str, samples: np.ndarray) -> np.ndarray:
    """Intervals [samples, 2]."""
    if method == "Student":
        return np.array([student_interval(sample) for sample in samples])
    if method == "studentized":
        return np.array([bootstrap_t_interval(sample, seed=i) for i, sample in enumerate(samples)])
    parts = []
    for start in range(0, len(samples), CHUNK):
        found = stats.bootstrap(
            (samples[start : start + CHUNK],),
            np.mean,
            axis=1,
            vectorized=True,
            n_resamples=RESAMPLES,
            method=method,
            rng=np.random.default_rng(start),
        ).confidence_interval
        parts.append(np.stack([found.low, found.high], axis=1))
    return np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    count = parser.parse_args().samples
    methods = ("Student", "studentized", "BCa", "percentile")
    error = 100 * np.sqrt(0.95 * 0.05 / count)
    print("# Coverage of 95 % intervals of a mean\n")
    print(f"Share of {count} samples whose interval holds the mean, in % (standard error {error:.1f} %).")
    print("In brackets the median width, relative to Student's.\n")
    print("| n | distribution | " + " | ".join(methods) + " |")
    print("|---:|---|" + "---:|" * len(methods))
    for n in SIZES:
        for name, (draw, mean) in DISTRIBUTIONS.items():
            samples = draw(np.random.default_rng(0), (count, n))
            found = {method: ends(method, samples) for method in methods}
            widths = {method: np.median(np.diff(e)) for method, e in found.items()}
            covered = {m: 100 * np.mean((e[:, 0] <= mean) & (e[:, 1] >= mean)) for m, e in found.items()}
            cells = [f"{covered[m]:.1f} ({widths[m] / widths['Student']:.2f})" for m in methods]
            print(f"| {n} | {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
