"""Which log of a folder is read, and what is said of the others."""

import gzip
import json

import numpy as np
import pytest

import diagkit as dk
from diagkit.errors import InputError
from diagkit.training.run_folders import find_logs

ROWS = [{"step": t, "loss": 2.0 / (t + 1)} for t in range(30)]
CSV = "step,loss\n" + "".join(f"{row['step']},{row['loss']}\n" for row in ROWS)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
STATE = json.dumps({"global_step": 29, "log_history": ROWS})


def put(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_settings_beside_a_log_are_passed_over(tmp_path):
    put(tmp_path, config_dot_json='{"loss": "mse"}', hparams_dot_json='{"lr": 0.1}', my_log_dot_csv=CSV)
    put(tmp_path, aaa_dot_jsonl='{"step": 1, "memory": 2.0}\n')
    history = dk.read_history(tmp_path)
    assert history.source.endswith("my_log.csv")
    assert history.num_steps == 30


def test_the_trainers_state_of_the_last_checkpoint(tmp_path):
    early = json.dumps({"log_history": ROWS[:10]})
    put(tmp_path, **{"checkpoint-900__trainer_state_dot_json": early})
    put(tmp_path, **{"checkpoint-1000__trainer_state_dot_json": STATE, "log_dot_csv": CSV})
    history = dk.read_history(tmp_path)
    assert history.source.endswith("checkpoint-1000/trainer_state.json")
    assert "checkpoint-900/trainer_state.json" in history.notes[-1]
    put(tmp_path, trainer_state_dot_json=STATE)
    assert dk.read_history(tmp_path).source == str(tmp_path / "trainer_state.json")


def test_the_last_version(tmp_path):
    for version, count in ((2, 5), (9, 6), (10, 30)):
        text = "".join(CSV.splitlines(keepends=True)[: count + 1])
        put(tmp_path, **{f"lightning_logs__version_{version}__metrics_dot_csv": text})
    history = dk.read_history(tmp_path)
    assert history.num_steps == 30
    assert "version_9/metrics.csv" in history.notes[-1]


def test_a_damaged_log_gives_way_to_a_whole_one(tmp_path):
    put(tmp_path, trainer_state_dot_json="{", metrics_dot_csv=CSV)
    assert dk.read_history(tmp_path).source.endswith("metrics.csv")


def test_a_folder_without_a_log(tmp_path):
    with pytest.raises(InputError, match="no file in it ends like a log"):
        dk.read_history(tmp_path)
    put(tmp_path, config_dot_json='{"a": "b"}')
    with pytest.raises(InputError, match=r"a folder without a log.*config\.json"):
        dk.read_history(tmp_path)


def test_only_so_deep_and_never_into_hidden_folders(tmp_path):
    put(tmp_path, **{"a__b__c__d__log_dot_csv": CSV})
    assert find_logs(tmp_path) == []
    (tmp_path / ".cache").mkdir()
    put(tmp_path / ".cache", log_dot_csv=CSV)
    assert find_logs(tmp_path) == []


@pytest.mark.parametrize("text", [CSV, LINES])
def test_compressed(tmp_path, text):
    path = tmp_path / ("log.csv.gz" if text is CSV else "log.jsonl.gz")
    data = gzip.compress(text.encode())
    path.write_bytes(data)
    history = dk.read_history(path)
    np.testing.assert_array_equal(history.loss, [row["loss"] for row in ROWS])
    assert history.notes == ()
    path.write_bytes(data + gzip.compress(text.splitlines()[-1].encode() + b"\n"))
    np.testing.assert_array_equal(dk.read_history(path).step, np.arange(30))
    path.write_bytes(data[: len(data) * 3 // 4])
    cut = dk.read_history(path)
    assert 5 < cut.num_steps < 30
    assert "has no end" in cut.notes[0]
    broken = bytearray(data)
    broken[len(data) * 3 // 4] ^= 0x55
    path.write_bytes(bytes(broken))
    try:
        notes = dk.read_history(path).notes
    except InputError as error:
        notes = (str(error),)
    assert "damaged" in " ".join(notes) or "no end" in " ".join(notes)


@pytest.mark.parametrize(
    ("training", "validation"),
    [
        ("Loss/train", "Loss/validation"),
        ("train/epoch_loss", "validation/epoch_loss"),
        ("loss", "eval_squad_loss"),
        ("train_loss", "val_loss"),
    ],
)
def test_names_that_writers_use(tmp_path, training, validation):
    rows = [{"step": t, training: 2.0} for t in range(5)] + [{"step": 4, validation: 3.0, "eval_squad_f1": 1}]
    put(tmp_path, log_dot_jsonl="".join(json.dumps(row) + "\n" for row in rows))
    history = dk.read_history(tmp_path)
    np.testing.assert_array_equal(history.loss, [2.0] * 5)
    np.testing.assert_array_equal(history.val_loss, [3.0])
