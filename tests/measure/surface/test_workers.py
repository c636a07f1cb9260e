import os
import pickle
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import diagkit as dk
from diagkit.measure.surface import workers
from diagkit.measure.surface.passes import Passes
from diagkit.measure.surface.points import evaluating
from diagkit.work import watching
from leave_no_trace import Ward, Witness
from oracles import NO_DATA, FunctionOfParameters, mean_output, randn
from point_cases import by_hand, losses, mlp, plane


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# -- what a worker does, in this process --------------------------------------------------------------


def rows_of(coordinates):
    return tuple(tuple(row) for row in coordinates.tolist())


def parcel(obj, where):
    return workers.parcel_of(Passes(obj, *where[:2]))


@pytest.fixture
def token():
    yield "a token"
    workers._opened.clear()


def test_a_worker_asks_for_what_it_does_not_know(token):
    obj = mlp()
    where = plane(obj)
    rows, expected = rows_of(where[2]), by_hand(obj, *where)
    assert workers.serve(token, None, rows).losses is None
    assert workers.serve(token, parcel(obj, where), rows).losses == expected.tolist()
    assert workers.serve(token, None, rows[:2]).losses == expected[:2].tolist()


def test_a_worker_forgets_what_is_not_used(token, monkeypatch):
    monkeypatch.setattr(workers, "KEPT_SECONDS", 0.05)
    obj = mlp()
    where = plane(obj)
    assert len(workers.serve(token, parcel(obj, where), rows_of(where[2])).losses) == 11
    deadline = time.monotonic() + 20
    while token in workers._opened and time.monotonic() < deadline:
        time.sleep(0.01)
    assert token not in workers._opened
    assert workers.serve(token, None, rows_of(where[2])).losses is None


def test_a_worker_is_set_as_the_sender_and_put_back(token):
    """Shared with other work: a thread of the caller's process, or a cluster's worker."""

    def loss(w):
        return w.sum() * torch.ones(1).div(3).sum() + 0 * torch.get_num_threads()

    obj = dk.Objective(FunctionOfParameters(loss, [1.0, 2.0]), mean_output, NO_DATA)
    threads = torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    try:
        sent, expected = workers.parcel_of(Passes(obj, obj.theta, [])), obj.loss()
    finally:
        torch.set_default_dtype(torch.float32)
    assert obj.loss() != expected
    torch.set_num_threads(2)
    try:
        assert workers.serve(token, sent, ((),)).losses == [expected]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.get_default_dtype() == torch.float32


def test_views_do_not_take_along_what_they_are_cut_from():
    base = randn(100_000, 4)
    obj = dk.Objective(nn.Linear(4, 1).double(), nn.MSELoss(), (base[:3], randn(3, 1)))
    assert obj.batches[0].payload[0].untyped_storage().nbytes() == base.nbytes
    assert len(workers.parcel_of(Passes(obj, obj.theta, []))) < 20_000


class PickyError(Exception):
    def __init__(self, *, why):
        super().__init__(f"because {why}")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PickyError(why="of this"), PickyError),
        (dk.InputError("this", allowed="that"), dk.InputError),
        (KeyError("a key"), KeyError),
        (OSError(2, "no such thing"), FileNotFoundError),
        (ValueError(threading.Lock()), RuntimeError),  # cannot travel: its text does
    ],
)
def test_errors_travel(error, kind):
    try:
        raise error
    except Exception as caught:
        failure = pickle.loads(pickle.dumps(workers.Failure.of(caught)))
    arrived = failure.error()
    assert type(arrived) is kind
    assert str(error) in str(arrived)
    assert "test_errors_travel" in arrived.__notes__[0]


@pytest.mark.parametrize("what", ["loss", "model"])
def test_what_cannot_be_pickled_is_refused(what):
    lock = threading.Lock()

    def loss_fn(outputs, targets):
        with lock if what == "loss" else threading.Lock():
            return outputs.mean()

    model = FunctionOfParameters(lambda w: w.sum(), [1.0, 2.0])
    if what == "model":
        model.lock = lock
    obj = dk.Objective(model, loss_fn, NO_DATA)
    with pytest.raises(dk.InputError, match=r"cannot be sent to another process.*write: n_jobs=1"):
        losses(obj, obj.theta, [obj.theta], [[0.0]], n_jobs=2)
    assert losses(obj, obj.theta, [obj.theta], [[0.0]]).tolist() == [obj.loss()]


# -- other processes ----------------------------------------------------------------------------------


class Marked(nn.Linear):
    """Leaves a file where it is unpickled."""

    def __init__(self, folder):
        super().__init__(400, 3)
        self.folder = folder

    def __setstate__(self, state):
        super().__setstate__(state)
        (Path(self.folder) / f"{os.getpid()}-{time.monotonic_ns()}").touch()


def marked(folder, seed=0):
    """1.4 MB of data, which joblib maps into its processes through a file."""
    folder.mkdir()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Marked(str(folder)).double()
    X, y = randn(450, 400, seed=seed), torch.arange(450) % 3
    return dk.Objective(model, lambda outputs, targets: F.cross_entropy(outputs, targets), (X, y))


def opened_by(folder):
    return [name.split("-")[0] for name in os.listdir(folder)]


def joblib_folders():
    places = [Path(p) for p in ("/dev/shm", os.environ.get("TMPDIR", "/tmp")) if os.path.isdir(p)]
    return {p for place in places for p in place.glob(f"joblib_memmapping_folder_{os.getpid()}_*/*")}


def test_local_processes(tmp_path, one_thread):
    """One story, since processes take seconds to start."""
    ward = Ward()
    treated = dk.Objective(ward.model, ward.loss_fn, ward.loader)
    witness = Witness(ward)
    train, val = marked(tmp_path / "train"), marked(tmp_path / "val", seed=1)
    where = plane(train)
    expected, before = by_hand(train, *where), train.meter.num_evals
    done = []
    with (
        evaluating(train, *where[:2], n_jobs=2) as on_train,
        evaluating(val, *where[:2], n_jobs=2) as on_val,
    ):
        for _ in range(3):
            np.testing.assert_array_equal(on_train(where[2], done.append), expected)
            np.testing.assert_array_equal(on_val(where[2][:4]), by_hand(val, *where[:2], where[2][:4]))
    assert train.meter.num_evals - before == sum(done) == 33
    for folder in ("train", "val"):
        openers = opened_by(tmp_path / folder)
        assert str(os.getpid()) not in openers
        assert len(set(openers)) == len(openers) <= 2, "unpickled once by each worker"
    assert workers._opened == {}
    assert joblib_folders() == set()

    elsewhere = plane(treated)
    found = losses(treated, *elsewhere, n_jobs=2)
    assert witness.changes() == []
    assert witness.data_order_is_kept()
    np.testing.assert_array_equal(found, by_hand(treated, *elsewhere))


def assert_ended(pids):
    def is_running(pid):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
        return True

    deadline = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_running, pids))


@pytest.mark.slow
def test_local_processes_are_ended(tmp_path):
    """By a stop, an error, Ctrl-C, while they are busy; others take their place."""

    class LocalError(Exception):
        def __init__(self, *, why):
            super().__init__(f"because {why}")

    here = os.getpid()

    def loss(w):
        if os.getpid() != here and float(w[0]) == 1.0:
            raise LocalError(why="w is 1")
        if os.getpid() != here and float(w[0]) == 2.0:
            time.sleep(200)
        return w.sum() + os.getpid()

    obj = dk.Objective(FunctionOfParameters(loss, [0.0, 0.0]), mean_output, NO_DATA)
    stop, busy = threading.Event(), [[0.0], [2.0], [2.0], [2.0]]

    def interrupt(done):
        raise KeyboardInterrupt

    with evaluating(obj, obj.theta, [torch.tensor([1.0, 0.0])], n_jobs=2) as losses_at:
        pids = losses_at([[0.0]]).tolist()
        assert pids[0] != here
        with watching(stop=stop):
            assert losses_at(busy, lambda done: stop.set()).shape == (1,)
            assert losses_at(busy).shape == (0,)
        assert_ended(pids)
        pids = losses_at([[0.0]]).tolist()
        with pytest.raises(LocalError, match="because w is 1"):
            losses_at([[0.0], [1.0], [2.0], [2.0]])
        assert_ended(pids)
        pids = losses_at([[0.0]]).tolist()
        with pytest.raises(KeyboardInterrupt):
            losses_at(busy, interrupt)
        assert_ended(pids)
    assert joblib_folders() == set()


def test_a_dask_cluster(tmp_path, one_thread):
    from distributed import Client, LocalCluster

    obj = marked(tmp_path / "train")
    where = plane(obj)
    expected = by_hand(obj, *where)
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None)
    with cluster, Client(cluster), joblib.parallel_config(backend="dask"):
        with evaluating(obj, *where[:2], n_jobs=-1) as losses_at:
            for _ in range(2):
                np.testing.assert_array_equal(losses_at(where[2]), expected)
        assert len(opened_by(tmp_path / "train")) == 1, "both workers are threads of this process"
    assert workers._opened == {}


@pytest.mark.slow
def test_a_dask_cluster_of_processes(tmp_path, one_thread):
    from distributed import Client, LocalCluster

    obj = marked(tmp_path / "train")
    where = plane(obj)
    expected = by_hand(obj, *where)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        with evaluating(obj, *where[:2], n_jobs=-1) as losses_at:
            for _ in range(3):
                np.testing.assert_array_equal(losses_at(where[2]), expected)
        openers = opened_by(tmp_path / "train")
    assert str(os.getpid()) not in openers
    assert len(set(openers)) == len(openers) <= 2
