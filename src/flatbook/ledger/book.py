"""The books: events come in, entries go out, and the sums stay.

How contracts meet cash: an option's premium is paid when it trades; a future or perpetual costs nothing, its P&L is
paid as it is realised, settled or delivered, and until then its open cost is a debt between us and the venue. Spot
exchanges one cash for another and leaves no position. Hence, in each currency,

    P&L  =  cash - capital - open basis + value of every open lot

where the first three are exact integers (`carried_units`) and only the last is a valuation.

Entries are handed to the caller and not kept; what grows is the set of booked trade ids.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction

import msgspec

from flatbook.domain.errors import BadInputError
from flatbook.domain.events import DailySettlement, Delivery, Fill, FundingPaid, FundingRate, PackageFill, Payoff
from flatbook.domain.instruments import Kind, format_expiry
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.domain.units import exact_units, units_per_coin
from flatbook.ledger import amounts, funding, positions
from flatbook.ledger.accounts import Accounts, FlowTotals, expect
from flatbook.ledger.changes import Change, postings_of
from flatbook.ledger.entries import Account, AccountKind, Cause, Entry, VenueFee, swap
from flatbook.ledger.holdings import Holdings, is_margined
from flatbook.ledger.positions import Position, PositionKey


class Ledger:
    """Double-entry books over all venues and strategies.

    `strategies` are the names that may own positions. A method that raises has changed nothing.
    """

    def __init__(self, reference: ReferenceData, strategies: Iterable[str]) -> None:
        self._reference = reference
        self._strategies = frozenset(strategies)
        self._accounts = Accounts()
        # Each size equals the balance of its position account.
        self._holdings = Holdings()
        self._booked_trades: dict[str, set[str]] = {}
        # Newest funding event booked, by venue and instrument.
        self._funded_to_ns: dict[tuple[str, str], int] = {}

    def deposit(self, venue: str, currency: str, units: int, ts_ns: int) -> Entry:
        """Capital paid in at `venue` (negative: taken out)."""
        units_per_coin(currency)
        postings = swap(Account(AccountKind.CAPITAL, venue), Account(AccountKind.CASH, venue), currency, units)
        return self._post(Entry(exch_ts_ns=ts_ns, cause=Cause.TRANSFER, reference=venue, postings=postings))

    def book_fill(self, fill: Fill, strategy: str) -> Entry | None:
        """Books a fill of ours once: None where the venue's trade id is booked already.

        Errors      BadInputError for an unknown strategy, a side or a size; UnknownInstrumentError
        """
        booked = self._booked_trades.setdefault(fill.venue, set())
        if fill.trade_id in booked:
            return None
        self._check_fill(fill, strategy)
        instrument = self._reference.instrument(fill.instrument)
        if instrument.contract.kind is Kind.SPOT:
            entry = self._exchange(fill, strategy, instrument)
        else:
            entry = self._book(Cause.TRADE, fill.exch_ts_ns, fill.trade_id, self._traded(fill, strategy, instrument))
        booked.add(fill.trade_id)
        return entry

    def book_fee(self, fee: VenueFee, strategy: str) -> Entry | None:
        """Books a trade's fee that was taken in another currency than the contract's, once: None where it is booked.

        Errors      BadInputError for a currency that is not known
        """
        units_per_coin(fee.currency)
        booked = self._booked_trades.setdefault(fee.venue, set())
        reference = f"{fee.trade_id} fee in {fee.currency}"
        if reference in booked:
            return None
        booked.add(reference)
        cash, fees = Account(AccountKind.CASH, fee.venue), Account(AccountKind.FEES, fee.venue, strategy)
        postings = swap(cash, fees, fee.currency, fee.units)
        return self._post(Entry(exch_ts_ns=fee.exch_ts_ns, cause=Cause.TRADE, reference=reference, postings=postings))

    def book_package(self, package: PackageFill, strategy_of: Callable[[str], str]) -> tuple[Entry, ...] | None:
        """Books the legs of one trade together, all or none, once: None where its trade id is booked already.

        `strategy_of` says whose position an instrument's is.

        Errors      as of `book_fill`; BadInputError for no legs, one instrument twice, or a leg booked by itself before
        """
        booked = self._booked_trades.setdefault(package.venue, set())
        if package.trade_id in booked:
            return None
        ids = {fill.trade_id for fill in package.fills}
        names = {fill.instrument for fill in package.fills}
        if not names or min(len(names), len(ids)) < len(package.fills) or ids & booked:
            raise BadInputError(
                f"package {package.trade_id}: its {len(package.fills)} legs are not one fill of each of "
                f"{', '.join(sorted(names)) or 'no instrument'}, new to the books; nothing is booked"
            )
        changes = []
        for fill in package.fills:
            strategy = strategy_of(fill.instrument)
            self._check_fill(fill, strategy)
            kinds = (Kind.OPTION, Kind.FUTURE, Kind.PERPETUAL)
            changes.append(self._traded(fill, strategy, self._contract(fill.instrument, "a package's leg", *kinds)))
        booked |= ids | {package.trade_id}
        return self._book_all(Cause.TRADE, package.exch_ts_ns, package.trade_id, changes)

    def book_funding(self, event: FundingRate, venue: str, price_usd: float) -> tuple[Entry, ...]:
        """Pays a perpetual's funding on what `venue` holds, an entry for each strategy; once for each event time.

        `price_usd` turns size into notional: coin where the contract is inverse, settlement currency where linear.

        Errors      BadInputError for another kind of contract, or a rate or price that is not one
        """
        instrument = self._contract(event.instrument, "funding", Kind.PERPETUAL)
        price = amounts.printed_price(price_usd, f"{event.instrument}: price at funding")
        rate = amounts.printed_decimal(event.rate, f"{event.instrument}: funding rate")
        if event.exch_ts_ns <= self._funded_to_ns.get((venue, event.instrument), -1):
            return ()
        self._funded_to_ns[venue, event.instrument] = event.exch_ts_ns
        changes = funding.reckoned(self._holdings, venue, instrument, price, rate)
        return self._book_all(Cause.FUNDING, event.exch_ts_ns, event.instrument, changes)

    def book_funding_paid(self, event: FundingPaid, venue: str, holder: str) -> tuple[Entry, ...]:
        """Books funding in the units that the venue paid, shared by size among who holds the perpetual at `venue`; once
        for each payment. Where the net is flat by now it is `holder`'s.

        Errors      BadInputError for another kind of contract
        """
        instrument = self._contract(event.instrument, "funding", Kind.PERPETUAL)
        booked, reference = self._booked_trades.setdefault(venue, set()), f"funding:{event.payment_id}"
        if reference in booked:
            return ()
        booked.add(reference)
        changes = funding.told(self._holdings, venue, instrument, event.units, holder)
        return self._book_all(Cause.FUNDING, event.exch_ts_ns, event.instrument, changes)

    def book_daily_settlement(self, event: DailySettlement, venue: str) -> tuple[Entry, ...]:
        """Pays a future's or perpetual's open P&L at the event's price, which becomes its cost.

        Errors      BadInputError for another kind of contract or a price that is not one
        """
        instrument = self._contract(event.instrument, "daily settlement", Kind.PERPETUAL, Kind.FUTURE)
        price = amounts.printed_price(event.price_usd, f"{event.instrument}: settlement price")
        held = self._holdings.held(venue, event.instrument)
        per_lot = amounts.lot_value_units(instrument, price)
        changes = []
        for (key, before), value in zip(held, amounts.shares_of_net(per_lot, _sizes(held)), strict=True):
            after = positions.apply_settlement(before, value)
            paid = after.realised_units - before.realised_units
            changes.append(Change(key, instrument, before, after, ((AccountKind.SETTLEMENT, paid),)))
        return self._book_all(Cause.SETTLEMENT, event.exch_ts_ns, event.instrument, changes)

    def book_delivery(self, event: Delivery, venue: str) -> tuple[Entry, ...]:
        """Delivers every listed option and dated future of the expiry that `venue` holds, all on the event's one price.

        All legs are worked out before the first is booked. Where nothing is held there is nothing to do, so the event
        may be booked again, which delivers fills that became known after it.

        Errors      BadInputError for a price that is not one
        """
        expiry = f"{event.underlying}-{format_expiry(event.expiry_ns)}"
        price = amounts.printed_price(event.price_usd, f"{expiry}: delivery price")
        changes: list[Change] = []
        for instrument in self._holdings.expiring(event.underlying, event.expiry_ns):
            changes += self._deliver(venue, instrument, price)
        return self._book_all(Cause.DELIVERY, event.exch_ts_ns, expiry, changes)

    def book_payoff(self, event: Payoff, venue: str) -> tuple[Entry, ...]:
        """Pays what a contract over the counter came to on all that `venue` holds of it, which ends it.

        Where nothing is held there is nothing to do, so the event may be booked again.

        Errors      BadInputError for another kind of contract, or an amount that is not one
        """
        instrument = self._contract(event.instrument, "a payoff", Kind.OTC)
        amount = amounts.printed_decimal(event.amount, f"{event.instrument}: payoff")
        held = self._holdings.held(venue, event.instrument)
        per_lot = amounts.lot_payoff_units(instrument, amount)
        changes = []
        for (key, before), received in zip(held, amounts.shares_of_net(per_lot, _sizes(held)), strict=True):
            after = positions.apply_delivery(before, received, 0)
            changes.append(Change(key, instrument, before, after, ((AccountKind.DELIVERY, received),)))
        return self._book_all(Cause.DELIVERY, event.exch_ts_ns, event.instrument, changes)

    @property
    def venues(self) -> tuple[str, ...]:
        """Where anything was ever booked, sorted."""
        return self._accounts.venues()

    def balance(self, venue: str, currency: str) -> int:
        """Cash at `venue`."""
        return self._accounts.balance(Account(AccountKind.CASH, venue), currency)

    def balances(self) -> dict[str, int]:
        """Cash over all venues, by currency."""
        return {currency: self.cash_units(currency) for currency in self._accounts.commodities(AccountKind.CASH)}

    def cash_units(self, currency: str) -> int:
        """Cash over all venues."""
        return self._accounts.total(AccountKind.CASH, currency)

    def open_basis_units(self, currency: str) -> int:
        """Cost of all open futures and perpetuals settled in `currency`: what their value is measured against."""
        return self._holdings.open_basis_units(currency)

    def carried_units(self, currency: str) -> int:
        """P&L so far as it is fact: add the value of every open lot for P&L at market.

        That is cash less capital, less the basis of open futures and perpetuals. How fast cost turned into realised
        P&L does not show in it, so it is free of average-cost rounding.
        """
        flows = self.totals(currency)
        return flows.cash_units - flows.capital_units - self.open_basis_units(currency)

    def totals(self, currency: str) -> FlowTotals:
        """Flows by cause over all venues and strategies."""
        return self._accounts.flows(currency)

    def positions(self) -> Mapping[PositionKey, Position]:
        """Every position that ever was, flat ones too; a live view, read-only."""
        return self._holdings.positions()

    def positions_in(self, instrument: str) -> list[tuple[PositionKey, Position]]:
        """Every position that ever was in one instrument, by venue and strategy."""
        return self._holdings.positions_in(instrument)

    def net_lots(self, instrument: str) -> int:
        """Size over all venues and strategies."""
        return self._holdings.open_lots().get(instrument, 0)

    def open_lots(self) -> Mapping[str, int]:
        """Net size of every instrument that is not flat; a live view, read-only."""
        return self._holdings.open_lots()

    def digest_bytes(self) -> bytes:
        """The whole state in one canonical form: equal books give equal bytes, whatever the order they came about."""
        booked = sorted((venue, sorted(ids)) for venue, ids in self._booked_trades.items() if ids)
        funded = sorted(self._funded_to_ns.items())
        return msgspec.json.encode([self._accounts.canonical(), self._holdings.canonical(), booked, funded])

    def invariant(self) -> None:
        """Proves the books: accounts sum to zero, positions are their accounts, and cash is what positions moved.

        Errors      UnbalancedEntryError naming the first sum that is off
        """
        self._accounts.invariant()
        self._holdings.invariant()
        for key, position in self.positions().items():
            account = Account(AccountKind.POSITION, key.venue, key.strategy)
            expect(f"size of {key}", position.size_lots, self._accounts.balance(account, key.instrument))
        for currency, units in self._holdings.realised_cash_units().items():
            flows = self.totals(currency)
            moved = flows.premium_units + flows.variation_units + flows.settlement_units + flows.delivery_units
            expect(f"{currency} moved by positions", moved, units)

    def _check_fill(self, fill: Fill, strategy: str) -> None:
        if strategy not in self._strategies:
            known = ", ".join(sorted(self._strategies))
            raise BadInputError(f"trade {fill.trade_id}: strategy {strategy!r} is not one of {known}")
        if fill.side not in (1, -1):
            raise BadInputError(f"trade {fill.trade_id}: side is {fill.side}; +1 bought, -1 sold")
        if fill.size_lots <= 0:
            raise BadInputError(f"trade {fill.trade_id}: size is {fill.size_lots} lots; it needs at least one")

    def _contract(self, name: str, what: str, *kinds: Kind) -> Instrument:
        instrument = self._reference.instrument(name)
        if instrument.contract.kind not in kinds:
            asked = " or ".join(kinds)
            raise BadInputError(f"{name}: {what} belongs to a {asked}, this is a {instrument.contract.kind}")
        return instrument

    def _traded(self, fill: Fill, strategy: str, instrument: Instrument) -> Change:
        """What a fill does to its position, which is not booked yet."""
        lots = fill.side * fill.size_lots
        value_units = instrument.value_units(fill.price_ticks, lots)
        key = PositionKey(fill.venue, strategy, fill.instrument)
        before = self._holdings.get(key)
        after = positions.apply_trade(before, lots, value_units, fill.fee_units)
        if is_margined(instrument):
            traded = (AccountKind.VARIATION, after.realised_units - before.realised_units)
        else:
            traded = (AccountKind.PREMIUM, -value_units)
        return Change(key, instrument, before, after, (traded, (AccountKind.FEES, -fill.fee_units)))

    def _exchange(self, fill: Fill, strategy: str, instrument: Instrument) -> Entry:
        contract, lots = instrument.contract, fill.side * fill.size_lots
        cash = Account(AccountKind.CASH, fill.venue)
        exchange = Account(AccountKind.EXCHANGE, fill.venue, strategy)
        fees = Account(AccountKind.FEES, fill.venue, strategy)
        postings = (
            *swap(exchange, cash, contract.base, lots * exact_units(instrument.spec.lot, contract.base)),
            *swap(cash, exchange, contract.settle, instrument.value_units(fill.price_ticks, lots)),
            *swap(cash, fees, contract.settle, fill.fee_units),
        )
        entry = Entry(exch_ts_ns=fill.exch_ts_ns, cause=Cause.TRADE, reference=fill.trade_id, postings=postings)
        return self._post(entry)

    def _deliver(self, venue: str, instrument: Instrument, price: Fraction) -> list[Change]:
        held = self._holdings.held(venue, instrument.name)
        proceeds = amounts.shares_of_net(amounts.lot_value_units(instrument, price), _sizes(held))
        fees = amounts.shares_of_fee(amounts.lot_delivery_fee_units(instrument, price), _sizes(held))
        changes = []
        for (key, before), received, fee in zip(held, proceeds, fees, strict=True):
            after = positions.apply_delivery(before, received, fee)
            paid = received - before.cost_units if is_margined(instrument) else received
            flows = ((AccountKind.DELIVERY, paid), (AccountKind.FEES, -fee))
            changes.append(Change(key, instrument, before, after, flows))
        return changes

    def _book_all(self, cause: Cause, exch_ts_ns: int, reference: str, changes: Sequence[Change]) -> tuple[Entry, ...]:
        entries = [self._book(cause, exch_ts_ns, reference, change) for change in changes]
        return tuple(entry for entry in entries if entry.postings)

    def _book(self, cause: Cause, exch_ts_ns: int, reference: str, change: Change) -> Entry:
        entry = Entry(exch_ts_ns=exch_ts_ns, cause=cause, reference=reference, postings=postings_of(change))
        self._holdings.put(change.key, change.instrument, change.after)
        return self._post(entry)

    def _post(self, entry: Entry) -> Entry:
        self._accounts.post(entry.postings)
        return entry


def _sizes(held: Sequence[tuple[PositionKey, Position]]) -> list[int]:
    return [position.size_lots for _, position in held]
