"""Deribit's messages from bytes, typed. Pure but for the count of what was not known.

A field that the venue adds does no harm: it is counted by its path, and the rest is taken. A field that must be there
and is not, or is of another type, is an error with its path: nothing is guessed.

The usual message costs one pass of msgspec over its bytes: the decoder is chosen by the bytes' beginning, which the
venue writes in one order, and refuses unknown fields, so that only a message that has some is looked at twice.
"""

from collections import Counter
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec.inspect import ListType, StructType, Type, UnionType, type_info

from flatbook.domain.errors import BadInputError
from flatbook.venues.deribit import codec_messages as said
from flatbook.venues.deribit import codec_own as own
from flatbook.venues.deribit.channels import parse_channel

T = TypeVar("T")

_OWN = {
    "orders": own.OwnOrder | list[own.OwnOrder],
    "trades": own.OwnTrade | list[own.OwnTrade],
    "changes": own.OwnChanges,
}
_DATA: dict[str, Any] = {
    "ticker": said.Ticker,
    "book": said.BookUpdate,
    "grouped_book": said.GroupedBook,
    "trades": list[said.Trade],
    "trades_of_kind": list[said.Trade],
    "quote": said.Quote,
    "index": said.IndexPrice,
    "volatility": said.VolatilityIndex,
    "perpetual": said.PerpetualInterest,
    "marks": list[said.OptionMark],
    "state": said.InstrumentState,
    "chart": said.Candle,
    "user_portfolio": own.Portfolio,
    "user_mmp": own.MmpTrigger,
}
"""What a channel of each sort says; of a sort that is not here the data is taken as it comes."""


class Notification(msgspec.Struct, frozen=True, gc=False):
    """What a channel said."""

    channel: str
    data: Any


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """A sign of life; with `test_request` the venue waits for one of ours."""

    type: str


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The answer to request `id`: a result, or an error. Times are microseconds on the venue's clock."""

    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    error: own.Refusal | None = None
    usIn: int = 0  # noqa: N815 - the venue's name
    usOut: int = 0  # noqa: N815 - the venue's name

    def __repr__(self) -> str:
        # A result may be a token.
        return f"Answer(id={self.id!r}, error={self.error!r})"


Message = Notification | Heartbeat | Answer


class _ChannelHead(msgspec.Struct, frozen=True):
    channel: str = ""
    type: str = ""


class _Head(msgspec.Struct, frozen=True):
    method: str = ""
    params: _ChannelHead = _ChannelHead()


_BEGINNING = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"'
_KEY = len(_BEGINNING) + len(b"tick")
_HEADS = msgspec.json.Decoder(_Head)
_ANSWERS = msgspec.json.Decoder(Answer)
_REFUSES_UNKNOWN = "unknown field"


@lru_cache(maxsize=4_096)
def data_type(channel: str) -> Any:
    """The type of what a channel says."""
    found = parse_channel(channel.removeprefix("incremental_"))
    if found is None or channel.startswith("incremental_"):
        return Any
    if found.sort in ("user", "user_of_kind"):
        return _OWN.get(found.topic, Any)
    return _DATA.get(found.sort, Any)


def envelope(data: Any) -> Any:
    """The type of a whole notification whose data is of this type."""
    params = msgspec.defstruct(
        "_Params", [("channel", str), ("data", data)], bases=(Notification,), frozen=True, gc=False,
        forbid_unknown_fields=True,
    )  # fmt: skip
    fields: list[Any] = [("params", params), ("method", str), ("jsonrpc", str, "2.0")]
    return msgspec.defstruct("_Told", fields, frozen=True, gc=False, forbid_unknown_fields=True)


class _Strict:
    """The decoder of one type of data, and its type as it can be walked."""

    def __init__(self, data: Any) -> None:
        self.type = envelope(data)
        self.decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self.type)
        self.info = type_info(self.type)


@lru_cache(maxsize=64)
def _strict(data: Any) -> _Strict:
    return _Strict(data)


_FAST = {
    _BEGINNING + beginning: _strict(data).decoder
    for beginning, data in (
        (b"tick", said.Ticker),
        (b"trad", list[said.Trade]),
        (b"quot", said.Quote),
        (b"perp", said.PerpetualInterest),
        # Most of what is said to a maker; what else is said of an account takes the longer way.
        (b"user", own.OwnChanges),
    )
}


class Codec:
    """Decodes; `unknown` counts fields nobody knows here, by where they stood: `ticker: $.params.data.colour`."""

    def __init__(self) -> None:
        self.unknown: Counter[str] = Counter()

    def decode(self, raw: bytes) -> Message:
        """The message of these bytes.

        Errors      BadInputError, with the path, for bytes that are no JSON or no message of the venue's
        """
        decoder = _FAST.get(raw[:_KEY])
        if decoder is not None:
            try:
                told: Notification = decoder.decode(raw).params
                return told
            except msgspec.DecodeError:
                pass  # what is wrong with it is told below
        return self._decode_any(raw)

    def result(self, answer: Answer, kind: type[T], what: str) -> T:
        """An answer's result, typed; fields nobody knows are counted under `what`.

        Errors      BadInputError, with the path, where it is of another form
        """
        try:
            return msgspec.json.decode(answer.result, type=kind)
        except msgspec.ValidationError as error:
            if _REFUSES_UNKNOWN not in f"{error}":
                raise BadInputError(f"Deribit: {what}: {error}") from None
        except msgspec.DecodeError as error:
            raise BadInputError(f"Deribit: {what}: {error}") from None
        known = self._known(msgspec.json.decode(answer.result), type_info(kind), "$", what)
        try:
            return msgspec.convert(known, kind)
        except msgspec.ValidationError as error:
            raise BadInputError(f"Deribit: {what}: {error}") from None

    def _decode_any(self, raw: bytes) -> Message:
        try:
            head = _HEADS.decode(raw)
            if head.method == "heartbeat":
                return Heartbeat(head.params.type)
            if head.method != "subscription":
                return _ANSWERS.decode(raw)
        except msgspec.DecodeError as error:
            raise BadInputError(f"Deribit: message of {len(raw)} bytes: {error}") from None
        channel = head.params.channel
        strict = _strict(data_type(channel))
        try:
            return _body(strict.decoder.decode(raw))
        except msgspec.ValidationError as error:
            if _REFUSES_UNKNOWN not in f"{error}":
                raise BadInputError(f"Deribit: {channel or 'a notification'}: {error}") from None
        known = self._known(msgspec.json.decode(raw), strict.info, "$", channel.partition(".")[0])
        try:
            return _body(msgspec.convert(known, strict.type))
        except msgspec.ValidationError as error:
            raise BadInputError(f"Deribit: {channel}: {error}") from None

    def _known(self, value: Any, info: Type, path: str, sort: str) -> Any:
        """The value without the fields that its type does not have, each of them counted."""
        for part in info.types if isinstance(info, UnionType) else (info,):
            if isinstance(part, StructType) and isinstance(value, dict):
                types = {field.encode_name: field.type for field in part.fields}
                self.unknown.update(f"{sort}: {path}.{name}" for name in value if name not in types)
                return {
                    name: self._known(item, types[name], f"{path}.{name}", sort)
                    for name, item in value.items()
                    if name in types
                }
            if isinstance(part, ListType) and isinstance(value, list):
                return [self._known(item, part.item_type, f"{path}[]", sort) for item in value]
        return value


def _body(told: Any) -> Notification:
    params: Notification = told.params
    return params


def result_of(answer: Answer, kind: type[T]) -> T:
    """An answer's result, typed.

    Errors      BadInputError, with the path, where it is of another form
    """
    try:
        return msgspec.json.decode(answer.result, type=kind)
    except msgspec.DecodeError as error:
        raise BadInputError(f"Deribit: the answer to request {answer.id}: {error}") from None
