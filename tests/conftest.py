"""What tests share: small shops written to disk, the samples, and strictness about skips."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis import outreach
from crmlib.shop.privacy import KEPT_VARIABLE
from crmlib.shop.samples import cdnow

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

# With CRM_STRICT=1 a skip is a failure, unless its reason begins like one of these.
SKIPS_ALLOWED = ("../shared/data is not here", "../shared/cases is not here", "Spark is not installed",
                 "rusket is not installed", "openretailscience is not installed")  # fmt: skip

ShopWriter = Callable[..., Path]

# Lots and pseudonyms come from a key: with one of their own, tests say the same on every machine and day.
os.environ["CRM_KEY"] = "the key of the tests"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CRM_STRICT") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.removeprefix("Skipped: ").startswith(SKIPS_ALLOWED):
            report.outcome = "failed"
            report.longrepr = f"CRM_STRICT=1 allows no skip for this reason: {reason}"
    return report


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture
def write_shop(tmp_path: Path) -> ShopWriter:
    """write_shop(orders=[{…}, …], toml='…') -> the folder. Tables are lists of rows or frames."""

    def write(name: str = "shop", toml: str = "", **tables: list[dict[str, object]] | pd.DataFrame) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for table, rows in tables.items():
            pd.DataFrame(rows).to_csv(folder / f"{table}.csv", index=False)
        if toml:
            (folder / "shop.toml").write_text(toml, encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def cdnow_folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """CDNOW in full and its one-tenth sample."""
    return cdnow.make(tmp_path_factory.mktemp("cdnow"))


@pytest.fixture(scope="session")
def cdnow_sample(cdnow_folders: tuple[Path, Path]) -> crm.Shop:
    return crm.connect(cdnow_folders[1])


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo shop at a fifth of its size, dirt included."""
    from crmlib.shop.samples import demo

    return demo.make(tmp_path_factory.mktemp("demo") / "demo", customers=1000)


@pytest.fixture(scope="session")
def demo_shop(demo_folder: Path) -> crm.Shop:
    return crm.connect(demo_folder)


@pytest.fixture(scope="session")
def demo_in_place() -> Path:
    """data/demo, where the notebooks look for a shop if they are told nothing."""
    from crmlib.shop.samples import demo

    folder = ROOT / "data" / "demo"
    # What an earlier simulation left there would give other numbers than the notebooks keep.
    return folder if demo.is_current(folder) else demo.make(folder)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """The command line names the folder of what is kept of people; another test's people are not erased from a shop."""
    yield
    os.environ.pop(KEPT_VARIABLE, None)


@pytest.fixture
def nobody_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may be written to is: for what is said of few people, whom the lot would thin out."""
    monkeypatch.setattr(outreach, "lots", lambda customers, *, shop, act="write": [act for _ in customers])


def pytest_runtest_setup(item: pytest.Item) -> None:
    # `make test-spark` sets CRM_SPARK: there a Spark that is missing is a fault.
    missing = importlib.util.find_spec("pyspark") is None and os.environ.get("CRM_SPARK") != "1"
    if missing and item.get_closest_marker("spark"):
        pytest.skip("Spark is not installed")


@pytest.fixture(scope="session")
def spark_session() -> Iterator[Any]:
    """A Spark session of two threads, for all tests that ask for one."""
    from crmlib.shop.engines import spark

    with spark._quietly():
        session = spark._session(cores=2)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def spark_shop(demo_folder: Path, spark_session: Any) -> crm.Shop:
    """The demo shop as `demo_shop`, on Spark."""
    return crm.connect(demo_folder, engine=spark_session)


ENGINES = ["duckdb", pytest.param("spark", marks=pytest.mark.spark)]


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest, demo_shop: crm.Shop) -> crm.Shop:
    """The demo shop on each engine."""
    return demo_shop if request.param == "duckdb" else request.getfixturevalue("spark_shop")


@pytest.fixture(params=ENGINES)
def each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Shops that name no engine are opened on each."""
    if request.param == "spark":
        request.getfixturevalue("spark_session")
        monkeypatch.setattr("crmlib.shop.shop.DUCKDB", "spark")
    return request.param
