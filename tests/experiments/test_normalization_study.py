import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.experiments import sweep
from diagkit.experiments.normalization.claims import ROUNDER, rounder
from diagkit.experiments.normalization.relative_curvature import (
    relative_curvature,
    root_mean_square_curvature,
)
from diagkit.experiments.normalization.setting import hidden_weights

PLAN = dk.TrainingPlan(steps=24, early=4, stable_steps=4, batch_size=16, max_examples=32)


def net():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))


def data(n=80, dtype=torch.float32):
    X = torch.randn(n, 4, generator=torch.Generator().manual_seed(1)).to(dtype)
    return X, (X[:, 0] > 0).long()


def objective(kind, alpha=1.0, seed=0):
    torch.manual_seed(seed)
    model = dk.with_normalization(net().double(), kind, eps=1e-12)
    for weight in hidden_weights(model).values():
        weight.data *= alpha
    obj = dk.Objective(
        model, nn.CrossEntropyLoss(), data(32, torch.float64), norm_stats="batch", batch_size=16
    )
    return obj, hidden_weights(model)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["none", "batch", "layer", "weight"])
def test_relative_curvature_is_that_of_the_dense_matrix(kind, seed):
    obj, weights = objective(kind, seed=seed)
    parts = obj.layout.split(obj.theta)
    stretch = torch.cat(
        [torch.full((p.numel(),), float(p.norm()) if n in weights else 0.0) for n, p in parts.items()]
    ).double()
    expected = torch.linalg.eigvalsh(stretch[:, None] * obj.hessian() * stretch)[-1]
    found = relative_curvature(obj, weights, tol=1e-8)
    assert found.value == pytest.approx(float(expected), rel=1e-6)


def test_relative_curvature_does_not_know_the_size_of_the_weights():
    """Raw curvature of a normalized layer falls with its square."""
    pairs = [objective("batch", alpha) for alpha in (1.0, 5.0)]
    small, large = (relative_curvature(obj, weights, tol=1e-8).value for obj, weights in pairs)
    assert large == pytest.approx(small, rel=1e-4)
    raw = []
    for alpha in (1.0, 5.0):
        obj = objective("batch", alpha)[0]
        block = dk.Objective(
            obj.model, nn.CrossEntropyLoss(), data(32, torch.float64), norm_stats="batch", batch_size=16,
            params=["0.layer.weight"],
        )  # fmt: skip
        raw.append(float(dk.hessian_eigenvalues(block, 1, tol=1e-8).values[0]))
    assert raw[0] / raw[1] == pytest.approx(25.0, rel=1e-4)


def test_root_mean_square_curvature():
    """Within 4 standard errors of |H|_F / sqrt(P), these from the probes' own scatter in closed form."""
    obj, _ = objective("batch")
    H, probes = obj.hessian(), 400
    square = H @ H
    off = square - torch.diag(square.diag())
    sem = float((2 * (off**2).sum() / probes).sqrt())  # Var v'Av = 2 |A - diag A|_F^2 for random signs
    found = root_mean_square_curvature(obj, num_probes=probes)
    assert abs(found**2 * obj.num_params - float(square.trace())) < 4 * sem


@pytest.fixture(scope="module")
def study():
    kinds = ["none", "batch", dk.Normalization("layer", affine=False), dk.Normalization("batch", "after")]
    return dk.normalization_study(
        net, nn.CrossEntropyLoss(), data(), kinds, training=PLAN, batch_sizes=(2,), seeds=[0]
    )


def test_every_run_is_measured(study):
    frame = study.frame
    assert (frame["status"] == "done").all()
    for name in ("lambda_max", "relative_lambda_max", "top_over_rms", "gradient_change", "smoothness"):
        assert np.isfinite(frame[[f"{name}_early", f"{name}_late"]].to_numpy()).all()
        assert frame.attrs["units"][f"{name}_matched"]
    assert (frame["stable_rate"] > 0).all()
    assert (frame["top_over_rms_late"] >= 1).all()
    assert len(study.size_frame) == 4 * 2


def test_only_batch_statistics_have_a_gap(study):
    for frame in (study.frame, study.size_frame):
        gap = frame.set_index("kind")["gap"].abs()
        assert gap[["none", "layer"]].max() < 1e-6
        assert gap["batch"].min() > 1e-6


def test_without_gamma_and_beta_they_are_not_learned():
    plain, with_it, without = (
        sum(p.numel() for p in model.parameters() if p.requires_grad)
        for model in (
            net(),
            dk.Normalization("batch").apply(net()),
            dk.Normalization("batch", affine=False).apply(net()),
        )
    )
    assert (with_it - plain, without - plain) == (2 * (6 + 5), 0)


def test_the_effective_rate_of_a_normalized_net_only_falls():
    """w . grad L = 0: |w|^2 grows by lr^2 |grad|^2 with each step of SGD, but for epsilon and rounding."""
    make = lambda: net().double()  # noqa: E731
    found = dk.normalization_study(
        make, nn.CrossEntropyLoss(), data(dtype=torch.float64), ["none", "batch"], training=PLAN,
        batch_sizes=(), seeds=[0],
    )  # fmt: skip
    series = found.sweep.series
    rates = series.loc[series["kind"] == "batch", "effective_rate"].to_numpy()
    assert (np.diff(rates) <= rates[:-1] * 1e-4).all()
    assert rates[-1] < rates[0]
    row = found.frame.set_index("kind").loc["batch"]
    assert row["effective_rate_first"] == rates[0]


def planted(factors):
    """A sweep with lambda_max_early = the factor of the kind, with some noise that pairs share."""

    def run(kind, place, affine, seed):
        return {"lambda_max_early": factors[kind] * (1 + 0.01 * seed), "stable_rate": 1 / factors[kind]}

    settings = [dk.Normalization(kind).settings for kind in factors]
    return sweep(run, settings, seeds=range(8))


@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.5, "reproduced"), (1.05, "not reproduced"), (2.0, "not reproduced")]
)
@pytest.mark.parametrize("measure", ["lambda_max_early", "stable_rate"])
def test_the_verdict_follows_the_effect(factor, verdict, measure):
    found = rounder(planted({"none": 1.0, "layer": factor}), dk.Normalization("layer"), measure)
    assert found.verdict == verdict
    sign = 1 if ROUNDER[measure][1] == "decrease" else -1
    assert 10**found.value == pytest.approx(factor**sign)


def test_what_was_not_measured_is_inconclusive():
    found = rounder(planted({"none": 1.0, "layer": 0.5}), dk.Normalization("layer"), "lambda_max_matched")
    assert found.verdict == "inconclusive"


@pytest.mark.parametrize(("n", "sizes"), [(80, (1,)), (60, (47,))])
def test_batches_of_one_are_refused(n, sizes):
    """48 of 60 examples are trained on: 48 = 47 + 1."""
    with pytest.raises(dk.InputError, match=r"batch_size = .*variance 0"):
        dk.normalization_study(
            net, nn.CrossEntropyLoss(), data(n), ["none", "batch"], training=PLAN, batch_sizes=sizes
        )


def test_batches_of_one_are_fine_without_batch_statistics():
    found = dk.normalization_study(
        net, nn.CrossEntropyLoss(), data(), ["none", "layer"], training=PLAN, batch_sizes=(1,), seeds=[0]
    )
    assert (found.size_frame["status"] == "done").all()


def test_resumed_and_ended_early(tmp_path):
    task = {"training": PLAN, "batch_sizes": (2,), "folder": tmp_path}
    with dk.watching(budget=0.0):
        nothing = dk.normalization_study(net, nn.CrossEntropyLoss(), data(), ["none", "layer"], **task)
    assert not nothing.complete
    assert {v.verdict for v in nothing.verdicts} == {"inconclusive"}
    first = dk.normalization_study(net, nn.CrossEntropyLoss(), data(), ["none", "layer"], seeds=[0], **task)
    again = dk.normalization_study(net, nn.CrossEntropyLoss(), data(), ["none", "layer"], seeds=[0], **task)
    assert first.complete
    assert "2 of 2 runs" in again.sweep.notes[-1]
    assert again.frame.equals(first.frame)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (["batch"], "none"),
        (["none"], "at least one more"),
        (["none", "layer", "layer"], "each once"),
        ("batch", "a list"),
        (["none", 3], "a list"),
        (["none", "dropout"], "dropout"),
    ],
)
def test_kinds_that_are_refused(kinds, message):
    with pytest.raises(dk.InputError, match=message):
        dk.normalization_study(net, nn.CrossEntropyLoss(), data(), kinds)


def test_settings_that_are_refused():
    with pytest.raises(dk.InputError, match="affine"):
        dk.Normalization("weight", affine=False)
    with pytest.raises(dk.InputError, match="early"):
        dk.normalization_study(net, nn.CrossEntropyLoss(), data(), training=dk.TrainingPlan(steps=5, early=5))
