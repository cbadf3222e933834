"""Who may do what: clients, their tokens, and signatures. Tokens come from a key and a count."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from flatbook.domain.units import NS_PER_SECOND
from flatbook.service.exchange.shapes import Json
from flatbook.venues.deribit.rpc import Code, RpcError

TOKEN_LIFE_S = 900
REFRESH_LIFE_S = 86_400


@dataclass(frozen=True, slots=True)
class Client:
    """A key of one account."""

    client_id: str
    secret: str
    account: str


@dataclass(frozen=True, slots=True)
class _Token:
    account: str
    until_ns: int


class Auth:
    """The clients, and the tokens that are good."""

    def __init__(self, clients: list[Client], key: bytes) -> None:
        self._clients = {client.client_id: client for client in clients}
        self._key = key
        self._count = 0
        self._access: dict[str, _Token] = {}
        self._refresh: dict[str, _Token] = {}
        self._nonces: set[tuple[str, str, str]] = set()

    def account_of_secret(self, client_id: str, secret: str) -> str:
        """The account of a client that knows its secret."""
        client = self._clients.get(client_id)
        if client is None or not hmac.compare_digest(client.secret.encode(), secret.encode()):
            raise RpcError(Code.INVALID_CREDENTIALS)
        return client.account

    def account_of_signature(self, client_id: str, timestamp: str, nonce: str, data: str, signature: str) -> str:
        """The account of a client that signed `timestamp`, `nonce` and `data`, a line each; a nonce is good once."""
        client = self._clients.get(client_id)
        if client is None or (client_id, timestamp, nonce) in self._nonces:
            raise RpcError(Code.INVALID_CREDENTIALS)
        signed = f"{timestamp}\n{nonce}\n{data}".encode()
        expected = hmac.new(client.secret.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature.lower()):
            raise RpcError(Code.INVALID_CREDENTIALS)
        self._nonces.add((client_id, timestamp, nonce))
        return client.account

    def account_of_token(self, token: str, now_ns: int) -> str:
        """The account of an access token that has not expired."""
        found = self._access.get(token)
        if found is None or found.until_ns <= now_ns:
            raise RpcError(Code.UNAUTHORIZED, "invalid_token")
        return found.account

    def account_of_header(self, header: str, request: str, now_ns: int) -> str:
        """The account of an HTTP `Authorization` header; `request` is what a signature covers: method, target, body."""
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "bearer":
            return self.account_of_token(rest.strip(), now_ns)
        if scheme.lower() == "basic":
            try:
                client_id, _, secret = base64.b64decode(rest, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise RpcError(Code.INVALID_CREDENTIALS) from None
            return self.account_of_secret(client_id, secret)
        if scheme.lower() == "deri-hmac-sha256":
            part = dict(item.strip().partition("=")[::2] for item in rest.split(","))
            names = ("id", "ts", "nonce", "sig")
            if all(name in part for name in names):
                return self.account_of_signature(part["id"], part["ts"], part["nonce"], request, part["sig"])
        raise RpcError(Code.INVALID_CREDENTIALS)

    def account_of_refresh(self, token: str, now_ns: int) -> str:
        """The account of a refresh token, which is good once."""
        found = self._refresh.pop(token, None)
        if found is None or found.until_ns <= now_ns:
            raise RpcError(Code.INVALID_CREDENTIALS, "invalid_token")
        return found.account

    def grant(self, account: str, now_ns: int) -> Json:
        """A new pair of tokens, as `public/auth` answers."""
        access, refresh = self._token(), self._token()
        self._access[access] = _Token(account, now_ns + TOKEN_LIFE_S * NS_PER_SECOND)
        self._refresh[refresh] = _Token(account, now_ns + REFRESH_LIFE_S * NS_PER_SECOND)
        for pool in (self._access, self._refresh):
            for token in [token for token, known in pool.items() if known.until_ns <= now_ns]:
                del pool[token]
        return {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": TOKEN_LIFE_S,
            "token_type": "bearer",
            "scope": "account:read_write block_rfq:read_write connection mainaccount trade:read_write",
            "enabled_features": [],
            "mandatory_tfa_status": "",
        }

    def _token(self) -> str:
        self._count += 1
        return hmac.new(self._key, self._count.to_bytes(8, "big"), hashlib.sha256).hexdigest()
