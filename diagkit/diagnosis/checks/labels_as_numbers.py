"""Classes given to a regression as 0, 1, 2, ...: between two of them lies a third that means nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.diagnosis import arms
from diagkit.diagnosis.audit.codes import Codes, codes_of, order_p_value
from diagkit.diagnosis.audit.labels import table
from diagkit.diagnosis.audit.last_activation import last_layer
from diagkit.diagnosis.audit.loss_response import answer_to
from diagkit.diagnosis.audit.probe import Probe, probe
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, Check, Evidence, Judgement
from diagkit.diagnosis.trial import Arm
from diagkit.diagnosis.twin import Twin, switch_to_adam
from diagkit.objective import call_model

ADAM_RATE = 1e-2
NO_ORDER = 0.01  # p-value above which the inputs show no order of the classes


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"classes": 0, "p": None, "suspect": False, "helps": False}
    known, found = table(case), probe(case)
    codes = None if known is None else codes_of(known)
    if known is None or found is None or codes is None or case.loss_fn is None:
        return Evidence(numbers)
    numbers["classes"] = len(codes.values)
    with found.quiet():
        last = last_layer(found)
        regression = is_regression(found)
    head = None if last is None else found.model.get_submodule(last.name)
    if last is None or not isinstance(head, nn.Linear) or head.out_features != 1 or not regression:
        return Evidence(numbers)
    numbers["p"] = order_p_value(known, codes, case.seed)
    numbers["suspect"] = (
        numbers["p"] is not None and numbers["p"] > NO_ORDER and not case.nothing_to_gain and case.is_stuck
    )
    if not numbers["suspect"]:
        return Evidence(numbers)
    trial = case.try_out(one_hot(last.name, codes))
    if not case.helps(trial):  # the rate that suits a squared error need not suit a cross-entropy
        again = case.try_out(one_hot(last.name, codes, with_adam), arms.adam(ADAM_RATE))
        trial = again if case.helps(again) else trial
    numbers["helps"] = case.helps(trial)
    return Evidence(numbers, (trial,), trial)


def is_regression(found: Probe) -> bool:
    """The loss has no slope where the output is the target, and some elsewhere."""
    seen = found.see(found.batches[0])
    target = seen.target
    if seen.output is None or target is None or target.numel() != seen.output.numel():
        return False
    lined_up = target.reshape(seen.output.shape).to(seen.output)
    at, off = (answer_to(found, found.batches[0], lined_up + by) for by in (0.0, 0.5))
    return at is not None and off is not None and not bool(at.gradient.any()) and bool(off.gradient.all())


def with_adam(twin: Twin) -> Twin:
    """Adam in place of the optimizer."""
    return switch_to_adam(twin, ADAM_RATE)


def one_hot(layer: str, codes: Codes, start: Callable[[Twin], Twin] = lambda twin: twin) -> Arm:
    """A new last layer with one unit per class, trained by cross-entropy.

    It is looked at by the user's own loss: the output is the mean of the codes under the class probabilities,
    which is what a regression could have given.
    """

    def change(twin: Twin, seed: int) -> Twin:
        twin = start(twin)
        own = twin.model.get_submodule(layer)
        assert isinstance(own, nn.Linear)
        torch.manual_seed(seed)
        head = nn.Linear(own.in_features, len(codes.values)).to(own.weight)
        twin.optimizer.add_param_group({"params": list(head.parameters())})
        values = codes.values.to(own.weight)
        logits: list[Tensor] = []

        def classify(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            logits[:] = [head(args[0])]

        own.register_forward_pre_hook(classify)
        twin.model.register_forward_hook(
            lambda _module, _args, output: (torch.softmax(logits[0], -1) @ values).reshape(output.shape)
        )

        def step(model: nn.Module, payload: Any) -> Tensor:
            call_model(model, payload[0])
            truth = torch.bucketize(payload[1].flatten(), values - 0.5) - 1
            return nn.functional.cross_entropy(logits[0].flatten(0, -2), truth)

        return replace(twin, step=step)

    words = "one unit per class and cross-entropy" + (", Adam" if start is with_adam else "")
    return Arm(words, words, change)


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if evidence["p"] is None:
        return "No: the targets are not a few whole numbers in a regression with one output."
    text = f"{evidence['classes']} whole numbers as targets, in whose order the inputs change "
    text += "no more smoothly than in any other" if evidence["p"] > NO_ORDER else "smoothly: counts or grades"
    if judgement.verdict == "supported":
        return f"Yes: {text}; one unit per class lowers the same loss."
    return f"No: {text}" + ("; one unit per class gains nothing." if evidence["suspect"] else ".")


CHECK = Check(
    cause="labels-as-numbers",
    meaning="classes given to a regression loss as 0, 1, 2, ...",
    question="Are the targets classes written as numbers?",
    rung=3.6,
    rank=0.96,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Give the network {evidence['classes']} outputs and use cross-entropy on whole-number labels."
    ),
    code="model = nn.Sequential(..., nn.Linear(width, classes))\n"
    "loss = nn.functional.cross_entropy(model(x), y.long())",
    source="order of class means against permuted orders; tried, both arms looked at by the loss given",
)
