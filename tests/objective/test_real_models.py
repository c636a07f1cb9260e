"""Models as people bring them, against the dense Hessian of their step by plain autograd in float64."""

from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import diagkit as dk
from dense_step import StayInFloat64, dense
from leave_no_trace import Witness
from oracles import randn, seeded
from real_models import SCENES, TEXT, TOKENS, ResNet, classify, own_loss

FROM_TRANSFORMERS = ("GPT-2", "Llama", "Qwen3")
SIZE = 2  # examples of a batch: three batches
MERGED = {"ResNet, batch": 3, "GPT-2, padded": 3, "GPT-2, padded late": 3, "Llama, padded": 3}  # others: one
FEW = 20  # products, where rounding hides more than they would add
SMALL = 1  # byte: no graph is kept, no batches are merged


def need(name):
    if name.startswith(FROM_TRANSFORMERS):
        pytest.importorskip("transformers")
    return SCENES[name]


@lru_cache
def truth(name):
    scene = SCENES[name]
    loss, gradient, H = dense(scene.model(), scene.step, scene.batches(SIZE), scene.norm_stats)
    return loss, gradient, H, np.linalg.eigvalsh(((H + H.T) / 2).numpy())


def objective(name, model=None, step=None, **options):
    scene = SCENES[name]
    model = scene.model() if model is None else model
    batches = scene.batches(SIZE)
    return dk.Objective.from_step(model, step or scene.step, batches, norm_stats=scene.norm_stats, **options)


def witness_of(model):
    """Of parameters with gradients and momentum, in the middle of training."""
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    optimizer.step()
    model.last = None
    loader = SimpleNamespace(generator=torch.Generator())
    return Witness(SimpleNamespace(model=model, optimizer=optimizer, loader=loader))


def assert_within_residuals(obj, spectrum, k=3, **options):
    for which in ("largest", "smallest"):
        pairs = dk.hessian_eigenvalues(obj, k, which=which, **options)
        away = np.abs(pairs.values[:, None] - spectrum).min(axis=1)
        assert (away <= pairs.residuals).all(), (which, pairs.values, away, pairs.residuals)
    return pairs


@pytest.mark.parametrize("budget", [None, SMALL])
@pytest.mark.parametrize("name", SCENES)
def test_against_the_dense_hessian(name, budget):
    need(name)
    loss, gradient, H, spectrum = truth(name)
    scale = np.abs(spectrum).max()
    model = SCENES[name].model()
    witness = witness_of(model)
    options = {} if budget is None else {"memory_budget": budget}
    with StayInFloat64():
        obj = objective(name, model, **options)
        plan = obj.strategy(32)
        assert len(plan.batches) == (MERGED.get(name, 1) if budget is None else 3)
        assert set(plan.keep) == {budget is None}
        assert obj.loss() == pytest.approx(loss, rel=1e-12)
        torch.testing.assert_close(obj.gradient(), gradient, atol=1e-11, rtol=1e-11)
        with obj.products() as products:
            for seed in range(3):
                v = randn(obj.num_params, seed=seed)
                v /= v.norm()
                torch.testing.assert_close(products.matvec(v), H @ v, atol=1e-11 * scale, rtol=0.0)
            assert products.kernels, "the cheap second derivatives were given up"
        pairs = assert_within_residuals(obj, spectrum, k=3 if budget is None else 1)
    assert pairs.values[0] == pytest.approx(spectrum[0], abs=1e-3 * scale)
    assert pairs.rounding < 1e-13 * scale
    assert witness.changes() == []


# -- precision --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GPT-2", "Llama", "Qwen3"])
def test_what_is_computed_in_float32_has_its_rounding(name):
    """Norms and logits are, whatever the parameters."""
    need(name)
    loss, _, _, spectrum = truth(name)
    obj = objective(name)
    assert obj.theta.dtype == torch.float64
    assert any("torch.float32" in note for note in obj.notes)
    assert obj.loss() == pytest.approx(loss, rel=1e-5)
    assert obj.loss() != pytest.approx(loss, rel=1e-12), "or the oracle would be of no use"
    pairs = assert_within_residuals(obj, spectrum, tol=1e-6)
    assert pairs.rounding > 1e-7 * pairs.scale


@pytest.mark.parametrize("name", ["ResNet, running", "LSTM", "encoder", "decoder, causal", "Llama"])
def test_autocast_around_the_call_changes_nothing(name):
    need(name)
    model = SCENES[name].model().float()
    plain = objective(name, model)
    v = randn(plain.num_params).float()
    with torch.autocast("cpu", torch.bfloat16):
        obj = objective(name, model)
        assert obj.loss() == plain.loss()
        assert torch.equal(obj.gradient(), plain.gradient())
        assert torch.equal(obj.hvp(v), plain.hvp(v))
        found = dk.hessian_eigenvalues(obj, 2)
        assert torch.is_autocast_enabled("cpu")
    assert np.array_equal(found.values, dk.hessian_eigenvalues(plain, 2).values)


@pytest.mark.parametrize("name", ["LSTM", "encoder", "decoder, causal", "GPT-2", "Llama"])
def test_autocast_inside_the_step_sets_the_rounding(name):
    scene = need(name)

    def step(model, batch):
        with torch.autocast("cpu", torch.bfloat16):
            return scene.step(model, batch)

    obj = objective(name, scene.model().float(), step)
    assert any("torch.bfloat16" in note for note in obj.notes)
    pairs = assert_within_residuals(obj, truth(name)[3], max_hvps=FEW)
    assert pairs.rounding > 0.05 * pairs.scale, "eight bits of mantissa promise little"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["ResNet, running", "encoder", "decoder, grouped", "GPT-2", "Llama"])
def test_models_of_half_precision(name, dtype):
    scene = need(name)
    model = scene.model().to(dtype)

    def rounded(batch, wide):
        return {k: t.to(dtype).to(wide) if t.is_floating_point() else t for k, t in batch.items()}

    batches = scene.batches(SIZE)
    loss, _, H = dense(model, scene.step, [rounded(b, torch.float64) for b in batches], "running")
    witness = witness_of(model)
    obj = dk.Objective.from_step(model, scene.step, [rounded(b, dtype) for b in batches])
    assert obj.theta.dtype == dtype
    assert obj.loss() == pytest.approx(loss, rel=8 * torch.finfo(dtype).eps)
    assert_within_residuals(obj, np.linalg.eigvalsh(((H + H.T) / 2).numpy()), max_hvps=FEW)
    assert witness.changes() == []


class Mixed(nn.Module):
    """Matrices in half precision, the norm and the last layer in float32."""

    def __init__(self, low):
        super().__init__()
        self.body = nn.Linear(4, 5).to(low)
        self.norm, self.head = nn.LayerNorm(5), nn.Linear(5, 3)

    def forward(self, x):
        h = torch.tanh(self.body(x.to(self.body.weight.dtype)))
        return self.head(self.norm(h.to(self.head.weight.dtype)))


@pytest.mark.parametrize("budget", [1e9, SMALL])
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_half_precision_beside_float32(low, budget):
    model, x = Mixed(low), randn(12, 4).to(low).float()
    batches = [{"x": x[i : i + 4], "labels": torch.arange(4) % 3} for i in (0, 4, 8)]
    wide = [{**b, "x": b["x"].double()} for b in batches]
    loss, gradient, H = dense(model, classify, wide, "running")
    witness = witness_of(model)
    obj = dk.Objective.from_step(model, classify, batches, memory_budget=budget)
    assert obj.theta.dtype == torch.float32
    eps, scale = torch.finfo(low).eps, float(torch.linalg.matrix_norm(H, 2))
    assert obj.loss() == pytest.approx(loss, rel=4 * eps)
    assert float((obj.gradient() - gradient).norm()) <= 16 * eps * float(gradient.norm())
    v = randn(obj.num_params, seed=1).float()
    assert float((obj.hvp(v) - H @ v.double()).norm()) <= 16 * eps * scale * float(v.norm())
    pairs = assert_within_residuals(obj, np.linalg.eigvalsh(((H + H.T) / 2).numpy()), max_hvps=FEW)
    assert pairs.rounding >= 8 * eps * pairs.scale
    obj.apply(obj.theta)
    assert witness.changes() in ([], ["versions"])
    assert {p.dtype for p in model.parameters()} == {low, torch.float32}


# -- means that are not over examples --------------------------------------------------------------------


def test_padding_in_a_later_batch_is_noticed():
    """By the first batch the loss is a mean over examples; it is one over tokens, and merged L is another."""
    pytest.importorskip("transformers")
    obj = objective("GPT-2, padded late")
    assert len(obj.strategy(32).batches) == 3
    assert any("over the batches as cut" in note for note in obj.notes)
    assert len(objective("GPT-2").strategy(32).batches) == 1


def test_padding_is_noticed_where_all_tokens_lose_the_same():
    """An output layer of zeros: every token loses log K, whatever is averaged."""
    pytest.importorskip("transformers")
    scene = SCENES["GPT-2, padded late"]
    model = scene.model()
    with torch.no_grad():
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.zero_()
    obj = objective("GPT-2, padded late", model)
    assert obj.loss() == pytest.approx(np.log(7), rel=1e-6)
    assert len(obj.strategy(32).batches) == 3


# -- the rest --------------------------------------------------------------------


def test_the_tied_embedding_of_transformers_counts_once():
    pytest.importorskip("transformers")
    model = SCENES["GPT-2"].model()
    assert model.lm_head.weight is model.transformer.wte.weight
    obj = dk.Objective.from_step(model, own_loss, [TEXT])
    names = obj.layout.names
    assert "transformer.wte.weight" in names
    assert "lm_head.weight" not in names
    assert obj.num_params == sum(p.numel() for p in model.parameters())
    obj.apply(obj.theta + 1)
    assert model.lm_head.weight is model.transformer.wte.weight
    block = dk.Objective.from_step(SCENES["GPT-2"].model(), own_loss, [TEXT], params="transformer.wte")
    _, _, H, _ = truth("GPT-2")
    size = TOKENS.new_tensor(7 * 4).item()
    with StayInFloat64():
        torch.testing.assert_close(block.hessian(), H[:size, :size], atol=1e-9, rtol=0.0)


@pytest.mark.parametrize("norm_stats", ["running", "batch"])
def test_resnet18(norm_stats):
    """H v of all 11.7 million parameters along a random direction."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ResNet().double()
    assert sum(p.numel() for p in model.parameters()) == 11_689_512, "as published"
    X, y = (
        torch.randn(4, 3, 32, 32, generator=seeded(1), dtype=torch.float64),
        torch.tensor([3, 141, 59, 265]),
    )
    witness = witness_of(model)
    obj = dk.Objective(model, F.cross_entropy, (X, y), norm_stats=norm_stats, batch_size=2)
    v = randn(obj.num_params, seed=2)
    v /= v.norm()
    eps = 1e-7  # so small that hardly a unit crosses its kink on the way
    expected = (obj.gradient(obj.theta + eps * v) - obj.gradient(obj.theta - eps * v)) / (2 * eps)
    found = obj.hvp(v)
    assert float((found - expected).norm()) <= 1e-4 * float(expected.norm())
    assert witness.changes() == []
