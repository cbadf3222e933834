"""From a request to the market it names and an engine at its start."""

from decimal import Decimal

from flatbook.app.markets import OpenMarket, open_market
from flatbook.app.request import RunRequest
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import exact_units
from flatbook.engine.loop import Engine
from flatbook.engine.setup import Setup
from flatbook.policies import parse_policy
from flatbook.store.journal import RunHeader
from flatbook.venues.deribit import load_reference


def compose(request: RunRequest, header: RunHeader | None = None) -> tuple[OpenMarket, Engine]:
    """The market that a request names, and an engine at its start; with `header`, the market of that run and no other.

    Errors      BadInputError where the session cannot be used, or is not the one that `header` names by digest
    """
    reference = load_reference()
    policy = parse_policy(request.policy_text, request.policy)
    market = open_market(request, reference)
    if header is not None and market.session_digest != header.session_digest:
        raise BadInputError(
            f"{request.session}: has changed since run {header.run_id} was made from it (digest "
            f"{market.session_digest}, then {header.session_digest}); put it back, or start another run"
        )
    setup = Setup(
        underlying=request.underlying,
        venue=market.venue_name,
        reference=reference,
        policy=policy,
        trade_from_ns=market.from_ns,
        capital_units=exact_units(Decimal(str(request.capital_coin)), request.underlying),
    )
    return market, Engine(setup)
