"""The command line: parse arguments and forward them. The imports of a command happen when it runs."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from lrreport.arguments import make_parser, read_scheduler, read_study

if TYPE_CHECKING:
    import argparse


STOPPED = "stopped; finished runs are kept, the same command goes on from there"
PLAIN = {"×": "x", "−": "-", "–": "-", "…": "...", "→": "->", "“": '"', "”": '"', "’": "'", "±": "+/-", "≥": ">=", "≤": "<=",
         "\N{NO-BREAK SPACE}": " ", "·": "-", "²": "2"}  # fmt: skip


class Terminated(SystemExit):
    """The process was asked to end, by SIGTERM."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 1 for a failure, 2 for bad input, 130 or 143 when stopped."""
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115  # closed by the caller, such as with 2>&-
    hook = sys.unraisablehook
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)
        sys.unraisablehook = lambda ignored: _stop_again(ignored, hook)
        _replace_unencodable()
        forget_python_path()
        return run_command(make_parser().parse_args(arguments))
    except KeyboardInterrupt:
        return _fail(STOPPED, 130)
    except Terminated:
        return _fail(STOPPED, 143)
    except BrokenPipeError:  # the reader of stdout has closed it, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as the shell has it for SIGPIPE
    except Exception as err:
        return _report_error(err)
    finally:
        sys.unraisablehook = hook


def _report_error(err: Exception) -> int:
    """Print an error as a single line and return its exit status; an unexpected error's traceback goes to a file."""
    from lrreport.errors import FailedError, LrreportError

    if isinstance(err, LrreportError):
        return _fail(str(err), 1 if isinstance(err, FailedError) else 2)
    if isinstance(err, OSError):
        from lrreport.sweep.worker import describe_os_error

        return _fail(describe_os_error(err), 1)
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="lrreport-", suffix=".log", delete=False, encoding="utf-8") as log:
        traceback.print_exception(err, file=log)
    return _fail(f"unexpected {type(err).__name__}: {err}; see {log.name}", 1)


def _stop(number: int, frame: FrameType | None) -> None:
    """Stop for a signal, after a moment where code of pydantic runs: its core would make a warning of the exception."""
    if hasattr(signal, "setitimer"):
        runs_pydantic = any(frame.f_globals.get("__name__", "").startswith("pydantic") for frame in _list_frames(frame))
        signal.signal(signal.SIGALRM, lambda _, later: _stop(number, later))
        signal.setitimer(signal.ITIMER_REAL, 0.01 if runs_pydantic else 0)
        if runs_pydantic:
            return
    if number == signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would break off the cleaning up
        raise KeyboardInterrupt
    raise Terminated(128 + number)


def _stop_again(ignored: "sys.UnraisableHookArgs", hook: "Callable[[sys.UnraisableHookArgs], object]") -> None:
    """Stop a moment later if a stop was raised where Python ignores exceptions, as in callbacks of importlib."""
    if not isinstance(ignored.exc_value, KeyboardInterrupt | Terminated) or not hasattr(signal, "setitimer"):
        hook(ignored)
        return
    number = signal.SIGINT if isinstance(ignored.exc_value, KeyboardInterrupt) else signal.SIGTERM
    signal.signal(signal.SIGALRM, lambda _, later: _stop(number, later))
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def _list_frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _replace_unencodable() -> None:
    """Replace characters that the terminal's encoding lacks, such as "→" by "->"."""
    import codecs

    def replace(err: UnicodeError) -> tuple[str, int]:
        assert isinstance(err, UnicodeEncodeError)
        text = err.object[err.start : err.end]
        return "".join(PLAIN.get(letter, "?") for letter in text), err.end

    codecs.register_error("lrreport", replace)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="lrreport")


def forget_python_path() -> None:
    """Remove $PYTHONPATH and the working folder from sys.path, whose modules could shadow installed modules."""
    from pathlib import Path

    package = Path(__file__).parents[1]
    unwanted = {*os.environ.get("PYTHONPATH", "").split(os.pathsep), ""}
    unwanted |= {os.path.abspath(entry) for entry in unwanted}  # since Python makes entries absolute
    sys.path[:] = [entry for entry in sys.path if entry not in unwanted or Path(entry or ".").resolve() == package]


def _fail(line: str, status: int) -> int:
    from lrreport.errors import as_line

    print(f"lrreport: {as_line(line)}", file=sys.stderr)
    return status


def run_command(parsed: "argparse.Namespace") -> int:
    """Call the function of a command."""
    from pathlib import Path

    if parsed.command == "new":
        from lrreport.new import write_new

        print(*write_new(parsed.new_name, Path.cwd(), parsed.code), sep="\n")
        return 0
    if parsed.command == "import":
        from lrreport.imports import write_import

        return write_import(Path(parsed.folder), parsed.source, parsed.name, parsed.assignments)
    if parsed.command == "compare":
        from lrreport.compare import compare_reports

        before, after = map(Path, parsed.reports)
        return compare_reports(before, after, parsed.page)
    if parsed.command in ("runs", "prune"):
        from lrreport import inventory
        from lrreport.workflow import find_outputs

        outputs = find_outputs(parsed.outputs, None)
        return inventory.print_runs(outputs) if parsed.command == "runs" else inventory.prune_runs(outputs, parsed.yes)
    return _run_study_command(parsed)


def _run_study_command(parsed: "argparse.Namespace") -> int:
    from lrreport import commands, workflow

    study = read_study(parsed)
    for note in study.notes:
        workflow.notify(f"{parsed.study}: {note}")
    outputs = workflow.find_outputs(parsed.outputs, study)
    if parsed.data_root is not None:
        commands.use_data_root(parsed.data_root)
    if parsed.command not in ("report", "pdf"):  # which check more
        workflow.Workflow(study, outputs).check_claims()
    if parsed.command == "data":
        return commands.fetch_data(study)
    if parsed.command == "status":
        return commands.print_status(study, outputs)
    if parsed.command == "plan":
        return commands.print_plan(study, outputs)
    if parsed.command == "export":
        from lrreport.exchange import export_report

        return export_report(outputs / study.name, parsed.to)
    options = workflow.ReportOptions(
        n_jobs=parsed.jobs,
        keep_going=parsed.keep_going,
        stall_timeout=parsed.stall_timeout,
        confirm=parsed.confirm,
        summary=getattr(parsed, "summary", False),
    )
    status = workflow.make_report(study, outputs, read_scheduler(parsed), options)
    if parsed.command == "pdf" and status == 0:
        commands.print_pdf(study, outputs)
    return status


if __name__ == "__main__":
    sys.exit(main())
