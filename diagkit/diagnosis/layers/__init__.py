"""What goes on inside a network: units, modes of its layers, gradients through depth, and its size."""

from diagkit.diagnosis.layers.modes import ModeLosses, mode_losses
from diagkit.diagnosis.layers.units import UnitSlopes, unit_slopes

__all__ = ["ModeLosses", "UnitSlopes", "mode_losses", "unit_slopes"]
