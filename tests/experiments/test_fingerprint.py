"""What a run function computes with: the same after a restart, another where the answer could be another."""

import functools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from diagkit.experiments.fingerprint import fingerprint


def bound_to(value):
    def run(seed):
        return {"value": value}

    return run


def net(seed):
    torch.manual_seed(seed)
    return nn.Linear(2, 1)


@dataclass
class Settings:
    epochs: int
    data: torch.Tensor


@pytest.mark.parametrize(
    ("value", "same", "other"),
    [
        (1, 1, 2),
        (1, 1, 1.0),
        ("a", "a", "b"),
        ((1, {"lr": [0.1]}), (1, {"lr": [0.1]}), (1, {"lr": [0.2]})),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 1}),
        (torch.ones(3), torch.ones(3), torch.ones(3).double()),
        (torch.ones(3), torch.ones(3), torch.ones(3, 1)),
        (torch.eye(2).bfloat16(), torch.eye(2).bfloat16(), torch.ones(2, 2).bfloat16()),
        (torch.tensor(1.0), torch.tensor(1.0), torch.tensor(2.0)),
        (np.ones(3), np.ones(3), np.zeros(3)),
        (np.arange(6)[::2], np.array([0, 2, 4]), np.arange(3)),
        (net(0), net(0), net(1)),
        (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum")),
        (TensorDataset(torch.ones(2)), TensorDataset(torch.ones(2)), TensorDataset(torch.zeros(2))),
        (Settings(1, torch.ones(1)), Settings(1, torch.ones(1)), Settings(2, torch.ones(1))),
        (functools.partial(net, seed=1), functools.partial(net, seed=1), functools.partial(net, seed=2)),
        (torch.relu, torch.relu, torch.tanh),
        (nn.ReLU, nn.ReLU, nn.Tanh),
        (bound_to(1), bound_to(1), bound_to(2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_count_by_their_content(value, same, other):
    ours = fingerprint(bound_to(value))
    assert ours == fingerprint(bound_to(same))
    theirs = fingerprint(bound_to(other))
    assert {part for part in ours if ours[part] != theirs[part]} == {"variable value"}


def test_what_holds_itself_ends():
    loop = []
    loop.append(loop)
    assert fingerprint(bound_to(loop)) == fingerprint(bound_to(loop))


def test_methods_and_callable_objects():
    class Runner:
        def __init__(self, lr):
            self.lr = lr

        def __call__(self, seed):
            return {"lr": self.lr}

    assert fingerprint(Runner(1)) == fingerprint(Runner(1))
    assert fingerprint(Runner(1)) != fingerprint(Runner(2))
    assert fingerprint(Settings(1, torch.ones(1)).__eq__) != fingerprint(Settings(1, torch.zeros(1)).__eq__)


@dataclass
class Task:
    make: object


def run_of(make, lr, seed):
    return {"loss": make() * lr}


@pytest.mark.parametrize("hand_over", [lambda f: f, Task], ids=["function", "within a dataclass"])
def test_a_function_handed_over_counts_by_its_code(hand_over):
    one = fingerprint(functools.partial(run_of, make=hand_over(lambda: 1.0)))
    same = fingerprint(functools.partial(run_of, make=hand_over(lambda: 1.0)))  # another statement
    other = fingerprint(functools.partial(run_of, make=hand_over(lambda: 2.0)))
    assert one == same
    assert [part for part in one if one[part] != other[part]] == ["bound make"]


def test_several_lambdas_of_a_line_are_told_apart():
    a, b, c = (lambda: 1.0), (lambda: 2.0), (lambda: 1.0)
    one, two, three = (fingerprint(functools.partial(run_of, make=f))["bound make"] for f in (a, b, c))
    assert one == three != two
