"""Methods about the connection: who it is, what it listens to, heartbeats, and what happens when it breaks."""

from dataclasses import dataclass

from flatbook.domain.units import DECIMALS, NS_PER_HOUR, NS_PER_SECOND
from flatbook.service.exchange.session import Call, Method
from flatbook.service.exchange.shapes import Json
from flatbook.sim.venue.orders import RefusalError
from flatbook.venues.deribit.channels import Channel, parse_channel
from flatbook.venues.deribit.rpc import Code, RpcError

LEAST_HEARTBEAT_S = 10
ADVANCE = "public/advance"
NS_PER_MS = 1_000_000
VERSION = "1.2.26"


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Channels that were asked for and exist; `channels` those that are new."""

    names: list[str]
    channels: list[Channel]


def _auth(call: Call) -> Json:
    params, auth, now_ns = call.params, call.api.auth, call.exchange.now_ns
    grant = params.text("grant_type", choices=("client_credentials", "client_signature", "refresh_token"))
    if grant == "client_credentials":
        account = auth.account_of_secret(params.text("client_id"), params.text("client_secret"))
    elif grant == "client_signature":
        signed = (params.text("timestamp"), params.text("nonce", ""), params.text("data", ""))
        account = auth.account_of_signature(params.text("client_id"), *signed, params.text("signature"))
    else:
        account = auth.account_of_refresh(params.text("refresh_token"), now_ns)
    call.api.identify(call.session, account)
    return auth.grant(account, now_ns)


def _logout(call: Call) -> str:
    for name, channel in list(call.session.channels.items()):
        if channel.is_private:
            call.api.hub.unsubscribe(call.session, name)
    call.session.account = None
    call.session.is_closing = call.session.is_websocket
    return "ok"


def _socket(call: Call) -> None:
    if not call.session.is_websocket:
        raise RpcError(Code.MUST_BE_WEBSOCKET)


def _subscribe(call: Call) -> Subscribed:
    _socket(call)
    asked = call.params.items("channels")
    most = call.session.credits.limits.most_channels
    if len(asked) > most:
        raise RpcError(Code.INVALID_PARAMS, f"at most {most} channels a request", "channels")
    found = [channel for name in asked if isinstance(name, str) and (channel := _channel(call, name)) is not None]
    new = [channel for channel in found if channel.name not in call.session.channels]
    for channel in new:
        call.api.hub.subscribe(call.session, channel)
    return Subscribed([channel.name for channel in found], new)


def _channel(call: Call, name: str) -> Channel | None:
    """The channel, where there is one of that name and the caller may hear it. What does not exist is left out."""
    channel = parse_channel(name)
    if channel is None:
        return None
    if channel.instrument:
        try:
            call.exchange.listing(channel.instrument)
        except RefusalError:
            return None
    if channel.currency and channel.currency.upper() not in ("ANY", *DECIMALS):
        return None
    if channel.is_private and (call.session.account is None or call.method == "public/subscribe"):
        return None
    if channel.interval == "raw" and call.session.account is None:
        raise RpcError(Code.RAW_NOT_FOR_UNAUTHORIZED)
    return channel


def _unsubscribe(call: Call) -> list[str]:
    _socket(call)
    names = [name for name in call.params.items("channels") if name in call.session.channels]
    for name in names:
        call.api.hub.unsubscribe(call.session, name)
    return names


def _unsubscribe_all(call: Call) -> str:
    _socket(call)
    for name in list(call.session.channels):
        call.api.hub.unsubscribe(call.session, name)
    return "ok"


def _hello(call: Call) -> Json:
    call.params.text("client_name")
    call.params.text("client_version")
    return {"version": VERSION}


def _test(call: Call) -> Json:
    if call.params.text("expected_result", "") == "exception":
        raise RpcError(Code.BAD_REQUEST, "as asked for")
    call.session.is_asked = False
    return {"version": VERSION}


def _advance(call: Call) -> Json:
    """Lets the venue's time pass up to `timestamp`, where it passes by this alone; no method of the venue's."""
    api = call.api
    if not api.is_stepped:
        raise RpcError(Code.METHOD_NOT_FOUND)
    until_ns = call.params.integer("timestamp") * NS_PER_MS
    if until_ns > call.exchange.now_ns + NS_PER_HOUR:
        raise RpcError(Code.INVALID_PARAMS, "at most an hour ahead", "timestamp")
    api.advance(until_ns)
    return {"timestamp": call.exchange.now_ns // NS_PER_MS}


def _set_heartbeat(call: Call) -> str:
    _socket(call)
    seconds = call.params.integer("interval")
    if seconds < LEAST_HEARTBEAT_S:
        raise RpcError(Code.INVALID_PARAMS, f"must be {LEAST_HEARTBEAT_S} or more", "interval")
    session = call.session
    session.heartbeat_ns = seconds * NS_PER_SECOND
    session.next_heartbeat_ns = call.exchange.now_ns + session.heartbeat_ns
    session.is_asked = False
    return "ok"


def _disable_heartbeat(call: Call) -> str:
    call.session.heartbeat_ns = 0
    return "ok"


def _set_cancel_on_disconnect(value: bool) -> Method:
    def set_it(call: Call) -> str:
        _socket(call)
        call.session.cancels_for = call.account if value else None
        return "ok"

    return set_it


def _get_cancel_on_disconnect(call: Call) -> Json:
    return {"enabled": call.session.cancels_for is not None, "scope": "connection"}


METHODS: dict[str, Method] = {
    "public/auth": _auth,
    "public/hello": _hello,
    "public/test": _test,
    ADVANCE: _advance,
    "public/subscribe": _subscribe,
    "private/subscribe": _subscribe,
    "public/unsubscribe": _unsubscribe,
    "private/unsubscribe": _unsubscribe,
    "public/unsubscribe_all": _unsubscribe_all,
    "private/unsubscribe_all": _unsubscribe_all,
    "public/set_heartbeat": _set_heartbeat,
    "public/disable_heartbeat": _disable_heartbeat,
    "private/enable_cancel_on_disconnect": _set_cancel_on_disconnect(True),
    "private/disable_cancel_on_disconnect": _set_cancel_on_disconnect(False),
    "private/get_cancel_on_disconnect": _get_cancel_on_disconnect,
    "private/logout": _logout,
}
