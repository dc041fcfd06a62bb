"""Convert records of schema 1, which held all seeds of a learning rate, to runs of schema 2."""

from pathlib import Path
from typing import Any

from lrreport.record.provenance import Identity
from lrreport.record.record import KeptRecord, RunRecord, declare_metrics, make_series
from lrreport.study.legacy import upgrade_settings

SPLITS = {"train": "final_train", "validation": "val", "test": "test"}
CURVES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def convert_record(contents: dict[str, Any], folder: Path) -> list[KeptRecord]:
    """Return the runs in the contents of a record of schema 1; raises KeyError or TypeError for malformed contents."""
    identity, sizes = contents["identity"], contents["split_sizes"]
    settings, seeds = _convert_settings(identity["parameters"])
    chance = max(1 / len(contents["class_names"]), contents.get("majority_accuracy") or 0.0)
    names = [*CURVES, *(f"{prefix}_{name}" for prefix in SPLITS.values() for name in ("loss", "accuracy"))]
    metrics = declare_metrics(dict.fromkeys(names), {f"{p}_accuracy": chance for p in ("train", *SPLITS.values())})
    runs = []
    for seed in contents["seeds"]:
        if seed["seed"] not in seeds:
            raise KeyError(seed["seed"])
        rows = seed["epochs"]
        final = {f"{SPLITS[split]}_{name}": value for split in SPLITS for name, value in (seed[split] or {}).items()}
        if final:
            final |= {name: rows[-1][name] for name in CURVES}
        record = RunRecord(
            schema_version=1,
            identity=Identity(
                settings=settings, seed=seed["seed"], data=identity["data"], device=identity["device"],
                producer={"notebook": identity["notebook"], **identity["code"]}, versions={"torch": identity["torch"]},
            ),
            settings=settings,
            seed=seed["seed"],
            status=seed["status"],
            metrics=metrics,
            history=tuple(make_series(name, [row[name] for row in rows]) for name in CURVES),
            final=final,
            description={
                "n_parameters": contents["n_parameters"], "split_sizes": sizes, "class_names": contents["class_names"],
                "equal_images": contents.get("equal_images", {}),
            },
            facts={**contents["facts"], "cpu_seconds": sum(row["cpu_seconds"] for row in rows)},
            arrays=contents["arrays"],
        )  # fmt: skip
        arrays = {name: f"{name}_{seed['seed']}" for name in ("step_losses", "test_predictions")}
        runs.append(KeptRecord(record, folder, arrays))
    return runs


def _convert_settings(parameters: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """Return the nested settings and the seeds in flat parameters; those that had no effect are left out."""
    inherited = {name: value for name, value in parameters.items() if value is not None and name != "seeds"}
    names = ("model", "loss", "optimizer", "schedule")
    fixed = {name: ({"name": value} if name in names else value) for name, value in inherited.items()}
    upgraded, _ = upgrade_settings({"vary": {}, "fixed": fixed})
    settings: dict[str, Any] = upgraded["fixed"]
    if ":" in settings["model"]["name"]:  # hidden sizes and the like belong to the built-in network
        settings["model"] = {"name": settings["model"]["name"]}
    if ":" in settings["loss"]["name"]:
        settings["loss"] = {"name": settings["loss"]["name"]}
    return settings, list(parameters["seeds"])
