"""One source of dependencies, two routes that install the same, and nothing of any machine in the files."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from tests.conftest import ROOT

NAMED = ("jupyterlab", "papermill", "pandas", "seaborn", "lifetimes", "mlxtend", "textblob")


def lock(name: str = "requirements.lock") -> dict[str, list[str]]:
    pins: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith((" ", "#")):
            pin = line.removesuffix("\\").strip()
            pins.setdefault(Requirement(pin).name, []).append(pin)
    return pins


def test_conda_and_pip_install_the_same():
    file = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    by_pip = next(part["pip"] for part in file["dependencies"] if isinstance(part, dict))
    assert by_pip[-1] == "-e ."
    assert sorted(by_pip[:-1]) == sorted(pin for pins in lock().values() for pin in pins)
    assert any(str(part).startswith("python") for part in file["dependencies"])


def test_the_lock_satisfies_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    assert len(project["optional-dependencies"]["spark"]) == 1
    pins = lock("requirements-spark.lock") | lock()
    for text in wanted:
        requirement = Requirement(text)
        versions = [Requirement(pin).specifier for pin in pins[requirement.name.lower()]]
        assert all(requirement.specifier.contains(str(v).removeprefix("==")) for v in versions), text
    assert set(NAMED) <= {Requirement(text).name for text in project["dependencies"]}
    assert "nbval" in {Requirement(text).name for text in project["optional-dependencies"]["test"]}


def test_spark_is_an_extra_that_only_its_own_lock_installs():
    assert "pyspark" not in lock()
    beside = lock("requirements-spark.lock")
    assert set(beside) == {"pyspark", "py4j"}
    assert not set(beside) & set(lock())


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-spark.lock"])
def test_every_pin_has_a_hash(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[a-z])", text.strip())
    assert len(blocks) == sum(map(len, lock(name).values()))
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_packages_the_workbook_stands_on_are_really_used():
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "crmlib").rglob("*.py"))
    for package in ("papermill", "pandas", "seaborn", "lifetimes", "mlxtend", "textblob"):
        assert re.search(rf"^\s*(import|from) {package}\b", code, re.MULTILINE), package


def test_no_host_and_no_local_path_is_committed():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode or not listed.stdout:
        pytest.fail("the files git tracks could not be listed")
    # In pieces, so that this file does not name what it looks for.
    hosts = ("pypi." + "org", "files.python" + "hosted", "registry.npm" + "js", "deb." + "debian.org", "/ro" + "ot/")
    banned = re.compile("|".join(map(re.escape, hosts)))
    for file in listed.stdout.split("\n"):
        path = ROOT / file
        if file and path.is_file() and path.suffix not in (".png", ".parquet"):
            found = banned.search(path.read_text(encoding="utf-8", errors="replace"))
            assert not found, f"{file}: {found and found.group()}"
