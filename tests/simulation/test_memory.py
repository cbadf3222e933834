"""A long run's memory: what it holds after its first day or hour grows by its series and its ids, and by no more."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.served import compile_kernels

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.soak
@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc, which is not here"
)
@pytest.mark.parametrize(("what", "length", "most_mib"), [("run", 5, 12.0), ("client", 6, 3.0)])
def test_what_a_long_run_holds_grows_by_little(what: str, length: int, most_mib: float) -> None:
    """Twice what was measured of a client: 1.5 MiB an hour over its first three, the exchange in the same process."""
    # Compiling takes hundreds of MiB that are free afterwards, and would hide what grows into them.
    compile_kernels()
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.resident", what, f"{length}"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    held = [float(line) for line in done.stdout.split()]
    assert len(held) >= length
    growth = (held[-1] - held[0]) / (len(held) - 1)
    assert growth <= most_mib, f"{growth:.1f} MiB a {'day' if what == 'run' else 'hour'}: {held}"
