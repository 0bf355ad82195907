"""Run the command as ``python -m skwbc.cli``."""

import sys

from skwbc.cli._app import main

sys.exit(main())
