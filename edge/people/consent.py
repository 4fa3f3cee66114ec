"""The consent a person's record rests on: who gave it, when, for what, until when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import ConfigError

LONGEST = 200  # characters of a text
GRACE_DAYS = 30  # after expiry: no longer matched or shown, but not yet erased


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person, or who speaks for them, agreed to."""

    given_by: str  # the person's own name, or "parent of ...", printable, 1 to 200 characters
    given_at: datetime  # with a zone
    purpose: str  # printable, 1 to 200 characters
    expires: datetime | None = None  # with a zone; None: until it is withdrawn

    def __post_init__(self) -> None:
        """Refuse what cannot stand as a record.

        Raises:
            ConfigError: a text is empty, too long or unprintable, or the times do not fit.
        """
        for what, text in (("given_by", self.given_by), ("purpose", self.purpose)):
            if not (1 <= len(text.strip()) <= len(text) <= LONGEST and text.isprintable()):
                raise ConfigError(f"consent: {what} must be 1 to {LONGEST} printable characters")
        for when in (self.given_at, self.expires):
            if when is not None and when.tzinfo is None:
                raise ConfigError("consent: a time needs a zone")
        if self.expires is not None and self.expires <= self.given_at:
            raise ConfigError("consent: it would expire before it was given")

    def has_expired(self, now_s: float) -> bool:
        """Tell whether it no longer holds at a time in seconds since 1970, UTC."""
        return self.expires is not None and self.expires.timestamp() <= now_s

    def erase_at_s(self) -> float | None:
        """Return when the person is erased, seconds since 1970; None: never by itself.

        The time between lets consent be renewed, and keeps a wrong clock from erasing anybody.
        """
        if self.expires is None:
            return None
        return (self.expires + timedelta(days=GRACE_DAYS)).timestamp()

    def as_json(self) -> dict[str, Any]:
        """Return the form that is stored and exported; times in UTC."""
        return {
            "given_by": self.given_by,
            "given_at": _text(self.given_at),
            "purpose": self.purpose,
            "expires": None if self.expires is None else _text(self.expires),
        }


def consent_from_json(data: Any) -> Consent:
    """Read what `Consent.as_json` returned.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(data, dict) or set(data) != {"given_by", "given_at", "purpose", "expires"}:
        raise ValueError("not a consent record")
    if not all(isinstance(data[key], str) for key in ("given_by", "given_at", "purpose")):
        raise ValueError("not a consent record")
    expires = data["expires"]
    return Consent(
        data["given_by"],
        datetime.fromisoformat(data["given_at"]),
        data["purpose"],
        None if expires is None else datetime.fromisoformat(expires),
    )


def pack_consent(consent: Consent | None) -> bytes:
    """Return a record as bytes; empty for none."""
    return b"" if consent is None else json.dumps(consent.as_json()).encode()


def unpack_consent(packed: bytes) -> Consent | None:
    """Read what `pack_consent` returned.

    Raises:
        ValueError: it is something else.
    """
    return consent_from_json(json.loads(packed)) if packed else None


def _text(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds")
