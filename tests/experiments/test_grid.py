"""Settings and seeds: all combinations, one key each, and a clear word about what cannot be meant."""

import numpy as np
import pytest

from diagkit.errors import InputError
from diagkit.experiments import Cell, make_grid


def test_all_combinations_seed_after_seed():
    grid = make_grid({"lr": [0.1, 1.0], "arm": ["a", "b"]}, [3, 1])
    assert [(c.seed, *c.settings.values()) for c in grid.cells] == [
        (seed, lr, arm) for seed in (3, 1) for lr in (0.1, 1.0) for arm in ("a", "b")
    ]


def test_a_list_of_settings_is_taken_as_it_is():
    rows = [{"lr": 0.1, "b": 10}, {"lr": 1.0, "b": 100}]
    assert [dict(s) for s in make_grid(rows, range(1)).settings] == rows


def test_keys_tell_all_cells_apart_and_do_not_depend_on_order():
    values = [1, 1.0, "1", True, None, 0.1, 0.1 + 1e-16, "a/b", "a_b", "x" * 300, "x" * 301]
    cells = [Cell({"v": v}, seed) for v in values for seed in (0, 1)]
    assert (
        len({c.key for c in cells}) == len({c.name for c in cells}) == len(cells) - 2 * (0.1 == 0.1 + 1e-16)
    )
    assert max(len(c.name) for c in cells) < 120
    assert not any("/" in c.name for c in cells)
    assert Cell({"a": 1, "b": 2}, 0).key == Cell({"b": 2, "a": 1}, 0).key


def test_numpy_numbers_are_plain_ones():
    ours = make_grid({"b": np.array([1, 2]), "lr": np.array([0.5])}, np.arange(2))
    plain = make_grid({"b": [1, 2], "lr": [0.5]}, [0, 1])
    assert [c.key for c in ours.cells] == [c.key for c in plain.cells]


@pytest.mark.parametrize(
    ("settings", "seeds", "text"),
    [
        ({"lr": 0.1}, [0], "lr = 0.1; allowed: a list"),
        ({"arm": "same"}, [0], "a list of the values"),
        ({}, [0], "0 settings"),
        ({"lr": []}, [0], "0 settings"),
        ({"lr": [0.1]}, [], "0 seeds"),
        ({"lr": [0.1]}, 8, "seeds=range"),
        ({"lr": [0.1]}, [-1], "seed = -1"),
        ({"lr": [0.1, 0.1]}, [0], "twice"),
        ({"lr": [0.1]}, [0, 0], "twice"),
        ({"net": [print]}, [0], "looked up inside"),
        ({"seed": [1]}, [0], "a setting called 'seed'"),
        ({"a b": [1]}, [0], "a setting called 'a b'"),
        ([{"lr": 1}, {"b": 1}], [0], "the same in each"),
        ([{"lr": 1}, 3], [0], "settings of type list"),
        ("lr", [0], "settings of type str"),
    ],
)
def test_what_cannot_be_meant_is_named(settings, seeds, text):
    with pytest.raises(InputError, match=text):
        make_grid(settings, seeds)
