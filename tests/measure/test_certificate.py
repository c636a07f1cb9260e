"""The certificate on objectives with known spectra, and what the words about a point say."""

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.work import watching
from oracles import digits_objective, digits_spectrum, exact_cases, quadratic

EVEN = torch.linspace(0, 2, 400, dtype=torch.float64)
CASES = [case for case in exact_cases() if np.abs(case.eigenvalues).max() > 0]


@pytest.mark.parametrize("case", CASES[::2], ids=lambda c: c.name)
def test_never_against_the_known_spectrum(case):
    lowest, scale = case.eigenvalues[0], np.abs(case.eigenvalues).max()
    for eps in (0.01 * scale, 0.5 * scale):
        answer = dk.certify_no_curvature_below(case.objective(), eps)
        assert answer.verdict == ("negative-curvature" if lowest < -eps else "none-below")
        assert answer.bound <= lowest + 1e-12 * scale
        assert answer.num_hvps == len(answer.bounds) <= case.objective().num_params


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("seed", range(2))
def test_on_a_trained_network(dtype, seed):
    obj, true = digits_objective(dtype), digits_spectrum()
    asked = 0.5 * -true[0]
    proof = dk.certify_no_curvature_below(obj, asked, seed=seed)
    assert proof.verdict == "negative-curvature"
    v = torch.as_tensor(proof.vector)
    assert float(v @ obj.hvp(v.to(dtype)).double()) == pytest.approx(proof.value, abs=proof.rounding)
    assert proof.value < -asked
    safe = dk.certify_no_curvature_below(obj, 2 * -true[0], seed=seed)
    assert safe.verdict == "none-below"
    assert -2 * -true[0] <= safe.bound <= true[0]
    assert safe.num_hvps <= safe.needed
    assert safe.asymmetry <= safe.rounding


def test_out_of_products_tells_how_many_are_needed():
    obj = quadratic(torch.diag(EVEN))
    short = dk.certify_no_curvature_below(obj, 0.01, max_hvps=20)
    assert short.verdict == "undecided"
    assert short.num_hvps == 20
    assert f"max_hvps={short.needed}" in short.explanation
    assert dk.certify_no_curvature_below(obj, 0.01, max_hvps=short.needed).verdict == "none-below"
    price = dk.products_needed(0.01 / 2, 400)
    assert price <= short.needed <= 2 * price, "from a spread that is known only within bounds"


def test_more_confidence_costs_more():
    obj = quadratic(torch.diag(EVEN))
    runs = [dk.certify_no_curvature_below(obj, 0.02, failure_probability=p) for p in (0.1, 1e-9)]
    assert runs[0].num_hvps < runs[1].num_hvps
    assert "(99.9999999 %)" in runs[1].explanation


def test_rounding_larger_than_eps():
    H = torch.diag(torch.cat([torch.zeros(100), torch.linspace(1, 2, 200)]))
    answer = dk.certify_no_curvature_below(quadratic(H), 1e-9)
    assert answer.verdict == "undecided"
    assert "float64" in answer.explanation
    assert answer.eps < answer.rounding


def test_the_whole_space_leaves_no_chance():
    answer = dk.certify_no_curvature_below(quadratic(torch.diag(EVEN[:3])), 1e-9)
    assert answer.verdict == "none-below"
    assert answer.failure_probability == 0.0
    assert "certain" in answer.explanation


def test_out_of_time():
    with watching(budget=0.0):
        answer = dk.certify_no_curvature_below(quadratic(torch.diag(EVEN)), 0.01)
    assert not answer.complete
    assert answer.verdict == "undecided"


def test_same_seed_same_answer_and_table():
    obj = quadratic(torch.diag(EVEN))
    first, again, other = (dk.certify_no_curvature_below(obj, 0.05, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.bounds, again.bounds)
    assert first.bound != other.bound
    assert first.to_frame().shape == (first.num_hvps, 2)


# -- the verdict on a point ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_none_below_is_the_honest_bound(seed):
    values = torch.cat([torch.tensor([0.3]).double(), torch.linspace(0.5, 5, 399, dtype=torch.float64)])
    point = dk.classify_critical_point(quadratic(torch.diag(values)), seed=seed)
    assert point.none_below <= 0.3 <= 5.0 <= point.none_above
    assert 5.0 - point.none_below < 5.5
    assert point.failure_probability == 0.01


def test_words_of_a_sampled_minimum():
    point = dk.classify_critical_point(quadratic(torch.diag(EVEN + 1)))
    for part in ("Proven: critical", "Probable (99 %, ", "products from a random start", "Unknown: "):
        assert part in point.explanation
    assert f"no curvature below {point.none_below:.2g}" in point.explanation


def test_words_where_all_curvatures_were_computed():
    point = dk.classify_critical_point(quadratic(torch.diag(EVEN[:5] + 1)))
    assert point.failure_probability == 0.0
    assert "Proven too, since all curvatures were computed: no curvature below 1" in point.explanation


def test_words_of_the_other_verdicts():
    maximum = dk.classify_critical_point(quadratic(torch.diag(-EVEN - 1)))
    assert f"no curvature above {maximum.none_above:.2g}" in maximum.explanation
    saddle = dk.classify_critical_point(quadratic(torch.diag(EVEN - 1)))
    assert "Unknown: how many further directions lead down." in saddle.explanation
    slope = dk.classify_critical_point(digits_objective())
    assert "Proven: negative and positive curvature" in slope.explanation
    assert "none above" in slope.explanation
