"""Looking at units and modes leaves model, optimizer and random state as they were, also when it fails."""

import contextlib

import pytest

import diagkit as dk
from diagkit.diagnosis.layers import mode_losses, unit_slopes
from leave_no_trace import Ward, Witness

MEASUREMENTS = {"unit_slopes": unit_slopes, "mode_losses": lambda obj: mode_losses(obj, 4)}


@pytest.mark.parametrize("name", MEASUREMENTS)
@pytest.mark.parametrize("call", [None, 1, 3])
def test_nothing_is_left(name, call):
    ward = Ward()
    obj = dk.Objective(ward.model, ward.loss_fn, ward.loader)
    witness = Witness(ward)
    if call is not None:
        ward.fuse.arm(call, RuntimeError("the fuse has burnt"))
    with contextlib.suppress(RuntimeError):
        MEASUREMENTS[name](obj)
    assert witness.changes() == []
