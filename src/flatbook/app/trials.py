"""Many runs, as many at once as the machine has cores for: each in a process of its own, each its own directory."""

import multiprocessing
import multiprocessing.queues
import os
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flatbook.app.finish import Finished
from flatbook.app.request import RunRequest
from flatbook.app.run import Observe, Run, UnderWay, carry_out, new_run
from flatbook.app.workers import end_with_parent
from flatbook.domain.errors import FlatbookError
from flatbook.report.contenders import Trial
from flatbook.report.statistics import hourly_changes

_LOOK_S = 0.1
_TELL_S = 0.2

Told = Callable[[int, float], None]
"""Takes the number of a planned run, and the share of it that is done."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One run to make: of which market, as whose, in which directory of the group."""

    request: RunRequest
    market: str
    run_id: str


def carry_out_one(planned: Planned, group: Path, observe: Observe) -> Trial:
    """Makes one run in this process.

    Errors      FlatbookError where an interrupt cut it short: what it came to does not compare
    """
    run = new_run(planned.request, group, planned.run_id)
    with observe(run) as watch:
        finished = carry_out(run, watch=watch)
    if finished.is_cut_short:
        raise FlatbookError(f"interrupted in {run.directory.path}: runs of different length do not compare")
    return Trial(planned.market, finished.summary, _hourly_usd(run, finished))


def carry_out_all(plan: Sequence[Planned], group: Path, jobs: int, told: Told) -> list[Trial]:
    """Makes every run of `plan`, `jobs` at a time, each in a process of its own; results in the order of the plan.

    Errors      FlatbookError where one fails or an interrupt comes: what was not begun is not, what was ends in order
    """
    context = multiprocessing.get_context("spawn")
    news: multiprocessing.queues.Queue[tuple[int, float]] = context.Queue()
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(news,))
    try:
        futures = [pool.submit(_in_worker, number, planned, group) for number, planned in enumerate(plan)]
        _wait(futures, news, told)
        return [future.result() for future in futures]
    except KeyboardInterrupt:
        raise FlatbookError(f"interrupted in {group}: runs of different length do not compare") from None
    finally:
        pool.shutdown(cancel_futures=True)


def processors() -> int:
    """How many runs this machine carries at once."""
    return os.cpu_count() or 1


def share_done(run: UnderWay) -> float:
    """How much of its span a run has behind it, from 0 to 1."""
    market = run.market
    return min(max((run.engine.state.now_ns - market.from_ns) / max(market.to_ns - market.from_ns, 1), 0.0), 1.0)


def _hourly_usd(run: Run, finished: Finished) -> NDArray[np.float64]:
    """P&L of each whole hour of the span asked for, the same hours for whoever was in that market."""
    equity, market = finished.frames["equity"], run.market
    times = np.concatenate([[market.from_ns], equity["ts_ns"].to_numpy(), [market.to_ns]])
    money = np.concatenate([[0.0], equity["equity_usd"].to_numpy(), [np.nan]])
    money[-1] = money[-2]
    return hourly_changes(times, money)


def _wait(futures: list[Future[Trial]], news: "multiprocessing.queues.Queue[tuple[int, float]]", told: Told) -> None:
    left = set(futures)
    while left:
        done, left = wait(left, timeout=_LOOK_S)
        while True:
            try:
                told(*news.get_nowait())
            except queue.Empty:
                break
        for future in done:
            if future.exception() is not None:
                return
            told(futures.index(future), 1.0)


_news: "multiprocessing.queues.Queue[tuple[int, float]] | None" = None


def _begin(news: "multiprocessing.queues.Queue[tuple[int, float]]") -> None:
    global _news
    _news = news
    end_with_parent()


def _in_worker(number: int, planned: Planned, group: Path) -> Trial:
    @contextmanager
    def observe(run: Run) -> Iterator[Callable[[], None]]:
        last = time.monotonic()

        def tell() -> None:
            nonlocal last
            if _news is not None and time.monotonic() - last > _TELL_S:
                last = time.monotonic()
                _news.put((number, share_done(run)))

        yield tell

    return carry_out_one(planned, group, observe)
