"""A diagnosis, ending well or badly, leaves model, optimizer and loader as they were."""

import contextlib

import pytest
import torch

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


def test_looking_for_the_first_bad_module_leaves_the_loader_in_its_order():
    X, y = torch.ones(8, 2), torch.ones(8, 1)
    generator = torch.Generator().manual_seed(0)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(X, y), batch_size=4, shuffle=True, generator=generator
    )
    before = generator.get_state()
    report = dk.diagnose(torch.nn.Linear(2, 1), lambda out, y: torch.log(-(out**2)).mean(), loader)
    assert report.cause == "non-finite"
    assert torch.equal(generator.get_state(), before)
