"""Arguments of measurements that make no sense, and places where derivatives do not exist."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from oracles import NO_DATA, FunctionOfParameters, mean_output, randn


@pytest.fixture(scope="module")
def obj():
    return dk.Objective(nn.Linear(2, 1), nn.MSELoss(), (randn(8, 2), randn(8, 1, seed=1)))  # P = 3


BAD = {
    "k 0": (lambda o: dk.hessian_eigenvalues(o, 0), "k = 0", "1 <= k <= P = 3"),
    "k above P": (lambda o: dk.hessian_eigenvalues(o, 4), "k = 4", "1 <= k <= P = 3"),
    "k by default": (lambda o: dk.hessian_eigenvalues(o), "k = 5", "1 <= k <= P = 3"),
    "k 1.5": (lambda o: dk.hessian_eigenvalues(o, 1.5), r"k = 1\.5", "an integer"),
    "k True": (lambda o: dk.hessian_eigenvalues(o, True), "k = True", "an integer"),
    "which": (lambda o: dk.hessian_eigenvalues(o, 1, which="LM"), "'LM'", "'largest' or 'smallest'"),
    "tol 0": (lambda o: dk.hessian_eigenvalues(o, 1, tol=0), "tol = 0", "positive"),
    "tol None": (lambda o: dk.hessian_eigenvalues(o, 1, tol=None), "tol = None", "positive"),
    "tol NaN": (lambda o: dk.classify_critical_point(o, tol=float("nan")), "tol = nan", "positive"),
    "max_hvps 0": (lambda o: dk.hessian_eigenvalues(o, 1, max_hvps=0), "max_hvps = 0", "1 or more"),
    "max_hvps 2.5": (lambda o: dk.classify_critical_point(o, max_hvps=2.5), r"max_hvps = 2\.5", "integer"),
    "seed": (lambda o: dk.hessian_eigenvalues(o, 1, seed="x"), "seed = 'x'", "0 <= seed"),
    "gradient_tol": (
        lambda o: dk.classify_critical_point(o, gradient_tol=-1),
        "gradient_tol = -1",
        "positive",
    ),
    "search gradient_tol": (lambda o: dk.find_critical_point(o, gradient_tol=None), "None", "positive"),
    "method": (lambda o: dk.find_critical_point(o, method="newton"), "'newton'", "newton-mr"),
    "max_iters": (lambda o: dk.find_critical_point(o, max_iters=0), "max_iters = 0", "1 or more"),
    "a model, no objective": (lambda o: dk.classify_critical_point(o.model), "a Linear", "Objective"),
    "point of a number": (lambda o: dk.escape_saddle(o, 3), "int", "CriticalPoint"),
    "extent 0": (lambda o: dk.loss_line(o, extent=0), "extent = 0", "positive"),
    "extent Inf": (lambda o: dk.loss_plane(o, extent=float("inf")), "extent = inf", "finite"),
    "extent of words": (lambda o: dk.loss_plane(o, extent="wide"), "'wide'", "positive"),
    "resolution 2": (lambda o: dk.loss_plane(o, resolution=2), "resolution = 2", "3 or more"),
    "resolution 9.5": (lambda o: dk.loss_line(o, resolution=9.5), r"9\.5", "integer"),
    "plane tol": (lambda o: dk.loss_plane(o, tol=-0.1), r"tol = -0\.1", "or None"),
    "direction and to": (lambda o: dk.loss_line(o, [1, 0, 0], to=[0, 0, 0]), "both", "one of them"),
    "long direction": (lambda o: dk.loss_line(o, [1, 0, 0, 0]), r"shape \(4,\)", r"shape \(3,\)"),
    "zero direction": (lambda o: dk.loss_line(o, np.zeros(3)), "zeros", "not 0"),
    "NaN direction": (lambda o: dk.loss_line(o, [1, 0, np.nan]), "NaN", "finite"),
    "short to": (lambda o: dk.loss_line(o, to=[1.0]), r"to of shape \(1,\)", r"shape \(3,\)"),
    "unknown directions": (lambda o: dk.loss_plane(o, "pca"), "'pca'", "eigenvectors"),
    "one direction": (lambda o: dk.loss_plane(o, [np.ones(3)]), "list", "pair"),
    "parallel directions": (lambda o: dk.loss_plane(o, [[1, 2, 3], [-2, -4, -6]]), "parallel", "span"),
    "directions of a number": (lambda o: dk.loss_plane(o, 7), "int", "pair"),
    "filter norm of zeros": (lambda o: dk.loss_line(o.at(np.zeros(3))), "zero", "not all zero"),
    "groups 3": (lambda o: dk.gradient_noise(o, groups=3), "groups = 3", "4 or more"),
    "eps 0": (lambda o: dk.certify_no_curvature_below(o, 0.0), r"eps = 0\.0", "positive"),
    "eps NaN": (lambda o: dk.certify_no_curvature_below(o, float("nan")), "eps = nan", "positive"),
    "probability 1": (
        lambda o: dk.certify_no_curvature_below(o, 1.0, failure_probability=1.0),
        r"failure_probability = 1\.0",
        "between 0 and 1",
    ),
    "probability 0": (
        lambda o: dk.certify_no_curvature_below(o, 1.0, failure_probability=0),
        "failure_probability = 0",
        "positive",
    ),
    "one product": (lambda o: dk.check_symmetry(o, products=1), "products = 1", "2 or more"),
    "pairs of numbers": (lambda o: dk.eigenvalue_over_data(o, [1.0]), "list", "Eigenpairs"),
    "index beyond": (
        lambda o: dk.eigenvalue_over_data(o, dk.hessian_eigenvalues(o, 1), 1),
        "index = 1",
        "0 to 0",
    ),
    "resamples 5": (
        lambda o: dk.eigenvalue_over_data(o, dk.hessian_eigenvalues(o, 1), resamples=5),
        "resamples = 5",
        "100 or more",
    ),
    "groups 5.5": (lambda o: dk.gradient_noise(o, groups=5.5), r"groups = 5\.5", "integer"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_in_words(name, obj):
    call, given, allowed = BAD[name]
    with pytest.raises(dk.InputError, match=given) as caught:
        call(obj)
    caught.match(r"^got .*; allowed: ")
    caught.match(allowed)


def test_point_of_another_model(obj):
    other = dk.Objective(nn.Linear(3, 1), nn.MSELoss(), (randn(8, 3), randn(8, 1)))
    with pytest.raises(dk.InputError, match=r"4 parameters.*P = 3"):
        dk.escape_saddle(obj, dk.classify_critical_point(other))


def test_too_few_examples_for_their_noise():
    few = dk.Objective(nn.Linear(2, 1), nn.MSELoss(), (randn(3, 2), randn(3, 1)))
    with pytest.raises(dk.InputError, match=r"3 examples.*4 or more"):
        dk.gradient_noise(few)


def test_a_single_parameter_has_no_plane():
    one = dk.Objective(nn.Linear(1, 1, bias=False), nn.MSELoss(), (randn(4, 1), randn(4, 1)))
    with pytest.raises(dk.InputError):
        dk.loss_plane(one, [[1.0], [2.0]])


MEASURES = {
    "eigenvalues": lambda o: dk.hessian_eigenvalues(o, 1),
    "classify": dk.classify_critical_point,
    "certificate": lambda o: dk.certify_no_curvature_below(o, 0.1),
    "symmetry": dk.check_symmetry,
    "escape": dk.escape_saddle,
    "newton-mr": dk.find_critical_point,
    "gradient-norm": lambda o: dk.find_critical_point(o, method="gradient-norm"),
}
ROUGH = {
    "no gradient": lambda w: (w**2).sum().sqrt(),
    "no second derivative": lambda w: (w.abs() ** 1.5).sum(),
}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("rough", ROUGH)
def test_where_derivatives_are_not_finite(rough, measure):
    """A NaN in a product is an error and not an eigenvalue."""
    obj = dk.Objective(FunctionOfParameters(ROUGH[rough], [0.0, 0.0]), mean_output, NO_DATA)
    with pytest.raises(dk.NonFiniteError, match="NaN or Inf"):
        MEASURES[measure](obj)


def test_noise_of_a_gradient_that_is_not_finite():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(2))

        def forward(self, x):
            return (x * self.w).square().sum(dim=1).sqrt()

    obj = dk.Objective(Root(), lambda out, y: out.mean(), (randn(8, 2), randn(8)))
    with pytest.raises(dk.NonFiniteError, match="gradient"):
        dk.gradient_noise(obj)
