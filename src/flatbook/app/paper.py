"""A paper run: a venue's real feed, and our quotes and orders met by a model of fills on this machine."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from flatbook.app.compose import compose, refuse_other_coins
from flatbook.app.feed import FeedTerms, LiveFeed
from flatbook.app.heard import SESSION_DIRECTORY, Heard
from flatbook.app.latency import LatencyWatch
from flatbook.app.markets import NEVER_NS
from flatbook.app.naming import stamped_name
from flatbook.app.record import check_feed
from flatbook.app.request import RunRequest
from flatbook.app.run import Live, Run, begun_run, make_directory
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_HOUR, NS_PER_SECOND
from flatbook.policies import parse_policy
from flatbook.venues.deribit import load_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRequest:
    """A maker (`run`: policy, fill model, seed, book) on a feed.

    warm_up_s   how long the market is heard before anything is quoted, on the market's clock
    trade_s     how long it is traded then; None is until it is stopped
    """

    run: RunRequest
    feed: FeedTerms
    warm_up_s: float = 120.0
    trade_s: float | None = None


def check_request(asked: PaperRequest) -> None:
    """Errors before anything is opened.

    Errors      BadInputError; ConfigurationError for a policy or half a key
    """
    check_feed(asked.feed)
    refuse_other_coins(parse_policy(asked.run.policy_text, asked.run.policy))
    if not asked.warm_up_s > 0:
        raise BadInputError(f"--warm-up {asked.warm_up_s:g}: use more than 0 seconds: nothing is known at first")
    if asked.trade_s is not None and not asked.trade_s > 0:
        raise BadInputError(f"--for {asked.trade_s:g}: use more than 0 seconds")


@contextmanager
def paper_run(asked: PaperRequest, runs: Path, journal_url: str | None = None) -> Iterator[Run]:
    """A run in a new directory in `runs`, on a feed that is open; in the end its recording is made whole.

    The journal is as of `new_run`.

    Errors      as of `check_request`; VenueUnreachableError, and then no directory is made
    """
    check_request(asked)
    reference = load_reference()
    feed = LiveFeed(asked.feed, reference)
    feed.open()
    try:
        name = parse_policy(asked.run.policy_text, asked.run.policy).name
        run_id = stamped_name(runs, name, is_shared=journal_url is not None)
        directory = make_directory(runs, run_id)
        session = directory.path / SESSION_DIRECTORY
        request = _request(asked, session, feed.now_ns)
        heard = Heard(feed, session, reference, request.to_ns or NEVER_NS)
        market, engine = compose(request, heard.market_events())
        live = Live(feed.stop, LatencyWatch(lambda: feed.arrived_ns))
        with closing(heard):
            yield begun_run(request, market, engine, directory, journal_url, live)
    finally:
        feed.close()


def _request(asked: PaperRequest, session: Path, now_ns: int) -> RunRequest:
    from_ns = now_ns + round(asked.warm_up_s * NS_PER_SECOND)
    return msgspec.structs.replace(
        asked.run,
        session=str(session),
        from_ns=from_ns,
        to_ns=None if asked.trade_s is None else from_ns + round(asked.trade_s * NS_PER_SECOND),
        warm_up_hours=asked.warm_up_s * NS_PER_SECOND / NS_PER_HOUR,
        heard_at=asked.feed.url,
    )
