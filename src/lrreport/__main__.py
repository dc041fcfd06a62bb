"""Entry point of `lrreport` and `python -m lrreport`; it handles Ctrl-C before importing anything else."""

import signal
import sys


def main() -> int:
    """Run the command line; during its imports Ctrl-C ends the process silently."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from lrreport.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
