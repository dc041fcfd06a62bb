"""The command line: it parses and forwards, nothing more."""

import argparse
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from lrreport import FailedError, LrreportError, __version__
from lrreport.study import DEFAULT_STUDY, REPOSITORY, Study, load_study
from lrreport.sweep.scheduler import Address

STOPPED = "stopped; finished runs are kept, the same command goes on from there"

EPILOG = """\
examples:
  lrreport report                                              the default study
  lrreport report studies/quick.toml                           a study of seconds, without any network
  lrreport report --learning-rates 0.01 0.001 --epochs 10      the default study with other settings
  lrreport report --scheduler tls://host:8786                  the default study on a Dask cluster
  lrreport status                                              which runs are there, and why others would be made again
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and whose options are written out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and end with status 2."""
        self.exit(2, f"lrreport: {message}; see {self.prog} --help\n")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = Parser(
        prog="lrreport",
        description="How does the learning rate change what a model learns? Run the study, write the report.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lrreport {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    report = commands.add_parser("report", help="make the missing runs of a study, then its report")
    add_study(report)
    report.add_argument("--jobs", type=count, metavar="N", help="runs at once (default: one more than there are cores)")
    report.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="make the runs on a Dask cluster, such as tls://host:8786 (or $LRREPORT_SCHEDULER; --jobs overrides that)",
    )
    report.add_argument("--insecure", action="store_true", help="allow a tcp:// scheduler on another host")
    report.add_argument(
        "--allow-mixed",
        action="store_true",
        help="allow workers with another lrreport, torch or Python, and note it in their runs' records",
    )
    report.add_argument("--keep-going", action="store_true", help="make the report from the runs that succeeded")
    report.add_argument(
        "--stall-timeout",
        type=seconds,
        metavar="SECONDS",
        help="end a run that finishes no cell and no epoch for so long (default: 1800)",
    )

    pdf = commands.add_parser("pdf", help="make the report of a study, then print it to report.pdf through Chromium")
    add_study(pdf)
    pdf.set_defaults(jobs=None, scheduler=None, insecure=False, allow_mixed=False, keep_going=False, stall_timeout=None)

    status = commands.add_parser("status", help="say for each run whether it is there, missing or stale, and why")
    add_study(status)

    runs = commands.add_parser("runs", help="list every run kept: size, age, and which studies use it")
    prune = commands.add_parser("prune", help="remove the runs that no study uses, after saying which")
    prune.add_argument("--yes", action="store_true", help="do not ask")
    for parser_ in (runs, prune):
        add_outputs(parser_)

    data = commands.add_parser("data", help="find, fetch and verify the data of a study")
    add_study(data)

    new = commands.add_parser("new", help="write a commented study file, to start from, into this folder")
    new.add_argument("new_name", metavar="NAME", help="name of the study, and of its file without .toml")
    new.add_argument("--code", action="store_true", help="also a module with data and a network of your own")

    bench = commands.add_parser("bench", help="measure how fast lrreport is, beside the plain way to do the same")
    bench.add_argument(
        "--repetitions", type=count, default=3, metavar="N", help="readings of each (default: %(default)s)"
    )
    bench.add_argument("--short", action="store_true", help="measure little work once, to see that all can be measured")
    add_outputs(bench)

    notebooks = commands.add_parser("notebooks", help="execute the committed notebooks again and refresh the reference")
    notebooks.add_argument("--outputs", type=Path, default=REPOSITORY / "outputs", help=argparse.SUPPRESS)
    return parser


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add what every command about a study takes: its file, and settings that replace the file's."""
    parser.add_argument("study", nargs="?", default=DEFAULT_STUDY, help="study file (default: %(default)s)")
    parser.add_argument(
        "--learning-rates", nargs="+", metavar="RATE", help="positive rates, such as 0.01 0.001 (default: the file's)"
    )
    parser.add_argument("--seeds", nargs="+", metavar="SEED", help="whole numbers from 0 on; each repeats every rate")
    parser.add_argument("--epochs", metavar="N", help="passes over the training images")
    parser.add_argument("--device", help="auto, cpu or cuda")
    parser.add_argument("--name", help="name of the report's folder (default: the study's, marked if settings changed)")
    add_outputs(parser)
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="where data files are kept (or $LRREPORT_DATA)")


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add what every command about kept runs takes: the folder where they are."""
    parser.add_argument(
        "--outputs", type=Path, default=REPOSITORY / "outputs", metavar="DIR", help="where runs and reports are kept"
    )


def read_study(arguments: argparse.Namespace) -> Study:
    """Return the study that the arguments name, with their settings in place of the file's."""
    return load_study(arguments.study).changed(
        name=arguments.name,
        learning_rate=split_numbers(arguments.learning_rates, float, "--learning-rates"),
        seed=split_numbers(arguments.seeds, int, "--seeds"),
        epochs=None if arguments.epochs is None else read_number(arguments.epochs, int, "--epochs"),
        device=arguments.device,
    )


def read_scheduler(arguments: argparse.Namespace) -> Address | None:
    """Return the scheduler that the arguments or the environment name, if the command makes runs."""
    if arguments.command not in ("report", "pdf"):
        return None
    if arguments.scheduler is not None and arguments.jobs is not None:
        raise LrreportError("--jobs counts runs on this machine, and --scheduler sends them to others; leave one out")
    text = os.environ.get("LRREPORT_SCHEDULER") if arguments.scheduler is None else arguments.scheduler
    if not text or arguments.jobs is not None:
        return None
    return Address(text, arguments.insecure, arguments.allow_mixed)


def split_numbers(words: Sequence[str] | None, kind: type[float], option: str) -> list[float] | None:
    """Return the numbers in words that may hold several, separated by blanks or commas; None for no words."""
    if words is None:
        return None
    return [read_number(text, kind, option) for text in " ".join(words).replace(",", " ").split()]


def read_number(text: str, kind: type[float], option: str) -> float:
    """Return a number, or raise LrreportError that names the option."""
    try:
        return kind(text)
    except ValueError as err:
        what = "a whole number, such as 5" if kind is int else "a number, such as 0.001"
        raise LrreportError(f"{option}: {text[:40]!r} is not {what}") from err


def count(text: str) -> int:
    """Return a whole number from 1 on; for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def seconds(text: str) -> float:
    """Return a positive number of seconds; for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 1 for what failed, 2 for bad input, 130 or 143 when stopped."""
    forget_python_path()
    parsed = make_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        return run_command(parsed)
    except FailedError as err:
        return _fail(str(err), 1)
    except LrreportError as err:
        return _fail(str(err), 2)
    except KeyboardInterrupt:
        return _fail(STOPPED, 130)
    except BrokenPipeError:  # whoever reads our output has seen enough, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as the shell has it for SIGPIPE
    except OSError as err:
        from lrreport.sweep.worker import describe_os_error

        return _fail(describe_os_error(err), 1)
    except Exception as err:
        with tempfile.NamedTemporaryFile("w", prefix="lrreport-", suffix=".log", delete=False) as log:
            traceback.print_exc(file=log)
        return _fail(f"unexpected {type(err).__name__}: {err}; see {log.name}", 1)


def forget_python_path() -> None:
    """Import nothing more from $PYTHONPATH, where a user's own modules could stand in for those that we need."""
    for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if entry and entry in sys.path and Path(entry).resolve() != Path(__file__).parents[1]:
            sys.path.remove(entry)


def _fail(line: str, status: int) -> int:
    print(f"lrreport: {line}", file=sys.stderr)
    return status


def run_command(parsed: argparse.Namespace) -> int:
    """Forward to what a command does."""
    from lrreport import inventory, workflow

    if parsed.command == "notebooks":
        from lrreport.refresh import refresh_notebooks

        return refresh_notebooks(load_study(DEFAULT_STUDY), parsed.outputs)
    if parsed.command == "new":
        from lrreport.new import write_new

        print(*write_new(parsed.new_name, Path.cwd(), parsed.code), sep="\n")
        return 0
    outputs = parsed.outputs.resolve()
    if parsed.command == "runs":
        return inventory.print_runs(outputs)
    if parsed.command == "bench":
        from lrreport.bench.run import run_bench

        return run_bench(outputs, parsed.repetitions, parsed.short)
    if parsed.command == "prune":
        return inventory.prune_runs(outputs, parsed.yes)
    study = read_study(parsed)
    work = workflow.Workflow(study, outputs, read_scheduler(parsed))
    if parsed.data_root is not None:
        workflow.use_data_root(parsed.data_root)
    if parsed.command == "data":
        return workflow.fetch_data(study)
    if parsed.command == "status":
        return workflow.print_status(work)
    from lrreport.sweep.execute import STALL_TIMEOUT

    if work.has_work():
        workflow.check_published(load_study(parsed.study), parsed.study)
    status = work.report(parsed.jobs, parsed.keep_going, parsed.stall_timeout or STALL_TIMEOUT)
    if parsed.command == "pdf" and status == 0:
        workflow.print_pdf(work)
    return status


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    print(f"lrreport: {STOPPED}", file=sys.stderr)
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
