"""CPU seconds for the same picture, one thread, all packages in one process, in turn.

Every row is one plane: the peer draws it by its own call with 51 x 51 points, ``dk.loss_plane`` draws the
same plane over the same extent with tol = 0.01, its set-up (``dk.Objective``) included. Where the peer takes
directions, they are ours; where it makes its own or changes those it is given, ours takes the peer's. Errors
are the largest over the picture, as it shows them: the peer's against the loss at the coordinates that it
returns, or, where it returns none, at those of the grid that its source says it walks, the better of two
readings. "In hindsight": the peer's seconds if it had been asked for the coarsest grid whose bicubic spline
is within the same 1 %, and had computed each of its cells where it says.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.curvature.models import Trained
from benchmarks.surface.cases import (
    BRUTE_FORCE,
    Errors,
    Surface,
    cpu_seconds,
    eigenvector_planes,
    in_hindsight,
    make,
    objective,
    random_planes,
)
from benchmarks.surface.peers import Drawing, drawings
from diagkit.measure.surface.points import evaluating

REPEATS = {"mlp": 5, "cnn": 2, "gpt": 2}  # of runs that take seconds


def surfaces(case: Trained) -> list[Surface]:
    """Ours, which a peer may be given."""
    obj = objective(case)
    return [
        *random_planes(obj, 1.0, count=1),
        *random_planes(obj, 3.0, count=1),
        *eigenvector_planes(obj, 1.0),
    ]


def error_of_peer(case: Trained, drawing: Drawing, drawn: np.ndarray) -> float:
    plane = drawing.surface.plane
    a = drawing.claimed[0][0]
    b = np.unique(np.concatenate([b for _, b in drawing.claimed]))
    places = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
    with evaluating(objective(case), plane.origin, (plane.d1, plane.d2)) as losses_at:
        true = losses_at(places).reshape(len(a), len(b))
    return min(Errors.of(drawn, true[:, np.searchsorted(b, columns)]).shown for _, columns in drawing.claimed)


def compare(case: Trained, drawing: Drawing, repeats: int) -> dict[str, Any]:
    """Both in turn, after one run of ours, which is the shorter and is not counted."""

    def ours() -> Any:
        return drawing.surface.draw(objective(case))

    picture = ours()
    truth = drawing.surface.draw(objective(case), tol=None).loss
    seconds: dict[str, list[float]] = {"peer": [], "ours": []}
    for _ in range(repeats):
        spent, drawn = cpu_seconds(drawing.run)
        seconds["peer"].append(spent)
        seconds["ours"].append(cpu_seconds(ours)[0])
    peer, own = (float(np.median(s)) for s in seconds.values())
    return {
        "model": case.name,
        "plane": drawing.surface.kind,
        "peer": drawing.name,
        "passes": BRUTE_FORCE,
        "its error": error_of_peer(case, drawing, drawn),
        "its CPU s": peer,
        "our passes": picture.num_evals,
        "our error": Errors.of(picture.loss, truth).shown,
        "our CPU s": own,
        "ratio": peer / own,
        "ratio in hindsight": peer / own * in_hindsight(truth) / BRUTE_FORCE,
    }


def run(names: Sequence[str], quick: bool = False) -> pd.DataFrame:
    torch.set_num_threads(1)
    rows = []
    for name in names:
        case = make(name)
        for drawing in drawings(copy.deepcopy(case), iter(surfaces(case))):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows.append(compare(case, drawing, 1 if quick else REPEATS[name]))
            print(f"  {name}, {drawing.name}: {rows[-1]['ratio']:.1f}", flush=True)
    return pd.DataFrame(rows)
