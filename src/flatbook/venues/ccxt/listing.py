"""ccxt's markets as our instruments. Pure.

A contract is named by its venue and by what it is, `okx:BTC_USDT-PERPETUAL`: venues trade one contract in different
lots, and the books know one instrument by one name. What the ledger cannot hold is set aside, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from flatbook.domain.errors import BadInputError, UnknownInstrumentError
from flatbook.domain.instruments import ContractName, Kind
from flatbook.domain.reference import ContractSpec, Fees, Instrument, TickSteps
from flatbook.domain.units import DECIMALS, exact_units
from flatbook.venues.ccxt.accounts import Account
from flatbook.venues.ccxt.amounts import NS_PER_MS, exact

_KINDS = {"spot": Kind.SPOT, "swap": Kind.PERPETUAL, "future": Kind.FUTURE}


class Listed(NamedTuple):
    """An instrument and what the venue calls it; `per_amount` coins, or USD, are one of its amounts."""

    instrument: Instrument
    symbol: str
    market_id: str
    per_amount: Decimal

    def amount(self, size_lots: int) -> Decimal:
        """Lots as the venue counts."""
        return self.instrument.spec.lot * size_lots / self.per_amount

    def price(self, price_ticks: int) -> Decimal:
        """Ticks as a price."""
        return self.instrument.spec.ticks.finest * price_ticks


class Listing:
    """A venue's contracts by its symbols and by our names."""

    def __init__(self, account: Account, markets: Iterable[Mapping[str, Any]], seen_ns: int, source: str) -> None:
        self.account = account
        self.set_aside: Counter[str] = Counter()
        self._by_symbol: dict[str, Listed] = {}
        self._by_name: dict[str, Listed] = {}
        for market in markets:
            try:
                listed = _listed(account, market, seen_ns, source)
            except BadInputError as error:
                self.set_aside[str(error)] += 1
                continue
            if listed.instrument.name in self._by_name:
                self.set_aside["another contract of the same terms"] += 1
                continue
            self._by_symbol[listed.symbol] = self._by_name[listed.instrument.name] = listed

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def names(self) -> tuple[str, ...]:
        """Every instrument's."""
        return tuple(self._by_name)

    @property
    def has_contracts(self) -> bool:
        """Whether anything but spot is listed."""
        return any(one.instrument.contract.kind is not Kind.SPOT for one in self._by_name.values())

    def named(self, name: str) -> Listed:
        """By our name.

        Errors      UnknownInstrumentError
        """
        listed = self._by_name.get(name)
        if listed is None:
            raise UnknownInstrumentError(f"instrument {name!r} is not listed by {self.account.name}")
        return listed

    def of(self, symbol: str) -> Listed | None:
        """By ccxt's symbol; None for one that was set aside."""
        return self._by_symbol.get(symbol)


def _listed(account: Account, market: Mapping[str, Any], seen_ns: int, source: str) -> Listed:
    kind = _KINDS.get(market["type"])
    if kind is None or market.get("quanto"):
        raise BadInputError("neither spot, nor a linear or inverse future")
    base, quote = market["base"], market["quote"]
    settle = quote if kind is Kind.SPOT else market["settle"]
    if settle not in DECIMALS or (kind is Kind.SPOT and base not in DECIMALS):
        raise BadInputError("a currency that the ledger does not know")
    if kind is not Kind.SPOT and settle not in (base, quote):
        raise BadInputError("settles in a third currency")
    expiry_ms = market.get("expiry") if kind is Kind.FUTURE else None
    contract = ContractName(kind, base, quote, settle, None if expiry_ms is None else int(expiry_ms) * NS_PER_MS)
    step = exact(market["precision"]["amount"], "amount step")
    has_contracts = kind is not Kind.SPOT and account.in_contracts
    per_amount = exact(market["contractSize"], "contract size") if has_contracts else Decimal(1)
    maker, taker = exact(market["maker"], "maker's fee"), exact(market["taker"], "taker's fee")
    spec = ContractSpec(
        ticks=TickSteps(exact(market["precision"]["price"], "price step")),
        lot=step * per_amount,
        # The library has no delivery fee: a dated future is taken to pay the taker's.
        fees=Fees(maker, taker, taker if kind is Kind.FUTURE else Decimal(0)),
        effective_ns=seen_ns,
        source=source,
    )
    if kind is Kind.SPOT:
        exact_units(spec.lot, base)
    instrument = Instrument(f"{account.name}:{contract}", contract, spec)
    return Listed(instrument, market["symbol"], str(market["id"]), per_amount)
