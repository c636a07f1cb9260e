"""The clinic without a browser: orders in, answers out, and no cause before the diagnosis."""

import asyncio

import pytest
import torch

import diagkit as dk
from diagkit.diagnosis import ORDERS, consult
from diagkit.widgets import ClinicPanel, ClinicSettings, canvas
from panel_scenes import settled

DEAR = ("few", "lower rate", "higher rate")


def run_of(kind="frozen"):
    """A small regression; its first layer is frozen, or every unit of it is dead."""
    X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    if kind == "frozen":
        model[0].requires_grad_(False)
    else:
        torch.nn.init.constant_(model[0].bias, -100.0)
    return {
        "model": model,
        "loss_fn": torch.nn.MSELoss(),
        "train_data": (X, X.sum(1, keepdim=True)),
        "optimizer": torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01),
        "history": {"loss": [3.0] * 40},
    }


PATIENTS = {"a": run_of, "b": lambda: run_of("dead")}


@pytest.fixture(autouse=True)
def at_once(request, monkeypatch):
    """Where there is no loop, work is done where it is asked for."""
    if "notebook" not in request.node.name:
        monkeypatch.setattr(ClinicPanel, "start", ClinicPanel.run)


@pytest.fixture(scope="module")
def opened():
    """A panel whose patient was diagnosed, wrongly, after two orders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClinicPanel, "start", ClinicPanel.run)
        panel = ClinicPanel(PATIENTS)
        panel.change(ordered=("optimizer", "constant"), guess="noise-floor")
        return panel, panel.result


def test_at_first_there_is_the_log_and_no_cause():
    panel = ClinicPanel(PATIENTS)
    seen = panel.result
    assert (seen.spent, seen.answers, seen.guess) == (0, (), None)
    assert (seen.report, seen.cause, seen.right, seen.would_tell) == (None,) * 4
    assert "no diagnosis yet" in panel.numbers.value
    assert panel.page.value == ""
    assert seen.curve.is_flat


def test_an_order_gives_what_the_call_gives():
    panel = ClinicPanel(PATIENTS, ordered=["optimizer"])
    panel.controls["ordered"].press("layers")
    assert panel.settings.ordered == ("optimizer", "layers")
    there, here = panel.result, consult(run_of(), ["optimizer", "layers"])
    assert [a.words for a in there.answers] == [a.words for a in here.answers]
    assert there.spent == 3
    assert "7 of 10 points left" in panel.controls["ordered"].left.value
    assert there.answers[0].words in panel.numbers.value


def test_no_cause_is_said_before_the_diagnosis():
    panel = ClinicPanel(["frozen-body"], ordered=["optimizer"])
    panel.run()
    said = panel.numbers.value + panel.card.value + panel.target.value + repr(panel.result)
    assert "frozen-body" not in said
    assert "parameters-not-trained" not in said


def test_the_diagnosis_opens_the_report(opened):
    panel, seen = opened
    assert (seen.right, seen.cause) == (False, seen.report.cause)
    assert "dk-report" in panel.page.value
    assert "not so: it is" in panel.numbers.value
    assert "0 of 1 right, for 2 points" in panel.numbers.value
    assert "not yet" in panel.target.value


def test_after_the_diagnosis_nothing_is_ordered_and_nothing_is_changed(opened):
    panel, _ = opened
    orders, named = panel.controls["ordered"], panel.controls["guess"]
    assert orders.buttons["layers"].disabled
    assert not orders.buttons["constant"].disabled  # its answer can be looked at again
    assert named.final.disabled
    assert named.choice.disabled


def test_a_right_diagnosis_for_few_points_reaches_the_target():
    panel = ClinicPanel({"b": PATIENTS["b"]}, ordered=["layers"])
    named = panel.controls["guess"]
    assert named.final.disabled
    named.choice.value = "dead-units"
    assert panel.settings.guess is None  # chosen is not yet said
    named.commit()
    assert panel.result.right
    assert panel.result.would_tell == "layers"
    assert "✓ reached" in panel.target.value


def test_to_press_again_shows_the_answer_again_for_nothing():
    panel = ClinicPanel(PATIENTS, ordered=["layers", "constant"])
    first = panel.result
    panel.controls["ordered"].press("layers")
    assert panel.settings.ordered == ("constant", "layers")
    assert panel.result is first
    assert panel.result.spent == 3


def test_what_the_points_do_not_pay_for_cannot_be_pressed():
    panel = ClinicPanel(PATIENTS)
    orders = panel.controls["ordered"]
    orders.value = DEAR
    assert [name for name, button in orders.buttons.items() if button.disabled] == [
        "layers", "noise", "curvature",
    ]  # fmt: skip
    panel.run()
    orders.press("optimizer")
    assert all(button.disabled == (name not in orders.value) for name, button in orders.buttons.items())
    assert "nan" not in panel.numbers.value.lower()


def test_each_patient_keeps_its_own_sheet():
    panel = ClinicPanel(PATIENTS)

    def turn_to(patient):
        panel.controls["patient"].value = patient

    panel.controls["ordered"].press("optimizer")
    turn_to("b")
    assert panel.settings == ClinicSettings("b")
    assert panel.controls["ordered"].value == ()
    panel.controls["ordered"].press("constant")
    turn_to("a")
    assert panel.settings.ordered == ("optimizer",)
    turn_to("b")
    assert panel.controls["ordered"].value == ("constant",)


def test_the_seed_deals_the_letters():
    def dealt(seed):
        panel = ClinicPanel(["frozen-body", "short-run", "sgd-crawls"], seed=seed)
        return [panel._build(ClinicSettings(letter, (), None, seed)).name for letter in "ABC"]

    assert dealt(0) != dealt(1)
    assert dealt(0) == dealt(0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"patients": []},
        {"patients": ["nobody"]},
        {"patients": PATIENTS, "patient": "z"},
        {"causes": ()},
        {"ordered": ["x-ray"]},
        {"ordered": ["layers", "layers"]},
        {"ordered": (*DEAR, "layers")},
    ],
    ids=["none", "unknown", "no such letter", "no causes", "unknown order", "ordered twice", "too dear"],
)
def test_bad_arguments_are_named(wrong):
    with pytest.raises(dk.InputError, match="allowed"):
        ClinicPanel(**wrong)


def test_an_unknown_guess_changes_nothing():
    panel = ClinicPanel(PATIENTS)
    with pytest.raises(dk.InputError, match="allowed"):
        panel.change(guess="gremlins")
    assert panel.settings.guess is None


def test_the_users_run_is_left_as_it_was():
    given = run_of()
    before = {name: value.clone() for name, value in given["model"].state_dict().items()}
    ClinicPanel({"mine": lambda: given}, ordered=["layers", "lower rate", "few"]).run()
    assert all(torch.equal(value, before[name]) for name, value in given["model"].state_dict().items())


def test_the_log_comes_before_the_first_answer():
    panel = ClinicPanel(PATIENTS)
    stages = list(panel.results(ClinicSettings("a", ("optimizer", "constant"))))
    assert [len(stage.answers) for stage in stages] == [0, 1, 2]
    again = list(panel.results(ClinicSettings("a", ("optimizer", "constant"))))
    assert [len(stage.answers) for stage in again] == [2]


def test_in_a_notebook_it_begins_when_it_is_shown():
    async def notebook():
        panel = ClinicPanel(PATIENTS)
        panel._repr_mimebundle_()
        await settled(lambda: panel.status.value == "done")
        panel.controls["ordered"].press("layers")
        await settled(lambda: "layers (2)" in panel.numbers.value)
        assert "Linear" in panel.card.value

    asyncio.run(notebook())


def test_without_ipympl_it_is_a_picture(monkeypatch):
    monkeypatch.setattr(canvas, "why_static", lambda: canvas.STATIC)
    panel = ClinicPanel(PATIENTS, ordered=list(ORDERS)[:3])
    panel.run()
    picture, _ = panel.canvas.widget.children
    assert "data:image/png" in picture.value
