"""Write environment.yml: conda for Python and pip, everything else as the lock pins it."""

from pathlib import Path

root = Path(__file__).resolve().parent.parent
pins = [
    line.removesuffix("\\").strip()
    for line in (root / "requirements.lock").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith((" ", "#"))
]
head = [
    "name: crm-workbook",
    "channels:",
    "  - conda-forge",
    "dependencies:",
    "  - python>=3.11,<3.15",
    "  - pip",
    "  - pip:",
]
lines = [*head, *(f'      - "{pin}"' for pin in pins), "      - -e ."]
(root / "environment.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
