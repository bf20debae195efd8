"""Run the notebooks on the demo shop and keep the outputs of the cells that nbval compares, and no others."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from crmlib.shop.samples import demo

root = Path(__file__).resolve().parent.parent
demo.is_current(root / "data" / "demo") or demo.make(root / "data" / "demo")
chosen = sys.argv[1:] or sorted(map(str, (root / "notebooks").glob("*.ipynb")))
for name in chosen:
    path = Path(name)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(root)}}).execute()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        # nbval takes a cell without a count for one that never ran.
        cell.execution_count = 1 if "NBVAL_CHECK_OUTPUT" in cell.source else None
        if "NBVAL_CHECK_OUTPUT" not in cell.source:
            cell.outputs = []
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    path.write_text(nbformat.writes(notebook, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{path.name}\n")
