"""Lesson 8: what it relies on, and its exercise."""

import types

import numpy as np
import pytest
import torch

from diagkit.lessons import normalization as lesson

ROOT = 5**0.5


def test_the_oracle_agrees():
    norm = torch.nn.BatchNorm1d(1, eps=1e-12)
    torch.nn.init.constant_(norm.weight, 2.0)
    torch.nn.init.constant_(norm.bias, 1.0)
    out = norm(torch.tensor(lesson.BATCH)[:, None])
    assert lesson.check(out[-1].item()).passed
    assert out[:, 0].tolist() == pytest.approx(lesson.normalized(lesson.BATCH, gamma=2.0, beta=1.0).tolist())


@pytest.mark.parametrize("answer", [2 * 3 / ROOT + 1, 3.68, np.float64(3.683), torch.tensor(3.6833)])
def test_right_answers_pass(answer):
    assert lesson.check(answer).passed is True


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (6 / (20 / 3) ** 0.5 + 1, "n − 1"),
        (3 / ROOT, "γ and β"),
        (6 / ROOT, "β is missing"),
        (3 / ROOT + 1, "γ is missing"),
        (2 * (3 / ROOT + 1), "First times γ"),
        (2 * 3 / 5 + 1, "standard deviation"),
        (15, "evaluation mode"),
        (7, "evaluation mode"),
        (1, "batch of one"),
        (-3, "Mean of the four"),
        ("3.68", "a number"),
        ([3.68], "a number"),
        (float("inf"), "finite"),
        (object(), "a number"),
    ],
)
def test_wrong_answers_get_a_hint(answer, hint):
    checked = lesson.check(answer)
    assert checked.passed is False
    assert hint in checked.message


def test_a_batch_of_one_leaves_beta():
    assert lesson.normalized([300.0], gamma=5.0, beta=-2.0).tolist() == [-2.0]


def test_the_answers_are_told_apart():
    def study(*verdicts):
        said = [types.SimpleNamespace(verdict=v, claim="the surface") for v in verdicts]
        other = types.SimpleNamespace(verdict="reproduced", claim="the effective rate")
        return types.SimpleNamespace(verdicts=[*said, other])

    yes, no = "reproduced", "not reproduced"
    found = [lesson.verdict_of(study(*said)) for said in ((yes, yes), (yes, no), (no, no))]
    assert found == list(lesson.ANSWERS)


def test_gradients_grow_as_theory_says():
    factors = lesson.gradient_factors("batch", seeds=range(2))
    assert factors == pytest.approx([lesson.LIMIT] * 2, rel=0.05)
    assert lesson.gradient_factors("none", seeds=[0]) == pytest.approx([1.0], rel=0.15)
    assert lesson.against_theory(factors).count == 2


def test_the_first_net_is_that_of_the_seed():
    first, again = lesson.first_net(3), lesson.first_net(3)
    assert torch.equal(first[0].weight, again[0].weight)
