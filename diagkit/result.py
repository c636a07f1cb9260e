"""What every measurement returns: numbers, their error, their price, and a picture on demand."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np


def show_number(value: Any, digits: int = 4) -> str:
    """Format a number, or a short array of them, the same way on every run.

    Example
    -------
    >>> show_number(0.123456), show_number([1.0, 2.5e-7]), show_number(None)
    ('0.1235', '[1, 2.5e-07]', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.{digits}g}"
    if isinstance(value, (list, tuple, np.ndarray)):
        flat = np.asarray(value).ravel()
        shown = ", ".join(show_number(x, digits) for x in flat[:6])
        return f"[{shown}, ... {flat.size} values]" if flat.size > 6 else f"[{shown}]"
    return str(value)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Result:
    """Base of every measurement: frozen, CPU NumPy arrays, cheap to show.

    Attributes
    ----------
    num_hvps : Hessian-vector products spent (passes over all the data, at about two gradients each).
    num_evals : loss evaluations spent (forward passes over all the data).
    seconds : wall time spent; not shown by ``repr``, so that the same seed prints the same text.
    seed : the seed behind every random choice, None where nothing was random.
    complete : False where a time budget or a stop button ended the work early.
    """

    num_hvps: int = 0
    num_evals: int = 0
    seconds: float = 0.0
    seed: int | None = None
    complete: bool = True

    def summary(self) -> dict[str, Any]:
        """The few facts that stand for this result in one line and in a small table."""
        return {}

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw on ``ax`` (a new one if None) and return what was drawn."""
        from diagkit.plots import draw

        return draw(self, ax, **options)

    def to_png(self, **options: Any) -> bytes:
        """The picture of :meth:`plot` as PNG, without a window."""
        from diagkit.plots import render_png

        return render_png(self, **options)

    def __repr__(self) -> str:
        facts = self.summary() | ({} if self.complete else {"complete": False})
        inside = ", ".join(f"{name}={show_number(value)}" for name, value in facts.items())
        return f"{type(self).__name__}({inside})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{html.escape(str(name))}</th>'
            f'<td style="text-align:left">{html.escape(show_number(value))}</td></tr>'
            for name, value in self.summary().items()
        )
        partial = "" if self.complete else " (partial: the work was ended early)"
        return f"<table><caption>{type(self).__name__}{partial}</caption><tbody>{rows}</tbody></table>"
