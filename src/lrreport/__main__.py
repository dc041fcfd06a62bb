"""The command: `lrreport`, or `python -m lrreport`. It heeds Ctrl-C before it imports anything else."""

import signal
import sys


def main() -> int:
    """Run the command line; until it can answer for itself, Ctrl-C ends the process without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from lrreport.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
