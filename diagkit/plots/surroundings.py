"""A step off a point: where it leads in the plane, and what the parabola foretold against the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.measure.surroundings import Surroundings
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, outlined, short, styled

NAMES = {"lowest": "lowest curvature", "highest": "highest curvature", "random": "random direction"}
ROOM = 0.25  # of the range of the loss, above and below, for a parabola that leaves the picture
WAITING = "being measured"


def draw_step(result: Surroundings, ax: Axes | None = None, *, direction: str, share: float) -> Drawn:
    """The loss along a direction, its parabola, and both at t = ``share`` x reach; see :func:`move_step`."""
    line = result.lines.get(direction)
    with styled(ax) as axes:
        label(axes, title="A step off", x=f"t: {NAMES[direction]} (in units of θ)", y="loss L(θ + t v)")
        axes.title.set_fontsize(style.TEXT)
        axes.tick_params(labelsize=style.TEXT)  # also where the axes were cleared and are drawn later
        if line is None or line.parabola is None:
            return Drawn(axes, {"waiting": note(axes, 0.5, 0.5, WAITING)})
        # On the scale of the lowest curvature at least, so that a random direction looks as flat as it is.
        low, high = _range(np.concatenate([line.loss, result.lines["lowest"].loss]))
        dense = np.linspace(line.t[0], line.t[-1], 201)
        here = float(line.loss[len(line.t) // 2])
        parabola = here + line.slope * dense + 0.5 * line.curvature * dense**2
        (color, dashes, _), (other, other_dashes, _) = style.CURVES[:2]
        artists: dict[str, Any] = {
            "loss": axes.plot(line.t, line.loss, dashes, color=color, label="loss")[0],
            "parabola": axes.plot(dense, parabola, other_dashes, color=other, label="parabola")[0],
            "gap": axes.plot([], [], color=style.BLACK, linewidth=style.LINE, zorder=4)[0],
            "foretold": axes.plot([], [], "s", color=other, markersize=13, markeredgecolor="white", zorder=6)[
                0
            ],
            "measured": axes.plot([], [], "o", color=color, markersize=13, markeredgecolor="white", zorder=6)[
                0
            ],
        }
        axes.plot([0.0], [here], "*", color=style.BLACK, markersize=20, markeredgecolor="white", zorder=5)
        axes.set_xlim(float(line.t[0]), float(line.t[-1]))
        axes.set_ylim(low, high)
        axes.grid(alpha=0.3)
        artists["legend"] = legend_below(axes)
        drawn = Drawn(axes, artists)
        move_step(drawn, result, direction=direction, share=share)
        return drawn


def move_step(drawn: Drawn, result: Surroundings, *, direction: str, share: float) -> None:
    """Move the marks of :func:`draw_step`, and the numbers in its legend; nothing else is drawn anew."""
    step = result.step(direction, share)
    if step is None or "gap" not in drawn.artists:
        return
    t, foretold, measured = step
    low, high = drawn.ax.get_ylim()
    inside = float(np.clip(foretold, low, high))
    drawn.artists["gap"].set_data([t, t], [inside, measured])
    drawn.artists["foretold"].set_data([t], [inside])
    drawn.artists["measured"].set_data([t], [measured])
    drawn.ax.title.set_text(f"t = {short(t)}: loss {short(measured, 4)}, foretold {short(foretold, 4)}")


def draw_way(result: Surroundings, ax: Axes | None = None, *, direction: str, share: float) -> Drawn:
    """The plane of the extreme curvatures, and the step in it; see :func:`move_way`."""
    with styled(ax) as axes:
        if result.plane is None:
            words = "one parameter: no plane" if result.complete else WAITING
            label(axes, title="Loss around the model")
            axes.set_xticks([])
            axes.set_yticks([])
            return Drawn(axes, {"waiting": note(axes, 0.5, 0.5, words)})
        artists = draw(result.plane, axes, levels=12).artists
        look: dict[str, Any] = {
            "color": style.VERMILLION,
            "linewidth": 3.5,
            "path_effects": outlined("white", 6.0),
        }
        artists["way"] = axes.plot([], [], zorder=5, **look)[0]
        artists["end"] = axes.plot(
            [], [], "o", color=style.VERMILLION, markersize=14, markeredgecolor="white", zorder=7
        )[0]
        artists["outside"] = note(axes, 0.5, 0.06, "")
        drawn = Drawn(axes, artists)
        move_way(drawn, result, direction=direction, share=share)
        return drawn


def move_way(drawn: Drawn, result: Surroundings, *, direction: str, share: float) -> None:
    """Move the step of :func:`draw_way`."""
    if "way" not in drawn.artists:
        return
    t = share * result.reach
    a, b = {"lowest": (t, 0.0), "highest": (0.0, t)}.get(direction, (np.nan, np.nan))
    drawn.artists["way"].set_data([0.0, a], [0.0, b])
    drawn.artists["end"].set_data([a], [b])
    drawn.artists["outside"].set_text("a random step leaves this plane" if direction == "random" else "")


def _range(loss: np.ndarray) -> tuple[float, float]:
    """Limits of the axis of losses: what was measured, and room for the parabola."""
    finite = loss[np.isfinite(loss)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    room = ROOM * (high - low) or 0.1 * (abs(low) or 1.0)
    return low - room, high + room
