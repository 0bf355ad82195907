"""Run the command as ``python -m skwbc.cli``."""

import sys

from skwbc.cli import main

sys.exit(main())
