"""Positions by venue, strategy and instrument, and the sums over them that are asked for all the time."""

from collections.abc import Mapping
from types import MappingProxyType

from flatbook.domain.instruments import Kind
from flatbook.domain.reference import Instrument
from flatbook.ledger.accounts import expect
from flatbook.ledger.positions import Position, PositionKey

FLAT = Position()


class Holdings:
    """Positions, the net size by instrument and the open basis by currency; they only ever change by `put`."""

    def __init__(self) -> None:
        # Flat positions stay, for what they realised.
        self._positions: dict[PositionKey, Position] = {}
        # By instrument, who ever held it: the instrument and its keys, sorted.
        self._holders: dict[str, tuple[Instrument, list[PositionKey]]] = {}
        # Sums of sizes; instruments whose sum is zero are left out.
        self._open_lots: dict[str, int] = {}
        # Sums of the costs of futures and perpetuals, by settlement currency.
        self._open_basis: dict[str, int] = {}

    def get(self, key: PositionKey) -> Position:
        """The position, flat where there never was one."""
        return self._positions.get(key, FLAT)

    def put(self, key: PositionKey, instrument: Instrument, position: Position) -> None:
        """Replaces a position."""
        before = self._positions.get(key)
        if before is None:
            before = FLAT
            _, keys = self._holders.setdefault(key.instrument, (instrument, []))
            keys.append(key)
            keys.sort()
        self._positions[key] = position
        net = self._open_lots.pop(key.instrument, 0) + position.size_lots - before.size_lots
        if net:
            self._open_lots[key.instrument] = net
        if is_margined(instrument):
            settle = instrument.contract.settle
            self._open_basis[settle] = self._open_basis.get(settle, 0) + position.cost_units - before.cost_units

    def held(self, venue: str, instrument: str) -> list[tuple[PositionKey, Position]]:
        """Open positions at a venue in one instrument, by strategy."""
        _, keys = self._holders.get(instrument, (None, []))
        return [(key, self._positions[key]) for key in keys if key.venue == venue and self._positions[key].size_lots]

    def positions_in(self, instrument: str) -> list[tuple[PositionKey, Position]]:
        """Every position that ever was in one instrument, by venue and strategy."""
        _, keys = self._holders.get(instrument, (None, []))
        return [(key, self._positions[key]) for key in keys]

    def expiring(self, underlying: str, expiry_ns: int) -> list[Instrument]:
        """Listed instruments ever held on `underlying`, inverse and linear, that expire at `expiry_ns`, by name."""
        known = (instrument for _, (instrument, _) in sorted(self._holders.items()))
        return [
            instrument
            for instrument in known
            if instrument.contract.base == underlying
            and instrument.contract.expiry_ns == expiry_ns
            and instrument.contract.kind is not Kind.OTC
        ]

    def open_basis_units(self, currency: str) -> int:
        """Cost of all open futures and perpetuals settled in `currency`."""
        return self._open_basis.get(currency, 0)

    def positions(self) -> Mapping[PositionKey, Position]:
        """Every position that ever was; a live view, read-only."""
        return MappingProxyType(self._positions)

    def open_lots(self) -> Mapping[str, int]:
        """Net size of every instrument that is not flat; a live view, read-only."""
        return MappingProxyType(self._open_lots)

    def canonical(self) -> list[tuple[PositionKey, Position]]:
        """Every position that is not blank, sorted."""
        return sorted((key, position) for key, position in self._positions.items() if position != FLAT)

    def realised_cash_units(self) -> dict[str, int]:
        """By currency, the cash that positions must have moved, fees and funding aside: realised, less premium held."""
        moved: dict[str, int] = {}
        for instrument, position in self._all():
            settle = instrument.contract.settle
            premium_held = 0 if is_margined(instrument) else position.cost_units
            moved[settle] = moved.get(settle, 0) + position.realised_units - premium_held
        return moved

    def invariant(self) -> None:
        """Raises UnbalancedEntryError unless the sums are those of the positions, and flat ones have no cost."""
        lots, basis = dict.fromkeys(self._open_lots, 0), dict.fromkeys(self._open_basis, 0)
        for instrument, position in self._all():
            if not position.size_lots:
                expect(f"cost of a flat position in {instrument.name}", position.cost_units, 0)
            lots[instrument.name] = lots.get(instrument.name, 0) + position.size_lots
            if is_margined(instrument):
                settle = instrument.contract.settle
                basis[settle] = basis.get(settle, 0) + position.cost_units
        for name, size in lots.items():
            expect(f"net lots of {name}", self._open_lots.get(name, 0), size)
        for currency, units in basis.items():
            expect(f"open basis in {currency}", self.open_basis_units(currency), units)

    def _all(self) -> list[tuple[Instrument, Position]]:
        return [(self._holders[key.instrument][0], position) for key, position in self._positions.items()]


def is_margined(instrument: Instrument) -> bool:
    """Whether trading it moves no cash until P&L is realised: futures and perpetuals, never options."""
    return instrument.contract.kind in (Kind.FUTURE, Kind.PERPETUAL)
