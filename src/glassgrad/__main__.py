"""``python -m glassgrad`` is ``glassgrad``."""

from .cli import main

raise SystemExit(main())
