"""Names: direction, kind and split of metrics, settings, seeds, and settings in names of files and folders."""

import pytest

from lrreport.errors import LrreportError
from lrreport.sources.guess import find_axis, guess_metric, is_seed, name_setting, parse_status
from lrreport.sources.logs import RunLog
from lrreport.sources.patterns import apply_pattern, compile_pattern, find_settings, parse_name
from lrreport.sources.values import flatten, hide_private, parse_measurement, parse_value, parse_yaml


@pytest.mark.parametrize(
    ("raw", "name", "better", "fraction"),
    [
        ("val/acc", "val_accuracy", "higher", True),
        ("eval_accuracy", "val_accuracy", "higher", True),
        ("Accuracy (test)", "test_accuracy", "higher", True),
        ("valLoss", "val_loss", "lower", False),
        ("train/loss_epoch", "train_loss", "lower", False),
        ("test_losses", "test_loss", "lower", False),
        ("validation/mean_average_precision", "val_mean_average_precision", "higher", True),
        ("dev_f1_macro", "val_f1_macro", "higher", True),
        ("val_r2_score", "val_r2_score", "higher", False),
        ("val_top1", "val_top1", "higher", True),
        ("val_perplexity", "val_perplexity", "lower", False),
        ("val_cross_entropy", "val_cross_entropy", "lower", False),
        ("eval/wer", "val_wer", "lower", False),
        ("val_fid", "val_fid", "lower", False),
        ("test_rouge-L", "test_rouge_l", "higher", False),
        ("holdout_mcc", "test_mcc", "higher", False),
        ("val_rmse", "val_rmse", "lower", False),
    ],
)
def test_metrics_that_names_tell(raw: str, name: str, better: str, fraction: bool) -> None:
    guess = guess_metric(raw)
    assert guess is not None
    assert guess.quantity is not None
    assert (guess.name, guess.quantity.better, guess.fraction) == (name, better, fraction)


@pytest.mark.parametrize(
    "raw",
    ["lr", "lr-Adam", "learning_rate", "epoch", "step", "global_step", "grad_norm", "eval_runtime", "steps_per_second",
     "system/gpu.0.memory", "_timestamp", "loss_scale", "best_val_acc", "max_val_acc", "test/num_examples", "train_time"],
)  # fmt: skip
def test_what_is_never_an_outcome(raw: str) -> None:
    assert guess_metric(raw) is None


@pytest.mark.parametrize(
    "raw",
    ["score", "val_metric", "hp_metric", "objective", "gap", "val_error", "d_loss", "g_loss", "adv_loss", "kl_loss", "entropy",
     "similarity", "distance", "wibble", "dev"],
)  # fmt: skip
def test_what_is_refused_without_a_declaration(raw: str) -> None:
    guess = guess_metric(raw)
    assert guess is not None
    assert guess.quantity is None
    assert guess.reason


def test_a_loss_beside_that_of_validation_is_of_training() -> None:
    assert guess_metric("accuracy", ["loss", "val_accuracy"]).split == "train"  # type: ignore[union-attr]
    assert guess_metric("accuracy", ["loss"]).split == "validation"  # type: ignore[union-attr]
    assert guess_metric("loss").split == "train"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["lr", "start_lr", "learning_rate", "env_LEARNING_RATE", "--learning_rate", "Learning Rate",
                                  "optimizer.lr", "learning_rate_init", "model__learning_rate_init"])  # fmt: skip
def test_names_of_the_learning_rate(name: str) -> None:
    assert name_setting(name) == "learning_rate"


@pytest.mark.parametrize("name", ["seed", "--seed", "env_SEED", "random_seed", "rng_seed", "trainer.seed"])
def test_names_of_the_seed(name: str) -> None:
    assert is_seed(name)


def test_axes_and_statuses() -> None:
    assert [find_axis(name) for name in ("epoch", "Step", "_step", "trainer/global_step", "Relative Time (Process)", "lr")] == [
        "epoch", "step", "step", "step", "seconds", None,
    ]  # fmt: skip
    assert parse_status("FINISHED") == ("completed", "")
    assert parse_status("crashed") == ("failed", "")
    assert parse_status("running") == ("unknown", "the source says 'running'")


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        ("UNet_dr015_bs32_lr3e_4", {"dr": 15, "bs": 32, "lr": 3e-4}),
        ("lr=0.1,seed=3", {"lr": 0.1, "seed": 3}),
        ("opt=adam_lr=0.01/s42", {"opt": "adam", "lr": 0.01, "s": 42}),
        ("num_epochs__100__batch_size__128__lr__1.e+02/random_seed__42__2019-02-13", {"num_epochs": 100, "batch_size": 128, "lr": 100.0, "random_seed": 42}),
        ("klsoap-h-b1095-K3125-seed-1", {"seed": 1}),
        ("lr1e-3/seed0/run", {"lr": 1e-3, "seed": 0}),
        ("results/final_model", {}),
        ("colors32/s3cret", {}),
    ],
)  # fmt: skip
def test_settings_in_names(path: str, settings: dict[str, object]) -> None:
    parsed = parse_name(path)
    assert {name: parsed.get(name) for name in settings} == settings
    assert settings or not parsed


def test_a_declared_pattern() -> None:
    logs = [
        RunLog(run="a/resnet_lr0.1_s3", source="a/resnet_lr0.1_s3.csv"),
        RunLog(run="b/vit_lr1e-3_s4", source="b/vit_lr1e-3_s4.csv"),
    ]
    apply_pattern("{method}_lr{learning_rate}_s{seed}", logs)
    assert [log.settings for log in logs] == [
        {"method": "resnet", "learning_rate": 0.1, "seed": 3}, {"method": "vit", "learning_rate": 1e-3, "seed": 4},
    ]  # fmt: skip
    with pytest.raises(
        LrreportError, match=r'^x.csv: does not fit import.name = "lr\{learning_rate\}"; change the pattern'
    ):
        apply_pattern("lr{learning_rate}", [RunLog(run="x", source="x.csv")])
    with pytest.raises(LrreportError, match="name each setting once in braces"):
        compile_pattern("no_braces")
    with pytest.raises(LrreportError, match="name each setting once in braces"):
        compile_pattern("{a}_{a}")


def test_folders_that_tell_runs_apart() -> None:
    logs = [RunLog(run=f"{kind}/trial_{trial}/x", source="") for kind in ("sgd", "adam") for trial in (1, 2, 3)]
    assert find_settings(logs) == ["folder", "trial"]
    assert logs[0].settings == {"folder": "sgd", "trial": 1}
    versions = [RunLog(run=f"logs/version_{index}", source="") for index in range(5)]
    assert find_settings(versions) == []


def test_values() -> None:
    texts = ["0.001", "1e-3", "64", "True", "None", "(100, 70)", "1.e+02", "nan", "007"]
    assert [parse_value(text) for text in texts] == [0.001, 0.001, 64, True, None, "(100, 70)", 100.0, "nan", 7]
    assert parse_value([64, 64]) == "[64, 64]"
    assert [parse_measurement(value) for value in ("0.5", "Infinity", None, True, "x", {})] == [
        0.5,
        float("inf"),
        None,
        None,
        None,
        None,
    ]
    assert flatten({"a": {"b": 1, "c": {"d": 2}}}) == {"a.b": 1, "a.c.d": 2}
    public, hidden = hide_private(
        {"lr": 1, "host": "me", "data": "/home/me/data", "url": "https://x/y", "args.cwd": "a"}
    )
    assert hidden == 4
    assert public["lr"] == 1
    assert set(public) == {"lr", "data", "url"}
    assert "me" not in public["data"]


def test_yaml_is_read_safely() -> None:
    text = b"lr: 3e-05\nopt: !!python/object:os.system\n  a: 1\nname: !secret abc\n"
    assert parse_yaml(text, "x.yaml") == {
        "lr": "3e-05",
        "opt": "tag:yaml.org,2002:python/object:os.system",
        "name": "abc",
    }
    bomb = "a: &a [x]\n" + "".join(f"b{i}: [{', '.join(['*a'] * 9)}]\n" for i in range(30))
    with pytest.raises(LrreportError, match="x.yaml: more than 100 YAML aliases"):
        parse_yaml(bomb.encode(), "x.yaml")
    with pytest.raises(LrreportError, match="x.yaml: not valid YAML"):
        parse_yaml(b"a: [1", "x.yaml")
    with pytest.raises(LrreportError, match="x.yaml: larger than 1 MB"):
        parse_yaml(b"a" * 1_000_001, "x.yaml")
    with pytest.raises(LrreportError, match="x.yaml: nested more than 50 levels deep"):
        parse_yaml(b"[" * 20_000, "x.yaml")
