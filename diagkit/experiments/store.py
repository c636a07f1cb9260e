"""A folder that keeps every finished run: numbers and series in Parquet, tensors in safetensors."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from diagkit.errors import InputError, MissingPackageError
from diagkit.experiments.grid import Cell, Grid
from diagkit.experiments.outcome import Outcome, Run

MANIFEST, RUNS, PARTIAL = "sweep.json", "runs", ".partial"
NUMBERS, SERIES, TENSORS = ".parquet", ".series.parquet", ".safetensors"
FORMAT = 1
PACKAGES = ("diagkit", "torch", "numpy")
ELSEWHERE = 'another folder, such as folder="sweep_2"'


class RunFolder:
    """The finished runs of one sweep.

    ``sweep.json`` says what the sweep is: its function (:func:`fingerprint`), its settings and seeds, the
    versions behind it. Each run has up to three files under ``runs/``; they are written under another name
    and renamed when whole, the numbers last, with the checksums of the other two. So a run is there with all
    that it left, or not at all.

    Parameters
    ----------
    path : made where it does not exist. function : what :func:`fingerprint` says of the run function.
    units : column -> unit, kept in the manifest.

    Raises
    ------
    InputError : the folder holds something else, another function or settings of other names. Other values
        and seeds are no other sweep: they are added.
    MissingPackageError : pyarrow or safetensors is not installed.
    """

    def __init__(
        self, path: str | os.PathLike[str], grid: Grid, function: Mapping[str, str], units: Mapping[str, str]
    ) -> None:
        _packages()
        self.path = Path(path)
        self.notes: list[str] = []
        self.identity = hashlib.sha256(json.dumps(dict(function), sort_keys=True).encode()).hexdigest()[:16]
        versions = {name: importlib.metadata.version(name) for name in PACKAGES}
        manifest = {
            "format": FORMAT,
            "function": dict(function),
            "names": list(grid.names),
            "settings": [dict(settings) for settings in grid.settings],
            "seeds": list(grid.seeds),
            "units": dict(units),
            "versions": {**versions, "python": platform.python_version()},
        }
        before = self._read_manifest()
        if before:
            self._refuse_another(before, manifest)
            manifest = self._joined(before, manifest)
        (self.path / RUNS).mkdir(parents=True, exist_ok=True)
        text = json.dumps(manifest, indent=1)
        self._write(self.path / MANIFEST, lambda part: part.write_text(text, encoding="utf-8"))

    def load(self, cells: Iterable[Cell]) -> dict[str, Run]:
        """Key -> finished run, for those of ``cells`` that are whole; damage is named in ``notes``."""
        found = {}
        for cell in cells:
            path = self._file(cell, NUMBERS)
            for suffix in (NUMBERS, SERIES, TENSORS):
                if _part(self._file(cell, suffix)).exists():
                    self.notes.append(
                        f"{_part(self._file(cell, suffix)).name} was left half-written: the run is done again"
                    )
            if not path.exists():
                continue
            try:
                run = self._read(cell)
            except Exception as error:  # whatever a damaged file makes its reader raise
                self.notes.append(f"{path.name} cannot be used ({error}): the run is done again")
                continue
            if not run.error:
                found[cell.key] = run
        return found

    def save(self, run: Run) -> None:
        """Write one run; the numbers come last, so that they vouch for the rest."""
        import pyarrow as pa
        import pyarrow.parquet as pq
        from safetensors.torch import save_file

        sums, outcome = {}, run.outcome
        if outcome is not None and outcome.series is not None:
            table = pa.Table.from_pandas(outcome.series, preserve_index=False)
            sums["series"] = self._write(
                self._file(run.cell, SERIES), lambda part: pq.write_table(table, part)
            )
        if outcome is not None and outcome.tensors:
            tensors = dict(outcome.tensors)
            sums["tensors"] = self._write(
                self._file(run.cell, TENSORS), lambda part: save_file(tensors, str(part))
            )
        row = run.row
        about = {
            "key": run.cell.key,
            "sweep": self.identity,
            "scalars": list(outcome.scalars) if outcome else [],
            "files": sums,
        }
        numbers = pa.Table.from_pydict({name: [value] for name, value in row.items()})
        numbers = numbers.replace_schema_metadata({"diagkit": json.dumps(about)})
        self._write(
            self._file(run.cell, NUMBERS),
            lambda part: pq.write_table(numbers, part, write_page_checksum=True),
        )

    def _read(self, cell: Cell) -> Run:
        import pyarrow.parquet as pq
        from safetensors.torch import load_file

        table = pq.read_table(self._file(cell, NUMBERS), page_checksum_verification=True, partitioning=None)
        about = json.loads(table.schema.metadata[b"diagkit"])
        row = table.to_pylist()[0]
        if about["key"] != cell.key or about["sweep"] != self.identity:
            raise ValueError("it belongs to another run")
        for kind, suffix in (("series", SERIES), ("tensors", TENSORS)):
            if kind in about["files"] and _checksum(self._file(cell, suffix)) != about["files"][kind]:
                raise ValueError(f"{self._file(cell, suffix).name} is damaged")
        series = tensors = None
        if "series" in about["files"]:
            series = pq.read_table(self._file(cell, SERIES), partitioning=None).to_pandas()
        if "tensors" in about["files"]:
            tensors = load_file(str(self._file(cell, TENSORS)))
        outcome = Outcome({name: row[name] for name in about["scalars"]}, series, tensors or {})
        return Run(cell, None if row["error"] else outcome, row["seconds"], row["error"])

    def _file(self, cell: Cell, suffix: str) -> Path:
        return self.path / RUNS / (cell.name + suffix)

    def _write(self, path: Path, write: Callable[[Path], Any]) -> str:
        """Write under another name, rename when it is on the disk; the checksum of what was written."""
        part = _part(path)
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        checksum = _checksum(part)
        part.replace(path)
        return checksum

    def _read_manifest(self) -> dict[str, Any] | None:
        path = self.path / MANIFEST
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"folder={str(self.path)!r}, a file", allowed="a folder", write=ELSEWHERE)
        if not path.exists():
            if self.path.exists() and any(p.name != MANIFEST + PARTIAL for p in self.path.iterdir()):
                raise InputError(
                    f"folder={str(self.path)!r}, which holds other things",
                    allowed="a new or empty folder, or that of the same sweep",
                    write=ELSEWHERE,
                )
            return None
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if manifest["format"] != FORMAT:
                raise ValueError(f"format {manifest['format']}")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}, which cannot be read ({error})",
                allowed="the manifest of a sweep: without it nothing tells whose runs these are",
                write=ELSEWHERE,
            ) from error
        return dict(manifest)

    def _refuse_another(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        old, new = before["function"], now["function"]
        differ = sorted(part for part in {*old, *new} if old.get(part) != new.get(part))
        if set(before["names"]) != set(now["names"]):
            differ.insert(0, f"settings {before['names']}, now {now['names']}")
        if differ:
            raise InputError(
                f"folder={str(self.path)!r}, which holds another sweep (changed: {'; '.join(differ)})",
                allowed="the same function and names of settings; their values and the seeds may differ",
                write=ELSEWHERE,
            )

    def _joined(self, before: Mapping[str, Any], now: dict[str, Any]) -> dict[str, Any]:
        """The manifest of both: what is kept stays named in it."""
        changed = [
            f"{name} {before['versions'].get(name)}, now {version}"
            for name, version in now["versions"].items()
            if before["versions"].get(name) != version
        ]
        if changed:
            self.notes.append(f"runs were kept from other versions: {'; '.join(changed)}")
        settings = before["settings"] + [s for s in now["settings"] if s not in before["settings"]]
        return now | {"settings": settings, "seeds": sorted({*before["seeds"], *now["seeds"]})}


def _part(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL)


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _packages() -> None:
    for package in ("pyarrow", "safetensors"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingPackageError(package, "experiments", "a sweep with folder=...") from error
