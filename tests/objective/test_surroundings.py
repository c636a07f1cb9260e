"""The same numbers under every gradient mode, wrapper and device."""

import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.objective import FixedLoss, ParameterLayout
from oracles import digits, randn, trained_digits_mlp

DATA = randn(20, 4), torch.arange(20) % 3


def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double()


def numbers(model, data=DATA):
    obj = dk.Objective(model, nn.CrossEntropyLoss(), data, params=["0.*", "3.*"])
    pairs = dk.hessian_eigenvalues(obj, 2)
    return obj.loss(), obj.gradient(), obj.hvp(torch.ones(obj.num_params)), pairs.values


def assert_same(a, b):
    assert a[0] == b[0]
    assert torch.equal(a[1], b[1])
    assert torch.equal(a[2], b[2])
    assert (a[3] == b[3]).all()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_gradient_modes(mode):
    model = net()
    outside = numbers(model)
    with mode():
        inside = numbers(model)
        made_inside = numbers(model, (DATA[0].float() + 0.0, DATA[1] + 0))
        obj = dk.Objective(model, nn.CrossEntropyLoss(), DATA)
    assert_same(inside, outside)
    assert_same(made_inside, numbers(model, (DATA[0].float(), DATA[1])))
    assert torch.isfinite(obj.hvp(torch.ones(obj.num_params))).all(), "made inside, used outside"


def test_float32_default_dtype_is_not_looked_at():
    model = net().float()
    torch.set_default_dtype(torch.float64)
    try:
        wide = numbers(model)
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same(wide, numbers(model))


def test_autocast_around_the_call_is_not_part_of_the_function():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = numbers(net().float())
    assert_same(inside, numbers(net().float()))


@pytest.mark.filterwarnings("default")
def test_a_compiled_model_is_looked_through():
    model = net().eval()
    try:
        compiled = torch.compile(model, backend="aot_eager")
        compiled(DATA[0])
    except Exception as error:
        pytest.skip(f"torch.compile does not work here: {error}")
    assert_same(numbers(compiled), numbers(model))


def test_data_are_moved_to_the_model():
    """Checked without an accelerator: the meta device stands for it."""
    model = nn.Linear(4, 3, device="meta")
    layout = ParameterLayout.of(model)
    assert layout.device.type == "meta"
    fixed = FixedLoss(model, lambda m, b: m(b).mean(), layout, "running", 0)
    moved = fixed.to_model({"x": DATA[0], "y": [DATA[1], "text", None]})
    assert moved["x"].device.type == moved["y"][0].device.type == "meta"
    assert moved["x"].dtype == torch.float32
    assert moved["y"][1:] == ["text", None]


@pytest.mark.gpu
def test_values_on_the_gpu_equal_those_on_the_cpu():
    X, y = (t[:300] for t in digits())
    cpu = dk.Objective(trained_digits_mlp(), nn.CrossEntropyLoss(), (X, y))
    gpu = dk.Objective(trained_digits_mlp().to("cuda"), nn.CrossEntropyLoss(), (X, y))
    assert gpu.theta.device.type == "cuda"
    assert gpu.loss() == pytest.approx(cpu.loss(), rel=1e-12)
    v = randn(cpu.num_params)
    torch.testing.assert_close(gpu.hvp(v).cpu(), cpu.hvp(v), atol=1e-12, rtol=1e-9)
    state = torch.cuda.get_rng_state()
    for which in ("largest", "smallest"):
        a, b = (dk.hessian_eigenvalues(o, 2, which=which, tol=1e-8).values for o in (cpu, gpu))
        assert a == pytest.approx(b, abs=1e-8)
    a, b = (dk.loss_plane(o, resolution=9) for o in (cpu, gpu))
    assert a.loss == pytest.approx(b.loss, rel=1e-9)
    points = [dk.classify_critical_point(o) for o in (cpu, gpu)]
    assert points[0].verdict == points[1].verdict
    noises = [dk.gradient_noise(o) for o in (cpu, gpu)]
    assert noises[0].noise_scale == pytest.approx(noises[1].noise_scale, rel=1e-6)
    assert dk.escape_saddle(gpu).theta.shape == (1210,)
    assert torch.equal(torch.cuda.get_rng_state(), state)


@pytest.mark.gpu
@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU])
def test_recurrent_layers_on_the_gpu(layer):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.core, self.head = layer(4, 4, batch_first=True), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.core(x)[0][:, -1])

    model = Last().to("cuda").train()
    obj = dk.Objective(model, nn.CrossEntropyLoss(), (randn(6, 5, 4).float(), torch.arange(6) % 3))
    H = obj.hvp(torch.eye(obj.num_params))
    torch.testing.assert_close(H, H.T, atol=1e-5, rtol=1e-3)
