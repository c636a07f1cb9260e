"""Four losses on one network, against derivatives by hand and plain training."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.experiments.label_encodings import LOSSES, accuracy, num_classes
from diagkit.experiments.label_losses import LabelLossTask, label_loss_stages, label_losses
from diagkit.work import watching

STUCK = "squared, probabilities"


def two_blobs(n=60):
    X = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    return X, (X[:, 0] > 0).long()


def linear():
    return nn.Linear(2, 2)


class Scores(nn.Module):
    """Whatever the input, two scores that start at 0: the smallest network there is."""

    def __init__(self):
        super().__init__()
        self.z = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return self.z.expand(len(x), 2)


def test_loss_and_gradient_at_the_start_are_those_by_hand():
    data = (
        torch.zeros(4, 1),
        torch.ones(4, dtype=torch.int64),
    )  # all of class 1, the head start is for class 0
    found = next(label_loss_stages(Scores, data))
    p = 1 / (1 + np.exp(-found.head_starts))  # of the wrong class
    assert found.start_loss["cross-entropy"] == pytest.approx(-np.log(1 - p), rel=1e-6)
    assert found.start_gradient["cross-entropy"] == pytest.approx(np.sqrt(2) * p, rel=1e-6)
    assert found.start_loss[STUCK] == pytest.approx(2 * p**2, rel=1e-6)
    assert found.start_gradient[STUCK] == pytest.approx(4 * np.sqrt(2) * p * p * (1 - p), rel=1e-6)
    scores = (found.head_starts**2 + 1, 2 * np.sqrt(found.head_starts**2 + 1))
    assert found.start_loss["squared, scores"] == pytest.approx(scores[0])
    assert found.start_gradient["squared, scores"] == pytest.approx(scores[1])
    assert found.start_loss["class as number"] == pytest.approx([1.0])  # does not know b


def test_the_last_accuracy_is_that_of_plain_training():
    X, y = two_blobs()
    found = label_losses(linear, (X, y), LabelLossTask(rate=0.5, steps=30), seeds=[3])
    torch.manual_seed(3)
    model = linear()
    sgd = torch.optim.SGD(model.parameters(), lr=0.5)
    dk.train(model, nn.CrossEntropyLoss(), (X, y), optimizer=sgd, max_steps=30, seed=3)
    assert found.final("cross-entropy")[0] == accuracy(model, X, y, "cross-entropy")


def test_seeds_together_are_as_seeds_alone():
    task = LabelLossTask(head_start=5.0, steps=20)
    together = label_losses(linear, two_blobs(), task, seeds=range(4))
    alone = label_losses(linear, two_blobs(), task, seeds=[2])
    for name in LOSSES:
        assert together.accuracy[name][2] == pytest.approx(alone.accuracy[name][0], abs=1 / 60)


def test_a_wrong_and_sure_start_stops_only_the_loss_that_saturates():
    task = LabelLossTask(head_start=12.0, steps=100)
    found = label_losses(linear, two_blobs(), task, seeds=range(8))
    judged = dk.judge("x", found.difference(STUCK, "cross-entropy"), expects="increase", smallest=0.1)
    assert judged.verdict == "reproduced"
    assert (found.accuracy[STUCK][:, -1] == found.accuracy[STUCK][:, 0]).all()


def test_what_diverges_says_so():
    found = label_losses(linear, two_blobs(), LabelLossTask(rate=50.0, steps=200))
    assert np.isnan(found.final("squared, scores")).all()
    assert found.accuracy["squared, scores"].shape == found.accuracy["cross-entropy"].shape


def test_running_statistics_go_along():
    def normalized():
        return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    found = label_losses(normalized, two_blobs(), LabelLossTask(rate=0.1, steps=60))
    assert found.final("cross-entropy")[0] > 0.8


def test_stages_and_stop():
    stages = list(label_loss_stages(linear, two_blobs(), LabelLossTask(steps=5)))
    assert [len(s.accuracy) for s in stages] == [0, 1, 2, 3, 4, 4]
    assert [s.complete for s in stages] == [False] * 5 + [True]
    assert set(stages[-1].to_frame().columns) == {"loss", "seed", "step", "accuracy"}
    with watching(budget=0.0):
        stopped = list(label_loss_stages(linear, two_blobs()))
    assert [(len(s.accuracy), s.complete) for s in stopped] == [(0, False)]


@pytest.mark.parametrize(
    "bad",
    [{"optimizer": "LBFGS"}, {"rate": 0.0}, {"steps": 0}, {"head_start": -1.0}, {"head_start": float("inf")}],
)
def test_a_bad_task_is_named(bad):
    with pytest.raises(dk.InputError, match=next(iter(bad))):
        LabelLossTask(**bad)


def test_bad_data_and_networks_are_named():
    X, y = two_blobs()
    with pytest.raises(dk.InputError, match="one score for each class"):
        label_losses(lambda: nn.Linear(2, 3), (X, y))
    for labels in (y.float(), -y, torch.zeros_like(y), [0, 1]):
        with pytest.raises(dk.InputError, match="integers 0"):
            num_classes(labels)
