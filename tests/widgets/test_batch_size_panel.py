"""The batch size panel without a browser: settings in, study out, coarse first, controls at their ends."""

import asyncio
import threading

import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.widgets import BatchSizePanel, BatchSizeSettings, batch_size, canvas
from panel_scenes import settled

N = 48


def net():
    return nn.Linear(4, 3)


def blobs(seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(N) % 3
    return torch.randn(N, 4, generator=g) + 2 * nn.functional.one_hot(y, 4), y


def small(**options):
    settings = {"reference": 4, "epochs": 4, "pairs": 8, "val_data": blobs(1)}
    return BatchSizePanel(net, nn.CrossEntropyLoss(), blobs(0), **(settings | options))


@pytest.fixture
def asked(monkeypatch):
    """What dk.compare_batch_sizes is asked, in short."""
    calls = []

    def compare(**options):
        calls.append((len(options["seeds"]), options["epochs"], tuple(options["measures"])))
        return dk.compare_batch_sizes(**options)

    monkeypatch.setattr(batch_size, "compare_batch_sizes", compare)
    return calls


def labels(panel):
    return [ax.get_xlabel() for ax in panel.canvas.figure.axes]


def test_the_settings_come_from_the_arguments():
    panel = small(batch_size=20, lr=0.2, seed=3)
    assert panel.settings == BatchSizeSettings(20, "steps", 8, 3, 4, 0.2, 4)
    assert [value for _, value in panel.controls["batch_size"].options] == [8, 20, 40, N]
    assert list(panel.settings.seeds) == list(range(3000, 3008))


def test_the_digits_are_the_default():
    panel = BatchSizePanel()
    assert panel.settings == BatchSizeSettings(200)
    assert [value for _, value in panel.controls["batch_size"].options] == [40, 100, 200, 400, 600, 800]
    assert not panel.runs.is_running  # nothing is computed before somebody looks


@pytest.mark.parametrize(
    "bad",
    [
        {"batch_size": 4, "reference": 4},
        {"batch_size": 40, "over": "miles"},
        {"batch_size": 40, "pairs": 1},
        {"batch_size": 40, "pairs": 1001},
        {"batch_size": 40, "lr": 0.0},
        {"batch_size": 40, "epochs": 0},
        {"batch_size": 40, "seed": -1},
    ],
)
def test_bad_settings_are_named(bad):
    with pytest.raises(dk.InputError, match="allowed"):
        BatchSizeSettings(**bad)


def test_a_model_without_loss_and_data_is_refused():
    with pytest.raises(dk.InputError, match="loss_fn and data"):
        BatchSizePanel(net)


def test_the_result_equals_the_direct_call():
    panel = small(batch_size=20)
    direct = dk.compare_batch_sizes(
        net,
        nn.CrossEntropyLoss(),
        blobs(0),
        [4, 20],
        lr=0.1,
        epochs=4,
        seeds=range(8),
        val_data=blobs(1),
        checkpoints=20,
        measures=["lambda_max"],
    )
    names = ["arm", "batch_size", "seed", "train_loss", "test_accuracy", "lambda_max", "matched_lambda_max"]
    assert panel.result.frame[names].equals(direct.frame[names])
    assert panel.result is panel.result
    assert panel.status.value == "done"


def test_the_first_answer_is_coarse_and_each_further_one_better(asked):
    panel = small(batch_size=20)
    seen = list(panel.results(panel.settings))
    assert asked == [(1, 1, ()), (4, 4, ("lambda_max",)), (8, 4, ("lambda_max",))]
    assert [len(study.seeds) for study in seen] == [1, 4, 8]
    assert seen[0].curves["epoch"].max() <= 1.0 * 20 / 4  # the arm of the same steps has more epochs
    assert panel.words(seen[0], panel.settings).endswith("the first epochs of one run in each arm.")
    assert "4 of 8 pairs" in panel.words(seen[1], panel.settings)
    for study in seen:
        panel.draw(study, panel.settings)
        panel.canvas.figure.canvas.draw()


def test_what_the_curves_are_drawn_over_changes_the_view_alone(asked):
    panel = small(batch_size=20)
    first = panel.result
    assert labels(panel)[0] == "steps"
    done = len(asked)
    for over, label in (("epochs", "epochs"), ("seconds", "seconds, one model alone"), ("steps", "steps")):
        panel.controls["over"].value = over
        assert label in labels(panel)
        assert len(panel.canvas.figure.axes) == 5
    assert panel.result is first
    assert len(asked) == done


@pytest.mark.parametrize(("chosen", "pairs", "lr"), [(8, 16, 1e-6), (N, 2, 1e6), (N, 8, 1e-6), (8, 2, 0.1)])
def test_every_control_at_its_end(chosen, pairs, lr):
    panel = small(batch_size=chosen, pairs=pairs, lr=lr, epochs=2)
    words = panel.run() and panel.numbers.value
    assert "nan" not in words
    assert "inf" not in words
    panel.canvas.figure.canvas.draw()
    if lr == 1e-6:
        assert panel.reached(panel.result, panel.settings) is (None if pairs == 2 else False)
    if lr == 1e6:
        assert "diverged" in words


def test_the_goal_is_reached_where_the_linear_rate_diverges():
    panel = BatchSizePanel(
        net, nn.MSELoss(), (blobs(0)[0], blobs(1)[0][:, :3]), reference=4, lr=0.1, epochs=4
    )
    panel.change(batch_size=N)  # 1.2 is beyond 2 / lambda_max
    assert panel.reached(panel.result, panel.settings)
    assert "✓ reached" in panel.target.value
    assert "linear rate: diverged" in panel.numbers.value


def test_without_test_data_it_says_so():
    panel = small(val_data=None, batch_size=20, pairs=2)
    panel.run()
    notes = [text.get_text() for ax in panel.canvas.figure.axes for text in ax.texts]
    assert "no test data" in notes
    assert (
        "same epochs: B = 20 is sharper (lambda_max) than 4 at the end: inconclusive." in panel.numbers.value
    )


def test_work_that_is_stopped_keeps_what_it_has():
    panel = small(batch_size=20)
    with dk.watching(budget=0.0):
        study = panel.run()
    assert not study.complete
    assert panel.status.value == "partial: ended early"
    assert "nan" not in panel.numbers.value


def test_a_stop_between_two_stages_keeps_the_last(monkeypatch):
    panel, stop = small(batch_size=20), threading.Event()

    def compare(**options):
        study = dk.compare_batch_sizes(**options)
        if len(options["seeds"]) == 4:
            stop.set()
        return study

    monkeypatch.setattr(batch_size, "compare_batch_sizes", compare)
    with dk.watching(stop=stop):
        study = panel.run()
    assert len(study.seeds) == 4  # a whole study, of fewer pairs than were asked for
    assert panel.status.value == "partial: ended early"


def test_data_and_models_of_the_user_stay_as_they_are():
    data, made = blobs(0), []

    def make():
        made.append(net())
        return made[-1]

    panel = BatchSizePanel(make, nn.CrossEntropyLoss(), data, reference=4, batch_size=20, epochs=1, pairs=2)
    before = torch.random.get_rng_state()
    panel.run()
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(data[0], blobs(0)[0])
    assert len(made) > 2


def test_a_picture_where_there_is_no_ipympl(monkeypatch):
    monkeypatch.setattr(canvas, "why_static", lambda: canvas.STATIC)
    panel = small(batch_size=20, pairs=2)
    panel.run()
    first = panel.canvas.widget.children[0].value
    panel.change(over="epochs")
    assert panel.canvas.widget.children[0].value != first
    assert panel.canvas.widget.children[1].value == canvas.STATIC


def test_in_a_notebook_a_move_is_answered_without_run():
    async def notebook():
        panel = small(batch_size=8, pairs=2, epochs=1)
        panel.controls["batch_size"].value = 40
        await settled(lambda: panel.status.value == "done")
        return panel

    panel = asyncio.run(notebook())
    assert panel.numbers.value.count("B = 40 against B = 4") == 1
