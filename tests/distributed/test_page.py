"""The script of docs/several-machines.md, started as the page says."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "several-machines.md"


@pytest.mark.slow
def test_the_script_gives_one_answer_on_one_and_on_two_processes(tmp_path):
    (script,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (arguments,) = re.findall(
        r"two processes on this machine.*`torchrun (.*) curvature.py`", PAGE.read_text()
    )
    answers = []
    for more in (arguments.split(), ["--standalone", "--nproc-per-node", "1"]):
        folder = tmp_path / more[-1]
        folder.mkdir()
        (folder / "curvature.py").write_text(script, encoding="utf-8")
        command = [sys.executable, "-m", "torch.distributed.run", *more, "curvature.py"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Eigenpairs") == 1
        assert done.stdout.startswith("1000 ")
        answers.append(pd.read_csv(folder / "largest.csv", index_col=0))
    # Products in float32: its rounding, some roundings per product.
    pd.testing.assert_series_equal(answers[0]["value"], answers[1]["value"], rtol=1e-5)
