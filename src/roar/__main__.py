"""`python -m roar`."""

import sys

from roar.cli import main

sys.exit(main())
