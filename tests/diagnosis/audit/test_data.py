"""Labels, order, coverage, scales and validation data: closed forms and tiny cases."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Sampler, SubsetRandomSampler, TensorDataset, WeightedRandomSampler

from diagkit.diagnosis.audit.classes import balanced, class_counts, split
from diagkit.diagnosis.audit.codes import codes_of, order_p_value
from diagkit.diagnosis.audit.labels import dataset_table, table, table_of
from diagkit.diagnosis.audit.neighbours import agreement
from diagkit.diagnosis.audit.order import coverage, spread_over_batches
from diagkit.diagnosis.audit.scales_of_data import Affine, scales_of
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.checks import inputs_corrupt, labels_mismatched, train_val_mismatch
from diagkit.diagnosis.checks.reported_number_wrong import common_factor

N = 240


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clusters(seed=0, kinds=4):
    """[N, 5] in clusters, and the cluster of each."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, kinds, (N,), generator=g)
    return 3 * torch.randn(kinds, 5, generator=g)[y] + 0.3 * torch.randn(N, 5, generator=g), y


def net(inputs, outputs):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, outputs))


def test_a_table_is_what_was_read():
    X, y = clusters()
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True, generator=generator)
    case = Case(net(5, 4), nn.CrossEntropyLoss(), loader)
    read, ordered = table(case), dataset_table(case)
    assert read.cuts == (32,) * 7 + (16,)
    assert read.all_read
    assert read.are_classes
    assert torch.equal(ordered.inputs, X)
    assert torch.equal(ordered.targets, y)
    assert torch.equal(read.targets.sort().values, y.sort().values)
    assert table_of([{"x": X, "y": y}], all_read=True) is None


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_batches_are_not_called_ordered(seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 5, (N,), generator=g)
    assert spread_over_batches(y, [16] * 15).p > 1e-6
    assert spread_over_batches(gaussian(N, 2, seed=seed), [16] * 15).p > 1e-6


def test_sorted_batches_hold_all_the_variation():
    y = torch.arange(10).repeat_interleave(24)
    spread = spread_over_batches(y, [24] * 10)
    assert spread.between == pytest.approx(1.0)
    assert spread.p < 1e-12
    assert spread.by_chance == pytest.approx(9 / 239)
    assert spread_over_batches(torch.zeros(N, dtype=torch.int64), [24] * 10) is None
    assert spread_over_batches(y, [240]) is None


def loader_with(sampler):
    return DataLoader(TensorDataset(torch.zeros(N, 1), torch.zeros(N)), batch_size=10, sampler=sampler)


class Stateful(Sampler):
    """Counts how often it was started."""

    def __init__(self):
        self.epochs = 0

    def __iter__(self):
        self.epochs += 1
        return iter(range(12))

    def __len__(self):
        return 12


def test_examples_that_a_sampler_shows():
    weights = torch.zeros(N, dtype=torch.float64)
    weights[:6] = 1.0
    few = coverage(loader_with(WeightedRandomSampler(weights, N)))
    assert (few.distinct, few.size, few.draws) == (6, N, 4 * N)
    assert few.expected == pytest.approx(N * (1 - (1 - 1 / N) ** (4 * N)))
    fixed = coverage(loader_with(SubsetRandomSampler(range(7))))
    assert (fixed.distinct, fixed.draws, fixed.settled) == (7, 28, True)
    assert fixed.expected == pytest.approx(N * (1 - (1 - 1 / N) ** N))
    changing = coverage(loader_with(WeightedRandomSampler(torch.ones(N), 7)))
    assert not changing.settled
    assert changing.expected == pytest.approx(N * (1 - (1 - 1 / N) ** 28))
    assert coverage(DataLoader(TensorDataset(torch.zeros(N, 1)), batch_size=7)).distinct == N
    assert coverage([torch.zeros(3)]) is None
    own = Stateful()
    assert coverage(loader_with(own)).distinct == 12
    assert own.epochs == 0


def test_looking_through_a_sampler_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    loader = DataLoader(TensorDataset(torch.arange(N)), batch_size=8, shuffle=True, generator=generator)
    before, state = generator.get_state(), torch.get_rng_state()
    coverage(loader)
    assert torch.equal(generator.get_state(), before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shift", [-3, 0, 1])
def test_moved_labels_are_told_from_right_ones(seed, shift):
    X, y = clusters(seed)
    found = agreement(table_of([(X, y.roll(-shift))], all_read=True), seed=0)
    assert labels_mismatched.is_moved(found) is bool(shift)
    if shift:
        assert found.best_shift == shift
        assert abs(found.score) < 8
    else:
        assert found.score > 8


@pytest.mark.parametrize("seed", range(5))
def test_labels_drawn_at_random_agree_by_chance(seed):
    X, _ = clusters(seed)
    y = torch.randint(0, 4, (N,), generator=torch.Generator().manual_seed(100 + seed))
    found = agreement(table_of([(X, y)], all_read=True), seed=0)
    assert abs(found.score) < 4.5
    assert not labels_mismatched.is_moved(found)


def test_sorted_labels_are_not_called_moved():
    X, y = clusters()
    order = y.argsort()
    found = agreement(table_of([(X[order], y[order])], all_read=True), seed=0)
    assert not labels_mismatched.is_moved(found)


def test_names_of_classes_have_no_order_and_counts_have_one():
    for seed in range(4):
        X, y = clusters(seed, kinds=8)
        named = table_of([(X, y[:, None].float())], all_read=True)
        assert order_p_value(named, codes_of(named), 0) > 0.01
    z = gaussian(N, 5)
    counts = (8 * z[:, 0].argsort().argsort() // N)[:, None].float()
    counted = table_of([(z, counts)], all_read=True)
    assert order_p_value(counted, codes_of(counted), 0) < 0.01
    for y in (z[:, :1], counts.clamp_max(2), counts + (counts > 3), counts.long()[:, 0]):
        assert codes_of(table_of([(z, y)], all_read=True)) is None


@pytest.mark.parametrize(
    ("values", "worst"),
    [
        (gaussian(N, 4), 1.0),
        (100 * gaussian(N, 4), 100.0),
        (gaussian(N, 4) * torch.tensor([1.0, 1.0, 1.0, 1e-3]), 1.3),  # a faint column does no harm
        (gaussian(N, 1, 6, 6) / 50, 50.0),
    ],
)
def test_how_far_scales_are_off(values, worst):
    assert scales_of(values).worst == pytest.approx(worst, rel=0.25)


def test_one_column_that_dwarfs_the_others_is_seen():
    found = scales_of(gaussian(N, 4) * torch.tensor([1.0, 1.0, 1.0, 1e3]))
    assert found.lost > 1e4
    assert found.ratio == pytest.approx(1e3, rel=0.2)
    assert scales_of(gaussian(N, 3) + 100).lost > 100
    assert scales_of(torch.ones(N, 3)).worst == 1.0


def test_an_affine_scaling_and_back():
    X = 5 * gaussian(N, 3) + 7
    X[:, 2] = 4.0
    z = Affine.of(X).apply(X)
    assert torch.allclose(z.mean(0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(z.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-5)
    assert torch.allclose(Affine.of(X).inverse(z), X, atol=1e-4)


@pytest.mark.parametrize(
    ("ratios", "factor"),
    [
        (((4.1, 0.1), (3.9, 0.1)), 4.0),
        (((0.126, 0.05), (0.12, 0.05)), 0.125),
        (((4.1, 0.1), (1.0, 0.1)), None),
        (((4.1, 0.01), (8.0, 0.01)), None),
        (((1.3, 0.1), (1.2, 0.1)), None),
        (((2.5, 0.01), (2.5, 0.01)), None),
    ],
)
def test_a_common_factor_is_a_whole_number(ratios, factor):
    assert common_factor(*ratios) == factor


@pytest.mark.parametrize("logits", [True, False])
def test_classes_of_one_output_are_counted(logits):
    model = net(5, 1) if logits else nn.Sequential(net(5, 1), nn.Sigmoid())
    loss_fn = nn.BCEWithLogitsLoss() if logits else nn.BCELoss()
    X, y = clusters()
    found = class_counts(Case(model, loss_fn, (X, (y == 0).float()[:, None])))
    assert found.counts.tolist() == [int((y != 0).sum()), int((y == 0).sum())]
    assert int(found.predicted[1]) == int((model(X) > (0.0 if logits else 0.5)).sum())


def test_a_third_of_each_class_is_held_back():
    y = torch.tensor([0] * 90 + [1] * 9 + [2])
    trained, seen = split(y, seed=0)
    assert torch.bincount(y[seen]).tolist() == [30, 3, 1]
    assert torch.bincount(y[trained]).tolist() == [60, 6, 1]
    assert set(trained.tolist()) & set(seen.tolist()) == {99}  # the only one of its class


def test_classes_are_drawn_equally_often():
    y = torch.tensor([0] * 90 + [1] * 10)
    chosen = balanced(y, seed=0, among=torch.arange(len(y)))
    assert torch.bincount(y[chosen]).tolist() == [50, 50]


def test_blank_examples_cost_what_their_labels_leave_open():
    X, y = gaussian(N, 9), torch.arange(N) % 2
    X[: N // 2] = 3.0
    evidence = inputs_corrupt.measure(Case(net(9, 2), nn.CrossEntropyLoss(), (X, y)))
    assert evidence["share"] == 0.5
    assert evidence["floor"] == pytest.approx(0.5 * np.log(2), rel=1e-4)
    assert inputs_corrupt.judge(evidence).verdict == "supported"


@pytest.mark.parametrize(("moved", "expected"), [(False, "refuted"), (True, "supported")])
def test_validation_data_on_another_scale(moved, expected):
    X, y = clusters()
    X_val, y_val = X[:80], y[:80]
    model = net(5, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X[80:]), y[80:]).backward()
        optimizer.step()
    val = (0.2 * X_val + 10.0 if moved else X_val, y_val)
    case = Case(model, nn.CrossEntropyLoss(), (X[80:], y[80:]), val_data=val)
    assert train_val_mismatch.judge(train_val_mismatch.measure(case)).verdict == expected
