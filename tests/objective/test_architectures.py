"""Second derivatives through the layers people use, against finite differences of the gradient."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import diagkit as dk
from oracles import finite_difference_gradient, finite_difference_hvp, randn, seeded


class Last(nn.Module):
    """A recurrent layer's output at the last time, read by a linear layer."""

    def __init__(self, core):
        super().__init__()
        self.core, self.head = core, nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.core(x)[0][:, -1])


class Pooled(nn.Module):
    def __init__(self, core, width=4):
        super().__init__()
        self.core, self.head = core, nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.core(x).mean(dim=1))


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.head = (
            nn.MultiheadAttention(4, 2, dropout=0.3, batch_first=True),
            nn.Linear(4, 3),
        )

    def forward(self, x):
        return self.head(self.attention(x, x, x, need_weights=False)[0].mean(dim=1))


class DirectAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.head = nn.Linear(4, 12), nn.Linear(4, 3)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.head(F.scaled_dot_product_attention(q, k, v, is_causal=True).mean(dim=1))


class Tied(nn.Module):
    """The output layer is the transposed embedding."""

    def __init__(self):
        super().__init__()
        self.embedding, self.out = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        self.out.weight = self.embedding.weight

    def forward(self, x):
        return self.out(torch.tanh(self.embedding(x).mean(dim=1)))


class Checkpointed(nn.Module):
    def __init__(self, use_reentrant):
        super().__init__()
        self.first, self.block = nn.Linear(5, 4), nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.head, self.use_reentrant = nn.Linear(4, 3), use_reentrant

    def forward(self, x):
        return self.head(checkpoint(self.block, self.first(x), use_reentrant=self.use_reentrant))


def convnet():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Softplus(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(32, 3)
    )


SEQUENCES, ROWS, IMAGES = (6, 5, 4), (6, 5), (6, 1, 6, 6)
MODELS = {
    "LSTM": (lambda: Last(nn.LSTM(4, 4, num_layers=2, dropout=0.2, batch_first=True)), SEQUENCES),
    "GRU": (lambda: Last(nn.GRU(4, 4, batch_first=True)), SEQUENCES),
    "TransformerEncoder": (
        lambda: Pooled(
            nn.TransformerEncoder(
                nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True, activation="gelu"), 2
            )
        ),
        SEQUENCES,
    ),
    "MultiheadAttention": (SelfAttention, SEQUENCES),
    "scaled_dot_product_attention": (DirectAttention, SEQUENCES),
    "convnet": (convnet, IMAGES),
    "GroupNorm": (
        lambda: nn.Sequential(nn.Linear(5, 4), nn.GroupNorm(2, 4), nn.Tanh(), nn.Linear(4, 3)),
        ROWS,
    ),
    "LayerNorm": (lambda: nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 3)), ROWS),
    "weight norm": (
        lambda: nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 3)
        ),
        ROWS,
    ),
    "embedding": (lambda: Pooled(nn.Embedding(9, 4)), "tokens"),
    "tied embedding": (Tied, "tokens"),
    "checkpointed": (lambda: Checkpointed(use_reentrant=False), ROWS),
}


def build(name):
    make, shape = MODELS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = make().double()
    X = torch.randint(7, (6, 5), generator=seeded(1)) if shape == "tokens" else randn(*shape)
    return model, (X, torch.arange(6) % 3)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_products_match_finite_differences(name, train):
    model, data = build(name)
    model.train(train)
    obj = dk.Objective(model, nn.CrossEntropyLoss(), data)
    v = randn(obj.num_params, seed=7)
    v /= v.norm()
    Hv = obj.hvp(v)
    torch.testing.assert_close(Hv, finite_difference_hvp(obj, v), atol=1e-8, rtol=1e-6)
    w = randn(obj.num_params, seed=8)
    assert float(w @ Hv) == pytest.approx(float(v @ obj.hvp(w)), abs=1e-11), "symmetric"
    assert all(m.training == train for m in model.modules())


@pytest.mark.parametrize("name", ["LSTM", "convnet", "tied embedding"])
def test_gradient_matches_finite_differences(name):
    model, data = build(name)
    obj = dk.Objective(model, nn.CrossEntropyLoss(), data)
    torch.testing.assert_close(obj.gradient(), finite_difference_gradient(obj), atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_loss_is_that_of_evaluation_mode(name):
    model, (X, y) = build(name)
    obj = dk.Objective(model.train(), nn.CrossEntropyLoss(), (X, y))
    with torch.no_grad():
        expected = float(nn.functional.cross_entropy(model.eval()(X), y))
    assert obj.loss() == pytest.approx(expected, rel=1e-10)


def test_reentrant_checkpointing_is_refused_with_the_remedy():
    model = Checkpointed(use_reentrant=True).double()
    with pytest.raises(dk.InputError, match="use_reentrant=False"):
        dk.Objective(model, nn.CrossEntropyLoss(), (randn(6, 5), torch.arange(6) % 3)).hvp(torch.ones(59))


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g * 3 * ctx.saved_tensors[0] ** 2


def test_a_function_without_second_derivative_is_named():
    class Cube(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def forward(self, x):
            return Once.apply(self.layer(x))

    obj = dk.Objective(Cube(), nn.MSELoss(), (torch.ones(3, 2), torch.ones(3, 1)))
    with pytest.raises(dk.InputError, match="cannot be differentiated twice"):
        obj.hvp(torch.ones(3))
    assert torch.isfinite(obj.gradient()).all()


def test_tied_weights_count_once():
    model, data = build("tied embedding")
    obj = dk.Objective(model, nn.CrossEntropyLoss(), data)
    assert obj.num_params == 28
    obj.apply(obj.theta + 1)
    assert model.out.weight is model.embedding.weight


class Noisy(nn.Module):
    """Dropout that no mode switches off."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.b(F.dropout(torch.tanh(self.a(x)), 0.5, training=True))


def test_noise_that_cannot_be_switched_off_is_frozen():
    X, y = randn(20, 5), torch.arange(20) % 3
    obj = dk.Objective(Noisy().double(), nn.CrossEntropyLoss(), (X, y), batch_size=7)
    assert any("random" in note for note in obj.notes)
    assert obj.loss() == obj.loss()
    V = torch.eye(obj.num_params, dtype=torch.float64)
    H = obj.hvp(V)
    torch.testing.assert_close(H, H.T, atol=1e-13, rtol=0.0)
    v = V[0]
    torch.testing.assert_close(obj.hvp(v), finite_difference_hvp(obj, v), atol=1e-8, rtol=1e-6)


def test_bfloat16_parameters():
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    X, y = randn(16, 5).bfloat16(), torch.arange(16) % 3
    exact = dk.Objective(model.bfloat16().double(), nn.CrossEntropyLoss(), (X.double(), y))
    top = dk.hessian_eigenvalues(exact, 1).values[0]
    obj = dk.Objective(model.bfloat16(), nn.CrossEntropyLoss(), (X, y))
    pairs = dk.hessian_eigenvalues(obj, 1)
    assert obj.theta.dtype == torch.bfloat16
    assert abs(pairs.values[0] - top) <= pairs.rounding
    assert pairs.rounding > 0.01 * top, "eight bits of mantissa promise little"
