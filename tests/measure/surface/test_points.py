import math
import threading

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.measure.surface import passes as passes_module
from diagkit.measure.surface.passes import Passes, points_at_once
from diagkit.measure.surface.points import evaluating
from diagkit.objective.ranks import Ranks
from diagkit.work import watching
from leave_no_trace import Ward, Witness
from oracles import NO_DATA, FunctionOfParameters, mean_output, randn
from point_cases import EVERYTHING, NOT_MAPPED, OBJECTIVES, by_hand, losses, mlp, plane

# -- in this process ----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("name", EVERYTHING)
def test_the_loss_bit_for_bit(name, k):
    obj = EVERYTHING[name]()
    where, done = plane(obj, seed=k, k=k), []
    expected, before = by_hand(obj, *where), obj.meter.num_evals
    with evaluating(obj, *where[:2]) as losses_at:
        found = losses_at(where[2], done.append)
        again = losses_at(where[2][:3])
    assert found.dtype == np.float64
    assert found.tobytes() == expected.tobytes()
    assert again.tobytes() == expected[:3].tobytes()
    assert sum(done) == 11
    assert obj.meter.num_evals - before == 14


def test_what_is_not_finite_is_told_as_found():
    obj = dk.Objective(FunctionOfParameters(lambda w: torch.log(w[0]), [2.0]), mean_output, NO_DATA)
    found = losses(obj, obj.theta, [torch.ones(1)], [[0.0], [-2.0], [-3.0]])
    np.testing.assert_array_equal(found, [math.log(2.0), -math.inf, math.nan])


def test_an_empty_call_and_no_directions():
    obj = mlp()
    assert losses(obj, obj.theta, [obj.theta], np.zeros((0, 1))).shape == (0,)
    assert losses(obj, obj.theta, [], np.zeros((2, 0))).tolist() == [obj.loss()] * 2


def test_out_of_time_the_first_points():
    obj, stop = mlp(), threading.Event()
    where = plane(obj)
    expected, before = by_hand(obj, *where), obj.meter.num_evals
    done = []

    def advance(n):
        done.append(n)
        if sum(done) == 4:
            stop.set()

    with watching(stop=stop), evaluating(obj, *where[:2]) as losses_at:
        found = losses_at(where[2], advance)
        assert losses_at(where[2]).shape == (0,)
    np.testing.assert_array_equal(found, expected[:4])
    assert obj.meter.num_evals - before == 4


@pytest.mark.parametrize(
    "error", [None, RuntimeError("the fuse has burnt"), KeyboardInterrupt("the fuse has burnt")]
)
@pytest.mark.parametrize("norm_stats", ["running", "batch"])
def test_no_trace(norm_stats, error):
    ward = Ward()
    obj = dk.Objective(ward.model, ward.loss_fn, ward.loader, norm_stats=norm_stats)
    where = plane(obj)
    expected = by_hand(obj, *where)
    witness = Witness(ward)
    ward.fuse.arm(8 if error else -1, error)
    if error is None:
        np.testing.assert_array_equal(losses(obj, *where), expected)
    else:
        with pytest.raises(type(error), match="the fuse has burnt"):
            losses(obj, *where)
    assert witness.changes() == []
    assert witness.data_order_is_kept()


def test_between_two_calls_the_model_is_the_users():
    ward = Ward()
    obj = dk.Objective(ward.model, ward.loss_fn, ward.loader)
    where = plane(obj)
    witness = Witness(ward)
    with evaluating(obj, *where[:2]) as losses_at:
        first = losses_at(where[2])
        assert witness.changes() == []
        torch.rand(3)
        state = torch.get_rng_state()
        np.testing.assert_array_equal(losses_at(where[2]), first)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"origin": torch.zeros(3)}, "origin of shape"),
        ({"directions": [torch.zeros(3)]}, "direction of shape"),
        ({"coordinates": [[0.0]]}, "finite numbers of shape"),
        ({"coordinates": [0.0, 1.0]}, "finite numbers of shape"),
        ({"coordinates": [[0.0, math.nan]]}, "finite numbers of shape"),
        ({"n_jobs": 0}, "n_jobs = 0"),
        ({"n_jobs": 1.0}, "n_jobs = 1.0"),
        ({"n_jobs": True}, "n_jobs = True"),
    ],
)
def test_bad_arguments(change, says):
    obj = mlp()
    origin, directions, coordinates = plane(obj)
    arguments = {"origin": origin, "directions": directions, "coordinates": coordinates} | change
    with pytest.raises(dk.InputError, match=says):
        losses(obj, **arguments)


# -- several points at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", OBJECTIVES)
def test_points_at_once_equal_single_ones_to_rounding(name, seed):
    obj = OBJECTIVES[name]()
    origin, directions, coordinates = plane(obj, seed)
    passes = Passes(obj, origin, directions, at_once=11)
    with obj.quiet():
        together = passes.losses([passes.point(row) for row in coordinates])
    assert together.dtype == torch.float64
    assert passes.at_once == 11, "it was not done by vmap"
    # A sum of n roundings: the longest here runs over some hundred terms of like size.
    rtol = 100 * torch.finfo(obj.fixed.precision).eps
    np.testing.assert_allclose(together, by_hand(obj, origin, directions, coordinates), rtol=rtol)


@pytest.mark.parametrize("name", NOT_MAPPED)
def test_models_that_cannot_be_mapped_go_one_by_one(name):
    obj = NOT_MAPPED[name]()
    origin, directions, coordinates = plane(obj)
    passes = Passes(obj, origin, directions, at_once=11)
    with obj.quiet():
        found = passes.losses([passes.point(row) for row in coordinates])
    assert passes.at_once == 1
    np.testing.assert_array_equal(found, by_hand(obj, origin, directions, coordinates))


def test_an_operation_that_vmap_does_one_by_one_is_left_to_the_loop():
    def loss(w):
        return torch.histc(w.detach(), 4, -9, 9).amax() + w.square().sum()

    obj = dk.Objective(FunctionOfParameters(loss, randn(6)), mean_output, NO_DATA)
    passes = Passes(obj, obj.theta, [obj.theta], at_once=3)
    with obj.quiet():
        passes.losses([passes.point([c]) for c in (0.0, 1.0, 2.0)])
    assert passes.at_once == 1


def test_the_models_own_error_is_raised_as_itself():
    def loss(w):
        if torch.is_grad_enabled():  # preflight
            return w.sum()
        raise ZeroDivisionError("inside the model")

    obj = dk.Objective(FunctionOfParameters(loss, [1.0, 2.0]), mean_output, NO_DATA, batch_size=1)
    passes = Passes(obj, obj.theta, [obj.theta], at_once=2)
    with obj.quiet(), pytest.raises(ZeroDivisionError, match="inside the model"):
        passes.losses([obj.theta, obj.theta])


@pytest.mark.parametrize(
    ("device", "bytes_per_point", "budget", "expected"),
    [
        ("cpu", 1.0, 1e12, 1),
        ("cuda", 1e3, 4e9, 64),
        ("cuda:1", 1e8, 4e9, 10),
        ("mps", 1e8, 4e9, 10),
        ("xpu", 0.0, 4e9, 64),
        ("cuda", 1e10, 4e9, 1),
        ("meta", 1e3, 4e9, 64),
    ],
)
def test_how_many_at_once_is_decided_beforehand(device, bytes_per_point, budget, expected):
    assert points_at_once(torch.device(device), bytes_per_point, budget) == expected


def test_points_are_cut_as_decided(monkeypatch):
    """As on a device where batching pays: 11 points by 4 are three passes."""
    obj = mlp()
    where = plane(obj)
    calls, done, asked = [], [], []

    def decide(device, bytes_per_point, budget):
        asked.append((device.type, bytes_per_point, budget))
        return 4

    expected = by_hand(obj, *where)
    handle = obj.model.register_forward_hook(lambda *_: calls.append(1))
    monkeypatch.setattr(passes_module, "points_at_once", decide)
    before = obj.meter.num_evals
    with evaluating(obj, *where[:2]) as losses_at:
        found = losses_at(where[2], done.append)
    handle.remove()
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert done == [4, 4, 3]
    assert len(calls) == 3 * len(obj.batches)
    assert obj.meter.num_evals - before == 11
    saved = obj.fixed.found.bytes_per_example
    assert saved > 0
    assert asked == [("cpu", 4 * saved + 8 * obj.num_params, obj.memory_budget)]


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["mlp", "convolution", "attention", "recurrent"])
def test_on_a_gpu(name):
    cpu = EVERYTHING[name]()
    where = plane(cpu)
    payloads = [batch.payload for batch in cpu.batches]
    gpu = dk.Objective.from_step(cpu.model.to("cuda"), cpu.step, payloads)
    found = losses(gpu, *where)
    np.testing.assert_allclose(found, by_hand(gpu, *where), rtol=1e-11)
    assert isinstance(found, np.ndarray)
    passes = Passes(gpu, gpu.theta, [d.to("cuda") for d in where[1]])
    assert passes.at_once == 64
    with gpu.quiet():
        passes.losses([gpu.theta, gpu.theta])
    assert passes.at_once == (1 if name == "recurrent" else 64)


# -- several ranks ------------------------------------------------------------------------------------


def test_ranks_and_other_processes_do_not_mix():
    obj = mlp()
    obj.ranks = object.__new__(Ranks)
    obj.ranks.size = 2
    with pytest.raises(dk.InputError, match="n_jobs = 2, with the data shared among 2 ranks"):
        losses(obj, obj.theta, [obj.theta], [[0.0]], n_jobs=2)
