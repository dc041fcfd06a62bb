"""The arguments of the command line: the parser, and reading of its values."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from lrreport.errors import as_line

if TYPE_CHECKING:
    import argparse

    from lrreport.study.study import Study
    from lrreport.sweep.scheduler import Address

DEFAULT_STUDY = "studies/fashion_mnist.toml"
LARGEST_RANGE = 100_000  # seeds that "0-99999" may stand for
EPILOG = """\
examples:
  lrreport report                                              the default study
  lrreport report studies/quick.toml                           a study that takes seconds, without network access
  lrreport report --learning-rates 0.01 0.001 --epochs 10      the default study with other settings
  lrreport report --most-seeds 20                              more seeds until the study is decided
  lrreport import runs/                                        a study of runs that something else made
  lrreport status                                              which runs are stored, and why others would be repeated
"""


def make_parser() -> "argparse.ArgumentParser":
    """Return the parser of all commands."""
    import argparse

    class Parser(argparse.ArgumentParser):
        """A parser with single-line errors and without abbreviated options."""

        def __init__(self, **options: Any) -> None:
            super().__init__(allow_abbrev=False, **options)

        def error(self, message: str) -> NoReturn:
            """Print the error and exit with status 2."""
            self.exit(2, f"lrreport: {as_line(message)}; see {self.prog} --help\n")

    from lrreport import __version__

    parser = Parser(
        prog="lrreport",
        description="How does the learning rate change what a model learns? Run the study, write the report.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lrreport {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    report = commands.add_parser("report", help="make the missing runs of a study, then its report")
    pdf = commands.add_parser("pdf", help="make the report of a study, then print it to report.pdf through Chromium")
    for making in (report, pdf):
        add_study(making)
        add_execution(making)
    report.add_argument("--summary", action="store_true", help="print the summary in place of the answer alone")

    for name, text in (
        ("status", "show for each run whether it is fresh, missing or stale, and why"),
        ("plan", "estimate from finished runs how many seeds a study needs, and their cost"),
        ("data", "find, fetch and verify the data of a study"),
    ):
        add_study(commands.add_parser(name, help=text))
    _add_file_commands(commands)
    return parser


def _add_file_commands(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the commands on files: stored runs, new studies, imports, exports and comparisons."""
    runs = commands.add_parser("runs", help="list every stored run: size, age, and which studies use it")
    prune = commands.add_parser("prune", help="remove the runs that no study uses, after listing them")
    prune.add_argument("--yes", action="store_true", help="do not ask")
    for listing in (runs, prune):
        add_outputs(listing)

    new = commands.add_parser("new", help="write a commented study file, to start from, into this folder")
    new.add_argument("new_name", metavar="NAME", help="name of the study, and of its file without .toml")
    new.add_argument("--code", action="store_true", help="also a module for your own data and network")

    importing = commands.add_parser("import", help="write a study of the runs that training logs in a folder describe")
    importing.add_argument("folder", metavar="FOLDER", help="folder or file with the logs")
    importing.add_argument("--from", dest="source", metavar="SOURCE", help="table, tensorboard, wandb, mlflow, lightning, "
                           "trainer_state or text (default: whichever is found)")  # fmt: skip
    importing.add_argument("--name", help="name of the study (default: the folder's)")
    importing.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE",
                           help="a key of the study that is written, in place of what would be guessed, such as "
                           "import.duplicates=last, vary=learning_rate or metrics.val_score.better=higher")  # fmt: skip
    exporting = commands.add_parser(
        "export", help="write the runs of a report as two CSV files, runs.csv and history.csv"
    )
    add_study(exporting)
    exporting.add_argument("--to", metavar="DIR", help="where to write them (default: export/ in the report's folder)")

    compare = commands.add_parser("compare", help="say what differs between two reports")
    compare.add_argument("reports", nargs=2, metavar="REPORT", help="folder of a report, or its findings.json")
    compare.add_argument("--page", metavar="FILE", help="also write the comparison as an HTML page")


def add_study(parser: "argparse.ArgumentParser") -> None:
    """Add the arguments of every command on a study: its file, and settings that replace the file's."""
    parser.add_argument("study", nargs="?", default=DEFAULT_STUDY, help="study file (default: %(default)s)")
    parser.add_argument(
        "--learning-rates", nargs="+", metavar="RATE", help="positive rates, such as 0.01 0.001 (default: the file's)"
    )
    parser.add_argument("--seeds", nargs="+", metavar="SEED", help="whole numbers from 0 on, such as 0 1 2 or 0-9")
    parser.add_argument("--epochs", metavar="N", help="passes over the training examples")
    parser.add_argument("--device", help="auto, cpu or cuda")
    parser.add_argument("--name", help="name of the report's folder (default: the study's, marked if settings changed)")
    add_outputs(parser)
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data files (or $LRREPORT_DATA)")


def add_execution(parser: "argparse.ArgumentParser") -> None:
    """Add the arguments of commands that make runs."""
    parser.add_argument("--most-seeds", metavar="N", help="add seeds to undecided levels until decided, at most N")
    parser.add_argument("--confirm", action="store_true", help="score the chosen level on fresh seeds")
    parser.add_argument("--jobs", type=count, metavar="N", help="runs at once (default: number of cores + 1)")
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="make the runs on a Dask cluster, such as tls://host:8786 (or $LRREPORT_SCHEDULER; --jobs overrides that)",
    )
    parser.add_argument("--insecure", action="store_true", help="allow a tcp:// scheduler on another host")
    parser.add_argument(
        "--allow-mixed",
        action="store_true",
        help="allow workers with another lrreport, torch or Python, and note it in their runs' records",
    )
    parser.add_argument("--keep-going", action="store_true", help="make the report from the runs that succeeded")
    parser.add_argument(
        "--stall-timeout",
        type=seconds,
        metavar="SECONDS",
        help="end a run that finishes no cell and no epoch within this time (default: 1800)",
    )


def add_outputs(parser: "argparse.ArgumentParser") -> None:
    """Add the argument of every command on stored runs: their folder."""
    parser.add_argument(
        "--outputs",
        metavar="DIR",
        help="folder of runs and reports (default: outputs/ of the checkout, or beside the study)",
    )


def read_study(parsed: "argparse.Namespace") -> "Study":
    """Return the study of the arguments, whose settings replace the file's."""
    from lrreport.study.load import load_study

    study = load_study(parsed.study)
    seeds: Any = split_seeds(parsed.seeds)
    most = None if getattr(parsed, "most_seeds", None) is None else read_number(parsed.most_seeds, int, "--most-seeds")
    if most is not None:
        initial = seeds or study.seeds.initial
        contiguous = list(initial) == list(range(len(initial)))
        seeds = {"first": len(initial), "most": most} | ({} if contiguous else {"listed": list(initial)})
    return study.with_changes(
        name=parsed.name,
        learning_rate=split_numbers(parsed.learning_rates, float, "--learning-rates"),
        seeds=seeds,
        epochs=None if parsed.epochs is None else read_number(parsed.epochs, int, "--epochs"),
        device=parsed.device,
    )


def read_scheduler(parsed: "argparse.Namespace") -> "Address | None":
    """Return the scheduler that the arguments or the environment name, if the command makes runs."""
    if parsed.command not in ("report", "pdf"):
        return None
    from lrreport.errors import LrreportError

    if parsed.scheduler is not None and parsed.jobs is not None:
        raise LrreportError("--jobs counts runs on this machine, and --scheduler sends them to others; use either")
    text = os.environ.get("LRREPORT_SCHEDULER") if parsed.scheduler is None else parsed.scheduler
    if not text or parsed.jobs is not None:
        return None
    from lrreport.sweep.scheduler import Address

    return Address(text, parsed.insecure, parsed.allow_mixed)


def split_numbers(words: Sequence[str] | None, kind: type[float], option: str) -> list[float] | None:
    """Return the numbers in words, separated by blanks or commas; None for None."""
    if words is None:
        return None
    return [read_number(text, kind, option) for text in " ".join(words).replace(",", " ").split()]


def split_seeds(words: Sequence[str] | None) -> list[int] | None:
    """Return the seeds in words, separated by blanks or commas, ranges such as "0-9" included; None for None."""
    if words is None:
        return None
    seeds: list[int] = []
    for text in " ".join(words).replace(",", " ").split():
        first, dash, last = text.partition("-")
        if dash and first and last:
            low, high = int(read_number(first, int, "--seeds")), int(read_number(last, int, "--seeds"))
            if not 0 <= high - low < LARGEST_RANGE:
                _refuse(f"--seeds: {text[:40]!r} is not a range such as 0-9 (of at most {LARGEST_RANGE:,} seeds)")
            seeds += range(low, high + 1)
        else:
            seeds.append(int(read_number(text, int, "--seeds")))
    return seeds


def read_number(text: str, kind: type[float], option: str) -> float:
    """Return a number; raises LrreportError that names the option."""
    try:
        return kind(text)
    except ValueError:
        what = "a whole number, such as 5" if kind is int else "a number, such as 0.001"
        _refuse(f"{option}: {text[:40]!r} is not {what}")


def _refuse(problem: str) -> NoReturn:
    from lrreport.errors import LrreportError

    raise LrreportError(problem)


def count(text: str) -> int:
    """Return a whole number from 1 on; for argparse."""
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise _as_type_error(f"{text[:40]!r} is not a whole number from 1 on")
    return int(text)


def seconds(text: str) -> float:
    """Return a positive number of seconds; for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise _as_type_error(f"{text[:40]!r} is not a positive number of seconds")
    return value


def _as_type_error(problem: str) -> Exception:
    import argparse

    return argparse.ArgumentTypeError(problem)
