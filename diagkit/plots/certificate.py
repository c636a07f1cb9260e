"""Certificates: what was found and what is excluded, product by product; whether products are symmetric."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from diagkit.measure.certificate import CurvatureCertificate, chance
from diagkit.measure.symmetry import SymmetryCheck
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, short, styled

ANSWERS = {
    "negative-curvature": "Proven: curvature {value} < {claim}",
    "none-below": "No curvature below {claim} ({chance})",
    "undecided": "Undecided: is there curvature below {claim}?",
}
FAINTEST = 1e-3  # of the curvature asked about: asymmetry drawn where there is none


@draw.register
def draw_certificate(result: CurvatureCertificate, ax: Axes | None = None) -> Drawn:
    """Two curves that close on each other, and -eps: the answer is which of them crosses it.

    Above, the lowest curvature found, which can only fall; below, hatched, what is excluded, which can only
    grow. The lowest curvature of the loss lies between them, but for the failure probability.
    """
    products = np.arange(1, len(result.bounds) + 1)
    sure = chance(result.failure_probability)
    with styled(ax) as axes:
        axes.set_yscale("symlog", linthresh=result.eps)
        bounds = np.where(np.isfinite(result.bounds), result.bounds, result.bounds[0])
        low = 2.0 * min(-2.0 * result.eps, float(bounds.min()), float(result.lowest.min()))
        high = 2.0 * max(2.0 * result.eps, float(result.lowest.max()))
        axes.set_ylim(low, high)
        single = len(products) == 1
        axes.set_xlim((0.5, 1.5) if single else (1.0, float(products[-1])))
        artists: dict[str, Any] = {
            "excluded": axes.fill_between(
                [0.5, 1.5] if single else products,
                np.repeat(bounds, 2) if single else bounds,
                low,
                facecolor=style.UNKNOWN_FACE,
                edgecolor=style.GREY,
                hatch=style.HATCH,
                linewidth=0,
                label=f"excluded ({sure})",
            ),
            "lowest": axes.plot(
                products,
                result.lowest,
                "-",
                marker="o",
                markevery=max(1, len(products) // 12),
                color=style.BLUE,
                clip_on=False,
                label="lowest found",
            )[0],
            "bound": axes.plot(products, bounds, "-", color=style.BLACK)[0],
            "claim": axes.axhline(
                -result.eps, color=style.VERMILLION, linestyle="--", label=f"asked: {short(-result.eps)}"
            ),
        }
        axes.axhline(0.0, color="black", linewidth=style.THIN)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _few_ticks(axes, low, high, result.eps)
        title = ANSWERS[result.verdict].format(
            value=short(result.value), claim=short(-result.eps), chance=sure
        )
        partial = "" if result.complete else " (partial)"
        label(axes, title=title + partial, x="products with the Hessian", y="curvature (symmetric log scale)")
        artists["legend"] = legend_below(axes, [artists[k] for k in ("lowest", "excluded", "claim")])
        return Drawn(axes, artists)


def _few_ticks(ax: Axes, low: float, high: float, eps: float) -> None:
    """Powers of ten outside +-eps, no more than five a side, and zero."""

    def powers(reach: float) -> list[float]:
        first, last = int(np.ceil(np.log10(eps))), int(np.floor(np.log10(max(reach, eps))))
        return [10.0**n for n in range(first, last + 1, max(1, (last - first + 4) // 5))]

    ticks = sorted([0.0, *(-x for x in powers(-low)), *powers(high)])
    ax.set_yticks(ticks, labels=[f"{x:g}".replace("-", "−") for x in ticks])
    ax.set_yticks([], minor=True)


@draw.register
def draw_symmetry(result: SymmetryCheck, ax: Axes | None = None) -> Drawn:
    """|u^T H v - v^T H u| on a log axis, beside what rounding explains and the size of H v."""
    allowed = result.allowed or np.finfo(float).tiny
    seen = max(result.asymmetry, FAINTEST * allowed)
    reach = max(seen, result.scale, allowed)
    color, marker = (style.BLUE, "o") if result.symmetric else (style.VERMILLION, "X")
    with styled(ax) as axes:
        axes.set_xscale("log")
        axes.set_xlim(0.1 * min(seen, allowed), 30 * reach)
        axes.set_ylim(0.0, 1.0)
        artists: dict[str, Any] = {
            "rounding": axes.axvspan(
                axes.get_xlim()[0],
                allowed,
                color=style.GREY,
                alpha=0.3,
                linewidth=0,
                label="rounding explains",
            ),
            "asymmetry": axes.plot(
                [seen], [0.6], marker, color=color, markersize=16, linestyle="none", label="|uᵀHv − vᵀHu|"
            )[0],
            "scale": axes.plot(
                [max(result.scale, allowed)],
                [0.6],
                "s",
                color=style.BLACK,
                markersize=14,
                linestyle="none",
                label="size of Hv",
            )[0],
        }
        below = "" if result.asymmetry >= seen else "below "
        artists["text"] = note(
            axes, 0.5, 0.25, f"differ by {below}{short(seen)}; rounding explains {short(result.allowed)}"
        )
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        answer = "The Hessian products are symmetric" if result.symmetric else "Not symmetric: not a Hessian"
        label(axes, title=answer, x="in the units of the curvature (log scale)")
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)
