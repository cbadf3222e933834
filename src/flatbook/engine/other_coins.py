"""What is held of other coins that may hedge, and how they move with ours, as a run tells of it."""

from typing import TYPE_CHECKING

from flatbook.report.other_coin_row import OtherCoinRow

if TYPE_CHECKING:
    from flatbook.engine.state import State


def other_coin_rows(state: "State") -> list[OtherCoinRow]:
    """What is held of each other coin that may hedge, as of the last valuation; none before any is known."""
    others, found = state.market.others, state.comovement
    if others is None or found is None:
        return []
    values, held_usd = state.values, state.inventory.others_usd(state.values)
    return [
        OtherCoinRow(
            state.now_ns,
            coin.name,
            coin.instrument.name,
            float(values.others_usd[place]),
            float(state.inventory.others_coin[place]),
            float(held_usd[place]),
            float(found.beta[place] * held_usd[place]),
            state.setup.policy.limits.other_delta_usd,
            float(found.beta[place]),
            float(found.correlation[place]),
            float(found.error[place]),
        )
        for place, coin in enumerate(others.coins)
    ]
