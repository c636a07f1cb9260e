"""Log files: what is readable is read, what is damaged is named, nothing is silently wrong."""

import json

import numpy as np
import pytest

from diagkit.errors import InputError
from diagkit.training import read_history

NAN = float("nan")
ROWS = [
    {
        "step": 10 * t,
        "loss": 2.5 / (t + 1),
        "lr": 0.1 * 0.9**t,
        **({"eval_loss": 3.0 / (t + 1)} if t % 3 == 2 else {}),
    }
    for t in range(12)
]


def csv_of(rows, end="\n"):
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(names)] + [",".join(str(row.get(name, "")) for name in names) for row in rows]
    return end.join(lines) + end


def series_of(rows):
    return {name: [row.get(name) for row in rows] for name in rows[0]}


TEXTS = {
    "log.csv": csv_of(ROWS),
    "log.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
    "log.ndjson": "\r\n".join(json.dumps(row) for row in ROWS),
    "log.json": json.dumps(ROWS),
    "pretty.json": json.dumps(ROWS, indent=2),
    "state.json": json.dumps({"epoch": 3.0, "log_history": ROWS, "best_metric": None}),
    "lines.json": "".join(json.dumps(row) + "\n" for row in ROWS),
    "log.tsv": csv_of(ROWS).replace(",", "\t"),
    "european.csv": csv_of(ROWS).replace(",", ";").replace(".", ","),
    "crlf.csv": csv_of(ROWS, end="\r\n"),
    "lists.json": json.dumps(series_of([{**row, "val_loss": row.get("eval_loss")} for row in ROWS])),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_good_file(tmp_path, name, encoding):
    path = tmp_path / name
    path.write_bytes(TEXTS[name].encode(encoding))
    history = read_history(path)
    np.testing.assert_array_equal(history.step, [row["step"] for row in ROWS])
    np.testing.assert_array_equal(history.loss, [row["loss"] for row in ROWS])
    np.testing.assert_array_equal(history.lr, [row["lr"] for row in ROWS])
    if name != "lists.json":
        np.testing.assert_array_equal(history.val_step, [20, 50, 80, 110])
        np.testing.assert_array_equal(history.val_loss, [1.0, 0.5, 3 / 9, 0.25])
        assert history.notes == ()
    assert history.source == str(path)
    assert history.first_non_finite is None


def read_or_refuse(path):
    try:
        return read_history(path)
    except InputError as error:
        if path.name not in str(error) or len(str(error)) > 1500:
            raise AssertionError(f"unclear: {error}") from error
        return None


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_cut_at_every_byte(tmp_path, name):
    """Every cut gives a clear error, or true values; whatever may be false or missing is noted."""
    data = TEXTS[name].encode()
    path = tmp_path / name
    truth = {row["step"]: row for row in ROWS}
    read = 0
    for size in range(len(data)):
        path.write_bytes(data[:size])
        history = read_or_refuse(path)
        if history is None:
            continue
        read += 1
        wrong = [
            (key, step, value)
            for key, mine in (("loss", history.loss), ("lr", history.lr))
            for step, value in zip(history.step, mine if mine is not None else [], strict=False)
            if not np.isnan(value) and value != truth.get(step, {}).get(key)
        ]
        own = zip(history.val_step, history.val_loss, strict=True) if history.val_loss is not None else ()
        wrong += [("val_loss", s, v) for s, v in own if v != truth.get(s, {}).get("eval_loss")]
        assert set(history.step) <= truth.keys()
        at_an_end = data[:size].endswith((b"\n", b"\r"))
        if wrong:  # only the last number of an unfinished line, and it is named
            assert len(wrong) == 1, (size, wrong)
            assert any("digits may be missing" in note for note in history.notes)
        lines = name.endswith((".jsonl", ".ndjson", "lines.json"))
        whole_line = at_an_end or (lines and data[:size].rstrip().endswith(b"}"))
        if not whole_line:
            assert history.notes, size
        assert history.first_non_finite is None
    assert read > 0.7 * len(data)


@pytest.mark.parametrize("name", TEXTS)
def test_garbage_at_every_place_never_crashes(tmp_path, name):
    rng = np.random.default_rng(0)
    data = np.frombuffer(TEXTS[name].encode(), dtype=np.uint8)
    path = tmp_path / name
    for _ in range(150):
        broken = data.copy()
        at = rng.integers(len(data))
        broken[at : at + rng.integers(1, 9)] = rng.integers(0, 256)
        path.write_bytes(broken.tobytes())
        history = read_or_refuse(path)
        assert history is None or history.num_steps <= 3 * len(ROWS)


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_damaged_lines_are_named(tmp_path):
    text = (
        "step,loss,lr\n0,2.0,0.1\nEpoch 1 done, saving, to, disk\n1,1.5\n2,oops,0.1\n3,\0\0,0.1\n4,1.0,0.1\n"
    )
    history = read_history(write(tmp_path, "log.csv", text))
    np.testing.assert_array_equal(history.step, [0, 1, 2, 4])
    np.testing.assert_array_equal(history.loss, [2.0, 1.5, NAN, 1.0])
    notes = "; ".join(history.notes)
    assert "line 3: left out, more than 3 fields" in notes
    assert "line 4: fewer than 3 fields" in notes
    assert "'loss' is not a number at line 5: 'oops'" in notes
    assert "line 6" in notes
    lines = '{"step": 0, "loss": 2.0}\nSaving...\n{"step": 1, "lo\n[1, 2]\n{"step": 2, "loss": 1.0}\n'
    history = read_history(write(tmp_path, "log.jsonl", lines))
    np.testing.assert_array_equal(history.loss, [2.0, 1.0])
    assert history.notes == ("left out, not a JSON object: line 2, line 3, line 4",)


def test_a_last_line_without_an_end(tmp_path):
    whole = read_history(write(tmp_path, "a.csv", "step,loss\n0,2.31\n1,1.52"))
    np.testing.assert_array_equal(whole.loss, [2.31, 1.52])
    assert "line 3 has no end" in whole.notes[0]
    cut = read_history(write(tmp_path, "b.csv", "step,loss\n0,2.31\n1,1."))
    np.testing.assert_array_equal(cut.loss, [2.31])
    assert "line 3 is cut short: '1.'" in cut.notes[0]


def test_names_and_nesting(tmp_path):
    text = (
        '{"_step": 0, "train": {"loss": 2.0, "acc": 0.1}, "run": "a"}\n'
        '{"_step": 1, "train": {"loss": 1.0, "acc": 0.2}, "validation loss": 1.5}\n'
    )
    history = read_history(write(tmp_path, "log.jsonl", text))
    np.testing.assert_array_equal(history.loss, [2.0, 1.0])
    np.testing.assert_array_equal(history.val_loss, [1.5])
    np.testing.assert_array_equal(history.series["train/acc"], [0.1, 0.2])
    assert history.notes == ("left out, no numbers: 'run'",)


def test_the_per_step_loss_is_preferred(tmp_path):
    """A trainer's last record has the mean over the run under another name."""
    rows = [
        {"loss": 2.0, "grad_norm": 1.5, "learning_rate": 5e-5, "epoch": 0.5, "step": 500},
        {"loss": 1.0, "grad_norm": 1.2, "learning_rate": 1e-5, "epoch": 1.0, "step": 1000},
        {"eval_loss": 1.1, "eval_runtime": 3.0, "epoch": 1.0, "step": 1000},
        {"train_runtime": 60.0, "train_loss": 1.5, "epoch": 1.0, "step": 1000},
    ]
    history = read_history(write(tmp_path, "trainer_state.json", json.dumps({"log_history": rows})))
    np.testing.assert_array_equal(history.step, [500, 1000])
    np.testing.assert_array_equal(history.loss, [2.0, 1.0])
    np.testing.assert_array_equal(history.lr, [5e-5, 1e-5])
    np.testing.assert_array_equal(history.val_step, [1000])
    assert history.series["train_loss"][1] == 1.5
    assert history.notes == ()


def test_rows_of_a_csv_logger(tmp_path):
    """Training and validation rows alternate, each with empty fields."""
    text = (
        "epoch,lr-SGD,step,train_loss_epoch,train_loss_step,val_loss\n"
        "0,,49,,2.0,\n,0.1,49,,,\n0,,99,,1.5,\n0,,99,,,1.8\n0,,99,1.75,,\n1,,149,,1.0,\n"
    )
    history = read_history(write(tmp_path, "metrics.csv", text))
    np.testing.assert_array_equal(history.step, [49, 99, 149])
    np.testing.assert_array_equal(history.loss, [2.0, 1.5, 1.0])
    np.testing.assert_array_equal(history.lr, [0.1, NAN, NAN])
    np.testing.assert_array_equal(history.val_step, [99])
    np.testing.assert_array_equal(history.series["train_loss_epoch"], [NAN, 1.75, NAN])
    np.testing.assert_array_equal(history.series["epoch"], [0, 0, 1])


@pytest.mark.parametrize("word", ["nan", "NaN", "inf", "-Infinity"])
def test_a_loss_that_was_recorded_as_not_finite(tmp_path, word):
    history = read_history(
        write(tmp_path, "log.csv", f"step,loss,lr\n0,2.0,0.1\n5,,0.1\n10,{word},0.1\n15,1.0,nan\n")
    )
    assert history.first_non_finite == 10
    literal = {"nan": "NaN", "inf": "Infinity"}.get(word, word)
    for value in (f'"{word}"', literal):
        text = f'{{"step": 3, "loss": 1.0}}\n{{"step": 4, "loss": null}}\n{{"step": 7, "loss": {value}}}\n'
        assert read_history(write(tmp_path, "log.jsonl", text)).first_non_finite == 7


def test_steps_without_a_column_of_their_own(tmp_path):
    history = read_history(write(tmp_path, "log.csv", "loss,val_loss\n2.0,\n1.5,\n,1.7\n1.0,\n"))
    np.testing.assert_array_equal(history.step, [0, 1, 2])
    np.testing.assert_array_equal(history.val_step, [1])
    restarting = "epoch,iter,loss\n" + "".join(
        f"{e},{i},{9 - 3 * e - i}\n" for e in range(3) for i in range(3)
    )
    history = read_history(write(tmp_path, "log.csv", restarting))
    np.testing.assert_array_equal(history.loss, np.arange(9, 0, -1))
    assert "start again with each epoch" in history.notes[0]


def test_a_resumed_run_replaces_what_it_repeats(tmp_path):
    text = "step,loss\n0,4.0\n10,3.0\n20,2.0\n30,1.9\nstep,loss\n20,2.5\n40,1.0\n"
    history = read_history(write(tmp_path, "log.csv", text))
    np.testing.assert_array_equal(history.step, [0, 10, 20, 40])
    np.testing.assert_array_equal(history.loss, [4.0, 3.0, 2.5, 1.0])
    assert history.notes == ("steps 20 to 30 were written more than once (loss): the last ones are used",)


def test_validations_that_come_late(tmp_path):
    text = (
        '{"step": 0, "loss": 2.0, "epoch": 0}\n{"step": 1, "loss": 1.5, "epoch": 1}\n'
        '{"step": 0, "val_loss": 2.1, "epoch": 0}\n{"step": 5, "val_loss": 1.1, "epoch": 1}\n'
    )
    history = read_history(write(tmp_path, "log.jsonl", text))
    np.testing.assert_array_equal(history.step, [0, 1])
    np.testing.assert_array_equal(history.series["epoch"], [0, 1])
    np.testing.assert_array_equal(history.val_step, [0, 5])
    assert history.notes == ()


def test_only_validations(tmp_path):
    history = read_history(write(tmp_path, "log.csv", "step,val_loss\n10,2.0\n20,1.0\n"))
    assert history.loss is None
    np.testing.assert_array_equal(history.val_loss, [2.0, 1.0])


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("log.csv", b"", "empty"),
        ("log.csv", b"\n \n", "empty"),
        ("log.csv", b"step,loss\n", "no row"),
        ("log.csv", b"0,2.0\n1,1.5\n", "a header that names the columns"),
        ("log.csv", b"name,time\na,b\n", "without a series of numbers"),
        ("log.csv", b"step\n1\n2\n", "without a series of numbers"),
        ("log.csv", b"step,loss\n0.5,2\n1.5,3\n", "steps that are not whole"),
        ("log.csv", bytes(range(256)) * 4, "binary"),
        ("log.jsonl", b"\x80\x04\x95" * 50, "binary"),
        ("log.jsonl", b"hello\nworld\n", "no line that is a whole JSON object"),
        ("log.json", b"hello", "no JSON"),
        ("log.json", b'"text"', "JSON that holds a str"),
        ("log.json", b"[1, 2, 3]", "JSON that holds a list"),
        ("log.json", b"[" * 100000, "log.json"),
        ("log.json", b'{"loss": [1, 2], "lr": [1]}', "loss 2, lr 1"),
        ("model.pt", b"xyz", r"model.pt; allowed: a file that ends in .csv"),
        ("log.txt", b"loss 1.0", r".jsonl"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, text):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=text):
        read_history(path)


def test_paths_that_lead_nowhere(tmp_path):
    (tmp_path / "run.csv").write_text("step,loss\n0,1\n")
    with pytest.raises(FileNotFoundError, match=r"the folder holds \['run.csv'\]"):
        read_history(tmp_path / "rum.csv")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_history(tmp_path / "nowhere" / "run.csv")
