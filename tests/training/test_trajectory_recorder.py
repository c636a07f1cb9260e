"""The recorder of a trajectory: which steps it keeps, how many, and that training does not notice."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from oracles import randn


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.2), nn.Linear(4, 1))


DATA = randn(64, 3).float(), randn(64, 1, seed=1).float()


def run(model, steps, callbacks=()):
    def adam(parameters):
        return torch.optim.Adam(parameters, lr=0.01)

    return dk.train(model, nn.MSELoss(), DATA, optimizer=adam, max_steps=steps, callbacks=callbacks)


def flat(model):
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def test_every_step_from_the_start_to_the_end():
    model = network()
    seen = [flat(model)]
    recorder = dk.TrajectoryRecorder(model)
    run(model, 12, [recorder, lambda info: seen.append(flat(info.model)) and None])
    assert recorder.steps.tolist() == list(range(13))
    assert torch.equal(recorder.thetas, torch.stack(seen))
    assert len(recorder) == 13


def test_training_goes_on_as_without():
    plain, watched = network(), network()
    run(plain, 12)
    run(watched, 12, [dk.TrajectoryRecorder(watched)])
    assert torch.equal(flat(plain), flat(watched))


@pytest.mark.parametrize(("every", "max_points"), [(1, 8), (3, 8), (1, 11), (7, 50)])
def test_thinning_keeps_equal_distances_and_the_bound(every, max_points):
    model = network()
    by_step = {0: flat(model)}
    recorder = dk.TrajectoryRecorder(model, every=every, max_points=max_points)
    sizes = []

    def watch(info):
        by_step[info.step + 1] = flat(info.model)
        sizes.append(len(recorder._kept))

    run(model, 101, [recorder, watch])
    steps = recorder.steps
    assert max(sizes) <= max_points
    assert steps[-1] == 101, "the last step is always there"
    regular = steps[steps % recorder.every == 0]
    assert set(np.diff(regular)) == {recorder.every}
    assert len(regular) > min(max_points // 2, 101 // every) - 1
    assert (recorder.every / every).is_integer()
    for step, theta in zip(steps, recorder.thetas, strict=True):
        assert torch.equal(theta, by_step[int(step)])


def test_the_memory_bound_is_kept():
    model = network()
    room = 10 * 4 * flat(model).numel()
    recorder = dk.TrajectoryRecorder(model, memory_budget=room)
    run(model, 100, [recorder])
    assert recorder.max_points == 10
    held = [theta.untyped_storage().nbytes() for theta in recorder._kept.values()]
    assert sum(held) <= room


def test_what_was_written_after_the_last_step_is_no_point_of_the_run():
    model = network()
    recorder = dk.TrajectoryRecorder(model, every=5)
    run(model, 12, [recorder])
    assert recorder.steps.tolist() == [0, 5, 10, 12]
    with torch.no_grad():
        model[0].weight.zero_()
    assert recorder.steps.tolist() == [0, 5, 10]


def test_a_loop_of_ones_own():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = dk.TrajectoryRecorder(model, every=2)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(DATA[0]), DATA[1]).backward()
        optimizer.step()
        recorder.step()
    assert recorder.steps.tolist() == [0, 2, 4, 5]
    assert torch.equal(recorder.thetas[-1], flat(model))
    assert not recorder.thetas.requires_grad


def test_frozen_parameters_are_left_out():
    model = network()
    model[0].requires_grad_(False)
    recorder = dk.TrajectoryRecorder(model)
    assert recorder.thetas.shape[1] == dk.Objective(model, nn.MSELoss(), DATA).num_params


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"every": 0}, "every = 0"),
        ({"max_points": 4}, "max_points = 4; allowed: an integer of 8"),
        ({"memory_budget": 100.0}, "room for 1 points of P = 21.*write: memory_budget=672"),
        ({"memory_budget": -1}, "memory_budget = -1"),
    ],
)
def test_bad_arguments(options, words):
    with pytest.raises(dk.InputError, match=words):
        dk.TrajectoryRecorder(network(), **options)
    with pytest.raises(dk.InputError, match="trainable"):
        dk.TrajectoryRecorder(network().requires_grad_(False))
