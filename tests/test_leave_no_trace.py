"""The witness itself: a change of any kind is seen."""

import random

import numpy as np
import pytest
import torch

from leave_no_trace import Ward, Witness

DISTURBANCES = {
    "parameter": lambda w: w.model.hidden.weight.data.add_(1e-9),
    "in-place and back": lambda w: [
        w.model.hidden.weight.data.mul_(2.0),
        w.model.out.weight.detach().mul_(1.0),
    ],
    "replaced parameter": lambda w: setattr(
        w.model.out, "bias", torch.nn.Parameter(w.model.out.bias.detach().clone())
    ),
    "buffer": lambda w: w.model.seen.add_(1.0),
    "statistics": lambda w: w.model.norm.running_mean.add_(1e-6),
    "gradient gone": lambda w: w.optimizer.zero_grad(),
    "gradient value": lambda w: w.model.out.bias.grad.add_(1.0),
    "gradient new": lambda w: setattr(w.model.hidden.bias, "grad", torch.zeros(3, dtype=torch.float64)),
    "frozen": lambda w: w.model.frozen.requires_grad_(True),
    "mode": lambda w: w.model.eval(),
    "hook": lambda w: w.model.out.register_forward_hook(lambda *_: None),
    "optimizer": lambda w: w.optimizer.param_groups[0].update(lr=0.5),
    "loader": lambda w: next(iter(w.loader)),
    "python random": lambda w: random.random(),
    "numpy random": lambda w: np.random.rand(),  # noqa: NPY002
    "torch random": lambda w: torch.rand(1),
    "cache": lambda w: w.model(torch.zeros(4, 4, dtype=torch.float64)),
}


@pytest.mark.parametrize("name", DISTURBANCES)
def test_the_witness_sees(name):
    ward = Ward()
    witness = Witness(ward)
    assert witness.changes() == []
    DISTURBANCES[name](ward)
    assert witness.changes()


def test_the_witness_sees_a_changed_data_order():
    ward = Ward()
    witness = Witness(ward)
    assert witness.data_order_is_kept()
    assert not witness.data_order_is_kept(), "one epoch has been read"
