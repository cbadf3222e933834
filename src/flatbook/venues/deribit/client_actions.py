"""What the client's machine wants done, and how it behaves: see `client_protocol`. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from flatbook.venues.deribit.client_requests import Asked
from flatbook.venues.deribit.codec import Notification


class Phase(Enum):
    """Where the connection stands; STOPPED for good."""

    DOWN = "down"
    CONNECTING = "connecting"
    SIGNING_IN = "signing in"
    LIVE = "live"
    STOPPED = "stopped"


class Open(NamedTuple):
    """Open a socket."""


class Send(NamedTuple):
    """Send these bytes."""

    raw: bytes


class Close(NamedTuple):
    """Close the socket; whatever still comes of it is not to be told here."""

    reason: str


class Told(NamedTuple):
    """A channel spoke."""

    message: Notification
    received_ns: int


class Settled(NamedTuple):
    """A request of the user's has an outcome, or it is unknown; one that is unknown is told again when it is known."""

    asked: Asked


class Stop(NamedTuple):
    """Nothing more will come: the venue refuses the credentials."""

    reason: str


Action = Open | Send | Close | Told | Settled | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the client behaves. Times in seconds."""

    request_timeout_s: float = 10.0
    connect_timeout_s: float = 10.0
    heartbeat_s: int = 15
    most_silence_s: float = 60.0
    """After which a channel that should speak is subscribed anew."""
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    refresh_at: float = 0.8
    """Of a token's life, when it is replaced."""
    share: float = 0.8
    """Of the venue's rate limits that is used."""
