"""Whether a maker could run here and now: this machine, the venue, the key, the clock, the contracts, the data."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from shutil import disk_usage

import flatbook
from flatbook.app.doctor_rows import Examination, Finding, Verdict, graded
from flatbook.app.doctor_venue import venue_rows
from flatbook.app.feed import FeedTerms, LiveFeed
from flatbook.app.record import check_feed
from flatbook.domain.errors import VenueUnreachableError
from flatbook.venues.deribit import load_reference

_GB = 1e9
_DISK_WARN_GB, _DISK_FAIL_GB = 5.0, 0.5
_MEMORY_WARN_GB, _MEMORY_FAIL_GB = 1.0, 0.3
_LIBRARIES = ("numpy", "numba", "polars", "msgspec", "picows")


def examine(terms: FeedTerms, directory: Path, listen_s: float = 5.0) -> Examination:
    """Looks at everything. Recordings would go to `directory`.

    Errors      BadInputError for an address that is none; ConfigurationError for half a key
    """
    check_feed(terms)
    made = Examination()
    made.findings += _machine(directory)
    reference = load_reference()
    feed = LiveFeed(terms, reference)
    try:
        feed.open()
        made.is_reachable = True
        for finding in venue_rows(feed, reference, listen_s):
            made.findings.append(finding)
    except VenueUnreachableError as error:
        made.findings.append(Finding("venue", Verdict.FAIL, str(error), "check address, network and key"))
    finally:
        feed.close()
    return made


def _machine(directory: Path) -> Iterator[Finding]:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    yield Finding("versions", Verdict.OK, f"flatbook {flatbook.__version__}, Python {python_version()}, {libraries}")
    there = next(path for path in (directory.resolve(), *directory.resolve().parents) if path.exists())
    yield graded(
        "disk",
        disk_usage(there).free / _GB,
        (_DISK_WARN_GB, _DISK_FAIL_GB),
        f"GB free at {there}",
        "make room: everything heard is recorded",
    )
    free_gb = _free_memory_gb()
    if free_gb is not None:
        limits = (_MEMORY_WARN_GB, _MEMORY_FAIL_GB)
        yield graded("memory", free_gb, limits, "GB free", "end what else runs here: a maker that swaps quotes late")


def _free_memory_gb() -> float | None:
    """What can be had without swapping; None where the system does not say."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    lines = dict(line.split(":", 1) for line in text.splitlines())
    return float(lines["MemAvailable"].split()[0]) * 1_024 / _GB
