import pytest
import torch
from torch import nn

import diagkit as dk
from oracles import FunctionOfParameters, dense_hessian, finite_difference_hvp, mean_output, randn

DATA = randn(30, 4), torch.arange(30) % 3


def mlp():
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(randn(*p.shape, seed=i))
    return model


def objective(model=None, **options):
    return dk.Objective(model or mlp(), nn.CrossEntropyLoss(), DATA, **options)


@pytest.mark.parametrize("batch_size", [None, 7])
def test_hessian_matches_torch_func(batch_size):
    model = mlp()
    H = objective(model, batch_size=batch_size).hessian()
    torch.testing.assert_close(H, dense_hessian(model, nn.CrossEntropyLoss(), DATA), atol=1e-13, rtol=1e-10)
    assert torch.equal(H, H.T)


@pytest.mark.parametrize("memory_budget", [1, 8_000, 1e9])
def test_products_do_not_depend_on_the_memory(memory_budget):
    """None, some or all graphs are kept; batches are merged or not."""
    v, whole = randn(43, seed=3), objective().hvp(randn(43, seed=3))
    obj = objective(batch_size=8, memory_budget=memory_budget)
    with obj.products() as H:
        first, again = H.matvec(v), H.matvec(v)
    assert torch.equal(first, again)
    torch.testing.assert_close(first, whole, atol=1e-15, rtol=1e-13)


def test_graphs_are_kept_as_far_as_the_memory_goes():
    few, some, all_ = (objective(batch_size=8, memory_budget=m).strategy(30) for m in (1, 8_000, 1e9))
    assert not any(few.keep)
    assert 0 < sum(some.keep) < len(some.keep)
    assert all(all_.keep)
    assert some.bytes_kept <= 8_000
    assert not any(objective(batch_size=8).strategy(1).keep), "one product keeps nothing"


@pytest.mark.parametrize("norm_stats", ["running", "batch"])
def test_small_batches_are_merged_only_where_that_does_not_change_the_loss(norm_stats):
    obj = objective(batch_size=3, norm_stats=norm_stats)
    assert len(obj.strategy(30).keep) == (1 if norm_stats == "running" else len(obj.batches))


def test_matrix_of_vectors():
    obj, V = objective(), randn(3, 43)
    HV = obj.hvp(V)
    assert HV.shape == (3, 43)
    for row, v in zip(HV, V, strict=True):
        assert torch.equal(row, obj.hvp(v))
    assert obj.hvp(V[:0]).shape == (0, 43)
    assert torch.equal(obj.hvp(V[0].tolist()), HV[0])


def test_another_point():
    obj = objective()
    theta = obj.theta + 0.1 * randn(43, seed=5)
    there = obj.at(theta)
    v = randn(43, seed=6)
    assert there.loss() == obj.loss(theta) != obj.loss()
    assert torch.equal(there.gradient(), obj.gradient(theta))
    assert torch.equal(there.hvp(v), obj.hvp(v, theta))
    assert torch.equal(there.hessian(), obj.hessian(theta))
    torch.testing.assert_close(there.hvp(v), finite_difference_hvp(there, v), atol=1e-7, rtol=1e-6)


def test_theta_is_a_copy():
    obj = objective()
    before = obj.theta
    obj.theta.add_(1.0)
    assert torch.equal(obj.theta, before)
    point = before.clone()
    there = obj.at(point)
    point.zero_()
    assert torch.equal(there.theta, before)


def test_training_on_does_not_move_the_objective():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double()
    model[0].requires_grad_(False)
    obj = objective(model)
    before = obj.loss(), obj.gradient()
    for p in model.parameters():
        p.data.add_(1.0)
    model.train()(DATA[0])
    assert obj.loss() == before[0]
    assert torch.equal(obj.gradient(), before[1])


def test_unused_and_linear_parameters_have_zero_curvature():
    w = FunctionOfParameters(lambda a, b, c: a**2 + 3 * b, 2.0, 5.0, 7.0)
    obj = dk.Objective(w, mean_output, (torch.zeros(2).double(), torch.zeros(2)))
    assert obj.gradient().tolist() == [4.0, 3.0, 0.0]
    torch.testing.assert_close(obj.hessian(), torch.diag(torch.tensor([2.0, 0.0, 0.0]).double()))
    assert any("unused" in note for note in obj.notes)


def test_a_wholly_linear_loss():
    w = FunctionOfParameters(lambda a: 3 * a.sum(), [1.0, 2.0])
    obj = dk.Objective(w, mean_output, (torch.zeros(2).double(), torch.zeros(2)))
    assert obj.hessian().tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert dk.hessian_eigenvalues(obj, 2).values.tolist() == [0.0, 0.0]
    assert dk.classify_critical_point(obj).verdict == "gradient-flat"


def test_one_layer_is_a_block_of_the_whole():
    whole, names = objective(), ["0.weight", "0.bias", "2.weight", "2.bias"]
    H = whole.hessian()
    for params, where in [
        ("2", slice(25, 43)),
        (["2.*"], slice(25, 43)),
        (["0.weight"], slice(0, 20)),
        (names[::-1], slice(0, 43)),
    ]:
        block = objective(params=params)
        torch.testing.assert_close(block.hessian(), H[where, where], atol=1e-14, rtol=1e-10)
        assert block.loss() == whole.loss()


def test_frozen_parameters_are_left_out_unless_named():
    model = mlp()
    model[0].requires_grad_(False)
    assert objective(model).num_params == 18
    assert objective(model, params="*").num_params == 43
    torch.testing.assert_close(objective(model).hessian(), objective().hessian()[25:, 25:])
    assert not model[0].weight.requires_grad


def test_apply_writes_the_block_alone():
    model = mlp()
    before = model[0].weight.clone()
    obj = objective(model, params="2")
    obj.apply(torch.zeros(18))
    assert torch.equal(model[0].weight, before)
    assert not model[2].weight.any()
    assert model[2].weight.is_leaf
    assert model[2].weight.requires_grad


def test_large_dense_hessian_is_refused():
    obj = dk.Objective(nn.Linear(80, 80), nn.MSELoss(), (torch.ones(2, 80), torch.ones(2, 80)))
    with pytest.raises(dk.InputError, match=r"P = 6480.*allowed: P <= 5000.*hessian_eigenvalues"):
        obj.hessian()


def test_work_is_counted():
    obj = objective()
    start = obj.meter.num_hvps, obj.meter.num_evals, obj.meter.num_gradients
    obj.loss()
    obj.gradient()
    obj.hvp(randn(2, 43))
    obj.at(obj.theta).loss()
    assert obj.meter.num_hvps - start[0] == 2
    assert obj.meter.num_evals - start[1] == 2
    assert obj.meter.num_gradients - start[2] == 1
