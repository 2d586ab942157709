"""``python -m lnsegfm.cli``."""

from lnsegfm.cli import main

raise SystemExit(main())
