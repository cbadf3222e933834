"""A long run in a process of its own, and the memory that it holds: MiB after each day, or each hour, on a line.

python -m tests.simulation.resident run 3         three days of the simulated market in process
python -m tests.simulation.resident client 6      six hours of a maker at the exchange, its client and journal
"""

import sys
import tempfile
from pathlib import Path

from flatbook.app.request import RunRequest
from flatbook.app.run import carry_out, new_run
from flatbook.domain.units import NS_PER_DAY
from flatbook.policies import read_policy
from tests.simulation.world import World

_STATM = Path("/proc/self/statm")
_PAGE_MIB = 4_096 / 2**20


def resident_mib() -> float:
    """What this process holds."""
    return int(_STATM.read_text(encoding="utf-8").split()[1]) * _PAGE_MIB


def run_days(days: int, folder: Path) -> None:
    """Runs `advanced` in the simulated market; a line a day."""
    request = RunRequest(policy="advanced", policy_text=read_policy("advanced")[1], seed=1, hours=24.0 * days)
    run, seen = new_run(request, folder), 0

    def watch() -> None:
        nonlocal seen
        day = (run.engine.state.now_ns - run.market.from_ns) // NS_PER_DAY
        if day > seen:
            seen = day
            print(f"{resident_mib():.1f}", flush=True)  # noqa: T201 - what it is for

    carry_out(run, watch=watch)
    print(f"{resident_mib():.1f}", flush=True)  # noqa: T201 - what it is for


def client_hours(hours: int, folder: Path) -> None:
    """Runs a maker at the exchange, both in this process; a line an hour."""
    world = World(1, folder, hours=hours + 1)
    for _ in range(hours):
        for _ in range(60):
            world.run(60)
            world.program.kept.clear()  # the test's own
        print(f"{resident_mib():.1f}", flush=True)  # noqa: T201 - what it is for
    world.program.spool.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        {"run": run_days, "client": client_hours}[sys.argv[1]](int(sys.argv[2]), Path(place))
