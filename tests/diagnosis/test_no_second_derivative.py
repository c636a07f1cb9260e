"""Models and losses that cannot be differentiated twice: curvature is not asked, all else is."""

import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, Check, Evidence
from diagkit.diagnosis.ladder import climb
from diagkit.errors import InputError, NonFiniteError, NoSecondDerivativeError

pytestmark = pytest.mark.usefixtures("short_trials")


class Square(torch.autograd.Function):
    """x^2 whose backward pass leaves torch."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return torch.from_numpy(2.0 * x.numpy() * slope.numpy())


class SquareNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 16), nn.Linear(16, 1)

    def forward(self, x):
        return self.b(Square.apply(self.a(x)))


class BagOfWords(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag, self.out = nn.EmbeddingBag(30, 8), nn.Linear(8, 2)

    def forward(self, words):
        return self.out(self.bag(words))


def scene(name):
    """Model, loss and data of 200 examples that can be learned."""
    torch.manual_seed(0)
    x = torch.randn(200, 4)
    if name == "EmbeddingBag":
        words = torch.randint(0, 30, (200, 10))
        return BagOfWords(), nn.CrossEntropyLoss(), (words, (words < 15).sum(1).gt(5).long())
    if name == "MultiMarginLoss":
        net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
        return net, nn.MultiMarginLoss(), (x, x[:, :3].argmax(1))
    return SquareNetwork(), nn.MSELoss(), (x, x.square().sum(1, keepdim=True))


RATES = {"EmbeddingBag": 0.5, "MultiMarginLoss": 0.2, "autograd.Function": 0.005}
NAMED = {
    "EmbeddingBag": ("embedding_bag has no second derivative", "nn.Embedding"),
    "MultiMarginLoss": ("multi_margin_loss has no second derivative", "another loss"),
    "autograd.Function": ("autograd.Function has no second derivative", "torch operations in its backward"),
}


def diagnose(name, *, rate=1.0, frozen=False, epochs=20):
    model, loss_fn, data = scene(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate * RATES[name])
    if frozen:
        for p in list(model.parameters())[:-1]:
            p.requires_grad_(False)
    log = dk.train(model, loss_fn, data, optimizer=optimizer, epochs=epochs, batch_size=20).history
    return dk.diagnose(model, loss_fn, data, optimizer=optimizer, history=log, budget=20)


@pytest.mark.parametrize("name", RATES)
def test_a_well_run_is_well_and_the_gap_is_named(name):
    report = diagnose(name)
    assert report.is_well, report.headline
    what, instead = NAMED[name]
    for cause in ("saddle-point", "gradient-flat"):
        question = next(q for q in report.questions if q.cause == cause)
        assert not question.asked
        assert what in question.answer
        assert instead in question.answer
    assert sum(what in text for text in report.not_seen) == 2
    assert report.place is None
    assert report.surface.kind == "random, filter-normalized"
    assert what in report.to_markdown()


@pytest.mark.parametrize("name", ["MultiMarginLoss", "autograd.Function"])
def test_too_small_a_rate_is_found(name):
    report = diagnose(name, rate=1e-4, epochs=5)
    assert report.cause == "learning-rate-too-small", report.headline
    assert "Sharpness" not in report.top.statement


def test_too_large_a_rate_is_found():
    report = diagnose("MultiMarginLoss", rate=500.0)
    assert report.cause == "learning-rate-too-large", report.headline


@pytest.mark.parametrize("name", ["EmbeddingBag", "MultiMarginLoss"])
def test_frozen_parameters_are_found(name):
    assert diagnose(name, frozen=True, epochs=5).cause == "parameters-not-trained"


def test_a_second_derivative_that_is_not_finite():
    net = nn.Linear(4, 1)
    x = torch.randn(64, 4, generator=torch.manual_seed(0))
    with torch.no_grad():
        target = net(x)
    report = dk.diagnose(net, lambda o, y: (o - y).abs().pow(1.5).mean(), (x, target), budget=10)
    assert report.is_well, report.headline
    question = next(q for q in report.questions if q.cause == "saddle-point")
    assert "no finite second derivative" in question.answer


def test_weights_of_zero_leave_no_plane_to_show():
    net = nn.Linear(4, 3)
    nn.init.zeros_(net.weight)
    x = torch.randn(64, 4, generator=torch.manual_seed(0))
    report = dk.diagnose(net, nn.MultiMarginLoss(), (x, x[:, :3].argmax(1)), budget=10)
    assert report.surface is None
    assert report.to_html()


def a_check(measure, **changes):
    fields = {
        "cause": "a", "meaning": "a", "question": "A?", "rung": 1, "rank": 1, "source": "none",
        "judge": lambda evidence: REFUTED, "answer": lambda evidence, judgement: "No.",
        "remedy": lambda evidence: "",
    }  # fmt: skip
    return Check(**fields | {"measure": measure} | changes)


def raising(error):
    def measure(case):
        raise error

    return measure


@pytest.mark.parametrize(
    "error",
    [NoSecondDerivativeError("a model", what="median", instead="mean"), NonFiniteError("no number")],
)
def test_what_cannot_be_measured_is_not_asked_and_the_next_question_is(error):
    ladder = climb(None, [a_check(raising(error)), a_check(lambda case: Evidence(), cause="b")])
    assert [q.asked for q in ladder.questions] == [False, True]
    assert [finding.cause for _, finding in ladder.found] == ["b"]
    assert ladder.questions[0].answer.startswith("not asked: ")


@pytest.mark.parametrize(
    "error", [TypeError("a"), AssertionError(), InputError("a", allowed="b"), KeyError()]
)
def test_mistakes_surface(error):
    with pytest.raises(type(error)):
        climb(None, [a_check(raising(error))])


def test_what_makes_measuring_impossible_is_told_to_the_others():
    first = a_check(lambda case: Evidence(), judge=lambda e: SUPPORTED_BY_PROOF, before_objective=True)
    ladder = climb(None, [first, a_check(lambda case: Evidence(), cause="b")])
    assert ladder.blocked == "a"
    assert ladder.questions[1].answer == "not asked: a comes first"
