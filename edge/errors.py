"""Errors that say whose fault it is, and the exit code each one ends a command with.

::

    EarsightError                 1   (also: a check that failed)
    ├── ConfigError (ValueError)  3   the user's configuration or recipe
    ├── BundleError (ValueError)  4   a bundle file that does not keep the contract
    ├── HardwareError (OSError)   5   microphone, accelerator
    ├── InputError (ValueError)   6   a sound or picture that cannot be used
    │   └── NoSpeechError         7   a sound that is fine but holds no usable speech
    ├── RuntimeUnavailable        8   nothing installed that can run a model
    │      (ImportError)
    ├── StorageError (OSError)    9   a disk that is full, a folder that is not writable
    └── CompilerUnavailable      10   no Edge TPU compiler here

Exit code 2 is argparse's own (wrong usage), 0 is success and 130 is Ctrl-C.
Every message is one line and ends with what to do.
"""

from __future__ import annotations


class EarsightError(Exception):
    """Base of every error earsight raises on purpose."""

    exit_code = 1


class ConfigError(EarsightError, ValueError):
    """A configuration, recipe or argument value is wrong."""

    exit_code = 3


class BundleError(EarsightError, ValueError):
    """A bundle, or a gallery made with another bundle, breaks the contract."""

    exit_code = 4


class HardwareError(EarsightError, OSError):
    """A microphone or an accelerator is absent, busy or gone."""

    exit_code = 5


class InputError(EarsightError, ValueError):
    """A sound or a picture given by the user cannot be used."""

    exit_code = 6


class NoSpeechError(InputError):
    """A readable recording in which nobody speaks long enough."""

    exit_code = 7


class RuntimeUnavailable(EarsightError, ImportError):  # noqa: N818 (reads as what it is)
    """A package that this step needs is not installed or does not work here."""

    exit_code = 8


class StorageError(EarsightError, OSError):
    """Something could not be written or read back from disk."""

    exit_code = 9


class CompilerUnavailable(EarsightError):  # noqa: N818 (reads as what it is)
    """The Edge TPU compiler is not on this machine."""

    exit_code = 10
