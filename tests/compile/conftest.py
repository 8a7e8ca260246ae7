"""What the tests of compiled code share: machine code is kept in a folder of the test run's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _cache_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("compiled")
        folder.chmod(0o700)
        patch.setenv("GLASSGRAD_CACHE_DIR", str(folder))
        yield
