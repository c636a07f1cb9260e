"""Lesson 1 in JupyterLab: the valley answers to the keyboard and to a click on the surface."""

import pytest


@pytest.mark.browser
@pytest.mark.slow
def test_the_valley_follows_rate_and_click(lesson, wait_for):
    shown = lesson("01_descent.ipynb")
    wait_for(lambda: "0.621" in shown.numbers())

    picture, words = shown.pixels(), shown.numbers()
    shown.slide("rate η", *["ArrowRight"] * 4)
    wait_for(lambda: shown.numbers() != words and "below 0.001" in shown.numbers())
    wait_for(lambda: shown.pixels() != picture)

    picture, words = shown.pixels(), shown.numbers()
    shown.click(0.4, 0.3)
    wait_for(lambda: shown.numbers() != words)
    wait_for(lambda: shown.pixels() != picture)

    words = shown.numbers()
    shown.panel.get_by_role("button", name="Adam", exact=True).press("Enter")
    wait_for(lambda: shown.numbers() != words and "Adam" in shown.numbers())
