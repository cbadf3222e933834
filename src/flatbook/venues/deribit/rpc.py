"""Deribit's wire: JSON-RPC 2.0 requests, answers, errors and notifications as bytes. Pure.

Source      docs.deribit.com: JSON-RPC, and the table of RPC error codes
"""

from enum import Enum
from typing import Any

import msgspec

from flatbook.domain.errors import FlatbookError


class Code(Enum):
    """Errors by the venue's names: the code and the message it sends."""

    AUTHORIZATION_REQUIRED = (10000, "authorization_required")
    QTY_TOO_LOW = (10002, "qty_too_low")
    ORDER_OVERLAP = (10003, "order_overlap")
    ORDER_NOT_FOUND = (10004, "order_not_found")
    PRICE_TOO_LOW = (10005, "price_too_low")
    PRICE_TOO_HIGH = (10007, "price_too_high")
    NOT_ENOUGH_FUNDS = (10009, "not_enough_funds")
    ALREADY_CLOSED = (10010, "already_closed")
    BOOK_CLOSED = (10012, "book_closed")
    INVALID_INSTRUMENT = (10020, "invalid_or_unsupported_instrument")
    INVALID_AMOUNT = (10021, "invalid_amount")
    INVALID_QUANTITY = (10022, "invalid_quantity")
    TOO_MANY_REQUESTS = (10028, "too_many_requests")
    NOT_OWNER_OF_ORDER = (10029, "not_owner_of_order")
    MUST_BE_WEBSOCKET = (10030, "must_be_websocket_request")
    PRICE_WRONG_TICK = (10043, "price_wrong_tick")
    INVALID_ARGUMENTS = (11029, "invalid_arguments")
    OTHER_REJECT = (11030, "other_reject")
    NOT_OPEN_ORDER = (11044, "not_open_order")
    BAD_REQUEST = (11050, "bad_request")
    POST_ONLY_REJECT = (11054, "post_only_reject")
    POST_ONLY_NOT_ALLOWED = (11055, "post_only_not_allowed")
    INVALID_CREDENTIALS = (13004, "invalid_credentials")
    UNAUTHORIZED = (13009, "unauthorized")
    NOT_FOUND = (13020, "not_found")
    FORBIDDEN = (13021, "forbidden")
    RAW_NOT_FOR_UNAUTHORIZED = (13778, "raw_subscriptions_not_available_for_unauthorized")
    INVALID_PARAMS = (-32602, "Invalid params")
    METHOD_NOT_FOUND = (-32601, "Method not found")
    INVALID_REQUEST = (-32600, "Invalid Request")
    PARSE_ERROR = (-32700, "Parse error")


class RpcError(FlatbookError):
    """An answer that is an error. `data` goes with it, as a reason and the parameter it is about."""

    def __init__(self, code: Code, reason: str = "", param: str = "") -> None:
        number, message = code.value
        super().__init__(f"{number} {message} {reason}".rstrip())
        self.code = code
        self.data = {key: text for key, text in (("reason", reason), ("param", param)) if text}

    def body(self) -> dict[str, Any]:
        """The error as it is sent."""
        number, message = self.code.value
        return (
            {"message": message, "data": self.data, "code": number}
            if self.data
            else {
                "message": message,
                "code": number,
            }
        )


class Request(msgspec.Struct, frozen=True):
    """A call. An `id` of None asks for no id in the answer; the venue answers all the same."""

    method: str
    params: dict[str, Any] = {}
    id: int | str | None = None
    jsonrpc: str = "2.0"


_REQUESTS = msgspec.json.Decoder(Request)
_ENCODER = msgspec.json.Encoder()


def decode_request(raw: bytes | str) -> Request:
    """A request from its bytes; a slash before its method, which the venue takes, is left out.

    Errors      RpcError: what is no JSON, and what is no request
    """
    try:
        request = _REQUESTS.decode(raw)
        return msgspec.structs.replace(request, method=request.method.lstrip("/"))
    except msgspec.ValidationError as error:
        raise RpcError(Code.INVALID_REQUEST, str(error)) from None
    except msgspec.DecodeError as error:
        raise RpcError(Code.PARSE_ERROR, str(error)) from None


def encode_result(request_id: int | str | None, result: Any, in_us: int, out_us: int) -> bytes:
    """The answer to a request; times are microseconds on the venue's clock."""
    return _ENCODER.encode(_envelope(request_id, in_us, out_us) | {"result": result})


def encode_error(request_id: int | str | None, error: RpcError, in_us: int, out_us: int) -> bytes:
    """The answer to a request that cannot be done."""
    return _ENCODER.encode(_envelope(request_id, in_us, out_us) | {"error": error.body()})


def encode_notification(channel: str, data: Any) -> bytes:
    """What a channel says."""
    return _ENCODER.encode({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}})


def encode_heartbeat(kind: str) -> bytes:
    """A heartbeat, or with `test_request` the question whether somebody is there."""
    return _ENCODER.encode({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": kind}})


def _envelope(request_id: int | str | None, in_us: int, out_us: int) -> dict[str, Any]:
    envelope: dict[str, Any] = {"jsonrpc": "2.0"}
    if request_id is not None:
        envelope["id"] = request_id
    return envelope | {"usIn": in_us, "usOut": out_us, "usDiff": out_us - in_us, "testnet": True}
