"""The reference's runs, exported or written by the real writers of trackers, come back as the same findings."""

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lrreport.exchange import export_runs, load
from lrreport.imports import import_runs
from lrreport.project import find_reference
from lrreport.record.contents import CONTENTS, Contents, RunPlace
from lrreport.record.record import save_record
from lrreport.report.document import Document, make_document
from lrreport.report.findings_json import describe_document
from lrreport.report.load import assess_report, load_report, load_runs_of
from lrreport.sources import inspect, write_study
from lrreport.study.load import load_study
from lrreport.study.study import parse_study
from lrreport.testing import draw_record, write_report_folder
from tests.archives import unpack

TRACKERS = Path(__file__).parent / "sources/data/trackers"
OPTIONS: dict[str, dict[str, Any]] = {  # what the files do not say by themselves
    "tensorboard": {"name": "lr{learning_rate}_seed{seed}", "axis": "epoch"},
    "wandb": {},
    "mlflow": {"axis": "epoch"},
    "mlflow-database": {"from": "mlflow", "axis": "epoch"},
    "lightning": {},
}


def list_findings(document: Document) -> dict[str, dict[str, Any]]:
    """Return findings by claim and sentence, as findings.json has them, but for times and for how values are named.

    Times depend on the machine on which the runs were made, so the committed files of trackers differ in them.
    """
    listed: list[dict[str, Any]] = json.loads(json.dumps(describe_document(document)["findings"]))
    findings = {}
    for finding in listed:
        del finding["arguments"]
        finding["sentence"] = re.sub(r" That is .* CPU seconds of training\.", "", finding["sentence"])
        finding["evidence"] = {key: value for key, value in finding["evidence"].items() if "seconds" not in key}
        findings[f"{finding['claim']} {finding['sentence']}"] = finding
    return findings


def report_import(study: Any, folder: Path) -> tuple[Document, Contents]:
    folder.mkdir()
    contents = import_runs(study, folder)
    loaded = load_runs_of(folder, contents)
    return make_document(loaded, assess_report(loaded)), contents


@pytest.fixture(scope="module")
def original() -> Document:
    loaded = load_report()
    return make_document(loaded, assess_report(loaded))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the study that the reference's export has, beside its files."""
    *_, study = export_runs(find_reference(), tmp_path_factory.mktemp("export"))
    return study


def test_an_export_gives_the_same_findings(original: Document, exported: Path, tmp_path: Path) -> None:
    document, _ = report_import(load_study(exported), tmp_path / "out")
    assert list_findings(document) == list_findings(original)
    ours, theirs = describe_document(document), describe_document(original)
    for part in ("answer", "decision", "earlier_report"):
        assert json.dumps(ours[part]) == json.dumps(theirs[part])
    runs, history = load(find_reference())
    back = pd.read_csv(exported.parent / "runs.csv")
    assert back["seconds"].tolist() == pytest.approx(runs["seconds"].tolist())
    assert back["setting.model.hidden_sizes"].tolist() == ["[128, 64]"] * 15
    assert len(pd.read_csv(exported.parent / "history.csv")) == len(history)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the exported study whose runs the trackers logged, and its findings."""
    folder = tmp_path_factory.mktemp("logged")
    unpack(TRACKERS / "export.tar.xz", folder)
    study = folder / "fashion_mnist.toml"
    return tomllib.loads(study.read_text()), list_findings(report_import(load_study(study), folder / "out")[0])


@pytest.mark.parametrize("tracker", OPTIONS)
def test_trackers_give_the_same_findings(logged: Any, tracker: str, tmp_path: Path) -> None:
    unpack(TRACKERS / f"{tracker}.tar.xz", tmp_path / "logs")
    settings, theirs = dict(logged[0]), logged[1]
    settings["import"] = {"from": tracker, "folder": "logs", "seed": "seed", "paired": True, **OPTIONS[tracker]}
    settings["metrics"] = {name: metric for name, metric in settings["metrics"].items() if not name.endswith(("_f1", "balanced_accuracy"))}  # fmt: skip
    study = parse_study({"name": "back", "file": tmp_path / "back.toml", **settings}, "back.toml")
    document, contents = report_import(study, tmp_path / "out")
    ours = list_findings(document)
    assert len(contents.runs) == 15
    assert len(theirs) == 31
    if tracker == "tensorboard":  # float32: sentences are the same, further digits are not
        assert {key: (finding["verdict"], finding["sentence"]) for key, finding in ours.items()} == {
            key: (finding["verdict"], finding["sentence"]) for key, finding in theirs.items()
        }
    else:
        assert ours == theirs


def test_an_export_keeps_lists_seconds_margins_and_seeds_unknown(tmp_path: Path) -> None:
    """A report on an export of an import is that of the import; a factor whose values are tables has their names."""
    folder = write_report_folder(tmp_path / "drawn", 3, 2, 4)
    contents = json.loads((folder / CONTENTS).read_text())
    contents["study"]["decide"] = {"metric": "val_loss", "at": 3.0, "margin": 0.02, "prefer": "lowest"}
    contents["study"]["metrics"] = {"f1": {"margin": 0.03}, "loss": {"margin": 0.04, "unit": "bits", "digits": 3}}
    (folder / CONTENTS).write_text(json.dumps(contents))
    *_, path = export_runs(folder, tmp_path / "export")
    first = load_study(path)
    assert first.decide.model_dump() == {"metric": "val_loss", "at": 3.0, "margin": 0.02, "prefer": "lowest"}
    metric = first.find_metric("test_loss")
    assert metric is not None
    assert (metric.margin, metric.unit, metric.digits) == (0.04, "bits", 3)
    document, contents_back = report_import(first, tmp_path / "out")
    (tmp_path / "out" / CONTENTS).write_text(contents_back.to_text())
    *_, again = export_runs(tmp_path / "out", tmp_path / "again")
    second, _ = report_import(load_study(again), tmp_path / "second")
    assert list_findings(second) == list_findings(document)
    settings = document.loaded.kept[0, 0].record.settings
    assert settings["model.hidden_sizes"] == "[128, 64]"


def test_factors_whose_values_are_lists_and_tables_come_back(tmp_path: Path) -> None:
    vary = {
        "model.hidden_sizes": [[128, 64], [32], []],
        "optimizer": [{"name": "sgd", "momentum": 0.9}, {"name": "sgd"}, "adam"],
    }
    fixed = {"dataset": "sample", "validation_size": 500, "epochs": 2}
    study = parse_study({"name": "drawn", "vary": vary, "fixed": fixed, "seeds": [0, 1]}, "drawn")
    places = []
    (tmp_path / "runs").mkdir()
    for planned in study.plan():
        record, _ = draw_record(np.random.default_rng(planned.level.index), planned, broken=False)
        save_record(tmp_path / "runs" / record.identity.key, record, {})
        places.append(RunPlace(planned.level.index, planned.seed, f"../runs/{record.identity.key}"))
    folder = tmp_path / "drawn"
    folder.mkdir()
    (folder / CONTENTS).write_text(Contents(study, tuple(places)).to_text())
    loaded = load_report(folder)
    *_, path = export_runs(folder, tmp_path / "export")
    document, _ = report_import(load_study(path), tmp_path / "out")
    names = {level.name for level in study.levels}
    assert "hidden layers 128 × 64 with SGD with momentum 0.9" in names
    assert {level.name for level in document.assessment.measurements.levels} == names
    assert list_findings(document) == list_findings(make_document(loaded, assess_report(loaded)))


def test_a_published_target_is_checked_against_imported_runs(tmp_path: Path) -> None:
    """Thirteen runs each of a baseline and a change, whose authors use a one-sided test of the mean loss against 3.28."""
    logs = tmp_path / "logs"
    shutil.copytree(TRACKERS.parent / "text-nanogpt", logs)
    settings = tomllib.loads(write_study(inspect(logs), "logs"))
    arguments = {"metric": "val_loss", "target": 3.28}
    settings["published"] = {"title": "The records", "claim": [
        {"says": f"{name} beats 3.28", "claim": "beats_target", "arguments": {"level": name, **arguments}}
        for name in ("baseline", "this_pr")
    ]}  # fmt: skip
    study = parse_study({"name": "records", "file": tmp_path / "records.toml", **settings}, "records.toml")
    document, _ = report_import(study, tmp_path / "out")
    baseline, change = describe_document(document)["earlier_report"]["claims"]
    assert baseline["evidence"]["p"]["value"] == pytest.approx(0.0042976481, abs=1e-9)
    assert change["evidence"]["p"]["value"] == pytest.approx(0.0006690604, abs=1e-9)
    assert baseline["verdict"] == change["verdict"] == "supported"
    [welch] = [finding for finding in describe_document(document)["findings"] if finding["claim"] == "lower"]
    assert welch["evidence"]["p"]["value"] == pytest.approx(0.8587465, abs=1e-7)
