"""What many tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from city import City


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    """A small city whose web server runs while the test does."""
    city = City(tmp_path)
    async with city.served():
        yield city
    city.close()
