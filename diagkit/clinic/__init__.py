"""Problems with known answers: patients with a known cause, healthy runs, exact saddles."""

# Importing a module admits its patients; the three of the first lesson come first.
from diagkit.clinic import start, broken, stuck, rates, well, well_networks  # noqa: F401, I001
from diagkit.clinic import data_faults, loss_faults, output_faults, sound_data  # noqa: F401
from diagkit.clinic import sound_losses, table_faults  # noqa: F401
from diagkit.clinic import capacity, depth, modes, plateaus, regularized, units, warmups  # noqa: F401
from diagkit.clinic import own_loops, cadence, well_loops  # noqa: F401
from diagkit.clinic import imbalance, long_sequences, spent_schedules, term_balance, term_balance_held_out  # noqa: F401
from diagkit.clinic.digits import digits
from diagkit.clinic.patient import Patient
from diagkit.clinic.registry import halves, patient, patients
from diagkit.clinic.saddles import (
    ExactCase,
    autoencoder_saddle,
    chain,
    factorization_at_zero,
    flat_saddle,
    two_weights,
    zero_network,
)
from diagkit.clinic.tables import table

__all__ = [
    "ExactCase",
    "Patient",
    "autoencoder_saddle",
    "chain",
    "digits",
    "factorization_at_zero",
    "flat_saddle",
    "halves",
    "patient",
    "patients",
    "table",
    "two_weights",
    "zero_network",
]
