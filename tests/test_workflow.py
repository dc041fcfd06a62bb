"""Whose report a folder holds, which looks it has seen, and what its command prints."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from lrreport.commands import print_plan
from lrreport.errors import LrreportError
from lrreport.look_history import LOOKS, list_looks, note_look
from lrreport.record.contents import RunPlace
from lrreport.study.decide import Decide, Look
from lrreport.study.load import load_study
from lrreport.workflow import OWNER, Workflow, find_outputs

SMALL = 'seeds = [0, 1]\n[vary]\nlearning_rate = [0.01, 0.001]\n[fixed]\ndataset = "sample"\nvalidation_size = 500\nepochs = 1\n'


def test_a_report_does_not_replace_that_of_another_study(tmp_path: Path) -> None:
    files = [tmp_path / folder / "mine.toml" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text('[vary]\nlearning_rate = [0.1]\n[fixed]\ndataset = "sample"\nvalidation_size = 500\n')
    outputs = tmp_path / "outputs"
    (outputs / "mine").mkdir(parents=True)
    (outputs / "mine" / OWNER).write_text(str(files[0]))
    with pytest.raises(LrreportError) as error:
        Workflow(load_study(files[1]), outputs).make_report()
    assert str(error.value) == (
        f"{outputs / 'mine'}: holds the report of {files[0]}; give this study another name, such as with --name"
    )
    assert not (outputs / "runs").exists()


@pytest.mark.parametrize("noted", ["", "gone.toml"])
def test_of_studies_of_the_same_name_that_start_at_once_only_one_runs(tmp_path: Path, noted: str) -> None:
    files = [tmp_path / str(number) / "mine.toml" for number in range(4)]
    for file in files:
        file.parent.mkdir()
        file.write_text(SMALL)
    for trial in range(25):
        works = [Workflow(load_study(file), tmp_path / f"outputs{trial}") for file in files]
        works[0].folder.mkdir(parents=True)
        if noted:
            (works[0].folder / OWNER).write_text(str(tmp_path / noted))
        start = Barrier(len(works))

        def take(work: Workflow, start: Barrier = start) -> bool:
            start.wait()
            try:
                work._take_folder()
            except LrreportError:
                return False
            return True

        with ThreadPoolExecutor(len(works)) as threads:
            assert sum(threads.map(take, works)) == 1


def test_a_tilde_that_the_shell_left_is_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_outputs("~/x", None) == tmp_path / "x"


def test_links_that_lead_back_to_themselves_are_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(LrreportError, match=r"loop: its links lead back to themselves; name another path$"):
        find_outputs(str(tmp_path / "loop"), None)


def test_a_path_with_nul_is_named() -> None:
    with pytest.raises(LrreportError, match="NUL"):
        find_outputs("a\0b", None)


def test_a_tilde_in_a_study_file_is_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "mine.toml"
    monkeypatch.setenv("HOME", str(home))
    (home / "logs").mkdir(parents=True)
    tables = {
        '[producer]\nnotebook = "~/mine.ipynb"\n': f"{home}/mine.ipynb: cannot read the notebook",
        '[import]\nfrom = "table"\nfolder = "~/logs"\n': "import.paths: no file fits **; there are no files",
    }
    for table, message in tables.items():
        file.write_text(f"[vary]\nlearning_rate = [0.1]\n{table}")
        with pytest.raises(LrreportError, match=re.escape(message)):
            Workflow(load_study(file), tmp_path / "outputs").make_report()


@pytest.mark.slow
def test_a_study_that_moved_keeps_its_folder(tmp_path: Path) -> None:
    outputs, file = tmp_path / "outputs", tmp_path / "mine.toml"
    fixed = '[fixed]\ndataset = "sample"\nvalidation_size = 500\nepochs = 1\n'
    file.write_text(f"seeds = [0]\n[vary]\nlearning_rate = [0.1]\n{fixed}")
    assert Workflow(load_study(file), outputs).make_report() == 0
    assert (outputs / "mine" / OWNER).read_text() == str(file)
    moved = tmp_path / "moved" / "mine.toml"
    moved.parent.mkdir()
    file.rename(moved)
    assert Workflow(load_study(moved), outputs).make_report() == 0
    assert (outputs / "mine" / OWNER).read_text() == str(moved)


def make_work(tmp_path: Path) -> Workflow:
    file = tmp_path / "mine.toml"
    file.write_text(SMALL)
    work = Workflow(load_study(file), tmp_path / "outputs")
    work.folder.mkdir(parents=True)
    return work


def locate(first: int, *keys: str) -> list[RunPlace]:
    return [RunPlace(0, seed, f"../runs/{key}") for seed, key in enumerate(keys, start=first)]


def make_look(number: int, n: int, *dropped: int) -> Look:
    return Look(number=number, n_seeds={0: n}, alpha=0.05 / (number * (number + 1)), dropped=dropped)


def test_every_look_at_the_runs_of_a_study_counts_once(tmp_path: Path) -> None:
    study, folder = make_work(tmp_path).study, tmp_path
    first, second = make_look(1, 1), make_look(2, 2, 0)
    note_look(folder, study, locate(0, "a"), first)
    note_look(folder, study, locate(0, "a", "b"), second)
    note_look(folder, study, locate(0, "a"), make_look(7, 1))  # the same runs again are the noted look
    assert list_looks(folder, study, locate(0, "a")) == ((), first)
    assert list_looks(folder, study, locate(0, "a", "b")) == ((first,), second)
    assert list_looks(folder, study, locate(0, "a", "b", "c")) == ((first, second), None)
    fewer = list_looks(folder, study, locate(0, "b"))[0]
    assert [look.dropped for look in fewer] == [()]  # the second saw more than these runs
    others = list_looks(folder, study, locate(5, "f", "g"))[0]
    assert [look.number for look in others] == [1, 2]
    assert list_looks(folder, study, locate(0, "x", "y")) == ((), None)  # the same seeds, made with different code


def test_a_study_that_changed_keeps_what_its_looks_spent_and_forgets_what_they_dropped(tmp_path: Path) -> None:
    study = make_work(tmp_path).study
    note_look(tmp_path, study, locate(0, "a"), make_look(1, 1, 0))
    changed = study.model_copy(update={"decide": Decide(metric="val_loss")})
    (look,), same = list_looks(tmp_path, changed, locate(0, "a", "b"))
    assert (look.alpha, look.dropped, same) == (0.025, (), None)
    assert list_looks(tmp_path, changed, locate(0, "a"))[1] == make_look(1, 1)


@pytest.mark.slow
def test_more_seeds_make_only_the_runs_that_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = make_work(tmp_path)

    def count() -> dict[str, int]:
        return {path.parent.name: path.stat().st_mtime_ns for path in (tmp_path / "outputs/runs").glob("*/record.json")}

    assert work.make_report() == 0
    first = count()
    assert len(first) == 4
    more = Workflow(work.study.with_changes(seeds=[0, 1, 2, 3]), work.outputs)
    assert more.folder == work.folder
    assert more.make_report() == 0
    second = count()
    assert len(second) == 8
    assert {key: second[key] for key in first} == first
    noted = json.loads((work.folder / LOOKS).read_text())
    assert [(look["number"], look["n_seeds"]) for look in noted] == [(1, {"0": 2, "1": 2}), (2, {"0": 4, "1": 4})]
    assert noted[0]["alpha"] == 0.025
    assert noted[1]["alpha"] == pytest.approx(0.05 / 6)
    fewer = Workflow(work.study.with_changes(seeds=[0, 1, 2]), work.outputs)
    assert fewer.make_report() == 0
    assert count() == second
    capsys.readouterr()
    print_plan(work.study.with_changes(name="without_a_report"), work.outputs)
    assert capsys.readouterr().out.startswith("From 4 finished runs at 2 levels:\n")


@pytest.mark.slow
def test_seeds_are_added_until_decided_and_the_choice_is_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    table = SMALL.replace("seeds = [0, 1]\n", "").replace("0.01, 0.001", "0.003, 0.000001")
    file.write_text(f"seeds = {{ first = 2, most = 8 }}\n{table}")
    from lrreport.workflow import ReportOptions

    work = Workflow(load_study(file), tmp_path / "outputs", None, ReportOptions(confirm=True))
    assert work.make_report() == 0
    printed = capsys.readouterr()
    assert "look 1: undecided; 2 runs more, for 0.003" in printed.err or "look 1: undecided; 4 runs more" in printed.err
    assert ": decided; no more runs\n" in printed.err
    findings = json.loads((work.folder / "findings.json").read_text())
    assert findings["decision"]["verdict"] == "best"
    contents = json.loads((work.folder / "study.json").read_text())
    fresh = [run for run in contents["runs"] if run.get("fresh")]
    assert {run["level"] for run in fresh} == {0}
    assert not {run["seed"] for run in fresh} & {run["seed"] for run in contents["runs"] if not run.get("fresh")}
