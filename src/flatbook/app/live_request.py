"""What a live run was asked for, and where its books begin: everything but its key."""

import hashlib

import msgspec

from flatbook.app.compose import margin_rules, refuse_other_coins
from flatbook.app.feed import FeedTerms
from flatbook.app.live_venue import LiveTerms
from flatbook.domain.errors import ConfigurationError
from flatbook.domain.reference import ReferenceData
from flatbook.engine.opening import refuse_what_no_run_holds
from flatbook.engine.policy import Policy
from flatbook.engine.setup import Setup
from flatbook.policies import parse_policy
from flatbook.valuation.portfolio import BookPosition, Portfolio
from flatbook.venues.deribit import cheaper_side_discount
from flatbook.venues.deribit.codec_requests import Credentials
from flatbook.venues.deribit.maker_terms import MakerTerms, protection_of
from flatbook.venues.deribit.statement import Statement

VENUE = "deribit"


class Holding(msgspec.Struct, frozen=True):
    """A position that the account begins with: lots, long positive, booked at `price_ticks`."""

    instrument: str
    lots: int
    price_ticks: int


class LiveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A live run, without its key: everything that its journal needs to be read again.

    capital_units   what the books deposit, so that with the holdings they say what the venue said
    on_venue_clock  of `app.feed.FeedTerms`
    warm_up_s       how long the market is heard before the books begin
    key             digest of the key's id: whose account it is
    traded          ids of trades just before it began: what the account held then has them
    """

    policy: str
    policy_text: str
    url: str
    underlying: str = "BTC"
    on_venue_clock: bool = False
    warm_up_s: float = 0.0
    key: str = ""
    run: str = ""
    from_ns: int = 0
    capital_units: int = 0
    holdings: tuple[Holding, ...] = ()
    traded: tuple[str, ...] = ()


def check_policy(request: LiveRequest) -> Policy:
    """The policy, where a live run can keep it.

    Errors      ConfigurationError
    """
    policy = parse_policy(request.policy_text, request.policy)
    if not policy.protection.mmp_at_venue:
        raise ConfigurationError(
            f"{request.policy}: protection.mmp_at_venue is false, and mass quotes need the venue's protection; set it"
        )
    if policy.rfq.answers:
        raise ConfigurationError(f"{request.policy}: rfq.answers is set, and a live run answers no requests; leave it")
    refuse_other_coins(policy)
    return policy


def terms_of(request: LiveRequest, credentials: Credentials) -> LiveTerms:
    """How a request trades."""
    policy = check_policy(request)
    protection, quote_coin = policy.protection, policy.quoting.size_coin
    index = f"{request.underlying.lower()}_usd"
    window_s, rest_s = _whole_s(protection.mmp_window_s), _whole_s(protection.mmp_rest_s)
    asked = protection_of(
        index,
        window_s,
        rest_s,
        quantity_coin=protection.mmp_quantity_coin,
        quote_coin=quote_coin,
        delta_coin=protection.mmp_delta_coin,
        vega_usd=protection.mmp_vega_usd,
    )
    feed = FeedTerms(url=request.url, currencies=(request.underlying,), on_venue_clock=request.on_venue_clock)
    maker = MakerTerms(underlying=request.underlying, run=request.run, protection=asked)
    return LiveTerms(feed, credentials, maker, request.warm_up_s)


def begun(request: LiveRequest, statement: Statement, reference: ReferenceData, now_ns: int) -> LiveRequest:
    """The request with what the account holds, so booked that cash less open cost is the statement's."""
    holdings = []
    units = statement.carried_units.get(request.underlying, 0)
    for position in statement.positions:
        instrument = reference.instrument(position.instrument_name)
        lots, ticks = statement.lots[instrument.name], round(position.mark_price / instrument.tick_size)
        units += instrument.value_units(ticks, lots)
        holdings.append(Holding(instrument.name, lots, ticks))
    return msgspec.structs.replace(request, from_ns=now_ns, capital_units=units, holdings=tuple(holdings))


def setup_of(request: LiveRequest, policy: Policy, reference: ReferenceData) -> Setup:
    """The engine's setup of a run that has begun.

    Errors      BadInputError where the account holds what no run does
    """
    positions = []
    for held in request.holdings:
        instrument = reference.instrument(held.instrument)
        price = held.price_ticks * instrument.tick_size
        size = held.lots * instrument.lot_size
        positions.append(BookPosition(instrument, size, price, source=f"the account at {request.url}"))
    setup = Setup(
        underlying=request.underlying,
        venue=VENUE,
        reference=reference,
        policy=policy,
        trade_from_ns=request.from_ns,
        capital_units=request.capital_units,
        book=Portfolio(positions) if positions else None,
        margin=margin_rules(policy, VENUE, request.from_ns),
        cheaper_side_discount=cheaper_side_discount(),
        funding_is_told=True,
    )
    if setup.book is not None:
        refuse_what_no_run_holds(setup.book, setup)
    return setup


def digest_of(credentials: Credentials) -> str:
    """Of a key's id: whose it is, and not what it is."""
    return hashlib.sha256(credentials.client_id.encode()).hexdigest()[:16]


def _whole_s(seconds: float) -> int:
    """Up to whole seconds, which the venue counts in."""
    return -int(-seconds // 1)
