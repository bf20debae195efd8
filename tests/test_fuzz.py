"""The first forty of the damaged exports that `python -m tests.fuzz 0 2000` reads."""

from __future__ import annotations

import pytest

from tests.fuzz import judge

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("first", range(0, 40, 5))
def test_damage_is_a_clear_error_or_counted_and_never_another_amount(first: int) -> None:
    assert [said for seed in range(first, first + 5) if (said := judge(seed))] == []
