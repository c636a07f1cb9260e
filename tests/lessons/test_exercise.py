"""Answers to exercises: what is shown, and what is no answer at all."""

import numpy as np
import pytest
import torch

from diagkit.lessons import needs_number, right, unanswered, wrong


@pytest.mark.parametrize("answer", [1, 0.5, np.float32(2), np.int64(3), torch.tensor(4.0)])
def test_numbers_of_every_kind_are_numbers(answer):
    assert needs_number(answer, "a rate") is None


@pytest.mark.parametrize("answer", ["1", True, [1, 2], {}, object(), float("nan"), float("inf")])
def test_what_is_no_number_is_named(answer):
    checked = needs_number(answer, "a rate")
    assert checked.passed is False
    assert "a rate" in checked.message


def test_nothing_is_not_wrong():
    assert needs_number(None, "a rate").passed is None


def test_messages_are_escaped():
    for checked in (right("<b>"), wrong("<b>"), unanswered("<b>")):
        assert "&lt;b&gt;" in checked._repr_html_()
