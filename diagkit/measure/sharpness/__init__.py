"""How sharp is the loss, by which measure, and what of that is the choice of coordinates?"""

from diagkit.measure.sharpness.invariance import SharpnessInvariance, sharpness_invariance
from diagkit.measure.sharpness.measured import Measured
from diagkit.measure.sharpness.neighbourhood import HighestLoss
from diagkit.measure.sharpness.sharpness import Sharpness, sharpness

__all__ = ["HighestLoss", "Measured", "Sharpness", "SharpnessInvariance", "sharpness", "sharpness_invariance"]
