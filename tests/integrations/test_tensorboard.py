"""Event files: what a writer wrote is what is read, and a damaged file is read up to the damage."""

import struct
import sys

import numpy as np
import pytest

import diagkit as dk
from diagkit.errors import InputError, MissingPackageError
from diagkit.training.run_folders import find_logs

pytest.importorskip("tensorboard")
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

STEPS = np.arange(0, 60, 2)


def write_run(folder, steps=STEPS, factor=1.0, **options):
    with SummaryWriter(str(folder), **options) as writer:
        for step in steps:
            writer.add_scalar("train/loss", factor / (step + 1), step)
            writer.add_scalar("lr", 0.5**step, step)
            if step % 10 == 0:
                writer.add_scalar("eval/loss", 2 * factor / (step + 1), step)
    return sorted(folder.glob("*tfevents*"))


def float32(values):
    return np.asarray(values, dtype=np.float32).astype(np.float64)


@pytest.mark.parametrize("new_style", [False, True])
def test_scalars_of_a_run(tmp_path, new_style):
    with SummaryWriter(str(tmp_path)) as writer:
        for step in STEPS:
            writer.add_scalar("train/loss", 1.0 / (step + 1), step, new_style=new_style)
        writer.add_histogram("weights", np.arange(9.0), 0)
        writer.add_text("settings", "lr = 0.1", 0)
    for path in (tmp_path, next(tmp_path.iterdir())):
        history = dk.read_history(path)
        np.testing.assert_array_equal(history.step, STEPS)
        np.testing.assert_array_equal(history.loss, float32(1.0 / (STEPS + 1)))
        assert history.notes == ()
        assert set(history.series) == {"step", "loss"}


def test_training_and_validation_at_steps_of_their_own(tmp_path):
    write_run(tmp_path)
    history = dk.read_history(tmp_path)
    np.testing.assert_array_equal(history.val_step, STEPS[STEPS % 10 == 0])
    np.testing.assert_array_equal(history.val_loss, float32(2.0 / (history.val_step + 1)))
    np.testing.assert_array_equal(history.lr, float32(0.5**STEPS))
    assert history.source.startswith(str(tmp_path))


def test_a_run_that_was_resumed_has_several_files(tmp_path):
    first = write_run(tmp_path, STEPS[:20])
    second = write_run(tmp_path, STEPS[15:], factor=3.0, filename_suffix=".resumed")
    assert len({*first, *second}) == 2
    history = dk.read_history(tmp_path)
    np.testing.assert_array_equal(history.step, STEPS)
    expected = np.where(STEPS[15] > STEPS, 1.0, 3.0) / (STEPS + 1)
    np.testing.assert_array_equal(history.loss, float32(expected))
    assert "written more than once" in history.notes[0]


def test_subfolders_of_one_run(tmp_path):
    for part, factor in (("train", 1.0), ("validation", 2.0)):
        with SummaryWriter(str(tmp_path / part)) as writer:
            for step in STEPS:
                writer.add_scalar("epoch_loss", factor / (step + 1), step)
    history = dk.read_history(tmp_path)
    np.testing.assert_array_equal(history.loss, float32(1.0 / (STEPS + 1)))
    np.testing.assert_array_equal(history.val_loss, float32(2.0 / (STEPS + 1)))


def test_several_curves_of_one_tag(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        for step in STEPS:
            writer.add_scalars("loss", {"train": 1.0 / (step + 1), "val": 2.0}, step)
    history = dk.read_history(tmp_path)
    np.testing.assert_array_equal(history.loss, float32(1.0 / (STEPS + 1)))
    np.testing.assert_array_equal(history.val_loss, np.full(len(STEPS), 2.0))


def test_of_several_runs_one_is_read_and_the_others_named(tmp_path):
    write_run(tmp_path / "run9", factor=9.0)
    write_run(tmp_path / "run10", factor=10.0)
    history = dk.read_history(tmp_path)
    assert history.loss[0] == 10.0
    assert "run9" in history.notes[-1]
    assert len(find_logs(tmp_path)) == 2


def test_a_loss_that_is_nan(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(5):
            writer.add_scalar("loss", float("nan") if step > 2 else 1.0, step)
    assert dk.read_history(tmp_path).first_non_finite == 3


def test_a_file_cut_at_every_byte(tmp_path):
    """True values up to the cut, and the cut is named unless it falls between two records."""
    (whole,) = write_run(tmp_path / "whole")
    data = whole.read_bytes()
    truth = dict(zip(STEPS, float32(1.0 / (STEPS + 1)), strict=True))
    ends, at = {0}, 0
    while at < len(data):
        at += 16 + struct.unpack("<Q", data[at : at + 8])[0]
        ends.add(at)
    cut = tmp_path / whole.name
    read = 0
    for size in range(0, len(data), 7):
        cut.write_bytes(data[:size])
        try:
            history = dk.read_history(cut)
        except InputError as error:
            assert cut.name in str(error)  # noqa: PT017
            continue
        read += 1
        assert all(truth[step] == value for step, value in zip(history.step, history.loss, strict=True))
        assert bool(history.notes) == (size not in ends)
    assert read > 0.9 * len(data) / 7


def test_a_byte_that_flipped_ends_the_reading_and_is_named(tmp_path):
    (file,) = write_run(tmp_path)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(bytes(data))
    history = dk.read_history(file)
    assert 5 < history.num_steps < len(STEPS)
    assert "is cut short or damaged at byte" in history.notes[0]


def test_a_file_without_scalars_is_refused(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("settings", "none", 0)
    with pytest.raises(InputError, match="without a series of numbers"):
        dk.read_history(tmp_path)


def test_old_files_with_simple_values(tmp_path):
    """Written byte by byte, as another program would."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    file = tmp_path / "events.out.tfevents.1700000000.host"
    with file.open("wb") as stream:
        for step in range(30):
            value = Summary.Value(tag="loss", simple_value=step / 2)
            record = Event(step=step, summary=Summary(value=[value])).SerializeToString()
            length = struct.pack("<Q", len(record))
            stream.write(length + struct.pack("<I", masked_crc32c(length)) + record)
            stream.write(struct.pack("<I", masked_crc32c(record)))
    np.testing.assert_array_equal(dk.read_history(file).loss, np.arange(30) / 2)


def test_tensorflow_is_not_needed(tmp_path):
    (file,) = write_run(tmp_path)
    assert dk.read_history(file).num_steps == len(STEPS)
    assert "tensorflow" not in sys.modules


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    (file,) = write_run(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_file_loader", None)
    with pytest.raises(MissingPackageError, match=r"diagkit\[logs\]"):
        dk.read_history(file)
