"""What a student expects, said before the experiment and held against it afterwards."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets

from diagkit.errors import InputError


class Prediction:
    """A question with a few answers. Nothing is chosen at first, so that a notebook runs without a mouse.

    Attributes
    ----------
    value : the answer chosen, None as long as there is none.

    Example
    -------
    >>> guess = Prediction("Where does the run stop?", ["minimum", "saddle"])
    >>> guess.against("saddle")
    no prediction made; measured: saddle
    >>> guess.choose("minimum")
    >>> guess.against("saddle")
    predicted: minimum; measured: saddle - a surprise
    """

    def __init__(self, question: str, answers: Sequence[str]) -> None:
        if len(answers) < 2:
            raise InputError(f"{len(answers)} answers", allowed="two or more to choose from")
        self.question, self.answers = question, tuple(answers)
        self.choice = widgets.ToggleButtons(options=list(answers), value=None)
        self.choice.style.button_width = "auto"
        asked = widgets.HTML(f"<b>{html.escape(question)}</b>")
        self.widget = widgets.VBox([asked, self.choice])

    @property
    def value(self) -> str | None:
        return self.choice.value

    def choose(self, answer: str) -> None:
        """Predict without a mouse."""
        if answer not in self.answers:
            raise InputError(f"answer = {answer!r}", allowed=f"one of {list(self.answers)}")
        self.choice.value = answer

    def against(self, measured: str) -> Comparison:
        """The prediction beside what was measured, which is one of the answers."""
        if measured not in self.answers:
            raise InputError(f"measured = {measured!r}", allowed=f"one of {list(self.answers)}")
        return Comparison(self.value, measured)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)


class Comparison:
    """Predicted and measured, in one line."""

    def __init__(self, predicted: str | None, measured: str) -> None:
        self.predicted, self.measured = predicted, measured

    @property
    def is_right(self) -> bool | None:
        """None where nothing was predicted."""
        return None if self.predicted is None else self.predicted == self.measured

    def __repr__(self) -> str:
        if self.is_right is None:
            return f"no prediction made; measured: {self.measured}"
        ending = "as expected" if self.is_right else "a surprise"
        return f"predicted: {self.predicted}; measured: {self.measured} - {ending}"
