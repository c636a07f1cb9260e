"""Figures keep appearing in a notebook after ours: our look must not take back interactive display."""

import nbformat
from nbclient import NotebookClient

CELLS = [
    "import matplotlib.pyplot as plt, torch, diagkit as dk",
    "obj = dk.Objective(torch.nn.Linear(2, 1), torch.nn.MSELoss(), (torch.ones(4, 2), torch.ones(4, 1)))",
    "line = dk.loss_line(obj, resolution=5); png = line.to_png()",
    "_ = line.plot()",
    "_ = line.plot()",
    "_ = plt.plot([0, 1])",
]


def test_every_figure_is_displayed():
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120).execute()
    shown = [sum("image/png" in o.get("data", {}) for o in cell.outputs) for cell in notebook.cells]
    assert shown == [0, 0, 0, 1, 1, 1]
