"""Controls: one per setting, made for a mouse, a keyboard and a projector.

Each function returns a widget whose ``value`` is the setting itself. What must be one of a few round numbers
is a :func:`scale`, so that a student can say which one was meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets

from diagkit.errors import InputError

WIDE, NARROW = "26em", "13em"
LABEL = {"description_width": "7em"}
FEW = 6  # choices, for each of which there is room for a button


def scale(label: str, values: Sequence[float], value: float, tip: str = "") -> widgets.SelectionSlider:
    """A slider over given numbers, such as 0.01, 0.02, 0.05, …; arrow keys work.

    Example
    -------
    >>> scale("rate η", [0.1, 0.2, 0.5], 0.2).value
    0.2
    """
    slider = widgets.SelectionSlider(
        options=_options(values),
        value=_nearest(values, value),
        description=label,
        tooltip=tip,
        style=LABEL,
        layout=widgets.Layout(width=WIDE),
    )
    put(slider, value)
    return slider


def span(label: str, low: float, high: float, step: float, value: float, tip: str = "") -> Any:
    """A slider over a range; a range of integers gives integers."""
    whole = all(isinstance(number, int) for number in (low, high, step, value))
    kind = widgets.IntSlider if whole else widgets.FloatSlider
    slider = kind(min=low, max=high, step=step, description=label, tooltip=tip, style=LABEL)
    slider.layout.width = WIDE
    put(slider, value)
    return slider


def number(label: str, value: float, step: float = 0.1, tip: str = "") -> widgets.FloatText:
    """A box to type a number into: the way to a place in a figure without a mouse."""
    return widgets.FloatText(
        value=value,
        step=step,
        description=label,
        tooltip=tip,
        style={"description_width": "initial"},
        layout=widgets.Layout(width=NARROW),
    )


def choice(label: str, options: Sequence[Any], value: Any) -> Any:
    """Buttons where there are few options, a list where there are many.

    In a list, JupyterLab takes arrow keys and letters for its own: "r" would turn the cell into text.
    """
    kind = widgets.ToggleButtons if len(options) <= FEW else widgets.Dropdown
    chosen = kind(options=list(options), value=value, description=label, style=LABEL)
    if kind is widgets.ToggleButtons:
        chosen.style.button_width = "auto"
    return chosen


def switch(label: str, value: bool, tip: str = "") -> widgets.Checkbox:
    """On or off."""
    return widgets.Checkbox(value=value, description=label, tooltip=tip, indent=False)


def seed(value: int = 0) -> widgets.BoundedIntText:
    """The seed of every random choice."""
    return widgets.BoundedIntText(
        value=value,
        min=0,
        max=2**31 - 1,
        description="seed",
        style={"description_width": "initial"},
        layout=widgets.Layout(width="9em"),
    )


def put(widget: Any, value: Any) -> None:
    """Write a setting into its control; a slider that is too short for it grows.

    Raises
    ------
    InputError : not one of the options.

    Example
    -------
    >>> slider = span("epochs", 1, 10, 1, 5)
    >>> put(slider, 25)
    >>> slider.value, slider.max
    (25, 25)
    """
    if isinstance(widget, widgets.SelectionSlider):
        values = [number for _, number in widget.options]
        if value not in values:
            widget.options = _options(sorted([*values, value]))
    elif isinstance(widget, widgets.ToggleButtons | widgets.Dropdown):
        allowed = [option[1] if isinstance(option, tuple) else option for option in widget.options]
        if value not in allowed:
            raise InputError(f"{widget.description} = {value!r}", allowed=f"one of {allowed}")
    elif isinstance(widget, widgets.IntSlider | widgets.FloatSlider):
        widget.min, widget.max = min(widget.min, value), max(widget.max, value)
    widget.value = value


def _options(values: Sequence[float]) -> list[tuple[str, float]]:
    return [(f"{value:g}", value) for value in values]


def _nearest(values: Sequence[float], value: float) -> float:
    return min(values, key=lambda number: abs(number - value))
