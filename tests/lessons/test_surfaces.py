"""Lesson 4: its networks are what it says, and its check helps."""

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.lessons import surfaces as lesson

RIGHT = (5 * 40 + 695 * 0.1 - 300 * 0.5) / 1000


@pytest.mark.parametrize("answer", [RIGHT, np.float32(RIGHT), torch.tensor(RIGHT), 0.12])
def test_the_right_answer_passes(answer):
    checked = lesson.check(answer)
    assert checked.passed
    assert "300 of 1000" in checked.message


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (119.5, "trace"),
        (39.6 / 3, "as often as it occurs"),
        (-0.5, "best direction"),
        (40, "steepest"),
        (0.4195, "mind the sign"),
        (0.2695, "negative eigenvalues count"),
        (269.5 / 700, "negative eigenvalues count"),
        (RIGHT / 2, "half"),
        (-RIGHT, "sign"),
        (7.0, "mean of u_i^2"),
    ],
)
def test_typical_mistakes_are_recognized(answer, hint):
    checked = lesson.check(answer)
    assert checked.passed is False
    assert hint in checked.message
    assert "0.1195" not in checked.message


def test_the_oracle_of_the_exercise_agrees_with_random_directions():
    h = np.repeat(list(lesson.SPECTRUM), list(lesson.SPECTRUM.values()))
    u = np.random.default_rng(0).standard_normal((4000, len(h)))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    curvature = (h * u**2).sum(1)
    assert abs(curvature.mean() - RIGHT) < 4 * curvature.std() / 4000**0.5


def test_random_directions_see_a_bowl_where_twenty_weights_have_a_saddle():
    obj = lesson.twenty_weights()
    found = lesson.random_curvatures(obj, 4000, seed=0)
    assert found.mean() == pytest.approx(0.85, abs=0.02)
    assert (found > 0).mean() > 0.95
    assert dk.hessian_eigenvalues(obj, 1, which="smallest").values[0] == pytest.approx(-2.0)


def test_units_that_started_alike_stay_alike_at_a_saddle():
    obj, val = lesson.alike(0)
    weight = obj.model[0].weight
    assert torch.equal(weight, weight[:1].expand_as(weight))
    assert all(p.grad is None for p in obj.model.parameters())
    assert torch.equal(obj.theta, val.theta)
    assert dk.hessian_eigenvalues(obj, 1, which="smallest").values[0] < -0.1
    assert obj.gradient().norm() < 0.05


def test_a_rescaled_network_is_the_same_function_and_the_same_filter_normalized_picture():
    one, other = lesson.rescaled(10.0)
    pictures = [dk.loss_plane(obj, "random", resolution=9, tol=None).loss for obj in (one, other)]
    assert pictures[0] == pytest.approx(pictures[1], rel=1e-9)
    plain = [
        dk.loss_plane(obj, lesson.plain_directions(obj), resolution=9, tol=None).loss for obj in (one, other)
    ]
    assert np.abs(plain[0] - plain[1]).max() > 0.1
    tops = [dk.hessian_eigenvalues(obj, 1).values[0] for obj in (one, other)]
    assert tops[1] > 5 * tops[0]


def test_contours_are_not_the_loss_of_the_noisy_path():
    found = dk.trajectory_plane(*lesson.noisy_path(0))
    assert found.largest_difference > 0.1


@pytest.mark.slow
def test_the_study_is_decided():
    assert lesson.deeper().verdict == "reproduced"
