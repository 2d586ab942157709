"""``python -m LNSegFMFineTuneLib.cli``."""

from LNSegFMFineTuneLib.cli import main

raise SystemExit(main())
