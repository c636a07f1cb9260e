"""NaN or Inf: in the parameters, the data, the loss, or the gradient; the first place is named."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, Check, Evidence, Judgement
from diagkit.errors import NonFiniteError
from diagkit.objective import is_one_batch, same_data_order, same_random_state


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"place": "", "step": None, "remedy": ""}
    bad = [n for n, p in case.model.named_parameters() if not bool(torch.isfinite(p).all())]
    history = case.history
    if history is not None and history.first_non_finite is not None:
        logged = history.loss[~np.isnan(history.loss)] if history.loss is not None else np.zeros(0)
        lasting = history.loss is not None and not np.isfinite(history.loss[-1])
        numbers["step"] = history.first_non_finite if lasting or not logged.size else None
    if bad:
        numbers["place"] = f"parameter {bad[0]}" + (f" and {len(bad) - 1} more" if len(bad) > 1 else "")
        numbers["remedy"] = "lost"
        return Evidence(numbers)
    try:
        gradient = case.objective.gradient()
    except NonFiniteError as error:
        numbers["place"] = str(error)
        if "data hold" not in numbers["place"]:
            numbers["place"] = _first_module(case) or numbers["place"]
        numbers["remedy"] = "data" if "data hold" in str(error) else "loss"
        return Evidence(numbers)
    parts = case.objective.layout.split(gradient)
    wrong = [name for name, part in parts.items() if not bool(torch.isfinite(part).all())]
    if wrong:
        numbers["place"] = f"the gradient of {wrong[-1]}, although the loss is finite ({case.loss:.4g})"
        numbers["remedy"] = "gradient"
    elif numbers["step"] is not None:
        numbers["place"] = f"the logged loss, from step {numbers['step']} on; the model given here is finite"
        numbers["remedy"] = "log"
    return Evidence(numbers)


def _first_module(case: Case) -> str | None:
    """Run one batch through a copy and name the first module whose output is not finite."""
    found: list[str] = []
    model = copy.deepcopy(case.model).eval()

    def watch(name: str, module: nn.Module) -> None:
        def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensors = output if isinstance(output, (tuple, list)) else (output,)
            if not found and any(
                isinstance(t, torch.Tensor) and t.is_floating_point() and not bool(torch.isfinite(t).all())
                for t in tensors
            ):
                found.append(f"the output of module {name or 'model'} ({type(module).__name__})")

        module.register_forward_hook(look)

    for name, module in model.named_modules():
        watch(name, module)
    with same_random_state(), same_data_order(case.train_data), torch.no_grad():
        try:
            batch = case.train_data if is_one_batch(case.train_data) else next(iter(case.train_data))
            inputs = batch[0]
            model(torch.as_tensor(inputs))
        except (RuntimeError, TypeError, ValueError, StopIteration, IndexError, KeyError):
            return None
    return found[0] if found else None


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_PROOF if evidence["place"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if judgement.verdict != "supported":
        return "Yes: parameters, data, loss and gradient are finite."
    when = f" The log turns non-finite at step {evidence['step']}." if evidence["step"] is not None else ""
    return f"No. First found: {evidence['place']}.{when}"


REMEDIES = {
    "lost": "Load the last checkpoint with finite parameters, then lower the rate or clip the gradient; "
    "these parameters are lost.",
    "data": "Repair or remove the named example before training.",
    "loss": "Find log(0), 0/0, sqrt at 0 or an overflow at the named place and bound its argument.",
    "gradient": "Bound the argument of the operation whose derivative is infinite there (sqrt or norm at 0, "
    "a fully masked softmax row).",
    "log": "Restart from this model with a tenth of the rate, or clip the gradient.",
    "": "",
}

CHECK = Check(
    cause="non-finite",
    meaning="NaN or Inf in loss, gradients or parameters",
    question="Is everything finite?",
    rung=1,
    rank=0,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: REMEDIES[evidence["remedy"]],
    code="torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # between backward() and step()",
    source="IEEE 754: NaN and Inf spread to everything computed from them",
    before_objective=True,
)
