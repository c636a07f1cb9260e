"""The engine: the same answers in every order and process, nothing lost when it is stopped or a run fails."""

import threading

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.errors import InputError
from diagkit.experiments import Outcome, sweep
from diagkit.work import watching

SETTINGS = {"lr": [0.05, 0.5], "momentum": [0.0, 0.9]}


def training_run():
    """A real run, self-contained so that it can be sent to another process."""

    def run(lr, momentum, seed):
        import diagkit as dk

        g = torch.Generator().manual_seed(1)
        X = torch.randn(60, 4, generator=g)
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.Tanh(), nn.Linear(8, 1))
        first = model[0].weight.detach().clone()
        done = dk.train(
            model,
            nn.MSELoss(),
            (X, X.sum(1, keepdim=True)),
            optimizer=lambda p: torch.optim.SGD(p, lr=lr, momentum=momentum),
            max_steps=6,
            seed=seed,
        )
        noise = float(torch.rand(()))  # of the generator that the engine seeds
        scalars = {"loss": done.history.loss[-1], "steps": done.steps, "noise": noise}
        series = {"step": np.arange(done.steps), "loss": done.history.loss}
        return Outcome(scalars, series, {"start": first, "theta": done.final_theta})

    return run


def same(a, b):
    pd.testing.assert_frame_equal(
        a.frame.drop(columns="seconds"), b.frame.drop(columns="seconds"), check_exact=True
    )
    pd.testing.assert_frame_equal(a.series, b.series, check_exact=True)
    for one, other in zip(a.runs, b.runs, strict=True):
        assert one.outcome.tensors.keys() == other.outcome.tensors.keys()
        assert all(torch.equal(t, other.outcome.tensors[k]) for k, t in one.outcome.tensors.items())


def test_rows_are_in_the_order_of_the_grid():
    result = sweep(training_run(), SETTINGS, seeds=[5, 2])
    assert result.complete
    assert result.frame["seed"].tolist() == [5] * 4 + [2] * 4
    assert result.frame["lr"].tolist() == [0.05, 0.05, 0.5, 0.5] * 2


@pytest.mark.slow  # two processes that import torch
def test_parallel_is_serial_bit_for_bit_and_saves_and_stops(tmp_path):
    serial = sweep(training_run(), SETTINGS, seeds=[5, 2])
    parallel = sweep(training_run(), SETTINGS, seeds=[5, 2], n_jobs=2, folder=tmp_path)
    same(serial, parallel)
    assert parallel.complete
    again = sweep(training_run(), SETTINGS, seeds=[5, 2], folder=tmp_path)
    assert "8 of 8 runs were in" in again.notes[0]
    same(serial, again)
    check_the_stop_button(n_jobs=2)
    check_the_budget(n_jobs=2)


@pytest.mark.parametrize("processes", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")  # distributed warns of itself: ports in use, event loops that close
def test_a_dask_cluster_gives_the_same(processes):
    distributed = pytest.importorskip("distributed")
    serial = sweep(training_run(), SETTINGS, seeds=[5, 2])
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        same(serial, sweep(training_run(), SETTINGS, seeds=[5, 2]))


def test_threads_of_one_process_take_turns():
    serial = sweep(training_run(), SETTINGS, seeds=[5, 2])
    with joblib.parallel_config(backend="threading", n_jobs=4):
        same(serial, sweep(training_run(), SETTINGS, seeds=[5, 2]))


def test_paired_seeds_start_alike_and_the_callers_random_state_stays():
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    result = sweep(training_run(), SETTINGS, seeds=[5, 2])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    starts = [result.tensors(seed, lr=lr, momentum=0.9)["start"] for seed in (5, 2) for lr in (0.05, 0.5)]
    assert torch.equal(starts[0], starts[1])
    assert torch.equal(starts[2], starts[3])
    assert not torch.equal(starts[0], starts[2])
    assert result.frame.groupby("seed")["noise"].nunique().tolist() == [1, 1]
    torch.manual_seed(5)
    assert torch.equal(nn.Linear(4, 8).weight, starts[0])


def test_a_run_that_raises_is_kept_as_failed_and_one_that_diverges_is_a_result():
    def run(lr, seed):
        if lr > 1 and seed == 1:
            raise ValueError("no such rate")
        return {"loss": float("nan") if lr > 1 else lr, "ended_by": "x"}

    result = sweep(run, {"lr": [0.5, 2.0]}, seeds=range(2))
    assert result.complete
    assert result.summary()["failed"] == 1
    assert result.failed["error"].tolist() == ["ValueError: no such rate"]
    assert result.frame["status"].tolist() == ["done", "done", "done", "failed"]
    assert np.isnan(result.frame["loss"][1])
    assert result.frame["ended_by"][1] == "x"


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        (3.0, "returned a float"),
        ({"lr": 1.0}, "a result called 'lr'"),
        ({"status": 1.0}, "a result called 'status'"),
        ({"loss": [1.0, 2.0]}, "the result loss of type list"),
        ({"loss": torch.ones(2)}, "the result loss of type Tensor"),
    ],
)
def test_a_result_that_is_no_row_is_named(returned, text):
    result = sweep(lambda lr, seed: returned, {"lr": [1.0]}, seeds=[0])
    assert text in result.frame["error"][0]


def check_the_stop_button(n_jobs):
    stop = threading.Event()

    def heard(what, done, total):
        assert what == "sweep"  # the runs' own steps are not told
        if done == 3:
            stop.set()

    with watching(stop=stop, listener=heard):
        result = sweep(training_run(), SETTINGS, seeds=range(4), n_jobs=n_jobs)
    assert not result.complete
    # In this process the run in progress is over; in others those that had begun are waited for.
    assert len(result.runs) == 3 if n_jobs is None else 3 <= len(result.runs) <= 6
    whole = sweep(training_run(), SETTINGS, seeds=range(4))
    done = {run.cell.key: run for run in whole.runs}
    assert all(run.row | {"seconds": 0} == done[run.cell.key].row | {"seconds": 0} for run in result.runs)


def check_the_budget(n_jobs):
    """A run that was cut short is no result."""

    def run(lr, seed):
        from diagkit.work import interrupted, seconds_left

        while seed == 1 and not interrupted():  # what a long loop does
            pass
        return {"left": seconds_left()}

    with watching(budget=1.0):
        result = sweep(run, {"lr": [0.1]}, seeds=range(2), n_jobs=n_jobs)
    assert not result.complete
    assert result.frame["seed"].tolist() == [0]
    assert 0 < result.frame["left"][0] <= 1


def test_the_stop_button_keeps_what_is_finished():
    check_the_stop_button(None)


def test_the_budget_cuts_no_run_in_two():
    check_the_budget(None)
    with watching(budget=0.0):
        assert sweep(training_run(), SETTINGS, seeds=range(3)).runs == ()


def test_ctrl_c_keeps_what_is_finished():
    def run(lr, seed):
        if seed == 2:
            raise KeyboardInterrupt
        return {"loss": lr}

    result = sweep(run, {"lr": [0.1]}, seeds=range(4))
    assert result.frame["seed"].tolist() == [0, 1]
    assert not result.complete


def test_a_run_that_takes_seeds_is_given_all_of_a_setting():
    calls = []

    def run(lr, seeds):
        calls.append((lr, list(seeds)))
        return [{"loss": lr + seed} for seed in seeds]

    def single(lr, seed):
        return {"loss": lr + seed}

    result = sweep(run, {"lr": [0.1, 0.2]}, seeds=range(3))
    assert calls == [(0.1, [0, 1, 2]), (0.2, [0, 1, 2])]
    same(result, sweep(single, {"lr": [0.1, 0.2]}, seeds=range(3)))
    short = sweep(lambda lr, seeds: [{"loss": 1.0}], {"lr": [0.1]}, seeds=range(3))
    assert short.frame["error"].str.contains("1 results for 3 seeds").all()


@pytest.mark.parametrize(
    ("run", "options", "text"),
    [
        (lambda lr: {}, {}, "takes the settings by their names, and seed"),
        (lambda seed: {}, {}, "def run\\(lr, seed\\)"),
        (3, {}, "run=3"),
        (lambda lr, seed: {}, {"n_jobs": 0}, "n_jobs = 0"),
        (lambda lr, seed: {}, {"n_jobs": 1.5}, "n_jobs = 1.5"),
    ],
)
def test_bad_arguments_are_named_before_work_starts(run, options, text):
    with pytest.raises(InputError, match=text):
        sweep(run, {"lr": [0.1]}, seeds=[0], **options)


def test_units_stand_in_the_table():
    result = sweep(lambda lr, seed: {"loss": lr}, {"lr": [0.1]}, seeds=[0], units={"loss": "nat"})
    assert result.frame.attrs["units"] == {"seconds": "s", "loss": "nat"}
    assert result.to_frame().equals(result.frame)


def test_pairs_are_those_that_finished_both():
    def run(lr, arm, seed):
        if arm == "b" and seed == 1:
            raise ValueError
        return {"loss": lr * (seed + 1) + (10 if arm == "b" else 0)}

    result = sweep(run, {"lr": [1.0, 3.0], "arm": ["a", "b"]}, seeds=range(4))
    pairs = result.paired("loss", {"lr": 1.0, "arm": "a"}, {"lr": 3.0, "arm": "b"})
    np.testing.assert_allclose(pairs.differences, [12, 16, 18])
    with pytest.raises(InputError, match="several runs for a seed"):
        result.paired("loss", {"lr": 1.0}, {"lr": 3.0})
    with pytest.raises(InputError, match="'accuracy' at"):
        result.paired("accuracy", {"lr": 1.0, "arm": "a"}, {"lr": 3.0, "arm": "a"})
    with pytest.raises(InputError, match="the settings \\['rate'\\]"):
        result.values("loss", {"rate": 1.0})
    with pytest.raises(InputError, match="one finished run"):
        result.tensors(1, lr=1.0, arm="b")


def test_the_price_of_the_rest():
    result = sweep(lambda lr, seed: {"loss": lr}, {"lr": [0.1, 0.2]}, seeds=range(2))
    runs = [type(r)(r.cell, r.outcome, {0.1: 1.0, 0.2: 3.0}[r.cell.settings["lr"]]) for r in result.runs]
    known = type(result)(runs=tuple(runs), grid=result.grid, units={})
    cost = known.estimate(seeds=range(12))
    assert (cost.runs, cost.seconds, cost.seconds_sem) == (20, 40.0, 0.0)
    assert str(cost) == "20 runs, about 40 s"
    assert known.estimate(seeds=range(12), n_jobs=2).seconds == 20.0
    assert known.estimate(seeds=range(2)).runs == 0
    dry = sweep(lambda lr, seed: {"loss": lr}, {"lr": [0.1, 0.2]}, seeds=[0]).estimate(range(8))
    assert dry.runs == 14
    assert np.isnan(dry.seconds_sem)


def test_it_is_at_the_front_door():
    assert dk.sweep is sweep
