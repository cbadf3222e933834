"""The key that signs: read from the environment or a file, and shown nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from flatbook.domain.errors import ConfigurationError

KEY_VARIABLE = "FLATBOOK_SIGNING_KEY"
_HEX_KEY = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")


class SigningKey:
    """A private key of secp256k1. Neither printing, nor logging, nor pickling it gives it away."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @property
    def secret(self) -> bytes:
        """32 bytes, for the signer alone."""
        return self._secret

    def __repr__(self) -> str:
        return "SigningKey(hidden)"

    def __reduce__(self) -> tuple[object, ...]:
        raise ConfigurationError("a signing key is not written anywhere; read it again where it is needed")


def key_from_environment(environment: Mapping[str, str]) -> SigningKey:
    """From `KEY_VARIABLE`, or from the file that `KEY_VARIABLE`_FILE names.

    Errors      ConfigurationError where neither is there, or it is no key; it never shows what was there
    """
    if KEY_VARIABLE in environment:
        return _key(environment[KEY_VARIABLE], KEY_VARIABLE)
    name = environment.get(f"{KEY_VARIABLE}_FILE")
    if name is None:
        raise ConfigurationError(f"no signing key: set {KEY_VARIABLE}, or {KEY_VARIABLE}_FILE to a file that holds it")
    return key_from_file(Path(name))


def key_from_file(path: Path) -> SigningKey:
    """From a file that holds 64 hexadecimal digits and that its owner alone can read.

    Errors      ConfigurationError as above
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise ConfigurationError(f"{path}: the signing key cannot be read ({error.strerror})") from None
    if mode & 0o077:
        raise ConfigurationError(f"{path}: others can read this signing key; run: chmod 600 {path}")
    return _key(text, str(path))


def _key(text: str, where: str) -> SigningKey:
    found = _HEX_KEY.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(f"{where}: is no signing key; it takes 64 hexadecimal digits")
    return SigningKey(bytes.fromhex(found[1]))
