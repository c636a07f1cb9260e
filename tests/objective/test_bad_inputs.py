"""What cannot be measured is refused before work starts, in words: what was given, what is allowed."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import diagkit as dk
from leave_no_trace import Ward, Witness

X, Y = torch.arange(24.0).view(8, 3) / 24, torch.arange(8) % 2


def net():
    return nn.Linear(3, 2)


def build(model=None, loss_fn=F.cross_entropy, data=(X, Y), **options):
    return dk.Objective(model or net(), loss_fn, data, **options)


def with_nan(tensor, row):
    tensor = tensor.clone()
    tensor[row] = float("nan")
    return tensor


def nan_model():
    model = net()
    with torch.no_grad():
        model.weight[1, 2] = float("nan")
    return model


def integer_model():
    model = nn.Module()
    model.w = nn.Parameter(torch.arange(3), requires_grad=False)
    model.forward = lambda x: x * model.w
    return model


def frozen():
    return net().requires_grad_(False)


def complex_model():
    return nn.Linear(3, 2, dtype=torch.complex64)


def detached(out, y):
    return F.cross_entropy(out.detach(), y)


BAD = {  # name: (call, words about what was given, words about what is allowed)
    "empty tensors": (lambda: build(data=(X[:0], Y[:0])), "empty data", "at least one example"),
    "empty list": (lambda: build(data=[]), "empty data", "at least one example"),
    "empty loader": (
        lambda: build(data=torch.utils.data.DataLoader([], batch_size=2)),
        "empty data",
        "one example",
    ),
    "no data": (lambda: build(data=None), "NoneType", "Dataset"),
    "a word as data": (lambda: build(data="digits"), "str", "Dataset"),
    "a number as data": (lambda: build(data=3), "int", "DataLoader"),
    "inputs alone": (lambda: build(data=X), "Tensor", r"\(X, y\)"),
    "one-tuple": (lambda: build(data=(X,)), "a batch that is a Tensor", r"\(X, y\)"),
    "triples": (lambda: build(data=[(X, Y, Y)]), "tuple of 3 parts", "from_step"),
    "dicts without step": (lambda: build(data=[{"x": X, "y": Y}]), "dict of 2 parts", "from_step"),
    "numbers in a batch": (lambda: build(data=[(1.0, 2.0)]), "without tensors", "tensors"),
    "different lengths": (lambda: build(data=(X, Y[:5])), "8 examples and targets with 5", "same first dim"),
    "too many features": (lambda: build(data=(torch.ones(8, 4), Y)), r"\(8, 4\)", "accepts"),
    "classes out of range": (lambda: build(data=(X, Y + 7)), "IndexError", "accepts"),
    "float class labels": (lambda: build(data=(X, Y.float())), "float32", "accepts"),
    "loss of a vector": (lambda: build(loss_fn=lambda o, y: o.mean(dim=1)), r"shape \(8,\)", "scalar"),
    "no reduction": (
        lambda: build(loss_fn=nn.CrossEntropyLoss(reduction="none")),
        r"loss of shape \(8,\)",
        "mean",
    ),
    "sum instead of mean": (lambda: build(loss_fn=nn.CrossEntropyLoss(reduction="sum")), "a sum", "a mean"),
    "loss that is a float": (lambda: build(loss_fn=lambda o, y: o.mean().item()), "float", "scalar tensor"),
    "loss that is None": (lambda: build(loss_fn=lambda o, y: None), "NoneType", "scalar tensor"),
    "integer loss": (lambda: build(loss_fn=lambda o, y: o.argmax(1).sum()), "int64", "floating-point"),
    "detached loss": (lambda: build(loss_fn=detached), "does not depend", "detach"),
    "loss that is a word": (lambda: build(loss_fn="mse"), "'mse'", "callable"),
    "step that is None": (lambda: dk.Objective.from_step(net(), None, [X]), "None", "callable"),
    "no module": (lambda: build(model=lambda x: x), "function", "torch.nn.Module"),
    "nothing trainable": (lambda: build(model=frozen()), "none of them trainable", "requires_grad=True"),
    "no parameters": (lambda: build(model=nn.ReLU()), "0 parameters", "requires_grad=True"),
    "integer model": (lambda: build(model=integer_model()), "none of them trainable", "requires_grad=True"),
    "integer model, chosen": (lambda: build(model=integer_model(), params="w"), "int64", "float32"),
    "complex model": (lambda: build(model=complex_model()), "complex64", "float32"),
    "lazy model": (lambda: build(model=nn.LazyLinear(2)), "uninitialized", "seen its shapes"),
    "meta model": (lambda: build(model=nn.Linear(3, 2, device="meta")), "meta device", "that computes"),
    "unknown parameter": (lambda: build(params=["weigth"]), "weigth", "weight"),
    "no parameter chosen": (lambda: build(params=[]), r"params=\[\]", "at least one"),
    "unknown statistics": (lambda: build(norm_stats="eval"), "'eval'", "'running' or 'batch'"),
    "max_examples 0": (lambda: build(max_examples=0), "max_examples = 0", "integer of 1 or more"),
    "max_examples 2.5": (lambda: build(max_examples=2.5), r"2\.5", "integer of 1 or more"),
    "batch_size -1": (lambda: build(batch_size=-1), "batch_size = -1", "integer of 1 or more"),
    "seed -1": (lambda: build(seed=-1), "seed = -1", "0 <= seed"),
    "short theta": (lambda: build().loss(torch.zeros(7)), r"theta of shape \(7,\)", r"shape \(8,\)"),
    "theta with NaN": (lambda: build().at([float("nan")] * 8), "theta with NaN", "finite"),
    "theta of words": (lambda: build().loss("zero"), "theta of type str", r"shape \(8,\)"),
    "v of the wrong length": (lambda: build().hvp(torch.ones(9)), r"v of shape \(9,\)", r"shape \(8,\)"),
    "V transposed": (lambda: build().hvp(torch.ones(8, 2)), r"v of shape \(2,\)", r"shape \(8,\)"),
    "V with Inf": (lambda: build().hvp(np.full((2, 8), np.inf)), "v with NaN or Inf", "finite"),
    "apply of the wrong length": (lambda: build().apply([1.0]), r"\(1,\)", r"\(8,\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_in_words(name):
    call, given, allowed = BAD[name]
    with pytest.raises(dk.InputError, match=given) as caught:
        call()
    caught.match(r"^got .*; allowed: ")
    caught.match(allowed)


NOT_FINITE = {
    "NaN in the inputs": (lambda: build(data=(with_nan(X, 5), Y)), "first in example 5"),
    "NaN in a later batch": (
        lambda: build(data=[(X, Y), (with_nan(X, 3), Y)]),
        "first in example 11",
    ),
    "Inf in the targets": (
        lambda: build(loss_fn=F.mse_loss, data=(X, torch.full((8, 2), float("inf")))),
        "NaN or Inf",
    ),
    "NaN in the parameters": (lambda: build(model=nan_model()), "weight holds 1 NaN or Inf of 6"),
    "log of zero": (lambda: build(loss_fn=lambda o, y: (0 * o).log().mean()), "loss of the first batch"),
}


@pytest.mark.parametrize("name", NOT_FINITE)
def test_numbers_that_are_not_finite(name):
    call, words = NOT_FINITE[name]
    with pytest.raises(dk.NonFiniteError, match=words):
        call()


def test_every_error_is_of_one_family():
    for kind in (dk.InputError, dk.NonFiniteError):
        assert issubclass(kind, dk.DiagkitError)
    assert issubclass(dk.InputError, ValueError)


@pytest.mark.parametrize(
    "options", [{"params": "nowhere"}, {"norm_stats": "?"}, {"max_examples": 0}, {"seed": -1}]
)
def test_nothing_is_lost_by_a_refusal(options):
    ward = Ward()
    witness = Witness(ward)
    with pytest.raises(dk.InputError):
        dk.Objective(ward.model, ward.loss_fn, ward.loader, **options)
    with pytest.raises(dk.InputError):
        dk.Objective(ward.model, nn.CrossEntropyLoss(reduction="sum"), ward.loader)
    assert witness.changes() == []
    assert witness.data_order_is_kept()


def test_a_loss_that_is_no_mean_of_examples_is_noted():
    far = 10 * X, (torch.arange(8) > 2).long()  # so that the parts of the batch have unlike losses
    obj = build(loss_fn=lambda out, y: F.cross_entropy(out, y) ** 2, data=far)
    assert any("not the mean of its examples" in note for note in obj.notes)
    assert not any("not the mean" in note for note in build(data=far).notes)
