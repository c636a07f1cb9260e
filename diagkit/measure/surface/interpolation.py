"""Polyharmonic splines through scattered points of the plane, and what each predicts of a point left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist


@dataclass(frozen=True, eq=False)
class PolyharmonicSpline:
    r"""s(x) = sum_i w_i phi(|x - x_i|) + p(x), with phi(r) = r^power up to sign and p a polynomial.

    Of all functions through the values, this one has the least bending energy (Duchon 1977): power 3, with p
    linear, follows bends well; power 5, with p quadratic, is exact on parabolas.

    Attributes
    ----------
    left_out [n, t] : value i minus what the spline through all other points says there.
    """

    nodes: np.ndarray
    weights: np.ndarray
    power: int
    left_out: np.ndarray

    @classmethod
    def through(cls, nodes: np.ndarray, values: np.ndarray, power: int) -> PolyharmonicSpline:
        r"""The splines through ``values`` [n, t] at ``nodes`` [n, 2]: t functions at once.

        Left-out residuals need no new fits: with A the matrix of the interpolation conditions,
        e_i = w_i / (A^{-1})_ii (Rippa 1999).

        Raises
        ------
        numpy.linalg.LinAlgError : too few nodes, or nodes on a curve of the degree of p.

        Example
        -------
        >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0.5, 0.5], [0.2, 0.8], [0.7, 0.1], [0.4, 0.9]])
        >>> f = lambda x: (x[:, 0] ** 2 - 3 * x[:, 0] * x[:, 1])[:, None]  # a quadratic, met exactly
        >>> spline = PolyharmonicSpline.through(x, f(x), power=5)
        >>> bool(np.allclose(spline(np.array([[0.3, 0.3]])), f(np.array([[0.3, 0.3]]))))
        True
        >>> bool(np.abs(spline.left_out).max() < 1e-9)
        True
        """
        n = len(nodes)
        p = _monomials(nodes, power)
        m = p.shape[1]
        if n <= m:
            raise np.linalg.LinAlgError(f"{n} nodes for a polynomial of {m} terms")
        conditions = np.block([[_kernel(cdist(nodes, nodes), power), p], [p.T, np.zeros((m, m))]])
        inverse = np.linalg.inv(conditions)
        if not np.isfinite(inverse).all():
            raise np.linalg.LinAlgError("singular")
        sides = np.vstack([values, np.zeros((m, values.shape[1]))])
        weights = inverse @ sides
        weights += inverse @ (sides - conditions @ weights)  # one step of refinement against rounding
        return cls(nodes, weights, power, weights[:n] / np.diag(inverse)[:n, None])

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Values [m, t] at ``points`` [m, 2]."""
        n = len(self.nodes)
        kernel = _kernel(cdist(points, self.nodes), self.power)
        return kernel @ self.weights[:n] + _monomials(points, self.power) @ self.weights[n:]


def _kernel(r: np.ndarray, power: int) -> np.ndarray:
    sign = 1.0 if power % 4 == 3 else -1.0  # conditionally positive definite
    return sign * r**power


def _monomials(x: np.ndarray, power: int) -> np.ndarray:
    degree = (power - 1) // 2
    terms = [x[:, 0] ** i * x[:, 1] ** j for i in range(degree + 1) for j in range(degree + 1 - i)]
    return np.stack(terms, axis=1)
