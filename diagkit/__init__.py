"""diagkit: why did my loss stop falling, and what should I do about it?"""

from diagkit.errors import DiagkitError, InputError, MissingPackageError, NonFiniteError
from diagkit.measure import (
    CriticalPoint,
    Eigenpairs,
    Escape,
    GradientNoise,
    LineSlice,
    PlaneSlice,
    classify_critical_point,
    escape_saddle,
    find_critical_point,
    gradient_noise,
    hessian_eigenvalues,
    loss_line,
    loss_plane,
)
from diagkit.objective import Objective
