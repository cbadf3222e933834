"""The recorded option tape, imported once for all tests that read it."""

from pathlib import Path

import pytest

from flatbook.domain.reference import ReferenceData
from flatbook.store.importers import import_session
from flatbook.store.session import Session, open_session
from flatbook.venues.deribit import load_reference

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TAPE_FOLDER = DATA / "deribit-option-trades"


@pytest.fixture(scope="session")
def reference() -> ReferenceData:
    return load_reference()


@pytest.fixture(scope="session")
def tape_folder() -> Path:
    if not TAPE_FOLDER.exists():
        pytest.skip("the recorded option tape is not beside the repository")
    return TAPE_FOLDER


@pytest.fixture(scope="session")
def recorded(tape_folder: Path, reference: ReferenceData, tmp_path_factory: pytest.TempPathFactory) -> Session:
    out = tmp_path_factory.mktemp("recorded") / "session"
    import_session(tape_folder, out, reference)
    return open_session(out)
