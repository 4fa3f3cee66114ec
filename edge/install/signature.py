"""Who made a bundle: an Ed25519 signature (RFC 8032) of its manifest, which hashes all else.

The signature is 64 raw bytes in `manifest.json.sig` and keys are PEM files, so that OpenSSL alone
makes both on any machine, and checks them where no Python package is installed yet
(`firmware_cfg/README.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BundleError, ConfigError, RuntimeUnavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEYS = Path("/etc/earsight/keys")  # *.pem: whose bundles this device installs
SUFFIX = ".sig"
LENGTH = 64  # bytes of an Ed25519 signature


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key somebody put on this device."""

    name: str  # of its file, without .pem
    key: Ed25519PublicKey


def load_keys(path: Path = KEYS) -> tuple[TrustedKey, ...]:
    """Read one PEM file, or every `*.pem` of a folder in the order of their names.

    Raises:
        ConfigError: there is none, or one is no Ed25519 public key.
        RuntimeUnavailable: the package that checks signatures is not installed.
    """
    files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise ConfigError(
            f"{path}: no key is trusted here yet; give the public key of whoever signed the "
            "bundle with --key, or put it there as NAME.pem"
        )
    return tuple(TrustedKey(file.stem, _load(file)) for file in files)


def check_signature(content: bytes, signature: bytes, keys: tuple[TrustedKey, ...]) -> str:
    """Return the name of the trusted key that signed `content`.

    Args:
        content: what was signed.
        signature: 64 bytes.
        keys: those to try.

    Raises:
        BundleError: none of them did.
    """
    from cryptography.exceptions import InvalidSignature

    for trusted in keys:
        try:
            trusted.key.verify(signature, content)
        except InvalidSignature:
            continue
        return trusted.name
    raise BundleError(
        f"its signature is by none of the trusted keys ({', '.join(key.name for key in keys)}); "
        "it was changed, or signed by somebody else: ask its maker for the public key"
    )


def _load(file: Path) -> Ed25519PublicKey:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as exc:
        raise RuntimeUnavailable(
            f"signatures cannot be checked here ({exc}); run: pip install 'earsight[update]'"
        ) from exc
    try:
        key = load_pem_public_key(file.read_bytes())
    except OSError as exc:
        raise ConfigError(f"{file}: cannot be read ({exc.strerror})") from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise ConfigError(f"{file}: is no public key in PEM; make one as the README says") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{file}: is not an Ed25519 key; make one as the README says")
    return key
