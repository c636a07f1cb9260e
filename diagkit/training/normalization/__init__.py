"""Normalization layers as a switch on a model."""

from diagkit.training.normalization.batch_renorm import BatchRenorm
from diagkit.training.normalization.switch import with_normalization

__all__ = ["BatchRenorm", "with_normalization"]
