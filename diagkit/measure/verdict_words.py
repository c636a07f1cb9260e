"""Words for the verdict on a point: what is proven, what is probable, what is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diagkit.measure.critical_points import Facts


def explain(verdict: str, facts: Facts, index: int | None) -> str:
    """One paragraph; every number in it is from ``facts``."""
    return " ".join(
        [_place(verdict, facts, index), _probable(verdict, facts), _unknown(verdict, facts)]
    ).strip()


def _place(verdict: str, f: Facts, index: int | None) -> str:
    gradient = f"gradient norm {f.gradient_norm:.2g}"
    if verdict == "not-critical":
        return (
            f"Not a critical point ({gradient}): a Newton step would remove the gradient but for "
            f"{100 * f.unexplained:.0f} % of it."
        )
    if verdict == "gradient-flat":
        return (
            f"Gradient-flat ({gradient}): the gradient lies where the Hessian is near zero (relative Newton "
            f"residual {f.newton_residual:.2f}): a slope without curvature, neither a minimum nor a saddle."
        )
    known = f"Proven: critical to tolerance ({gradient})"
    if verdict == "saddle":
        count = "" if index is None else f", {index} negative eigenvalue{'s' if index != 1 else ''} in all"
        return (
            f"{known}, with a direction of curvature {f.lowest:.3g} < 0 along which a finite step lowers the "
            f"loss, and one of curvature {f.highest:.3g} > 0{count}: a saddle."
        )
    if verdict == "maximum":
        top = max(f.highest, 0.0)
        return f"{known}, with negative curvature ({f.lowest:.3g}) and none above {top:.2g}: a maximum."
    if verdict == "minimum-within-tolerance":
        return (
            f"{known}, with positive curvature ({f.highest:.3g}); the lowest value found is {f.lowest:.2g}."
        )
    if verdict == "degenerate":
        return f"{known}. The second derivatives do not decide: " + _degenerate(f)
    if f.down is not None and not f.down.descends:
        return f"{known}. The curvature {f.lowest:.3g} is not followed by the loss at finite steps: a kink?"
    return f"{known}. The ends of the spectrum did not converge ({f.lowest:.2g} to {f.highest:.2g})."


def _degenerate(f: Facts) -> str:
    if max(abs(f.lowest), abs(f.highest)) <= f.zero:
        start = "all curvatures are zero to rounding"
    else:
        start = "some curvatures are zero to rounding"
    if any(w.descends for w in f.flat):
        return f"{start}, and finite steps along such directions lower the loss (a saddle of higher order)."
    if f.flat and all(w.climbs for w in f.flat):
        return f"{start}, yet all finite steps tried raise the loss (a kink or a minimum of higher order)."
    return f"{start}; finite steps along such directions show no clear change."


def _probable(verdict: str, f: Facts) -> str:
    if verdict == "minimum-within-tolerance":
        tail = (
            f" Along {len(f.flat)} directions without curvature no finite step lowered the loss."
            if f.flat
            else ""
        )
        return f"Probable (99 %): no curvature below {f.none_below:.2g}.{tail}"
    return ""


def _unknown(verdict: str, f: Facts) -> str:
    if verdict == "minimum-within-tolerance":
        return "Unknown: whether other minima are lower; nothing global is claimed."
    if verdict == "undecided":
        return "A larger max_hvps or float64 parameters would settle it."
    return ""
