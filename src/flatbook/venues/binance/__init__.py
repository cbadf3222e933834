"""Binance as a venue to hedge at: its coin-margined perpetuals, with fees as dated data."""

import tomllib
from decimal import Decimal
from importlib import resources

from flatbook.domain.instruments import Kind, parse_name
from flatbook.domain.reference import ContractSpec, Fees, Instrument, TickSteps
from flatbook.domain.units import parse_utc

NAME = "binance"


def coin_margined_perpetual(name: str, known_as: str, tick: str, lot_usd: Decimal) -> Instrument:
    """The perpetual that the house's language calls `name`, under the name `known_as`.

    `tick` is in USD a coin, a decimal in text; a lot is of `lot_usd`.
    """
    text = resources.files(__name__).joinpath("fees.toml").read_text(encoding="utf-8")
    row = tomllib.loads(text)["coin_m_perpetual"]
    contract = parse_name(name)
    assert contract.kind is Kind.PERPETUAL
    assert contract.is_inverse
    spec = ContractSpec(
        ticks=TickSteps(Decimal(tick)),
        lot=lot_usd,
        fees=Fees(maker=Decimal(row["maker"]), taker=Decimal(row["taker"]), delivery=Decimal(0)),
        effective_ns=parse_utc(row["effective"]),
        source=row["source"],
    )
    return Instrument(known_as, contract, spec)
