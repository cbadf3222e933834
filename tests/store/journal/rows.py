"""What tests write into journals."""

from pathlib import Path

from flatbook.domain.events import Fill
from flatbook.store.journal import JOURNAL_FILE, Journal, RunHeader

HEADER = RunHeader(
    run_id="r-1", version="0.1.0", config_json='{"seed": 7}', policy_text="[quote]\n", seed=7, session_digest="ab" * 32
)


def fill(at: int, trade_id: str = "t") -> Fill:
    """A fill of ours that we learn of at `at` + 1."""
    return Fill(
        exch_ts_ns=at,
        local_ts_ns=at + 1,
        venue="deribit",
        trade_id=trade_id,
        order_id="q1",
        instrument="BTC-11APR25-80000-C",
        side=-1,
        price_ticks=501,
        size_lots=3,
        fee_units=-30,
        is_maker=True,
    )


def write_records(journal: Journal, count: int) -> None:
    """So many records: a fill and a checkpoint after event 10, 20 and so on."""
    for seq in range(1, count + 1):
        journal.append(seq, fill(seq, f"t{seq}"))
        journal.checkpoint(seq * 10, seq, bytes([seq % 256]) * 8)
        journal.commit()


def written(directory: Path, count: int) -> Path:
    """A closed journal of so many records."""
    with Journal.create(directory / JOURNAL_FILE, HEADER) as journal:
        write_records(journal, count)
    return directory / JOURNAL_FILE
