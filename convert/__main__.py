"""python -m convert is the same as earsight-convert."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
