"""Problems with known answers: patients with a known cause, healthy runs, exact saddles."""

# Importing a module admits its patients; the three of the first lesson come first.
from diagkit.clinic import start, broken, stuck, rates, well, well_networks  # noqa: F401, I001
from diagkit.clinic import data_faults, loss_faults, output_faults, sound_data  # noqa: F401
from diagkit.clinic import sound_losses, table_faults  # noqa: F401
from diagkit.clinic import capacity, depth, modes, plateaus, regularized, units, warmups  # noqa: F401
from diagkit.clinic import own_loops, cadence, well_loops  # noqa: F401
from diagkit.clinic import imbalance, long_sequences, spent_schedules  # noqa: F401
from diagkit.clinic import term_balance, term_balance_held_out  # noqa: F401
from diagkit.clinic.digits import digits, digits_net, digits_split
from diagkit.clinic.patient import Patient
from diagkit.clinic.places import places
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
from diagkit.clinic.valleys import VALLEYS, Valley, valley, valley_through

__all__ = [
    "VALLEYS",
    "ExactCase",
    "Patient",
    "Valley",
    "autoencoder_saddle",
    "chain",
    "digits",
    "digits_net",
    "digits_split",
    "factorization_at_zero",
    "flat_saddle",
    "halves",
    "patient",
    "patients",
    "places",
    "table",
    "two_weights",
    "valley",
    "valley_through",
    "zero_network",
]
