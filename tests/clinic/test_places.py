"""The places of the critical point panel are what they are called."""

import pytest

import diagkit as dk
from diagkit.clinic import places

KINDS = {
    "two weights": "saddle",
    "zero network": "saddle",
    "trained net": "minimum-within-tolerance",
    "plateau": "not-critical",
    "flat saddle": "degenerate",
    "kink": "degenerate",
    "slope": "gradient-flat",
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("name", "verdict"), KINDS.items())
def test_each_place_is_of_its_kind(name, verdict, seed):
    assert dk.classify_critical_point(places()[name](seed)).verdict == verdict


def test_no_place_is_left_out():
    assert list(places()) == list(KINDS)


def test_the_gradient_of_the_plateau_is_smaller_than_at_the_minimum():
    norms = {name: float(places()[name](0).gradient().norm()) for name in ("plateau", "trained net")}
    assert 0 < norms["plateau"] < 1e-3 * norms["trained net"]
