"""Scalars from TensorBoard event files, with TensorBoard's own reader; TensorFlow is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from diagkit.errors import MissingPackageError
from diagkit.training.series_names import plain

FRAME = 16  # bytes around a record: its length, and a checksum of the length and of the record


def read_event_files(
    files: Sequence[Path], folder: Path, notes: list[str]
) -> list[tuple[int, dict[str, Any]]]:
    """Scalars of a run, as (number of the event, {"step": ..., tag: value}); extends ``notes`` by the damage.

    Both ways to write a scalar are read, the old ``simple_value`` and the tensor of one element. A tag from a
    subfolder of the run carries its name ("validation/epoch_loss"); where a writer made the subfolder from
    the tag, as ``add_scalars`` does, the subfolder's name stands alone ("loss_val").

    Raises
    ------
    MissingPackageError : tensorboard is not installed.

    Source: TFRecord framing, tensorflow.org/tutorials/load_data/tfrecord.
    """
    try:
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.util import tensor_util
    except ImportError as error:
        raise MissingPackageError("tensorboard", "logs", "reading event files") from error

    records: list[tuple[int, dict[str, Any]]] = []
    for file in files:
        size, read = file.stat().st_size, 0
        # The loader ends in silence at a record that is cut short or fails its checksum: the bytes tell.
        for raw in RawEventFileLoader(str(file)).Load():
            read += FRAME + len(raw)
            event = Event.FromString(raw)
            for tag, value in _scalars(event, tensor_util.make_ndarray):
                name = _named(tag, file.parent.relative_to(folder))
                records.append((len(records), {"step": int(event.step), name: value}))
        if read < size:
            notes.append(
                f"{file.name} is cut short or damaged at byte {read} of {size}: what comes before is used"
            )
    return records


def _scalars(event: Any, make_array: Any) -> Iterator[tuple[str, float]]:
    for value in event.summary.value:
        kind = value.WhichOneof("value")
        if kind == "simple_value":
            yield value.tag, float(value.simple_value)
        elif kind == "tensor" and not value.tensor.tensor_shape.dim:
            array = make_array(value.tensor)
            if array.dtype.kind in "fiu":
                yield value.tag, float(array)


def _named(tag: str, below: Path) -> str:
    """The tag with the subfolder it came from.

    Example
    -------
    >>> _named("train/loss", Path(".")), _named("epoch_loss", Path("validation"))
    ('train/loss', 'validation/epoch_loss')
    >>> _named("loss", Path("loss_val"))
    'loss_val'
    """
    if not below.parts:
        return tag
    inside = below.as_posix()
    return inside if plain(inside).startswith(plain(tag) + "_") else f"{inside}/{tag}"
