"""Optional encryption at rest: what tells who somebody is, sealed value by value under one key.

ChaCha20-Poly1305 (RFC 8439) of the `cryptography` package, which needs no AES instructions: the
Raspberry Pi 4 has none. Each value has a random 96-bit nonce before it and is bound to its place,
so that a value moved to another person or column is refused. Values are looked up (is this name
taken, is this file enrolled) by an HMAC-SHA256 under a second key; HKDF derives both from the one
that is given.

The key is 64 hexadecimal digits (`openssl rand -hex 32`) in a private file, or in systemd's
`LoadCredential=earsight-people:FILE`, which the service then finds in `$CREDENTIALS_DIRECTORY`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ..errors import ConfigError, RuntimeUnavailable, StorageError

CREDENTIAL = "earsight-people"  # its name in $CREDENTIALS_DIRECTORY
_NONCE = 12  # bytes


class Seal(Protocol):
    """How values of a store are kept."""

    name: str  # stored with the file; another one is refused

    def seal(self, plain: bytes, place: str) -> bytes:
        """Return a value as it is stored at a place."""

    def unseal(self, stored: bytes, place: str) -> bytes:
        """Return what `seal` was given.

        Raises:
            StorageError: the value was changed, moved, or stored under another key.
        """

    def index(self, value: str) -> bytes:
        """Return what a value is looked up by, 32 bytes."""


class PlainSeal:
    """No encryption: the file's mode alone protects it."""

    name = "none"

    def seal(self, plain: bytes, place: str) -> bytes:
        """Return the value itself."""
        return plain

    def unseal(self, stored: bytes, place: str) -> bytes:
        """Return the value itself."""
        return stored

    def index(self, value: str) -> bytes:
        """Return the value's SHA-256."""
        return hashlib.sha256(value.encode()).digest()


class KeySeal:
    """Encryption under a key of 32 bytes."""

    name = "chacha20-poly1305"

    def __init__(self, key: bytes) -> None:
        """Derive what is needed from the key.

        Raises:
            RuntimeUnavailable: the `cryptography` package is not installed.
        """
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
        except ImportError as exc:
            raise RuntimeUnavailable(
                "an encrypted gallery needs cryptography; run: pip install 'earsight[encryption]'"
            ) from exc
        self._cipher = ChaCha20Poly1305(_derive(key, b"values"))
        self._index_key = _derive(key, b"index")
        self._invalid = InvalidTag

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt a value and bind it to its place."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, place.encode())

    def unseal(self, stored: bytes, place: str) -> bytes:
        """Decrypt a value.

        Raises:
            StorageError: it was changed, moved, or stored under another key.
        """
        try:
            return self._cipher.decrypt(stored[:_NONCE], stored[_NONCE:], place.encode())
        except (self._invalid, ValueError) as exc:
            raise StorageError(
                f"{place}: was changed, or encrypted under another key; give the key it was "
                "encrypted with, or restore a copy"
            ) from exc

    def index(self, value: str) -> bytes:
        """Return the value's HMAC-SHA256."""
        return hmac.digest(self._index_key, value.encode(), "sha256")


def find_key(
    given: Path | None = None, environment: Mapping[str, str] = os.environ
) -> bytes | None:
    """Return the key of this device: of the file given, else systemd's, else None.

    Raises:
        ConfigError: a file holds no key, or others than its owner may read it.
        StorageError: a file that is named cannot be read.
    """
    if given is not None:
        return read_key(given)
    folder = environment.get("CREDENTIALS_DIRECTORY", "")
    credential = Path(folder) / CREDENTIAL
    return read_key(credential) if folder and credential.exists() else None


def read_key(path: Path) -> bytes:
    """Return the 32 bytes of a key file; see `find_key` for what it raises."""
    try:
        text = path.read_text(encoding="ascii").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as exc:
        raise StorageError(f"{path}: the key cannot be read ({exc})") from exc
    if mode & 0o077 and path.name != CREDENTIAL:  # systemd guards its credentials by itself
        raise ConfigError(f"{path}: others may read this key; run: chmod 600 {path}")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ConfigError(
            f"{path}: not a key of 64 hexadecimal digits; make one: openssl rand -hex 32"
        )
    return bytes.fromhex(text)


def _derive(key: bytes, purpose: bytes) -> bytes:
    """Return a key for one purpose: HKDF-SHA256 (RFC 5869), one block long."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt=None, info=b"earsight people " + purpose).derive(key)
