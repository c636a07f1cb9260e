"""Controls of the clinic: a list of measurements to order, and a diagnosis that is final."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

LABEL = widgets.Layout(width="6em", flex="0 0 auto")
REST = widgets.Layout(flex_flow="row wrap", align_items="center", flex="1 1 0", min_width="20em")
ROW = widgets.Layout(width="100%", align_items="flex-start")


class Orders(widgets.HBox):
    """One button per measurement. ``value`` holds those ordered; the one pressed last stands at its end.

    To press a button again shows its answer again and costs nothing. What the points left do not pay for
    cannot be pressed.

    Parameters
    ----------
    prices : name -> points. budget : points in all. tips : name -> what it asks.
    """

    value: Any = traitlets.Tuple()
    disabled: Any = traitlets.Bool(False)
    closed: Any = traitlets.Bool(False)  # the diagnosis was made: answers can be looked at, not ordered

    def __init__(self, prices: Mapping[str, int], budget: int, tips: Mapping[str, str]) -> None:
        self.prices, self.budget = dict(prices), budget
        self.buttons = {
            name: widgets.Button(tooltip=tips[name], layout=widgets.Layout(width="auto"))
            for name in self.prices
        }
        self.left = widgets.HTML()
        rest = widgets.HBox([*self.buttons.values(), self.left], layout=REST)
        super().__init__([widgets.Label("order", layout=LABEL), rest], layout=ROW)
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: self.press(name))
        self.observe(lambda _: self._show(), ["value", "disabled", "closed"])
        self._show()

    def press(self, name: str) -> None:
        """What a click does."""
        self.value = (*(known for known in self.value if known != name), name)

    def _show(self) -> None:
        left = self.budget - sum(self.prices[name] for name in self.value)
        for name, button in self.buttons.items():
            has = name in self.value
            button.description = f"{name} ✓" if has else f"{name} ({self.prices[name]})"
            button.button_style = "info" if self.value and name == self.value[-1] else ""
            button.disabled = self.disabled or (not has and (self.closed or self.prices[name] > left))
        self.left.value = f"&emsp;<b>{left} of {self.budget} points left</b>"


class Diagnosis(widgets.HBox):
    """Choose a cause, then press the button that makes it final. ``value`` is None until then.

    Parameters
    ----------
    causes : to choose from.
    """

    value: Any = traitlets.Unicode(None, allow_none=True)
    disabled: Any = traitlets.Bool(False)

    def __init__(self, causes: Sequence[str]) -> None:
        self.choice = widgets.ToggleButtons(options=list(causes), value=None)
        self.choice.style.button_width = "auto"
        self.final = widgets.Button(
            description="This is my diagnosis", icon="check", button_style="warning",
            tooltip="final: opens the report", layout=widgets.Layout(width="auto"),
        )  # fmt: skip
        rest = widgets.HBox([self.choice, self.final], layout=REST)
        super().__init__([widgets.Label("diagnosis", layout=LABEL), rest], layout=ROW)
        self.final.on_click(lambda _: self.commit())
        self.choice.observe(lambda _: self._show(), "value")
        self.observe(lambda _: self._show(), ["value", "disabled"])
        self._show()

    def commit(self) -> None:
        """What a click on the button does."""
        if self.choice.value is not None:
            self.value = self.choice.value

    def _show(self) -> None:
        made = self.value is not None
        if made and self.choice.value != self.value and self.value in self.choice.options:
            self.choice.value = self.value
        self.choice.disabled = self.disabled or made
        self.final.disabled = self.disabled or made or self.choice.value is None
