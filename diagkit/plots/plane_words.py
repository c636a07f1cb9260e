"""What a picture of a plane says in words: what it shows, how sure it is, what it leaves out."""

from __future__ import annotations

import numpy as np

from diagkit.measure.surface import PlaneSlice
from diagkit.measure.surface.plane_slice import MarkedLoss
from diagkit.plots.plane_axes import true_aspect
from diagkit.plots.style import short

TITLES = {
    "between two points": "Loss between two points",
    "through three points": "Loss through three points",
    "through a curve": "Loss around a curve",
    "trajectory": "Loss around the path of training",
}
NAMES = {"other": "other point", "second": "second point", "third": "third point", "control": "control point"}
SURE = 1e-4  # a smaller error is "below" it


def title(result: PlaneSlice) -> str:
    """What is shown; on a second line the barrier, where two points are joined."""
    partial = "" if result.complete else " (partial)"
    words = TITLES.get(result.kind, "Loss around the model") + partial
    return "\n".join([words, *barrier_words(result)])


def barrier_words(result: PlaneSlice) -> list[str]:
    """One line about the straight way, or none. A barrier is claimed only above its error."""
    found = result.barrier
    if found is None or not np.isfinite(found.height):
        return []
    low, high = found.interval
    if low > 0:
        return [f"barrier on the straight way: {short(found.height)}"]
    return [f"no barrier seen on the straight way (at most {short(high, 2)})"]


def how_sure(result: PlaneSlice, dots: str = "") -> list[str]:
    """How many cells were computed, how far off the others may be, and whether distances are distorted."""
    computed, error = int(result.evaluated.sum()), result.max_error
    phrases = [f"{computed} of {result.loss.size} cells computed{dots}"]
    if computed == result.loss.size:
        phrases = [f"every cell computed{dots}"]
    elif np.isfinite(error):
        size = f"at most about {short(100 * error, 2)}" if error > SURE else f"below {short(100 * SURE)}"
        phrases += [f"error {size} % of the range"]
    return phrases if true_aspect(result) else [*phrases, "not drawn to scale"]


def missing(result: PlaneSlice) -> str:
    """How many cells have no finite loss, and how many no number yet; empty where there are none."""
    unknown = ~np.isfinite(result.loss)
    waiting = unknown & ~result.evaluated if not result.complete else np.zeros_like(unknown)
    failed = int((unknown & ~waiting).sum())
    parts = [f"loss not finite ({failed} cells)"] if failed else []
    parts += [f"not computed ({int(waiting.sum())} cells)"] if waiting.any() else []
    return ", ".join(parts)


def here(result: PlaneSlice) -> str:
    """Of the star."""
    loss, name = loss_here(result), "the end of the path" if result.kind == "trajectory" else "here"
    return f"{name}: loss {short(loss)}" if np.isfinite(loss) else f"{name}: loss not finite"


def of_mark(mark: MarkedLoss) -> str:
    """Its name and its loss."""
    loss = f"loss {short(mark.loss)}" if np.isfinite(mark.loss) else "loss not finite"
    return f"{NAMES.get(mark.name, mark.name)}\n{loss}"


def loss_here(result: PlaneSlice) -> float:
    """At the centre, which is always a cell of the grid."""
    return float(result.loss[np.abs(result.a).argmin(), np.abs(result.b).argmin()])
