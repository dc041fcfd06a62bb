"""Producer that runs the user's command, once per run."""

import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lrreport.errors import FailedError, LrreportError
from lrreport.record.files import digest_file
from lrreport.record.provenance import Identity, digest_text, digest_user_code, is_user_module, read_user_code
from lrreport.sweep.command_logs import CommandLogs
from lrreport.sweep.execute import Limits, execute_command
from lrreport.sweep.lines import VARIABLE
from lrreport.sweep.producer import Run
from lrreport.sweep.record_log import Expected
from lrreport.sweep.recorder import make_logged
from lrreport.sweep.values import fill_in, name_settings, write_value

LARGEST_ARGUMENT = 100_000_000  # bytes of a file among the arguments whose digest identifies a run
PREFIX = "LRREPORT_"


@dataclass(frozen=True)
class CommandProducer:
    """Makes the runs of a level, each by a command in `folder`; {NAME} in it stands for a setting or the seed.

    `logs` says where the command writes its logs, None if it logs with `lrreport.log`.
    """

    command: str
    folder: Path
    settings: Mapping[str, Any]
    expected: Expected
    logs: CommandLogs | None = None

    @property
    def most_seeds(self) -> int | None:
        """1: the command makes a single run."""
        return 1

    @property
    def start_cost(self) -> float:
        """0: sharing a start saves nothing."""
        return 0.0

    @property
    def dataset(self) -> None:
        """None: the command finds its data itself."""

    def identify(self, seeds: Sequence[int]) -> list[Identity]:
        """Return the identity of the run of each seed."""
        shared: dict[str, Any] = {"producer": self.digest(), "versions": {"Python": platform.python_version()}}
        return [Identity(settings=dict(self.settings), seed=seed, **shared) for seed in seeds]

    def list_arguments(self, seed: int | None) -> list[str]:
        """Return the arguments of a run; raises LrreportError for a command that cannot be split, or an unknown name."""
        try:
            words = shlex.split(self.command)
        except ValueError as err:
            raise LrreportError(f"producer.command = {self.command[:80]!r}: {err}; close the quotes") from err
        if not words:
            raise LrreportError('producer.command: it is empty; give a command such as "python train.py --seed {seed}"')
        values = {**name_settings(self.settings), "seed": seed}
        return [fill_in(word, values, "producer.command") for word in words]

    def list_variables(self, seed: int | None) -> dict[str, str]:
        """Return the environment variables of a run: LRREPORT_ and the name of a setting, or SEED, in capitals."""
        values = {**name_settings(self.settings), "seed": seed}
        return {f"{PREFIX}{name.replace('.', '_').upper()}": write_value(value) for name, value in values.items()}

    def digest(self) -> dict[str, str]:
        """Return the digests of the command, its script, the modules beside the script that it imports, and other files.

        Files are those named in the arguments, below the folder.
        """
        digests = {"command": digest_text(self.command)}
        if self.logs is not None:
            digests["log"] = digest_text(self.logs.describe())
        for module, folder in self._find_modules():
            digests |= digest_user_code([module], folder)
        for path in self._list_files():
            if path.suffix == ".py" and path.stem in digests:
                continue  # by its syntax, so that comments do not count
            digests[path.relative_to(self.folder).as_posix()] = digest_file(path)
        return digests

    def _list_files(self) -> list[Path]:
        """Return the files named in the command, Python's or not."""
        words = [self.folder / word for word in self.list_arguments(None) if "\0" not in word and len(word) < 1000]
        inside = [path for path in words if path.resolve().is_relative_to(self.folder.resolve()) and path.is_file()]
        return [path for path in dict.fromkeys(inside) if path.stat().st_size <= LARGEST_ARGUMENT]

    def _find_modules(self) -> list[tuple[str, Path]]:
        """Return the user's modules that the command starts, each with the folder that its imports are looked for in."""
        scripts = [(path.stem, path.parent) for path in self._list_files() if path.suffix == ".py"]
        words = self.list_arguments(None)
        named = [(words[index + 1], self.folder) for index, word in enumerate(words[:-1]) if word == "-m"]
        return scripts + [(module, folder) for module, folder in named if is_user_module(module, folder)]

    def make(self, runs: Sequence[Run], workspace: Path, limits: Limits) -> Mapping[str, str]:
        """Run the command for the seed of the only run."""
        (run,) = runs
        if self.logs is None:
            return make_logged(runs, workspace, limits, self.expected, self._start)
        values = {**name_settings(self.settings), "seed": run.identity.seed}
        location = self.logs.locate(self.folder, values)
        before = location.snapshot()
        self._start(runs, workspace / "log.jsonl", limits, location.list_watched())
        try:
            location.save_run(run, workspace, before, self.expected)
        except FailedError:
            raise
        except LrreportError as err:
            raise FailedError(f"its logs cannot be read: {err}") from err
        return {}

    def _start(self, runs: Sequence[Run], log: Path, limits: Limits, watched: Sequence[Path] = ()) -> None:
        seed = runs[0].identity.seed
        environment = {**self.list_variables(seed), VARIABLE: str(log)}
        execute_command(self.list_arguments(seed), self.folder, log.parent, limits, environment, [log, *watched])

    def collect_files(self) -> dict[str, bytes]:
        """Return the files that the command names and the modules beside its scripts, by their paths in the folder."""
        files = {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in self._list_files()}
        for module, folder in self._find_modules():
            inside = folder.relative_to(self.folder)
            files |= {(inside / name).as_posix(): content for name, content in read_user_code([module], folder).items()}
        return files

    def relocate(self, folder: Path) -> "CommandProducer":
        """Return the same producer with its files in `folder`."""
        return replace(self, folder=folder)
