"""A diagnosis, ending well or badly, leaves model, optimizer and loader as they were."""

import contextlib

import pytest

import diagkit as dk
from leave_no_trace import Ward, Witness

pytestmark = pytest.mark.usefixtures("short_trials")
ERRORS = {"error": RuntimeError("the fuse has burnt"), "interrupt": KeyboardInterrupt("the fuse has burnt")}


def diagnose(ward, **options):
    return dk.diagnose(
        ward.model, ward.loss_fn, ward.loader, optimizer=ward.optimizer, history=[1.0] * 40, **options
    )


def test_ending_well():
    ward = Ward()
    witness = Witness(ward)
    assert diagnose(ward).cause
    assert witness.changes() == []
    assert witness.data_order_is_kept()


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("call", [1, 5, 40, 200])
def test_ending_badly(kind, call):
    """An error in a probe may be survived; Ctrl-C never is."""
    ward = Ward()
    witness = Witness(ward)
    ward.fuse.arm(call, ERRORS[kind])
    with contextlib.suppress(RuntimeError, dk.InputError, KeyboardInterrupt):
        diagnose(ward)
        assert kind == "error"
    assert witness.changes() == []
    assert witness.data_order_is_kept()
