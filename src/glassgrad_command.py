"""What the installed command runs. Outside of the package, whose import takes time in which Ctrl-C may come already."""

from __future__ import annotations

import signal


def main() -> int:
    """``glassgrad ...``; until it is loaded, Ctrl-C ends the process silently, as it does any program."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from glassgrad.cli import main as run

    try:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return run()
    except KeyboardInterrupt:  # between the two lines above
        return 130
