"""`flatbook rfq`: a two-sided price for a package, with its three parts."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flatbook.app.rfq import price_request
from flatbook.app.rfq_document import rfq_document, rfq_tables
from flatbook.cli.outcome import AsJson, one_line_errors, print_json, say
from flatbook.cli.value import AtOption, ChainOption, SessionOption, market_choice
from flatbook.domain.errors import LimitBreachedError

_HELP = """Price a package of legs on both sides: fair value, spread and inventory, which add up.

REQUEST is a JSON file: legs, a list of instrument and ratio (signed, the buyer's), or combo, a Deribit combo's name; \
size, in packages; and perhaps id, counterparty, ttl_s (how long the quote stands, default 10), competitors (makers \
who answer too), and delta_leg: instrument, with size (default: what takes all delta away) and price (default: the \
market's).

{"combo": "BTC-STRG-30JAN26-70000_90000", "size": 10, "delta_leg": {"instrument": "BTC-PERPETUAL"}}

The market is a chain file, calibrated, or a recorded session. The book's positions on the same underlying are what \
inventory is charged against; balances are collateral and do not count. A package that is not quoted says why, and \
ends with 3.
"""


def register(app: typer.Typer) -> None:
    """Adds `rfq` to the command line."""
    app.command("rfq", help=_HELP)(rfq)


def rfq(
    request: Annotated[Path, typer.Argument(metavar="REQUEST", help="What is asked for.", show_default=False)],
    chain: ChainOption = None,
    session: SessionOption = None,
    at: AtOption = None,
    book: Annotated[Path | None, typer.Option("--book", metavar="BOOK", help="What we hold; flat without.")] = None,
    policy: Annotated[str, typer.Option("--policy", metavar="NAME|FILE", help="The maker.")] = "advanced",
    as_json: AsJson = False,
) -> None:
    """See `_HELP`."""
    with one_line_errors():
        document = rfq_document(price_request(request, market_choice(chain, session, at), book, policy))
        for note in document["notes"]:
            say(note)
        if as_json:
            print_json(document)
        else:
            Console().print(rfq_tables(document))
        if document["refused"]:
            raise LimitBreachedError(f"no quote: {'; '.join(document['refused'])}")
