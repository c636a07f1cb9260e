"""``python -m diagkit.cli``."""

import sys

from diagkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
