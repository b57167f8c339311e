import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def ram_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose syncs cost nothing, for tests that are not about syncs."""
    shared_memory = Path("/dev/shm")
    if not shared_memory.is_dir():
        yield tmp_path_factory.mktemp("store")
        return
    folder = Path(tempfile.mkdtemp(prefix="qbix-node-", dir=shared_memory))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def ram_path(ram_folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=ram_folder))
