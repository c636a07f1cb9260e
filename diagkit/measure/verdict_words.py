"""Words for the verdict on a point: what is proven, what is probable, what is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diagkit.measure.symmetry import not_symmetric

if TYPE_CHECKING:
    from diagkit.measure.critical_points import Facts


def explain(verdict: str, facts: Facts, index: int | None) -> str:
    """One paragraph; every number in it is from ``facts``."""
    if facts.asymmetry > facts.asymmetry_allowed:
        return not_symmetric(facts.asymmetry, facts.asymmetry_allowed)
    parts = [_proven(verdict, facts, index), _probable(verdict, facts), _unknown(verdict, facts)]
    return " ".join(part for part in parts if part)


def _proven(verdict: str, f: Facts, index: int | None) -> str:
    gradient = f"gradient norm {f.gradient_norm:.2g}"
    if verdict == "not-critical":
        return (
            f"Not a critical point ({gradient}): a Newton step would remove the gradient but for "
            f"{100 * f.unexplained:.0f} % of it. " + _ends_seen(f)
        )
    if verdict == "gradient-flat":
        return (
            f"Gradient-flat ({gradient}): the gradient lies where the Hessian is near zero (relative Newton "
            f"residual {f.newton_residual:.2f}): a slope without curvature, neither a minimum nor a saddle. "
            + _ends_seen(f)
        )
    known = f"Proven: critical to tolerance ({gradient})"
    if verdict == "saddle":
        count = "" if index is None else f", {index} negative eigenvalue{'s' if index != 1 else ''} in all"
        return (
            f"{known}, with a direction of curvature {f.lowest:.3g} < 0 along which a finite step lowers the "
            f"loss, and one of curvature {f.highest:.3g} > 0{count}: a saddle."
        )
    if verdict == "maximum":
        return f"{known}, with negative curvature ({f.lowest:.3g}): a maximum."
    if verdict == "minimum-within-tolerance":
        return (
            f"{known}, with positive curvature ({f.highest:.3g}); the lowest value found is {f.lowest:.2g}."
        )
    if verdict == "degenerate":
        return f"{known}. The second derivatives do not decide: " + _degenerate(f)
    if f.down is not None and not f.down.descends:
        return f"{known}. The curvature {f.lowest:.3g} is not followed by the loss at finite steps: a kink?"
    return f"{known}. The ends of the spectrum did not converge ({f.lowest:.2g} to {f.highest:.2g})."


def _ends_seen(f: Facts) -> str:
    """A Ritz value is the curvature along a vector: a sign beyond rounding is proven."""
    signs = [
        word for word, seen in (("negative", f.lowest < -f.zero), ("positive", f.highest > f.zero)) if seen
    ]
    if not signs:
        return "No curvature beyond rounding was found."
    return f"Proven: {' and '.join(signs)} curvature ({f.lowest:.3g} to {f.highest:.3g})."


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
    minimum = verdict == "minimum-within-tolerance"
    bound = {
        "minimum-within-tolerance": f"no curvature below {f.none_below:.2g}",
        "maximum": f"no curvature above {f.none_above:.2g}",
    }.get(verdict, f"no curvature below {f.none_below:.2g} and none above {f.none_above:.2g}")
    tail = ""
    if minimum and f.flat:
        tail = f" Along {len(f.flat)} directions without curvature no finite step lowered the loss."
    if not f.failure_probability:
        return f"Proven too, since all curvatures were computed: {bound}.{tail}"
    rest = f"{f.num_products} product{'s' if f.num_products > 1 else ''} from a random start"
    return f"Probable ({100 * (1 - f.failure_probability):.3g} %, {rest}): {bound}.{tail}"


def _unknown(verdict: str, f: Facts) -> str:
    many = f.failure_probability > 0
    if verdict == "minimum-within-tolerance":
        flat = "whether directions without curvature lead down farther away, and " if f.flat else ""
        return f"Unknown: {flat}whether other minima are lower; nothing global is claimed."
    if verdict == "undecided":
        return "A larger max_hvps or float64 parameters would settle it."
    if verdict == "saddle" and many:
        return "Unknown: how many further directions lead down."
    if verdict == "degenerate":
        return "Unknown: what terms beyond the second derivative do along directions that were not tried."
    return ""
