"""Every finished run is kept; damage is named and made good; nobody else's folder is touched."""

import functools
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from diagkit.errors import InputError, MissingPackageError
from diagkit.experiments import Outcome, sweep
from diagkit.experiments.store import RunFolder


class Calls:
    """A log; a list would count as a value that the function computes with."""

    def __init__(self):
        self.made = []


CALLS = Calls()


def run(lr, seed):
    CALLS.made.append((lr, seed))
    g = torch.Generator().manual_seed(seed)
    scalars = {
        "loss": lr / 3 + seed,
        "nan": float("nan"),
        "inf": float("inf"),
        "n": 3,
        "ok": True,
        "why": None,
        "s": "ä",
    }
    series = {"step": np.arange(3), "loss": np.array([0.1, np.nan, lr])}
    return Outcome(scalars, series, {"theta": torch.randn(5, generator=g), "index": torch.arange(2)})


@pytest.fixture(autouse=True)
def fresh():
    CALLS.made.clear()


def go(folder, lrs=(0.1, 0.2), seeds=range(2), run=run, **options):
    return sweep(run, {"lr": list(lrs)}, seeds=seeds, folder=folder, **options)


def files(folder, ending):
    return sorted(p for p in (folder / "runs").iterdir() if p.name.endswith(ending))


def test_what_comes_back_is_what_was_saved_bit_for_bit(tmp_path):
    first = go(tmp_path / "s")
    assert len(CALLS.made) == 4
    again = go(tmp_path / "s")
    assert len(CALLS.made) == 4
    pd.testing.assert_frame_equal(first.frame, again.frame, check_exact=True)
    pd.testing.assert_frame_equal(first.series, again.series, check_exact=True)
    for a, b in zip(first.runs, again.runs, strict=True):
        assert [type(v) for v in a.row.values()] == [type(v) for v in b.row.values()]
        assert all(torch.equal(t, b.outcome.tensors[name]) for name, t in a.outcome.tensors.items())
    assert again.notes == (f"4 of 4 runs were in {tmp_path / 's'} already",)
    assert again.complete


def test_the_formats_are_open(tmp_path):
    go(tmp_path / "s", units={"loss": "nat"})
    numbers = pd.concat(
        pd.read_parquet(p) for p in files(tmp_path / "s", ".parquet") if "series" not in p.name
    )
    assert sorted(numbers["loss"]) == sorted(lr / 3 + seed for lr in (0.1, 0.2) for seed in range(2))
    assert load_file(files(tmp_path / "s", ".safetensors")[0])["index"].tolist() == [0, 1]
    assert pq.read_table(files(tmp_path / "s", ".series.parquet")[0]).column_names == ["step", "loss"]
    manifest = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert manifest["settings"] == [{"lr": 0.1}, {"lr": 0.2}]
    assert manifest["seeds"] == [0, 1]
    assert manifest["units"] == {"loss": "nat"}
    assert manifest["versions"]["torch"] == torch.__version__
    assert not files(tmp_path / "s", ".partial")


def test_more_seeds_and_values_are_added(tmp_path):
    go(tmp_path / "s")
    more = go(tmp_path / "s", lrs=(0.2, 0.3), seeds=range(3))
    assert CALLS.made[4:] == [(0.3, 0), (0.3, 1), (0.2, 2), (0.3, 2)]
    assert len(more.runs) == 6
    manifest = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert [s["lr"] for s in manifest["settings"]] == [0.1, 0.2, 0.3]
    assert manifest["seeds"] == [0, 1, 2]


def test_an_interrupted_sweep_goes_on_with_what_is_missing(tmp_path):
    def stopped(lr, seed):
        if (lr, seed) == (0.1, 1) and not (tmp_path / "go on").exists():
            raise KeyboardInterrupt
        return {"loss": lr + seed}

    part = go(tmp_path / "s", run=stopped)
    assert len(part.runs) == len(files(tmp_path / "s", ".parquet")) == 2
    (tmp_path / "go on").touch()
    whole = go(tmp_path / "s", run=stopped)
    assert whole.complete
    assert whole.frame["loss"].tolist() == [0.1, 0.2, 1.1, 1.2]
    assert "2 of 4" in whole.notes[0]


@pytest.mark.slow
def test_a_killed_sweep_goes_on_with_what_is_missing(tmp_path):
    code = """
import os, sys
from pathlib import Path
import torch
from diagkit.experiments import sweep
folder, kinds, X, loss_fn = Path(sys.argv[1]), {"b", "a", "c"}, torch.arange(9.0), torch.nn.MSELoss()
def make():
    return torch.nn.Linear(1, 1)
def run(lr, seed):
    make, kinds, X, loss_fn  # what it computes with must be known again after a restart
    if seed == 1 and not (folder / "go on").exists():
        os.kill(os.getpid(), 9)
    return {"loss": lr + seed}
print(sweep(run, {"lr": [0.1, 0.2]}, seeds=range(2), folder=folder / "s").notes)
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    call = [sys.executable, str(script), str(tmp_path)]
    assert subprocess.run(call, capture_output=True).returncode == -9
    (tmp_path / "go on").touch()
    done = subprocess.run(call, capture_output=True, text=True)
    assert "2 of 4 runs were in" in done.stdout, done.stderr


@pytest.mark.parametrize("ending", [".parquet", ".series.parquet", ".safetensors"])
@pytest.mark.parametrize("damage", ["cut", "empty", "one bit", "gone"])
def test_a_damaged_file_is_named_and_the_run_done_again(tmp_path, ending, damage):
    first = go(tmp_path / "s")
    path = files(tmp_path / "s", ending)[0]
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "one bit":
        content[len(content) // 3] ^= 16
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
    again = go(tmp_path / "s")
    assert len(CALLS.made) == 5
    pd.testing.assert_frame_equal(first.frame.drop(columns="seconds"), again.frame.drop(columns="seconds"))
    if (ending, damage) != (".parquet", "gone"):  # then there is no such run
        assert path.name.split(".parquet")[0].split(".series")[0].split(".safe")[0] in again.notes[0]
        assert "done again" in again.notes[0]
    assert len(go(tmp_path / "s").notes) == 1
    assert len(CALLS.made) == 5


def test_any_flipped_byte_of_the_numbers_is_seen_or_harmless(tmp_path):
    first = go(tmp_path / "s", lrs=[0.1], seeds=[0])
    path = next(p for p in files(tmp_path / "s", ".parquet") if "series" not in p.name)
    content = path.read_bytes()
    store = RunFolder(
        tmp_path / "s", first.grid, json.loads((tmp_path / "s" / "sweep.json").read_text())["function"], {}
    )
    for i in range(0, len(content), max(1, len(content) // 150)):
        path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
        loaded = store.load(first.grid.cells)
        for found in loaded.values():
            assert repr(found.row) == repr(first.runs[0].row), f"byte {i} of {len(content)}"


def test_what_was_left_half_written_is_named(tmp_path):
    go(tmp_path / "s")
    path = files(tmp_path / "s", ".safetensors")[0]
    path.with_name(path.name + ".partial").write_bytes(b"half")
    for p in files(tmp_path / "s", path.name.removesuffix(".safetensors") + ".parquet"):
        p.unlink()
    again = go(tmp_path / "s")
    assert f"{path.name}.partial was left half-written" in again.notes[0]
    assert len(CALLS.made) == 5
    assert not files(tmp_path / "s", ".partial")


def test_failed_runs_are_kept_and_tried_again(tmp_path):
    def fails(lr, seed):
        if not (tmp_path / "mended").exists():
            raise OSError("disk")
        return {"loss": lr}

    failed = go(tmp_path / "s", run=fails, seeds=[0])
    assert failed.frame["error"].tolist() == ["OSError: disk"] * 2
    kept = pd.read_parquet(files(tmp_path / "s", ".parquet")[0])
    assert kept["error"].tolist() == ["OSError: disk"]
    (tmp_path / "mended").touch()
    assert go(tmp_path / "s", run=fails, seeds=[0]).frame["status"].tolist() == ["done"] * 2


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_another_sweeps_folder_is_refused_and_left_alone(tmp_path):
    go(tmp_path / "s")
    before = contents(tmp_path)

    def other(lr, seed):
        return {"loss": lr}

    with pytest.raises(InputError, match="another sweep \\(changed: code; name"):
        go(tmp_path / "s", run=other)
    with pytest.raises(InputError, match="settings \\['lr'\\], now \\['rate'\\]"):
        sweep(functools.partial(lambda rate, seed: {"x": 1}), {"rate": [1]}, seeds=[0], folder=tmp_path / "s")
    assert contents(tmp_path) == before


def test_a_value_that_the_function_is_bound_to_counts(tmp_path):
    def bound(data):
        return functools.partial(lambda lr, seed, data: {"loss": lr * float(data.sum())}, data=data)

    go(tmp_path / "s", run=bound(torch.ones(3)))
    go(tmp_path / "s", run=bound(torch.ones(3)))
    with pytest.raises(InputError, match="changed: bound data"):
        go(tmp_path / "s", run=bound(torch.tensor([1.0, 1.0, 2.0])))


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other things"):
        go(tmp_path)
    with pytest.raises(InputError, match="a file; allowed: a folder"):
        go(tmp_path / "thesis.tex")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "sweep.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        go(tmp_path / "s")
    assert CALLS.made == []


def test_other_versions_are_noted(tmp_path):
    go(tmp_path / "s")
    path = tmp_path / "s" / "sweep.json"
    manifest = json.loads(path.read_text())
    manifest["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(manifest))
    assert f"torch 1.0, now {torch.__version__}" in go(tmp_path / "s").notes[0]


def test_without_a_folder_neither_package_is_needed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert go(None).complete
    with pytest.raises(MissingPackageError, match="diagkit\\[experiments\\]"):
        go(tmp_path / "s")
