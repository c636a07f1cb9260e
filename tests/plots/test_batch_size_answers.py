"""The arms as rows: their names, the effects beside them, the answers; numbers and words, not pixels."""

from dataclasses import replace

import numpy as np
import pytest

from diagkit.plots import draw_arm_answers, draw_arm_names, draw_effects_so_far, legend_of_effects
from plots.batch_size_cases import batch_size_study


@pytest.fixture
def study():
    return batch_size_study()


def words(artists):
    return [text.get_text() for text in artists]


def test_rows_go_from_the_top_in_the_order_of_the_arms(study, ax):
    drawn = draw_arm_names(study.arms, ax)
    heights = {t.get_text(): t.get_position()[1] for t in drawn.artists["names"]}
    assert heights["same epochs"] > heights["same steps"]
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in drawn.artists["lines"]}
    assert len(looks) == len(study.arms)


def test_answers_are_those_of_the_study(study, ax):
    drawn = draw_arm_answers(study, ax)
    assert words(drawn.artists["cells"]) == ["no", "no", "yes", "no"]  # same steps below, same epochs above


def test_an_arm_that_diverged_has_no_answer(study, ax):
    curves = study.curves.copy()
    bad = (curves["arm"] == "same steps") & (curves["batch_size"] == 200) & (curves["step"] == 100)
    curves.loc[bad & (curves["seed"] == 3), "train_loss"] = np.nan
    lost = replace(study, curves=curves)
    assert lost.diverging == ("same steps",)
    assert words(draw_arm_answers(lost, ax).artists["cells"]) == ["diverged", "yes", "no"]


def test_without_answers_the_cells_are_empty(study, ax):
    bare = replace(study, answers=())
    assert set(words(draw_arm_answers(bare, ax).artists["cells"])) == {"…"}


def test_effects_have_no_names_and_no_legend_of_their_own(study, ax):
    drawn = draw_effects_so_far(study, "lambda_max", ax)
    assert list(ax.get_yticks()) == []
    assert ax.get_legend() is None
    assert len(drawn.artists["effects"]) == len(legend_of_effects()) - 1
    assert ax.get_xlabel() == "ratio to B = 20"


@pytest.mark.parametrize(("complete", "said"), [(True, "not measured\nyet"), (False, "stopped early")])
def test_where_there_is_no_effect_it_says_so(study, ax, complete, said):
    bare = replace(study, judged=(), complete=complete, frame=study.frame.assign(test_loss=0.1))
    drawn = draw_effects_so_far(bare, "test_accuracy", ax)
    assert drawn.artists["note"].get_text() == said


def test_no_test_data(study, ax):
    bare = replace(study, judged=(), frame=study.frame.assign(test_loss=np.nan))
    assert draw_effects_so_far(bare, "test_loss", ax).artists["note"].get_text() == "no test data"
