"""Forward passes, true errors and CPU seconds of ``dk.loss_plane(..., resolution=51, tol=0.01)``.

Truth is the picture with every cell computed (2601 passes). "Error" is the largest over all cells, as a share
of the range of the loss; "as shown" counts the logarithm too where the picture is logarithmic: this is what
tol = 0.01 promises. "Grid in hindsight": passes of the coarsest uniform grid whose bicubic spline is within
the same 1 %, which nobody can know beforehand. "Choosing cells": CPU seconds of the splines alone, on losses
that are known already. "Per pass": CPU time over that of as many bare passes, ``loss_fn(model(X), y)``, with
tol = 0.01 and with every cell computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.surface.cases import (
    BRUTE_FORCE,
    GOAL,
    STANDARD,
    Errors,
    Planes,
    bare_pass,
    cpu_seconds,
    in_hindsight,
    make,
    objective,
    refined,
)


def assess(
    names: Sequence[str], model_seeds: Sequence[int], planes: Sequence[Planes], repeats: int = 3
) -> pd.DataFrame:
    """A row per surface."""
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name in names:
        for model_seed in model_seeds:
            case = make(name, model_seed)
            obj = objective(case)
            for surface in (s for of in planes for s in of(obj)):
                unit = bare_pass(case)
                runs = [cpu_seconds(lambda s=surface, o=obj: s.draw(o)) for _ in range(repeats)]
                ours = runs[0][1]
                brute, truth = cpu_seconds(lambda s=surface, o=obj: s.draw(o, tol=None))
                found = Errors.of(ours.loss, truth.loss)
                fits = [cpu_seconds(lambda t=truth.loss: refined(t))[0] for _ in range(repeats)]
                seconds = float(np.median([run[0] for run in runs]))
                rows.append(
                    {
                        "model": case.name,
                        "model seed": model_seed,
                        "plane": surface.kind,
                        "seed": surface.seed,
                        "scale": found.scale,
                        "passes": ours.num_evals,
                        "fewer": BRUTE_FORCE / ours.num_evals,
                        "grid in hindsight": in_hindsight(truth.loss),
                        "error": found.linear,
                        "error as shown": found.shown,
                        "stated": ours.max_error,
                        "hidden": found.hidden,
                        "CPU s": seconds,
                        "of it choosing cells": float(np.median(fits)),
                        "brute force CPU s": brute,
                        "per pass": seconds / ours.num_evals / unit,
                        "brute force per pass": brute / BRUTE_FORCE / unit,
                    }
                )
            print(f"  {name}, seed {model_seed}: {len(rows)} surfaces", flush=True)
    return pd.DataFrame(rows)


def run(names: Sequence[str]) -> pd.DataFrame:
    return assess(names, (0,), STANDARD)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Per model and kind of plane."""
    rows = []
    for (model, plane), part in frame.groupby(["model", "plane"], sort=False):
        rows.append(
            {
                "model": model,
                "plane": plane,
                "surfaces": len(part),
                "passes, median": float(part.passes.median()),
                "passes, most": int(part.passes.max()),
                f"<= {GOAL}": f"{(part.passes <= GOAL).sum()} of {len(part)}",
                "fewer than 2601, median": float(part.fewer.median()),
                "grid in hindsight, median": float(part["grid in hindsight"].median()),
                "error as shown, most": float(part["error as shown"].max()),
                "within 1 %": f"{(part['error as shown'] <= 0.01).sum()} of {len(part)}",
                "within stated": f"{(part['error as shown'] <= part.stated).sum()} of {len(part)}",
                "CPU: brute force / ours": float((part["brute force CPU s"] / part["CPU s"]).median()),
                "choosing cells, s": float(part["of it choosing cells"].median()),
                "per pass": float(part["per pass"].median()),
                "brute force per pass": float(part["brute force per pass"].median()),
            }
        )
    return pd.DataFrame(rows)
