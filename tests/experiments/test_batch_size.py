"""The study of batch sizes, on problems whose runs can be written down."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.errors import InputError
from diagkit.experiments import ARMS, info_nce, two_views
from diagkit.experiments.batch_size.arms import Reference
from diagkit.experiments.batch_size.claims import Margins, answer, judge_arms
from diagkit.experiments.batch_size.evaluation import evaluate, evaluation_batches
from diagkit.experiments.batch_size.matched_loss import common_loss, crossing
from diagkit.experiments.batch_size.training_runs import checkpoint_steps
from diagkit.work import watching

N, LR, EPOCHS = 5, 0.05, 6


class Weight(nn.Module):
    """f(x) = w x."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(1, dtype=torch.float64) + 4.0)

    def forward(self, x):
        return self.w * x


def alike(n=N):
    """The same example n times: L = w^2, its gradient 2 w whatever the batch, H = 2."""
    return torch.ones(n, 1, dtype=torch.float64), torch.zeros(n, 1, dtype=torch.float64)


def study(batch_sizes=(2, 5), **options):
    settings = {"lr": LR, "epochs": EPOCHS, "seeds": range(8), "val_data": alike(3), "checkpoints": 10}
    return dk.compare_batch_sizes(Weight, nn.MSELoss(), alike(), batch_sizes, **(settings | options))


def test_one_example_and_all_of_them():
    found = study((1, 5), arms=["same epochs", "same steps"], seeds=[4]).frame.set_index(
        ["arm", "batch_size"]
    )
    assert found["steps"].to_dict() == {
        ("same epochs", 1): 30,
        ("same epochs", 5): 6,
        ("same steps", 1): 30,
        ("same steps", 5): 30,
    }
    for row in found.itertuples():
        assert row.train_loss == pytest.approx((start(4) * (1 - 2 * LR) ** row.steps) ** 2, rel=1e-9)


@pytest.fixture(scope="module")
def known():
    return study(arms=ARMS, rates=[0.1, 0.45, 0.9])


def start(seed):
    torch.manual_seed(seed)
    return float(Weight().w.detach())


def test_each_run_ends_where_it_must(known):
    steps = {2: EPOCHS * 3, 5: EPOCHS}  # N = 5: the last batch of an epoch is one example
    for row in known.frame.itertuples():
        b = row.batch_size
        rate = {
            "same epochs": LR,
            "same steps": LR,
            "linear rate": LR * b / 2,
            "square-root rate": LR * math.sqrt(b / 2),
            "tuned rate": 0.45,
        }[row.arm]
        taken = steps[2] if row.arm == "same steps" else steps[b]
        assert (row.steps, row.epochs) == (taken, taken / math.ceil(N / b))
        assert row.rate == pytest.approx(rate)
        w = start(row.seed)
        left = w * (1 - 2 * rate) ** taken
        assert row.train_loss == pytest.approx(left**2, rel=1e-9, abs=1e-200)
        assert row.test_loss == pytest.approx(row.train_loss, rel=1e-9, abs=1e-200)
        assert row.distance == pytest.approx(w - left)
        assert row.lambda_max == pytest.approx(2.0)
        assert row.trace == pytest.approx(2.0)
    assert known.frame["test_accuracy"].isna().all()  # no classes
    assert len(known.frame) == 5 * 2 * 8


def test_runs_are_compared_where_their_loss_is_the_same(known):
    frame = known.frame
    assert known.target_loss == pytest.approx(frame["train_loss"].max())
    # L falls as exp(step): the interpolation is exact, and w is the same at the same loss.
    for row in frame.itertuples():
        factor = math.log(start(row.seed) ** 2 / known.target_loss)
        expected = max(0.0, factor / (-2 * math.log(abs(1 - 2 * row.rate))))
        assert row.matched_step == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert row.matched_lambda_max == pytest.approx(2.0)


def test_the_question_is_answered_for_every_arm(known):
    told = known.verdicts
    assert set(told["arm"]) == set(ARMS)
    ends = told[(told["batch_size"] == 5) & (told["at"] == "end")]
    less = ends[ends["measure"] == "train_loss"].set_index("arm")["verdict"]
    assert less["same epochs"] == "reproduced"
    assert less["same steps"] == "not reproduced"
    same = ends[(ends["expects"] == "no difference") & (ends["arm"] == "same steps")]
    assert set(same["measure"]) == {"lambda_max", "test_loss"}
    assert set(same["verdict"]) == {"reproduced"}
    assert {one.verdict for one in known.answers} == {"not reproduced"}  # H is 2 everywhere
    assert "1 [1, 1] times" in known.answers[0].explanation
    assert "not reproduced" in repr(known)
    assert "same epochs" in known._repr_html_()


def test_rates_are_tuned_by_the_training_loss(known):
    assert known.rates == {2: 0.45, 5: 0.45}
    edge = study(arms=["tuned rate"], rates=[0.1, 0.2], seeds=[0])
    assert edge.rates[5] == 0.2
    assert any("edge of the grid" in note for note in edge.notes)


def test_curves_over_steps_epochs_and_seconds(known):
    one = known.curves[(known.curves["arm"] == "same epochs") & (known.curves["batch_size"] == 2)]
    one = one[one["seed"] == 3]
    np.testing.assert_allclose(one["epoch"], one["step"] / 3)
    price = known.frame.groupby("batch_size")["seconds_per_step"].first()[2]
    np.testing.assert_allclose(one["seconds"], one["step"] * price)
    np.testing.assert_allclose(one["train_loss"], (start(3) * (1 - 2 * LR) ** one["step"]) ** 2, rtol=1e-9)
    assert (one["step"].iloc[0], one["step"].iloc[-1]) == (0, 18)


def test_what_a_step_costs(known):
    frame = known.frame.drop_duplicates("batch_size").set_index("batch_size")
    assert (frame["seconds_per_step"] > 0).all()
    seconds = frame["seconds_per_step"]
    np.testing.assert_allclose(frame["examples_per_second"] * seconds, frame.index)
    np.testing.assert_allclose(frame["seconds_per_epoch"], frame["seconds_per_step"] * [3, 1])
    # 8 bytes each: w and its gradient, x and y [B, 1], and at least the difference that the loss saves.
    counted = frame["memory_mib"] * 2**20
    assert (counted >= 8 * (2 + 3 * frame.index)).all()
    assert (counted <= 8 * (2 + 5 * frame.index)).all()
    assert frame["memory_mib"].is_monotonic_increasing
    assert set(frame["memory_kind"]) == {"counted"}


def test_the_price_of_more_seeds(known):
    cost = known.estimate(range(20))
    recipes, points = len(known.training.grid.settings), len(known.measured.grid.settings)
    assert cost.runs == 12 * (recipes + points)
    assert cost.seconds > 0


def test_runs_that_diverge_are_said_and_not_averaged():
    found = study((1, 5), arms=["linear rate"], lr=0.99, epochs=170, checkpoints=4, val_data=None)
    # |1 - 2 * 4.95| = 8.9 at B = 5: w^2 overflows; at B = 1 it falls
    large = found.frame[found.frame["batch_size"] == 5]
    assert large["diverged"].all()
    assert large["lambda_max"].isna().all()
    assert not found.frame[found.frame["batch_size"] == 1]["diverged"].any()
    assert set(found.verdicts["verdict"]) == {"inconclusive"}
    assert any("diverged: 8 in 'linear rate' at B = 5" in note for note in found.notes)


def test_arms_that_end_above_their_start_are_named():
    found = study((1, 5), arms=["same epochs", "linear rate"], lr=0.3, epochs=3, checkpoints=4)
    assert found.diverging == ("linear rate",)  # |1 - 2 * 1.5| = 2: no overflow, and no minimum either
    assert not found.frame["diverged"].any()


def test_only_what_is_asked_for_is_measured():
    found = study(arms=["same epochs"], measures=["lambda_max"])
    assert found.frame["lambda_max"].notna().all()
    assert found.frame[["trace", "keskar", "noise_scale"]].isna().all(axis=None)
    assert {one.measure for one in found.judged} == {"train_loss", "lambda_max", "test_loss"}
    assert found.answers


def test_without_measures_there_are_curves_alone():
    found = study(arms=["same steps"], measures=[])
    assert len(found.curves)
    assert {one.measure for one in found.judged} == {"train_loss", "test_loss"}
    assert found.answers == ()


def test_a_folder_goes_on_and_gives_the_same(tmp_path):
    first = study((1, 5), arms=["same epochs"], seeds=range(2), folder=tmp_path)
    again = study((1, 5), arms=["same epochs", "same steps"], seeds=range(3), folder=tmp_path)
    assert any("4 of 9 runs were in" in note for note in again.notes)
    both = again.frame[(again.frame["arm"] == "same epochs") & (again.frame["seed"] < 2)]
    columns = ["train_loss", "distance", "lambda_max", "trace", "seconds_per_step"]
    np.testing.assert_array_equal(
        first.frame.sort_values(["batch_size", "seed"])[columns],
        both.sort_values(["batch_size", "seed"])[columns],
    )
    with pytest.raises(InputError, match="changed: bound task"):
        study((1, 5), arms=["same epochs"], seeds=range(2), folder=tmp_path, optimizer=heavy_ball)


def heavy_ball(parameters, lr):
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9)


def test_time_that_is_up_leaves_a_partial_answer():
    with watching(budget=0.0):
        found = study()
    assert not found.complete
    assert found.frame.empty
    assert found.answers == ()
    assert "complete=no" in repr(found)


def test_nothing_of_the_caller_changes():
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    study((1, 5), arms=["same epochs"], seeds=[0])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_sizes": [1, 6]}, "1 to N = 5"),
        ({"batch_sizes": [2]}, "2 or more different"),
        ({"batch_sizes": [0, 2]}, "batch_size = 0"),
        ({"arms": ["same rate"]}, "allowed: some of"),
        ({"arms": []}, "allowed: some of"),
        ({"lr": 0.0}, "lr = 0"),
        ({"rates": [], "arms": ["tuned rate"]}, "no rates"),
        ({"smallest_loss": 1.0}, "smallest_loss"),
        ({"val_data": [alike()]}, "val_data that come in batches"),
        ({"measures": ["flatness"]}, "allowed: some of"),
        ({"optimizer": "SGD"}, "function of the parameters and the rate"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, text):
    with pytest.raises(InputError, match=text):
        study(**options)


def test_one_model_for_all_runs_is_refused():
    model = Weight()
    with pytest.raises(InputError, match="the same model each time"):
        dk.compare_batch_sizes(lambda: model, nn.MSELoss(), alike(), [1, 5])


def test_steps_at_which_curves_are_read():
    for steps in (1, 2, 7, 1000):
        at = checkpoint_steps(steps, 40)
        assert at[-1] == steps
        assert at[0] >= 1
        assert len(at) <= min(steps, 40)


def test_the_first_crossing_counts():
    curve = pd.DataFrame({"step": [0.0, 1.0, 2.0, 3.0], "train_loss": [4.0, 1.0, 2.0, 0.5]})
    assert crossing(curve, 1.0).values["step"] == 1.0
    assert crossing(curve, 5.0).values["step"] == 0.0
    assert crossing(curve, 0.1).nearest is None
    assert math.isnan(crossing(curve, 0.1).values["step"])
    assert crossing(pd.DataFrame({"step": [0.0, 1.0], "train_loss": [1.0, -1.0]}), 0.0).values["step"] == 0.5


def test_the_common_loss_leaves_out_what_diverged():
    curves = [pd.DataFrame({"train_loss": x}) for x in ([2.0, 0.3, 0.4], [2.0, 0.1], [2.0, np.nan])]
    assert common_loss(curves) == 0.3
    assert math.isnan(common_loss(curves[2:]))


def test_evaluation_is_that_of_all_examples():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.BatchNorm1d(4)).double()
    X, y = torch.randn(11, 3, dtype=torch.float64), torch.randint(4, (11,))
    cut = [b for x, t in zip(X.split(4), y.split(4), strict=True) for b in evaluation_batches((x, t), None)]
    found = evaluate(model, nn.CrossEntropyLoss(), cut)
    outputs = model.eval()(X).detach()
    assert found["loss"] == pytest.approx(float(nn.functional.cross_entropy(outputs, y)))
    assert found["accuracy"] == pytest.approx(float((outputs.argmax(1) == y).double().mean()))


def test_running_statistics_are_kept_with_the_parameters():
    def make():
        return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).double()

    g = torch.Generator().manual_seed(0)
    X, y = torch.randn(24, 2, dtype=torch.float64, generator=g), torch.randint(2, (24,), generator=g)
    found = dk.compare_batch_sizes(
        make, nn.CrossEntropyLoss(), (X, y), [4, 8], epochs=2, arms=["same epochs"], seeds=[3], checkpoints=3
    )
    torch.manual_seed(3)
    model = make()
    dk.train(
        model,
        nn.CrossEntropyLoss(),
        (X, y),
        optimizer=lambda p: torch.optim.SGD(p, lr=0.05),
        epochs=2,
        batch_size=8,
        seed=3,
    )
    expected = float(nn.functional.cross_entropy(model.eval()(X), y).detach())
    row = found.frame[found.frame["batch_size"] == 8].iloc[0]
    assert row["train_loss"] == pytest.approx(expected, rel=1e-12)
    assert row["lambda_max"] == pytest.approx(
        dk.hessian_eigenvalues(dk.Objective(model, nn.CrossEntropyLoss(), (X, y)), 1).values[0], rel=1e-2
    )
    assert row["train_accuracy"] == float((model(X).argmax(1) == y).double().mean())


def frame_of(ratio, drop, arm="same epochs"):
    rng = np.random.default_rng(0)
    rows = []
    for b, sharp, accuracy in ((1, 1.0, 0.97), (9, ratio, 0.97 - drop)):
        rows += [
            {
                "arm": arm,
                "batch_size": b,
                "seed": seed,
                "train_loss": 0.1 * sharp * np.exp(0.01 * rng.normal()),
                "lambda_max": sharp * np.exp(0.01 * rng.normal()),
                "keskar": sharp,
                "test_accuracy": accuracy + 0.001 * rng.normal(),
            }
            for seed in range(8)
        ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("ratio", "drop", "verdict"),
    [(3.0, 0.08, "reproduced"), (3.0, 0.0, "not reproduced"), (1.0, 0.08, "not reproduced")],
)
def test_both_halves_of_the_claim_are_needed(ratio, drop, verdict):
    judged = judge_arms(frame_of(ratio, drop), ("same epochs",), (1, 9), Margins(1.25, 1.05, 0.01))
    found = answer(judged, "same epochs", 9)
    assert found.verdict == verdict
    if verdict == "reproduced":
        assert "trained less far" in found.explanation
        assert "3.0" in found.explanation or "2.9" in found.explanation


def test_pairs_are_those_that_both_batch_sizes_have():
    frame = frame_of(3.0, 0.08)
    judged = judge_arms(frame[:-2], ("same epochs",), (1, 9), Margins(1.25, 1.05, 0.01))
    assert {j.verdict.count for j in judged} == {6}
    assert answer(judged, "same epochs", 9).verdict == "inconclusive"


def test_reference_steps():
    assert [Reference(20, 0.1, 3, 1437).steps(b) for b in (1, 20, 200, 1437)] == [4311, 216, 24, 3]


def test_info_nce_by_hand():
    z = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    a, b = (z[:, i] / z[:, i].norm(dim=1, keepdim=True) for i in (0, 1))
    s = (a @ b.T / 0.5).exp()
    by_hand = (
        -np.mean([math.log(s[i, i] / s[i].sum()) + math.log(s[i, i] / s[:, i].sum()) for i in range(4)]) / 2
    )
    assert float(info_nce(z, temperature=0.5)) == pytest.approx(by_hand)
    assert float(info_nce(z[:1])) == 0.0
    with pytest.raises(InputError, match=r"\[B, 2, d\]"):
        info_nce(z[:, 0])


def test_a_loss_with_negatives_from_the_batch_is_evaluated_with_one_batch_size():
    X = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    views = two_views(X)
    found = dk.compare_batch_sizes(
        lambda: nn.Linear(6, 4),
        info_nce,
        (views, torch.arange(50)),
        [8, 25],
        arms=["same epochs"],
        epochs=1,
        seeds=[0],
        checkpoints=2,
        val_data=(two_views(X, seed=1), torch.arange(50)),
    )
    torch.manual_seed(0)
    start = nn.Linear(6, 4)
    batches = views[:48].split(16)  # the smallest batch size, but at least 16; two examples are left out
    expected = np.mean([float(info_nce(start(batch)).detach()) for batch in batches])
    for _, curve in found.curves.groupby("batch_size"):
        assert curve["train_loss"].iloc[0] == pytest.approx(expected, rel=1e-5)
    assert any("another task" in note and "batches of 16" in note for note in found.notes)
    assert found.frame["noise_scale"].isna().all()
    assert found.frame["test_accuracy"].isna().all()
    assert found.frame["lambda_max"].notna().all()
