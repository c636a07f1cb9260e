"""Mechanical proofs on tiny cases: they hold where the fault is, and not where it only looks like it."""

import numpy as np
import pytest
import torch
from torch import nn

from diagkit.diagnosis import bench, trial
from diagkit.diagnosis.audit.last_activation import last_activation
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.checks import (
    examples_mixed,
    loss_sees_no_target,
    loss_shapes_broadcast,
    no_gradient_path,
    output_cannot_reach_target,
    softmax_twice,
    target_leak,
)

N = 48
X = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]])
CLASSES = torch.arange(N) % 3


@pytest.fixture(autouse=True)
def next_to_no_trials(monkeypatch):
    """What is asked here does not rest on trials."""
    monkeypatch.setattr(bench, "LENGTHS", (2,))
    for module in (bench, trial):
        monkeypatch.setattr(module, "NUM_SEEDS", 2)


def net(outputs, *more):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs), *more)


def verdict(check, model, loss_fn, y, **options):
    return check.judge(check.measure(Case(model, loss_fn, (X, y), budget=5.0, **options))).verdict


def squared(output, target):
    return ((output - target) ** 2).mean()


@pytest.mark.parametrize(
    ("loss_fn", "lost"),
    [
        (lambda o, t: nn.functional.cross_entropy(o, t), []),
        (lambda o, t: nn.functional.cross_entropy(o.detach(), t), "all"),
        (lambda o, t: nn.functional.cross_entropy(torch.tensor(o.tolist(), requires_grad=True), t), "all"),
        (lambda o, t: nn.functional.cross_entropy((8 * o).round() / 8, t), "all"),
        (lambda o, t: (o.argmax(1) != t).float().mean(), "all"),
        # A loss that the output does not move is not a broken path.
        (lambda o, t: 0 * o.sum() + t.float().mean(), []),
    ],
)
def test_where_the_path_is_broken(loss_fn, lost):
    model = net(3)
    numbers = no_gradient_path.measure(Case(model, loss_fn, (X, CLASSES))).numbers
    assert numbers["lost"] == ([n for n, _ in model.named_parameters()] if lost == "all" else lost)


def test_saddles_and_dead_units_have_a_path():
    for fill in (0.0, 0.1):
        model = net(3)
        for p in model.parameters():
            nn.init.constant_(p, fill)
        assert verdict(no_gradient_path, model, nn.CrossEntropyLoss(), CLASSES) == "refuted"
    dead = net(3)
    nn.init.constant_(dead[0].bias, -50.0)
    assert verdict(no_gradient_path, dead, nn.CrossEntropyLoss(), CLASSES) == "refuted"


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (torch.full((N,), -100), "supported"),
        (torch.full((N,), 2), "supported"),
        (torch.where(torch.arange(N) % 7 == 0, CLASSES, -100), "refuted"),
        (CLASSES, "refuted"),
    ],
)
def test_labels_that_reach_the_loss(y, expected):
    assert verdict(loss_sees_no_target, net(3), nn.CrossEntropyLoss(), y) == expected


@pytest.mark.parametrize(
    ("y", "loss_fn", "expected"),
    [
        (Y[:, 0], squared, "supported"),
        (Y[:, 0], lambda o, t: (o - t).abs().mean(), "supported"),
        (Y, squared, "refuted"),
        (Y[:, 0], lambda o, t: squared(o[:, 0], t), "refuted"),
        # Two averages compared: the pairing is not lost, there is none.
        (Y[:, 0], lambda o, t: (o.mean() - t.mean()) ** 2, "refuted"),
        (torch.ones(N), squared, "refuted"),
    ],
)
def test_predictions_and_targets_that_do_not_line_up(y, loss_fn, expected):
    assert verdict(loss_shapes_broadcast, net(1), loss_fn, y) == expected


class Rolled(nn.Module):
    def __init__(self, mix):
        super().__init__()
        self.body, self.mix = net(3), mix

    def forward(self, x):
        return self.body(self.mix(x))


MIXES = {
    "none": (lambda x: x, 0, False),
    "cumulative": (lambda x: x.cumsum(0), 28, True),
    "mean of the batch": (lambda x: x - x.mean(0), 56, False),
    "one to the next": (lambda x: x + x.roll(1, 0), 8, False),
    "softmax over the batch": (lambda x: torch.softmax(x, 0), 56, False),
}


@pytest.mark.parametrize("name", MIXES)
def test_which_examples_move_which(name):
    mix, mixed, one_way = MIXES[name]
    evidence = examples_mixed.measure(Case(Rolled(mix), nn.CrossEntropyLoss(), (X, CLASSES)))
    assert (evidence["mixed"], evidence["one_way"]) == (mixed, one_way)
    if mixed == 28:
        assert np.array_equal(evidence.results[0].depends, np.tri(8, dtype=bool))


def test_nodes_of_a_graph_are_meant_to_see_each_other():
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = net(3)

        def forward(self, x, near):
            return self.body(near @ x)

    near = torch.eye(N).roll(1, 0) + torch.eye(N)
    case = Case(Graph(), nn.CrossEntropyLoss(), [((X, near), CLASSES)])
    assert examples_mixed.measure(case)["compared"] == 0


class Symbols(nn.Module):
    """Logits of each position from the mean of the embeddings within reach(T) [T, T]."""

    def __init__(self, reach):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head, self.reach = nn.Embedding(6, 8), nn.Linear(8, 6), reach

    def forward(self, tokens):
        near = self.reach(tokens.shape[1])
        return self.head((near / near.sum(1, keepdim=True)) @ self.embed(tokens))


def score(model, batch):
    return nn.functional.cross_entropy(model(batch["x"]).flatten(0, 1), batch["y"].flatten())


def causal(n):
    return torch.tril(torch.ones(n, n))


def both_ways(n):
    return torch.ones(n, n)


@pytest.mark.parametrize(
    ("reach", "shift", "expected"),
    [
        (causal, 1, "refuted"),
        (both_ways, 1, "supported"),
        (causal, 0, "supported"),
        (both_ways, 0, "undecided"),
        (lambda n: torch.tril(torch.ones(n, n), -1) + torch.eye(n) * 1e-30, 1, "refuted"),
    ],
)
def test_who_sees_its_own_target(reach, shift, expected):
    tokens = torch.randint(0, 6, (16, 11), generator=torch.Generator().manual_seed(1))
    batch = {"x": tokens[:, : 11 - shift], "y": tokens[:, shift:]}
    case = Case(Symbols(reach), None, [batch], step=score)
    assert target_leak.judge(target_leak.measure(case)).verdict == expected


def test_tags_that_are_not_the_symbols_are_no_leak():
    tokens = torch.randint(0, 6, (16, 10), generator=torch.Generator().manual_seed(1))
    case = Case(Symbols(both_ways), None, [{"x": tokens, "y": (tokens + 1) % 6}], step=score)
    assert target_leak.judge(target_leak.measure(case)).verdict == "refuted"


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ((nn.ReLU(),), "ReLU"),
        ((nn.Sigmoid(),), "sigmoid"),
        ((nn.Tanh(),), "tanh"),
        ((nn.Softmax(dim=1),), "softmax"),
        ((), None),
        ((nn.Softplus(),), None),
    ],
)
def test_the_last_activation_is_told_from_values(last, kind):
    found = last_activation(Case(net(3, *last), nn.CrossEntropyLoss(), (X, CLASSES)))
    assert (None if found is None else found.kind) == kind


@pytest.mark.parametrize(
    ("last", "loss_fn", "expected"),
    [
        (nn.Softmax(dim=1), nn.CrossEntropyLoss(), "supported"),
        (nn.Sigmoid(), nn.CrossEntropyLoss(), "supported"),
        (nn.LogSoftmax(dim=1), nn.CrossEntropyLoss(), "refuted"),
        (nn.LogSoftmax(dim=1), nn.NLLLoss(), "refuted"),
        (nn.Softmax(dim=1), lambda o, t: nn.functional.nll_loss(o.clamp_min(1e-9).log(), t), "refuted"),
        (nn.Identity(), nn.CrossEntropyLoss(), "refuted"),
    ],
)
def test_softmax_taken_twice(last, loss_fn, expected):
    assert verdict(softmax_twice, net(3, last), loss_fn, CLASSES) == expected


def test_the_floor_of_a_bounded_output_is_exact():
    case = Case(net(1, nn.Tanh()), nn.MSELoss(), (X, 2 * Y))
    evidence = output_cannot_reach_target.measure(case)
    beyond = (2 * Y).abs() > 1
    floor = ((2 * Y).abs() - 1).clamp_min(0).square().mean()
    assert evidence["outside"] == pytest.approx(float(beyond.float().mean()))
    assert evidence["floor"] == pytest.approx(float(floor), rel=1e-5)
    assert output_cannot_reach_target.judge(evidence).verdict == "supported"


@pytest.mark.parametrize(
    ("last", "y"), [(nn.Tanh(), Y.tanh()), (nn.ReLU(), Y.relu()), (nn.Sigmoid(), Y.sigmoid())]
)
def test_targets_within_range_are_not_out_of_reach(last, y):
    evidence = output_cannot_reach_target.measure(Case(net(1, last), nn.MSELoss(), (X, y)))
    assert evidence["outside"] == evidence["floor"] == 0.0
    assert not evidence["material"]


def test_softmax_over_one_unit():
    assert verdict(output_cannot_reach_target, net(1, nn.Softmax(dim=1)), nn.MSELoss(), Y) == "supported"
