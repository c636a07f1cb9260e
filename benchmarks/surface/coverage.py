"""How often does the error that is stated hold? True errors against tol = 0.01 and against ``max_error``.

Each family is drawn many times. "True / stated" is the true largest error over the stated one: above 1 the
statement was too good. Errors are those that the picture shows (of the logarithm too where it is
logarithmic), but for the column "linear": that counts the loss alone. "Hidden": surfaces with cells that are
not finite and are drawn finite, which no error counts. The refinement sees nothing of a surface but the cells
that it asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.surface.accuracy import assess
from benchmarks.surface.cases import (
    BRUTE_FORCE,
    TOL,
    Errors,
    Planes,
    eigenvector_planes,
    gradient_planes,
    random_planes,
    refined,
)
from benchmarks.surface.families import FAMILIES

ROUNDING = 1e-9  # of the range: what a spline that is exact leaves

# An MLP's pass takes half a millisecond: it can be drawn often.
WIDE: tuple[Planes, ...] = (
    partial(random_planes, extent=0.3, count=4),
    partial(random_planes, extent=1.0, count=8),
    partial(random_planes, extent=3.0, count=8),
    partial(random_planes, extent=10.0, count=4),
    partial(eigenvector_planes, extent=1.0),
    partial(eigenvector_planes, extent=5.0),
    partial(gradient_planes, extent=1.0),
    partial(gradient_planes, extent=5.0),
)


def synthetic(draws: int) -> Iterator[dict[str, Any]]:
    for index, (name, family) in enumerate(FAMILIES.items()):
        for seed in range(draws):
            true = family(np.random.default_rng([index, seed]))
            grid = refined(true)
            found = Errors.of(grid.loss, true)
            yield {
                "family": name,
                "seed": seed,
                "passes": int(grid.evaluated.sum()),
                "error": found.linear,
                "error as shown": found.shown,
                "stated": grid.max_error,
                "hidden": found.hidden,
            }
        print(f"  {name}", flush=True)


def real(model_seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    frame = assess(("mlp",), model_seeds, WIDE, repeats=1)
    for row in frame.to_dict("records"):
        yield {"family": f"{row['model']}, {row['plane']}", **row}


def run(draws: int, model_seeds: Sequence[int] = (0, 1)) -> pd.DataFrame:
    columns = ["family", "model seed", "seed", "passes", "error", "error as shown", "stated", "hidden"]
    rows = [*real(model_seeds), *synthetic(draws)]
    return with_ratio(pd.DataFrame(rows)[columns])


def with_ratio(frame: pd.DataFrame) -> pd.DataFrame:
    """true / stated, neither of them below rounding; 0 where every cell was computed."""
    error, stated = frame["error as shown"], frame.stated
    ratio = (error / stated.clip(lower=ROUNDING)).where(error > 0.0, 0.0)
    return frame.assign(ratio=ratio, honest=error <= stated.clip(lower=ROUNDING))


def summary(frame: pd.DataFrame, by: str = "family") -> pd.DataFrame:
    rows = []
    for name, part in frame.groupby(by, sort=False):
        error, n = part["error as shown"], len(part)
        rows.append(
            {
                by: name,
                "surfaces": n,
                "passes, median": float(part.passes.median()),
                "90 %": float(part.passes.quantile(0.9)),
                "most": int(part.passes.max()),
                "linear within 1 %": f"{(part.error <= TOL).mean():.0%}",
                "within 1 %": f"{(error <= TOL).mean():.0%}",
                "within stated": f"{part.honest.mean():.0%}",
                "true / stated, median": float(part.ratio.median()),
                "90 % ": float(part.ratio.quantile(0.9)),
                "most ": float(part.ratio.max()),
                "true error, most": float(error.max()),
                "hidden": int((part.hidden > 0).sum()),
            }
        )
    assert frame.passes.max() <= BRUTE_FORCE
    return pd.DataFrame(rows)


def worst(frame: pd.DataFrame, count: int = 12) -> pd.DataFrame:
    """The surfaces whose true error is farthest above the stated one: the family's generator and its seed."""
    columns = [
        "family",
        "model seed",
        "seed",
        "passes",
        "error",
        "error as shown",
        "stated",
        "ratio",
        "hidden",
    ]
    return frame.nlargest(count, "ratio")[columns]
