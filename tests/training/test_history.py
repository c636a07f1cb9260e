"""A history keeps what it was given, says what is wrong with the rest, and cannot be changed."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from diagkit.errors import InputError
from diagkit.training import History, Recorder, as_history

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "losses",
    [
        [2.0, 1.0, 0.5],
        (2, 1, 0.5),
        np.array([2.0, 1.0, 0.5], dtype=np.float32),
        torch.tensor([2.0, 1.0, 0.5], requires_grad=True),
        torch.tensor([2.0, 1.0, 0.5], dtype=torch.bfloat16),
        [torch.tensor(2.0, requires_grad=True), np.float32(1), torch.tensor([0.5])],
        pd.Series([2.0, 1.0, 0.5], index=[7, 8, 9]),
        (x for x in (2.0, 1.0, 0.5)),
    ],
)
def test_series_come_in_many_forms(losses):
    history = History.from_dict({"loss": losses})
    assert history.loss.dtype == np.float64
    np.testing.assert_array_equal(history.loss, [2.0, 1.0, 0.5])
    np.testing.assert_array_equal(history.step, [0, 1, 2])
    assert history.source == "dict"
    assert history.notes == ()
    assert history.lr is history.grad_norm is history.val_step is history.val_loss is None


def test_everything_that_is_given_is_kept():
    given = {
        "step": [10, 20, 30],
        "loss": [3.0, None, 1.0],
        "lr": [0.1, 0.1, 0.01],
        "grad_norm": [1.0, 2.0, NAN],
        "accuracy": [0.1, 0.2, 0.3],
        "val_step": [20],
        "val_loss": [1.5],
        "val_accuracy": [0.15],
    }
    history = History.from_dict(given)
    assert set(history.series) == set(given)
    np.testing.assert_array_equal(history.loss, [3.0, NAN, 1.0])
    np.testing.assert_array_equal(history.series["val_accuracy"], [0.15])
    again = History.from_dict(history.series)
    for name, values in history.series.items():
        np.testing.assert_array_equal(values, again.series[name])
    frame = history.to_frame()
    assert list(frame["step"]) == [10, 20, 30]
    np.testing.assert_array_equal(frame["val_loss"], [NAN, 1.5, NAN])


def test_validation_beside_the_steps():
    history = History.from_dict(
        {"loss": [3.0, 2.0, 1.0], "val_loss": [None, 2.5, 1.5], "val_acc": [NAN, 0.4, 0.6]}
    )
    np.testing.assert_array_equal(history.val_step, [1, 2])
    np.testing.assert_array_equal(history.val_loss, [2.5, 1.5])
    np.testing.assert_array_equal(history.series["val_acc"], [0.4, 0.6])
    only = History.from_dict({"val_loss": [2.0, 1.0]})
    assert only.loss is None
    np.testing.assert_array_equal(only.val_step, [0, 1])
    between = History.from_dict(
        {"step": [0, 10], "loss": [2.0, 1.0], "val_step": [5, 20], "val_loss": [3.0, 4.0]}
    )
    np.testing.assert_array_equal(between.to_frame()["step"], [0, 5, 10, 20])


def test_nothing_can_be_changed_and_nothing_is_shared():
    mine = np.array([2.0, 1.0])
    history = History.from_dict({"loss": mine})
    mine[0] = 99.0
    assert history.loss[0] == 2.0
    with pytest.raises(ValueError, match="read-only"):
        history.loss[0] = 1.0
    with pytest.raises(TypeError):
        history.series["loss"] = mine
    for other in (copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        np.testing.assert_array_equal(other.loss, history.loss)
        assert not other.loss.flags.writeable


@pytest.mark.parametrize(
    ("loss", "first"),
    [
        ([2.0, 1.0, 0.5], None),
        ([2.0, INF, 0.5], 1),
        ([2.0, -INF, 0.5], 1),
        ([2.0, 1.0, NAN], None),  # one unlogged step
        ([2.0, NAN, NAN], 1),
        ([2.0, NAN, NAN, 1.0, NAN, NAN], None),  # logged every third step
        ([2.0, NAN, NAN, 1.0, NAN, NAN, NAN], 4),
        ([2.0, 1.0, None, None, None], None),  # not logged, for certain
        ([2.0, None, NAN, NAN], 2),
        ([NAN, NAN], 0),
        ([2.0, INF, NAN, NAN], 1),
    ],
)
def test_first_non_finite(loss, first):
    history = History.from_dict({"step": np.arange(len(loss)) * 10, "loss": loss})
    assert history.first_non_finite == (None if first is None else 10 * first)
    assert bool(history.notes) == (first is not None)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([1.0], "history of type list"),
        ({}, "an empty history"),
        ({"loss": []}, "an empty history"),
        ({"loss": None}, "an empty history"),
        ({"loss": [1.0, 2.0], "lr": [0.1]}, "loss 2, lr 1;"),
        ({"step": [0, 1, 2], "loss": [1.0, 2.0]}, "step 3, loss 2"),
        ({"loss": ["a", "b"]}, r"loss\[0\] = 'a'"),
        ({"loss": "0.5"}, "loss of type str"),
        ({"loss": 0.5}, "loss of type float"),
        ({"loss": [[1.0, 2.0]]}, r"loss\[0\]"),
        ({"loss": np.ones((2, 2))}, r"shape \(2, 2\)"),
        ({"loss": torch.ones(2, 2)}, r"shape \(2, 2\)"),
        ({"loss": np.array([1j])}, "loss"),
        ({"loss": [1.0, 2.0, 3.0], "val_loss": [1.0]}, "no val_step"),
        ({"loss": [1.0, 2.0], "val_step": [1], "val_loss": [1.0, 2.0]}, "val_step with 1 entries"),
        ({"step": [0, 0], "loss": [1.0, 2.0]}, "step that goes from 0 to 0"),
        ({"step": [0, 5, 3], "loss": [1.0, 2.0, 3.0]}, "from 5 to 3"),
        ({"step": [0, 0.5], "loss": [1.0, 2.0]}, r"step\[1\] = 0.5"),
        ({"step": [0, None], "loss": [1.0, 2.0]}, r"step\[1\] = nan"),
        ({"loss": [1.0, 2.0], "val_step": [1, 0], "val_loss": [1.0, 2.0]}, "val_step that goes from 1 to 0"),
        ({0: [1.0]}, "a series named 0"),
    ],
)
def test_bad_input_is_named(given, text):
    with pytest.raises(InputError, match=text):
        History.from_dict(given)


def test_tail():
    history = History.from_dict({"loss": np.arange(10.0, 0, -1), "val_step": [2, 9], "val_loss": [1.0, 0.5]})
    tail = history.tail(0.25)
    np.testing.assert_array_equal(tail.step, [7, 8, 9])
    np.testing.assert_array_equal(tail.val_step, [9])
    np.testing.assert_array_equal(tail.val_loss, [0.5])
    assert history.tail(1.0).num_steps == 10
    for fraction in (0.0, 1.5, NAN):
        with pytest.raises(InputError, match="fraction"):
            history.tail(fraction)


def test_other_names_are_recognized_and_said():
    history = History.from_dict(
        {"train_loss": [2.0, 1.0], "learning_rate": [0.1, 0.1], "eval_loss": [None, 1.5]}
    )
    np.testing.assert_array_equal(history.loss, [2.0, 1.0])
    np.testing.assert_array_equal(history.val_loss, [1.5])
    assert "'train_loss' was read as 'loss'" in history.notes
    both = History.from_dict({"loss": [2.0], "train_loss": [3.0]})
    assert both.loss[0] == 2.0
    assert both.series["train_loss"][0] == 3.0


def test_as_history_takes_what_people_hold(tmp_path):
    history = History.from_dict({"loss": [2.0, 1.0]})
    assert as_history(None) is None
    assert as_history(history) is history
    model = torch.nn.Linear(1, 1)
    recorder = Recorder(model, torch.optim.SGD(model.parameters(), lr=0.1))
    recorder.log(loss=2.0)
    recorder.log(loss=1.0)
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n0,2.0\n1,1.0\n")

    class FrameworkHistory:
        history = {"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]}  # noqa: RUF012

    rows = [{"step": 0, "loss": 2.0}, {"step": 1, "loss": 1.0}]
    frame = pd.DataFrame({"loss": [2.0, 1.0]})
    losses = ({"loss": [2.0, 1.0]}, [2.0, 1.0], np.array([2.0, 1.0]), torch.tensor([2.0, 1.0]))
    for given in (*losses, recorder, path, str(path), FrameworkHistory(), rows, frame):
        np.testing.assert_array_equal(as_history(given).loss, [2.0, 1.0])
    assert as_history([2.0, NAN]).first_non_finite == 1  # every entry of a plain list was logged
    assert as_history([2.0, None]).first_non_finite is None


@pytest.mark.parametrize("given", [3.0, object(), {1.0, 2.0}, b"12", [], ["a"], [[1.0, 2.0], [3.0, 4.0]]])
def test_as_history_refuses_the_rest(given):
    with pytest.raises(InputError):
        as_history(given)


def test_repr_is_short_and_stable():
    history = History.from_dict({"loss": [2.0, 1.0, INF]})
    assert repr(history) == "History(steps=3, loss_first=2, loss_last=inf, first_non_finite=2, notes=1)"
    assert "<table>" in history._repr_html_()
