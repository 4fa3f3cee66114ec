"""The page's token: made once, kept in a private file, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from ..errors import ConfigError
from ..storage import write_private

SHORTEST = 16  # characters; one that is made has 32
_COOKIE_PURPOSE = b"earsight page 1"


def load_token(path: Path) -> str:
    """Return the first line of the file, which is made, mode 0600, when it is missing.

    Raises:
        ConfigError: the file cannot be read, or its token is too short or unprintable.
        StorageError: it is missing and cannot be made.
    """
    if not path.exists():
        write_private(path, f"{secrets.token_urlsafe(24)}\n".encode())
    try:
        token = (path.read_text(encoding="ascii").splitlines() or [""])[0].strip()
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror}); check web.token_file") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: is not ASCII text; remove it to get a new token") from exc
    if len(token) < SHORTEST or not token.isprintable():
        raise ConfigError(
            f"{path}: its first line must be a token of {SHORTEST} or more characters; "
            "remove it to get a new one"
        )
    return token


def is_token(given: str, token: str) -> bool:
    """Tell whether what was given is the token, in a time that says nothing about it."""
    return hmac.compare_digest(given.encode(), token.encode())


def cookie_of(token: str) -> str:
    """Return what a browser keeps in the token's place; it dies with the token."""
    return hmac.new(token.encode(), _COOKIE_PURPOSE, hashlib.sha256).hexdigest()
