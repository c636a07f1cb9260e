"""Every public measurement, ending well, with an error, and with Ctrl-C, leaves the patient as it was."""

import pytest
import torch

import diagkit as dk
from diagkit.measure.surroundings import look_around
from diagkit.work import watching
from leave_no_trace import Ward, Witness

MEASUREMENTS = {
    "loss": lambda obj: obj.loss(),
    "loss elsewhere": lambda obj: obj.loss(obj.theta + 1),
    "gradient": lambda obj: obj.gradient(),
    "hvp": lambda obj: obj.hvp(torch.ones(obj.num_params)),
    "hessian": lambda obj: obj.hessian(),
    "at": lambda obj: obj.at(obj.theta + 1).loss(),
    "largest eigenvalues": lambda obj: dk.hessian_eigenvalues(obj, 2),
    "smallest eigenvalues": lambda obj: dk.hessian_eigenvalues(obj, 2, which="smallest"),
    "classify": dk.classify_critical_point,
    "newton-mr": lambda obj: dk.find_critical_point(obj, max_iters=3),
    "gradient-norm": lambda obj: dk.find_critical_point(obj, method="gradient-norm", max_iters=3),
    "escape": dk.escape_saddle,
    "surroundings": lambda obj: list(look_around(obj, resolution=5)),
    "line": lambda obj: dk.loss_line(obj, resolution=5),
    "line with its parabola": lambda obj: dk.loss_line(obj, "gradient", resolution=5, parabola=True),
    "line to another point": lambda obj: dk.loss_line(obj, to=obj.theta + 1, resolution=5),
    "plane": lambda obj: dk.loss_plane(obj, resolution=5),
    "plane of the gradient": lambda obj: dk.loss_plane(obj, "gradient", resolution=5),
    "trajectory": lambda obj: dk.trajectory_plane(obj, [obj.theta + i * (obj.theta + i) for i in range(4)]),
    "plane of eigenvectors": lambda obj: dk.loss_plane(obj, "eigenvectors", resolution=5),
    "connect modes": lambda obj: dk.connect_modes(obj, obj.theta + 0.1, steps=2, num_points=5),
    "surface shift": lambda obj: dk.surface_shift(obj, obj.at(obj.theta), resolution=5),
    "random planes": lambda obj: dk.random_planes(obj, 2, resolution=5),
    "gradient noise": dk.gradient_noise,
    "gradient predictiveness": lambda obj: dk.gradient_predictiveness(obj, 0.1, num_steps=2),
    "layer noise": dk.layer_noise,
    "Gauss-Newton": lambda obj: dk.gauss_newton_split(obj, 2),
    "stability": lambda obj: dk.stability(obj, torch.optim.SGD(obj.model.parameters(), lr=0.1)),
    "curvature tracker": lambda obj: dk.CurvatureTracker(obj).step(),
    "trace": lambda obj: dk.hessian_trace(obj, num_hvps=10),
    "trace by xtrace": lambda obj: dk.hessian_trace(obj, method="xtrace", num_hvps=10),
    "cost": lambda obj: dk.estimate_cost(obj, 2),
    "density": lambda obj: dk.hessian_density(obj, num_probes=2, steps=5),
    "by module": lambda obj: dk.hessian_by_module(obj, num_hvps=10),
    "curvature certificate": lambda obj: dk.certify_no_curvature_below(obj, 0.01),
    "sharpness": lambda obj: dk.sharpness(obj, num_random=1, steps=2, num_hvps=8),
    "sharpness in a subspace": lambda obj: dk.sharpness(obj, subspace=3, steps=2, num_hvps=8),
    "sharpness invariance": lambda obj: dk.sharpness_invariance(obj, obj.theta, steps=2, num_hvps=8),
    "symmetry": dk.check_symmetry,
    "signal propagation": dk.signal_propagation,
    "eigenvalue over data": lambda obj: dk.eigenvalue_over_data(obj, dk.hessian_eigenvalues(obj, 1)),
}
ERRORS = {"error": RuntimeError("the fuse has burnt"), "interrupt": KeyboardInterrupt("the fuse has burnt")}


@pytest.fixture(params=["running", "batch"])
def norm_stats(request):
    return request.param


def objective(ward, norm_stats):
    return dk.Objective(ward.model, ward.loss_fn, ward.loader, norm_stats=norm_stats)


def test_construction(norm_stats):
    ward = Ward()
    witness = Witness(ward)
    objective(ward, norm_stats)
    assert witness.changes() == []
    assert witness.data_order_is_kept()


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("call", [1, 2])
def test_construction_that_raises(kind, call, norm_stats):
    ward = Ward()
    witness = Witness(ward)
    ward.fuse.arm(call, ERRORS[kind])
    with pytest.raises((RuntimeError, dk.InputError, KeyboardInterrupt), match="fuse"):
        objective(ward, norm_stats)
    assert witness.changes() == []
    assert witness.data_order_is_kept()


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_ordinary_end(name, norm_stats):
    if name in ("gradient noise", "layer noise", "eigenvalue over data") and norm_stats == "batch":
        pytest.skip("refused under batch statistics")
    ward = Ward()
    obj = objective(ward, norm_stats)
    witness = Witness(ward)
    MEASUREMENTS[name](obj)
    assert witness.changes() == []
    assert witness.data_order_is_kept()


@pytest.mark.parametrize(("where", "kind"), [(0.5, "error"), (0.5, "interrupt"), (1.0, "interrupt")])
@pytest.mark.parametrize("name", MEASUREMENTS)
def test_raising_midway(name, where, kind):
    ward = Ward()
    obj = objective(ward, "running")
    before = obj.loss(), obj.gradient()
    obj.strategy(2)  # batches are merged once, at the first call that needs it
    ward.fuse.arm(-1, None)
    MEASUREMENTS[name](obj)
    calls = ward.fuse.calls
    witness = Witness(ward)
    ward.fuse.arm(1 + round(where * (calls - 1)), ERRORS[kind])
    with pytest.raises((RuntimeError, KeyboardInterrupt), match="the fuse has burnt"):
        MEASUREMENTS[name](obj)
    assert witness.changes() == []
    assert witness.data_order_is_kept()
    ward.fuse.arm(-1, None)
    assert obj.loss() == before[0], "the objective is as good as before"
    assert torch.equal(obj.gradient(), before[1])


@pytest.mark.parametrize("name", ["classify", "plane", "newton-mr"])
def test_out_of_time(name):
    ward = Ward()
    obj = objective(ward, "running")
    witness = Witness(ward)
    with watching(budget=0.0):
        MEASUREMENTS[name](obj)
    assert witness.changes() == []


def test_results_do_not_hang_on_the_random_state_or_on_order():
    """Same seed, same answer, whatever was measured before and whatever numbers were drawn."""
    ward = Ward()
    obj = objective(ward, "running")
    first = dk.hessian_eigenvalues(obj, 2).values, dk.loss_plane(obj, resolution=5).loss
    torch.manual_seed(99)
    dk.classify_critical_point(obj)
    again = dk.hessian_eigenvalues(obj, 2).values, dk.loss_plane(obj, resolution=5).loss
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


def test_apply_writes_and_nothing_else_does():
    ward = Ward()
    obj = objective(ward, "running")
    before = obj.theta
    theta = before + 0.25
    frozen = ward.model.frozen.weight.clone()
    modes = {n: m.training for n, m in ward.model.named_modules()}
    obj.at(theta).loss()
    assert torch.equal(obj.theta, before)
    obj.apply(theta)
    written = torch.cat([p.detach().reshape(-1) for p in ward.model.parameters() if p.requires_grad])
    assert torch.equal(written, theta)
    assert torch.equal(ward.model.frozen.weight, frozen)
    assert {n: m.training for n, m in ward.model.named_modules()} == modes
    assert dk.Objective(ward.model, ward.loss_fn, ward.dataset).theta.equal(theta)
