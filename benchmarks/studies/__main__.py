"""Studies over seeds at full length: escape by noise, scaling of inputs, normalization. Writes Markdown.

    python -m benchmarks.studies noise-escape feature-scaling normalization [--n-jobs 2] [--folder runs]

Each writes benchmarks/results/NAME.md. With a folder, an interrupted study goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.studies.feature_scaling import feature_scaling
from benchmarks.studies.noise_escape import noise_escape
from benchmarks.studies.normalization import normalization
from benchmarks.studies.tables import inside

RESULTS = Path(__file__).resolve().parents[1] / "results"
STUDIES = {"noise-escape": noise_escape, "feature-scaling": feature_scaling, "normalization": normalization}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    for name in options.studies:
        folder = inside(options.folder, name)
        RESULTS.joinpath(f"{name}.md").write_text("\n".join(STUDIES[name](options.n_jobs, folder)))


if __name__ == "__main__":
    main()
