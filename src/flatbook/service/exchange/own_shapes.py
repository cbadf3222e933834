"""What an account sees of itself in Deribit's shapes: orders, trades, positions, portfolio."""

import math
from operator import itemgetter

from flatbook.domain.instruments import Kind
from flatbook.domain.units import risk_amount
from flatbook.service.exchange.shapes import Json, contract_size, currency_of, kind_of, max_leverage, ms, number, trade
from flatbook.sim.venue.account import Account
from flatbook.sim.venue.block_rfq import BlockRfq, RfqDesk, RfqState
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.margin import margin_of, open_profit, requirement
from flatbook.sim.venue.mmp import NEVER_NS, MmpConfig
from flatbook.sim.venue.orders import Execution, Order, OrderKind


def order_id(listing: Listing, number: int) -> str:
    """An order's id as the venue writes it."""
    settle = listing.instrument.contract.settle
    return f"{number}" if settle == "BTC" else f"{settle}-{number}"


def order(listing: Listing, own: Order) -> Json:
    """As in `private/get_order_state`."""
    request = own.request
    amount = listing.amount(own.size_lots)
    shape: Json = {
        "order_id": order_id(listing, own.number),
        "order_state": own.state,
        "order_type": request.kind,
        "time_in_force": request.time_in_force,
        "instrument_name": listing.name,
        "direction": "buy" if request.side > 0 else "sell",
        "price": "market_price" if request.kind is OrderKind.MARKET else listing.price(own.price_ticks),
        "amount": amount,
        "contracts": round(amount / contract_size(listing), 8),
        "filled_amount": listing.amount(own.filled_lots) if own.filled_lots else 0.0,
        "average_price": listing.price(own.average_ticks) if own.filled_lots else 0.0,
        "max_show": amount,
        "post_only": request.post_only,
        "reject_post_only": request.reject_post_only,
        "reduce_only": request.reduce_only,
        "mmp": request.mmp,
        "label": request.label,
        "creation_timestamp": ms(own.created_ns),
        "last_update_timestamp": ms(own.updated_ns),
        "is_liquidation": own.is_liquidation,
        "is_rebalance": False,
        "replaced": own.is_replaced,
        "risk_reducing": False,
        "api": True,
        "web": False,
    }
    if own.cancel_reason:
        shape["cancel_reason"] = own.cancel_reason
    if own.cancel_reason == "mmp_trigger":
        shape["mmp_cancelled"] = True
    if request.quote_set:
        shape |= {"quote": True, "quote_set_id": request.quote_set, "quote_id": request.quote_id}
    if request.mmp_group:
        shape["mmp_group"] = request.mmp_group
    return shape


def execution(listing: Listing, done: Execution) -> Json:
    """As in `private/get_user_trades_by_order`."""
    settle = listing.instrument.contract.settle
    request = done.order.request
    shape = trade(listing, done.printed) | {
        "order_id": order_id(listing, done.order.number),
        "order_type": request.kind.value,
        "direction": "buy" if done.side > 0 else "sell",
        "state": "filled" if done.is_last else "open",
        "liquidity": "M" if done.is_maker else "T",
        "fee": risk_amount(done.fee_units, settle),
        "fee_currency": settle,
        "profit_loss": risk_amount(done.profit_units, settle),
        "self_trade": False,
        "post_only": request.post_only,
        "reduce_only": request.reduce_only,
        "mmp": request.mmp,
        "matching_id": None,
        "label": request.label,
        "risk_reducing": False,
        "api": True,
    }
    if listing.is_option:
        shape["underlying_price"] = number(listing.mark.underlying_usd, 4)
    if request.quote_set:
        shape |= {"quote_set_id": request.quote_set, "quote_id": request.quote_id}
    return shape


def position(exchange: Exchange, account: Account, listing: Listing) -> Json:
    """As in `private/get_position`; profit is since the last settlement."""
    held, instrument, mark = account.position(listing.name), listing.instrument, listing.mark
    settle = instrument.contract.settle
    lots = held.size_lots
    initial, maintenance = requirement(account.margin, listing, lots)
    profit = open_profit(account, listing)
    size = listing.amount(lots)
    average = account.entry_prices.get(listing.name, 0.0)
    coins = listing.coins(lots, mark.price) if not math.isnan(mark.price) else 0.0
    shape: Json = {
        "instrument_name": listing.name,
        "kind": kind_of(listing),
        "direction": "zero" if not lots else "buy" if lots > 0 else "sell",
        "size": size,
        "average_price": round(average, 8),
        "mark_price": number(mark.price, 6),
        "index_price": number(exchange.index_of(listing), 4),
        "settlement_price": number(listing.settlement_price),
        "floating_profit_loss": round(profit, 8),
        "realized_profit_loss": risk_amount(held.realised_units, settle),
        "total_profit_loss": round(profit + risk_amount(held.realised_units, settle), 8),
        "initial_margin": round(initial, 8),
        "maintenance_margin": round(maintenance, 8),
        "open_orders_margin": 0.0,
        "delta": round(coins * mark.delta, 6),
    }
    if listing.is_option:
        shape |= {
            "gamma": number(coins * mark.gamma, 7),
            "vega": number(coins * mark.vega, 5),
            "theta": number(coins * mark.theta, 5),
            "average_price_usd": round(average * _usd(listing, mark.underlying_usd), 4),
        }
    else:
        shape["size_currency"] = round(coins, 8)
        shape["leverage"] = max_leverage(account.margin)
        if instrument.contract.kind is Kind.PERPETUAL:
            shape["realized_funding"] = risk_amount(held.funding_units, settle)
    return shape


def _usd(listing: Listing, underlying_usd: float) -> float:
    return underlying_usd if listing.instrument.contract.is_inverse else 1.0


def portfolio(exchange: Exchange, account: Account, currency: str) -> Json:
    """As in `private/get_account_summary` and `user.portfolio`."""
    margin = margin_of(account, exchange.listings, currency)
    lots_of = account.ledger.open_lots()
    held = [(exchange.listings[name], lots) for name, lots in lots_of.items()]
    here = [(each, lots) for each, lots in held if each.instrument.contract.settle == currency]
    options = [(each, each.coins(lots, each.mark.price)) for each, lots in here if each.is_option]
    delta = sum(each.coins(lots, each.mark.price) * each.mark.delta for each, lots in here)
    flows = account.ledger.totals(currency)
    session = risk_amount(flows.variation_units + flows.funding_units, currency)
    funding = risk_amount(_session_funding_units(exchange, account, currency), currency)
    return {
        "currency": currency,
        # The books have funding at once; the venue shows it with the session's profit until that is paid.
        "balance": round(margin.balance - funding, 8),
        # The sum of its parts as they are shown.
        "equity": round(
            sum(round(each, 8) for each in (margin.balance, margin.options_value, margin.session_profit)), 8
        ),
        "margin_balance": round(margin.margin_balance, 8),
        "available_funds": round(max(margin.available, 0.0), 8),
        "available_withdrawal_funds": round(max(min(margin.available, margin.balance), 0.0), 8),
        "initial_margin": round(margin.initial, 8),
        "maintenance_margin": round(margin.maintenance, 8),
        "projected_initial_margin": round(margin.initial, 8),
        "projected_maintenance_margin": round(margin.maintenance, 8),
        "options_value": round(margin.options_value, 8),
        "options_delta": round(sum(coins * each.mark.delta for each, coins in options), 6),
        "options_gamma": round(sum(coins * each.mark.gamma for each, coins in options), 7),
        "options_vega": round(sum(coins * each.mark.vega for each, coins in options), 4),
        "options_theta": round(sum(coins * each.mark.theta for each, coins in options), 4),
        "options_session_rpl": risk_amount(flows.premium_units, currency),
        "options_session_upl": round(margin.options_value, 8),
        "options_pl": round(margin.options_value + risk_amount(flows.premium_units, currency), 8),
        "futures_session_rpl": session,
        "futures_session_upl": round(margin.session_profit, 8),
        "futures_pl": round(margin.session_profit + session, 8),
        "session_rpl": session,
        "session_upl": round(margin.session_profit, 8),
        "total_pl": round(margin.equity - risk_amount(flows.capital_units, currency), 8),
        "session_funding": funding,
        "delta_total": round(delta, 6),
        "projected_delta_total": round(delta, 6),
        "spot_reserve": 0.0,
        "additional_reserve": 0.0,
        "locked_balance": 0.0,
        "fee_balance": 0.0,
        "margin_model": "segregated_sm",
        "portfolio_margining_enabled": False,
        "cross_collateral_enabled": False,
    }


def _session_funding_units(exchange: Exchange, account: Account, currency: str) -> int:
    names = (name for name in account.session_funding if currency_of(exchange.listings[name]) == currency)
    return sum(account.session_funding[name] for name in names)


def mmp_config(index: str, group: str, config: MmpConfig) -> Json:
    """As in `private/get_mmp_config`."""
    return {
        "index_name": index,
        "mmp_group": group,
        "interval": config.interval_s,
        "frozen_time": config.frozen_s,
        "quantity_limit": config.quantity_coin,
        "delta_limit": config.delta_coin,
        "vega_limit": config.vega_usd,
        "max_quote_quantity": config.max_quote_coin,
    }


def frozen_until(frozen_until_ns: int) -> int:
    """When a freeze ends; 0 where it waits for a reset."""
    return 0 if frozen_until_ns == NEVER_NS else ms(frozen_until_ns)


DIRECTIONS = {1: "buy", -1: "sell"}


def block_rfq(rfqs: RfqDesk, account: str, rfq: BlockRfq) -> Json:
    """As in `private/create_block_rfq`, for the taker with the quotes, for makers without."""
    shape: Json = {
        "block_rfq_id": rfq.number,
        "state": rfq.state.value,
        "role": "taker" if account == rfq.taker else "maker",
        "amount": rfq.amount,
        "legs": [
            {"instrument_name": leg.instrument, "direction": DIRECTIONS[leg.side], "ratio": leg.ratio}
            for leg in rfq.legs
        ],
        "creation_timestamp": ms(rfq.created_ns),
        "expiration_timestamp": ms(rfq.expires_ns),
    }
    if account == rfq.taker:
        shape["makers"] = sorted(rfq.makers)
        for name, side in (("bids", 1), ("asks", -1)):
            quotes = [each for each in rfq.quotes.values() if each.side == side and each.state is RfqState.OPEN]
            levels = [{"price": rfqs.price(rfq, each.leg_ticks), "amount": each.amount} for each in quotes]
            shape[name] = sorted(levels, key=itemgetter("price"), reverse=side > 0)
    return shape
