"""Larger twins of networks of several kinds, and initial weights of unit variance."""

import pytest
import torch
from torch import nn

from diagkit.clinic.networks import BagOfWords, CharacterModel, SequenceClassifier, SmallTransformer, convnet
from diagkit.diagnosis.layers.larger import larger_twin
from diagkit.diagnosis.layers.unit_variance import tanh_for_sigmoid, to_unit_variance

X = torch.randn(8, 6, generator=torch.manual_seed(0))
TOKENS = torch.randint(0, 9, (8, 5))


class Residual(nn.Module):
    """A norm over features, a skip connection, and a head."""

    def __init__(self):
        super().__init__()
        self.into, self.body, self.norm = nn.Linear(6, 10), nn.Linear(10, 10), nn.LayerNorm(10)
        self.head = nn.Linear(10, 3)

    def forward(self, x):
        h = torch.relu(self.into(x))
        return self.head(self.norm(h + torch.relu(self.body(h))))


class Rigid(nn.Module):
    """A width written into the code."""

    def __init__(self):
        super().__init__()
        self.into, self.out = nn.Linear(6, 10), nn.Linear(10, 1)

    def forward(self, x):
        return self.out(self.into(x).reshape(-1, 10))[: len(x)]


KINDS = {
    "convolutions": (lambda: convnet(0), torch.randn(4, 1, 8, 8)),
    "LSTM": (SequenceClassifier, torch.randn(4, 7, 1)),
    "GRU of tokens": (lambda: CharacterModel(9), TOKENS),
    "words": (lambda: BagOfWords(9), TOKENS),
    "residual": (Residual, X),
}


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_widths_grow_and_the_ends_stay(kind):
    make, inputs = KINDS[kind]
    model = make().eval()
    larger = larger_twin(model, lambda m: m(inputs), 3)
    assert larger is not None
    assert larger(inputs).shape == model(inputs).shape
    assert sum(p.numel() for p in larger.parameters()) > 2 * sum(p.numel() for p in model.parameters())
    larger(inputs).square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in larger.parameters())


def test_a_linear_model_gets_a_hidden_layer():
    larger = larger_twin(nn.Linear(6, 2), lambda m: m(X))
    assert [type(layer).__name__ for layer in larger] == ["Linear", "ReLU", "Linear"]


@pytest.mark.parametrize(
    ("model", "inputs"), [(Rigid(), X), (SmallTransformer(), torch.randn(4, 20, 1)), (nn.Identity(), X)]
)
def test_where_it_cannot_be_done(model, inputs):
    model.eval()
    before = [p.shape for p in model.parameters()]
    found = larger_twin(model, lambda m: m(inputs), 3)
    assert found is None or isinstance(model, Rigid)
    assert [p.shape for p in model.parameters()] == before


@pytest.mark.parametrize("seed", range(3))
def test_each_hidden_layer_puts_out_unit_variance(seed):
    torch.manual_seed(seed)
    layers = [layer for _ in range(6) for layer in (nn.Linear(6, 6), nn.Tanh())]
    net = nn.Sequential(*layers, nn.Linear(6, 1)).double().train()
    inputs = 5 * X.double()
    assert to_unit_variance(net, lambda: net(inputs)) == [str(2 * i) for i in range(6)]
    assert net.training
    h = inputs
    for layer in net[:-1]:
        h = layer(h).detach()
        if isinstance(layer, nn.Linear):
            assert float(h.mean()) == pytest.approx(0.0, abs=1e-12)
            assert float(h.std()) == pytest.approx(1.0, rel=1e-12)


def test_gates_and_outputs_keep_their_sigmoids():
    net = nn.Sequential(nn.Linear(6, 4), nn.Sigmoid(), nn.Linear(4, 1), nn.Sigmoid())
    assert tanh_for_sigmoid(net, lambda: net(X)) == ["1"]
    assert isinstance(net[3], nn.Sigmoid)
