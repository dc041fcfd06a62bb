"""What is listed and pruned: only runs that no study uses go, and only when that was agreed to."""

import io
import json
from pathlib import Path
from threading import Thread

import pytest

from lrreport.cli import main
from lrreport.inventory import format_age, format_size, prune_runs
from lrreport.record.locks import hold_lock, is_held
from lrreport.record.store import Store
from lrreport.study.load import load_study
from lrreport.testing import write_report_folder
from lrreport.workflow import WANTED, Workflow


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """An outputs folder with a study of two runs, and two runs that nothing uses."""
    write_report_folder(tmp_path / "mine", 2, 1, 2)
    write_report_folder(tmp_path / "gone", 2, 1, 3)
    (tmp_path / "gone" / "study.json").unlink()
    return tmp_path


def list_keys(outputs: Path) -> set[str]:
    return {path.name for path in outputs.glob("runs/[!.]*")}


def test_runs_are_listed_with_who_uses_them(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--outputs", str(outputs)]) == 0
    *lines, total = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert sum(line.endswith("sample, learning rate 1.0, seed 0, 2 epochs  used by mine") for line in lines) == 1
    assert sum(line.endswith("3 epochs  used by no study") for line in lines) == 2
    assert total.startswith("4 runs, ")


def test_a_damaged_run_is_listed_as_such(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = min(list_keys(outputs))
    (outputs / "runs" / key / "record.json").write_text("{")
    assert main(["runs", "--outputs", str(outputs)]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert f"damaged: {outputs / 'runs' / key / 'record.json'}: cut or not JSON" in line


def test_nothing_is_pruned_without_consent(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list_keys(outputs)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["prune", "--outputs", str(outputs)]) == 2
    printed = capsys.readouterr()
    assert printed.out.count("3 epochs") == 2
    assert printed.err.endswith("nothing removed, since there is no terminal to ask on; add --yes to remove them\n")
    assert list_keys(outputs) == before


def test_prune_removes_what_no_study_uses(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--yes", "--outputs", str(outputs)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Removed 2 runs that no study uses, ")
    assert main(["runs", "--outputs", str(outputs)]) == 0
    assert "no study" not in capsys.readouterr().out
    assert len(list_keys(outputs)) == 2
    assert main(["prune", "--yes", "--outputs", str(outputs)]) == 0
    assert capsys.readouterr().out == f"Nothing to remove: every run in {outputs / 'runs'} is used.\n"


@pytest.mark.parametrize(("answer", "left"), [("n", 4), ("", 4), ("y", 2)])
def test_a_terminal_is_asked(outputs: Path, monkeypatch: pytest.MonkeyPatch, answer: str, left: int) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    assert prune_runs(outputs, confirmed=False, ask=lambda question: answer) == 0
    assert len(list_keys(outputs)) == left


def test_runs_of_a_study_that_was_stopped_before_its_report_are_used(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unused = list_keys(outputs) - {
        Path(run["folder"]).name for run in json.loads((outputs / "mine/study.json").read_text())["runs"]
    }
    (outputs / "gone" / WANTED).write_text(json.dumps({"wanted": sorted(unused)}))
    assert main(["prune", "--yes", "--outputs", str(outputs)]) == 0
    assert capsys.readouterr().out.startswith("Nothing to remove")
    assert len(list_keys(outputs)) == 4


def test_what_comes_into_use_during_the_question_stays(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())

    def answer(question: str) -> str:
        used = {Path(run["folder"]).name for run in json.loads((outputs / "mine/study.json").read_text())["runs"]}
        (outputs / "gone" / WANTED).write_text(json.dumps({"wanted": sorted(list_keys(outputs) - used)[:1]}))
        return "y"

    assert prune_runs(outputs, confirmed=False, ask=answer) == 0
    assert "; 1 run came into use meanwhile and is kept." in capsys.readouterr().out
    assert len(list_keys(outputs)) == 3


def test_no_study_begins_to_use_a_run_while_unused_runs_are_removed(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def remove(store: Store, key: str) -> bool:
        held.append(is_held(store.lock_use()))  # a study notes what it uses under this lock
        return True

    monkeypatch.setattr(Store, "remove", remove)
    assert prune_runs(outputs, confirmed=True) == 0
    assert held == [True, True]


def test_a_study_notes_what_it_uses_only_when_nobody_is_pruning(outputs: Path) -> None:
    work = Workflow(load_study("studies/quick.toml"), outputs)
    work.folder.mkdir()
    with hold_lock(work.store.lock_use()):
        noting = Thread(target=work._protect, args=([],))
        noting.start()
        noting.join(0.5)
        assert not (work.folder / WANTED).exists()
    noting.join()
    assert json.loads((work.folder / WANTED).read_text()) == {"wanted": []}


def test_a_run_that_somebody_holds_is_not_removed(outputs: Path) -> None:
    store = Store(outputs / "runs")
    key = min(list_keys(outputs))
    with hold_lock(store.lock(key)):
        assert not store.remove(key)
    assert key in list_keys(outputs)
    assert store.remove(key)
    assert key not in list_keys(outputs)


def test_a_broken_study_file_is_named_and_stops_nothing(
    outputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[vary\n")
    monkeypatch.setattr("lrreport.inventory.find_studies", lambda: [broken])
    assert main(["runs", "--outputs", str(outputs)]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("4 runs, ")
    assert printed.err.startswith(f"lrreport: {broken}: not a TOML file: ")
    assert printed.err.endswith("which runs this study uses is not known\n")


def test_a_study_that_cannot_be_read_stops_the_pruning(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (outputs / "mine" / "study.json").write_text("{")
    assert main(["prune", "--yes", "--outputs", str(outputs)]) == 2
    assert "cannot tell which runs it uses" in capsys.readouterr().err
    assert len(list_keys(outputs)) == 4


def test_a_study_that_cannot_be_read_does_not_stop_the_list(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = outputs / "mine" / "study.json"
    path.write_text("{")
    assert main(["runs", "--outputs", str(outputs)]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 5
    assert "used by no study\n" not in printed.out
    assert printed.out.count("used by no study that can be read\n") == 4
    assert printed.err.startswith(f"lrreport: {path}: cannot tell which runs it uses (")
    assert printed.err.count("\n") == 1


def test_control_characters_of_a_path_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", "--outputs", str(tmp_path / "\x1b[31mred")]) == 0
    assert capsys.readouterr().out == f"0 runs, 0 kB, in {tmp_path}/?[31mred/runs\n"


def test_sizes_and_ages_are_short() -> None:
    assert [format_size(size) for size in (0, 1234, 5_000_000)] == ["0 kB", "1 kB", "5.0 MB"]
    assert [format_age(age) for age in (5, 90, 7200, 200_000)] == ["new", "2 min", "2 h", "2 d"]
