"""A connection: who it is, what it listens to, and what waits to be sent to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flatbook.service.exchange.params import Params
from flatbook.sim.venue.account import Account
from flatbook.sim.venue.exchange import Exchange
from flatbook.sim.venue.listing import Listing
from flatbook.sim.venue.orders import RefusalError
from flatbook.venues.deribit.channels import Channel
from flatbook.venues.deribit.credits import Credits
from flatbook.venues.deribit.rpc import Code, RpcError

if TYPE_CHECKING:
    from flatbook.service.exchange.api import Api


@dataclass(slots=True, eq=False)
class Session:
    """One websocket, or one HTTP request. `outbox` holds bytes in the order they are to be sent; the connection is
    `account`'s until its token expires at `until_ns`; when it breaks, the orders of `cancels_for` are cancelled."""

    number: int
    is_websocket: bool
    account: Account | None = None
    until_ns: int = 2**63 - 1
    channels: dict[str, Channel] = field(default_factory=dict)
    outbox: list[bytes] = field(default_factory=list)
    credits: Credits = field(default_factory=Credits)
    heartbeat_ns: int = 0
    next_heartbeat_ns: int = 0
    is_asked: bool = False
    cancels_for: Account | None = None
    is_closing: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method."""

    api: "Api"
    session: Session
    method: str
    params: Params

    @property
    def exchange(self) -> Exchange:
        """The venue."""
        return self.api.exchange

    @property
    def account(self) -> Account:
        """The account that calls."""
        if self.session.account is None:
            raise RpcError(Code.UNAUTHORIZED)
        return self.session.account

    def listing(self, name: str = "instrument_name") -> Listing:
        """The instrument that a parameter names."""
        try:
            return self.exchange.listing(self.params.text(name))
        except RefusalError:
            raise RpcError(Code.INVALID_PARAMS, "instrument not found", name) from None


Method = Callable[[Call], Any]
