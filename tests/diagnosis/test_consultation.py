"""Orders: each answer against what is known of the patient, its price, and what cannot be measured."""

import pytest
import torch

import diagkit as dk
from diagkit.diagnosis import ORDERS, Consulted, consult
from diagkit.diagnosis.orders import order, telling


def words(name, order_name):
    return consult(dk.clinic.patient(name), [order_name]).answers[0].words


def test_the_share_of_trained_parameters():
    model = dk.clinic.patient("frozen-body").model
    free = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    assert f"{100 * free / total:.3g} % of the {total}" in words("frozen-body", "optimizer")


def test_tensors_that_are_not_the_models():
    assert "4 tensors that are not the model's" in words("stale-optimizer", "optimizer")


def test_the_level_is_the_entropy_of_the_labels():
    patient = dk.clinic.patient("short-run")
    share = torch.bincount(patient.data[1]).double() / len(patient.data[1])
    seen = consult(patient, ["constant"])
    assert seen.level == pytest.approx(float(-(share * share.log()).sum()), rel=1e-5)


def test_a_dead_layer_and_gradients_that_vanish_are_seen_in_the_layers():
    assert "up to 100 % of a layer" in words("dead-after-a-jump", "layers")
    assert "vanishing" in words("deep-sigmoid", "layers")


@pytest.mark.parametrize(
    ("name", "order_name", "says"),
    [
        ("rate-too-large", "lower rate", "(lower by"),
        ("sgd-crawls", "higher rate", "(lower by"),
        ("dead-after-a-jump", "higher rate", "(higher by"),
    ],
)
def test_a_trial_tells_which_way(name, order_name, says):
    answer = consult(dk.clinic.patient(name), [order_name]).answers[0]
    assert says in answer.words
    assert (answer.result.interval[0] > 0) == (says == "(lower by")


def test_the_validation_loss_of_what_was_learned_by_heart():
    patient = dk.clinic.patient("noise-learned-by-heart")
    on_others = dk.Objective(patient.model, patient.loss_fn, patient.val_data).loss()
    assert f"validation loss {on_others:.4g}" in consult(patient, ["validation"]).answers[0].words
    assert words("short-run", "validation") == "No validation data were given."


def test_every_order_answers_where_little_was_given():
    """No optimizer, no log, no constant prediction, a model that cannot begin again."""

    class Weight(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(2))

        def forward(self, x):
            return x @ self.w

    X = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    run = Consulted(
        {"model": Weight(), "step": lambda model, x: model(x[0]).square().mean(), "train_data": [(X,)]}
    )
    for name in ORDERS:
        assert order(run.case, name).words
    assert "no optimizer given" in run.card


def test_what_cannot_be_measured_says_so():
    seen = consult(dk.clinic.patient("missing-value"), ["gradient"])
    assert "cannot be measured here" in seen.answers[0].words


def test_the_report_comes_with_the_guess_and_not_before():
    patient = dk.clinic.patient("stale-optimizer")
    assert consult(patient, ["optimizer"]).report is None
    seen = consult(patient, ["optimizer"], "parameters-not-trained")
    assert seen.report.cause == seen.cause == "optimizer-stale-params"
    assert seen.right
    assert seen.would_tell == "optimizer"
    assert "right=yes" in repr(seen)


@pytest.mark.parametrize(
    "bad", [3, {"model": torch.nn.Linear(1, 1)}, {"model": 1, "train_data": 2, "colour": "blue"}]
)
def test_bad_patients_are_named(bad):
    with pytest.raises(dk.InputError, match="allowed"):
        Consulted(bad)


def test_an_unknown_order_is_named():
    with pytest.raises(dk.InputError, match="x-ray"):
        order(Consulted(dk.clinic.patient("stale-optimizer")).case, "x-ray")


def test_the_cheapest_order_that_tells():
    assert telling("dead-units") == "layers"
    assert telling("healthy") is None
    assert all(telling(cause) for one in ORDERS.values() for cause in one.tells)
