"""``python -m refconv`` is the same as ``refconv``."""

import sys

from refconv.cli import main

if __name__ == "__main__":
    sys.exit(main())
