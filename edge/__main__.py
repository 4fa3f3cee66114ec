"""python -m edge is the same as earsight."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
