"""What was read off a loss curve, marked on the curve."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from diagkit.diagnosis.loss_curve import LossCurve
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.history import BLACK, BLUE, GREEN, MANY, VERMILLION, draw_history
from diagkit.plots.style import TEXT, styled


@draw.register
def draw_loss_curve(result: LossCurve, ax: Axes | None = None, **options: Any) -> Drawn:
    """Draw the log with what was found in it: a rise, a level, a slope, the lowest validation, a spent rate.

    Each mark carries its words. At most one of slope and level is drawn: a curve is falling or flat.
    """
    with styled(ax) as axes:
        given = axes.get_title()
        titled = any(axes.get_title(loc=place) for place in ("left", "center", "right"))
        artists: dict[str, Any] = dict(draw_history(result.history, axes, **options))
        axes.set_title(given if titled else _title(result))
        axes.tick_params(labelsize=TEXT)
        if "nothing" in artists:
            return Drawn(axes, artists)
        _mark_course(result, axes, artists)
        _mark_events(result, axes, artists)
        artists["legend"] = axes.legend(
            fontsize=TEXT - 1,
            loc="best" if result.history.num_steps <= MANY else "upper right",
            framealpha=0.85,
        )
    return Drawn(axes, artists)


def _mark_course(result: LossCurve, ax: Axes, artists: dict[str, Any]) -> None:
    """The slope over the last quarter while it falls, the level since it does not."""
    line, curve = result.trend, result.levels
    if line is None or curve is None:
        return
    end = float(curve.step[-1])
    if result.is_falling:
        artists["slope"] = ax.plot(
            [end - line.window, end], [line.last + line.fall, line.last], color=GREEN, linewidth=4, zorder=5,
            label=f"last quarter: −{line.fall:.2g} ± {line.sem:.1g}",
        )[0]  # fmt: skip
    elif result.is_flat and not (result.rise or result.swing) and result.flat_since is not None:
        artists["level"] = ax.plot(
            [result.flat_since, end], [curve.last] * 2, color=GREEN, linewidth=4, zorder=5,
            label=f"flat since step {result.flat_since:.0f}",
        )[0]  # fmt: skip


def _mark_events(result: LossCurve, ax: Axes, artists: dict[str, Any]) -> None:
    if result.rise is not None:
        found = result.rise
        how = "jump" if found.sudden else "rise"
        artists["rise"] = ax.axvline(
            found.step, color=BLACK, linestyle=":", linewidth=2.5,
            label=f"{how} at step {found.step}: {found.before:.3g} to {found.after:.3g}",
        )  # fmt: skip
    if result.overfit is not None and result.overfit.significant:
        artists["best"] = ax.plot(
            [result.overfit.step], [result.overfit.lowest], "*", color=VERMILLION, markersize=19,
            markeredgecolor=BLACK, zorder=6, linestyle="none",
            label=f"validation lowest at step {result.overfit.step}",
        )[0]  # fmt: skip
    if result.spent is not None:
        end = float(result.history.step[-1])
        artists["spent"] = ax.axvspan(
            result.spent.step, end, color=BLUE, alpha=0.1, linewidth=0, hatch="//",
            label=f"rate below 1 % from step {result.spent.step}",
        )  # fmt: skip


def _title(result: LossCurve) -> str:
    """What the eye should see first."""
    if result.history.first_non_finite is not None:
        return f"The loss is NaN or Inf from step {result.history.first_non_finite} on"
    if result.levels is None:
        return "Too few losses to judge"
    if result.rise is not None:
        return f"The loss went up to {result.rise.after:.3g} and stayed there"
    if result.swing is not None:
        return f"The loss swings every {result.swing.period:.3g} entries"
    if result.overfit is not None and result.overfit.significant:
        return f"Validation loss rises after step {result.overfit.step}"
    if result.spent is not None and result.spent.early:
        return f"The rate ran out at step {result.spent.step}"
    if result.is_falling:
        return "The loss still falls"
    if result.is_flat and result.flat_since is not None:
        return f"The loss is flat at {result.levels.last:.3g} since step {result.flat_since:.0f}"
    return "Noise hides whether the loss still falls"
