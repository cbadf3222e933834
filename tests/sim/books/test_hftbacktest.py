"""The same quotes over the same book under the same models are filled as by hftbacktest: as recorded, and as now."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from bench.l2 import LOTS_A_TICK, SIZE_LOTS, STEP_NS, compiled, drawn_rows, fills_of, for_peer, quoting
from bench.peers.setup import python
from numpy.typing import NDArray

from flatbook.kernels.l2 import advance, cancel, submit
from flatbook.sim.books.tape import BookTerms, book_tape

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests" / "golden" / "hftbacktest_quotes.csv"
"""Version 2.4.4 on `drawn_rows(8_000)`: queue_power, exch_ts_ns, tick, side."""


def our_fills(count: int, seed: int, terms: BookTerms) -> NDArray[np.int64]:
    replay = book_tape(drawn_rows(count, seed)).replay(terms, orders=20_000)
    compiled(quoting(advance, submit, cancel))(replay, STEP_NS, SIZE_LOTS, LOTS_A_TICK)
    return fills_of(replay)


@pytest.mark.parametrize("power", [0, 3])
def test_our_fills_are_those_it_recorded(power: int) -> None:
    golden = np.loadtxt(GOLDEN, delimiter=",", skiprows=1, dtype=np.int64)
    golden = golden[golden[:, 0] == power, 1:]
    assert len(golden) > 80
    np.testing.assert_array_equal(our_fills(8_000, 1, BookTerms(queue_power=float(power))), golden)


@pytest.mark.slow
def test_our_fills_are_those_it_says_now(tmp_path: Path) -> None:
    asked = [str(python()), "-c", "import hftbacktest"]
    if not python().exists() or subprocess.run(asked, check=False, capture_output=True).returncode != 0:
        pytest.skip("hftbacktest is not here: python -m bench.peers.setup")
    terms = BookTerms(entry_ns=3_000_000, response_ns=1_000_000, queue_power=2.0)
    rows, found = tmp_path / "rows.npz", tmp_path / "fills.csv"
    np.savez(rows, **for_peer(book_tape(drawn_rows(20_000, 2)), terms))
    script = ROOT / "bench" / "peers" / "hft_quoting.py"
    subprocess.run([str(python()), str(script), str(rows), str(found)], check=True, capture_output=True)
    theirs = np.loadtxt(found, delimiter=",", skiprows=1, dtype=np.int64, ndmin=2)
    theirs = theirs[np.lexsort((theirs[:, 2], theirs[:, 0]))]
    assert len(theirs) > 200
    np.testing.assert_array_equal(our_fills(20_000, 2, terms), theirs)
