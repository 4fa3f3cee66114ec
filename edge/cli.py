"""The `earsight` command: arguments in, exit code out. What a command does is in `commands/`.

Those modules, and NumPy with them, are imported after `arguments.py` has understood what was typed:
`--help` is quick.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .arguments import build_parser
from .errors import EarsightError, StorageError

if TYPE_CHECKING:
    from argparse import Namespace

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
PIPE_CLOSED = 141  # 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; argparse itself exits with 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name that the terminal cannot show
    try:
        args = build_parser().parse_args(argv)
        code = _run(args)
    except EarsightError as error:
        return report(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough: `earsight people | head -1`
        _abandon_output()
        return PIPE_CLOSED
    return code


def report(error: EarsightError) -> int:
    """Print an error as one line on stderr and return its exit code."""
    text = "".join(c if c.isprintable() else "?" for c in str(error))  # file names hold anything
    print(f"earsight: error: {text}", file=sys.stderr)
    return error.exit_code


def _run(args: Namespace) -> int:
    from .commands import find

    try:
        code = find(args.command)(args)
        if sys.stdout is not None:  # None: started with standard output closed
            sys.stdout.flush()
    except (EarsightError, BrokenPipeError):
        raise
    except OSError as exc:
        if exc.filename is not None:  # a file: the commands turn those into their own errors
            raise
        _abandon_output()
        raise StorageError(
            f"standard output cannot be written ({exc.strerror}); free some space"
        ) from exc
    return code


def _abandon_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter's exit does not complain."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
