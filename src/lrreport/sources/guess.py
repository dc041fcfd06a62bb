"""Guess from names which settings, seeds, axes and metrics they are, and which direction of a metric is better.

Every guess is written into the study file, where it can be changed; an ambiguous name is left undecided.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lrreport.study.metrics import QUANTITIES, Quantity, Split

SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "tr", "fit", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "holdout", "testing"), "test"),
}
PREFIXES: dict[Split, str] = {"train": "train", "validation": "val", "test": "test"}
# fmt: off
PLAIN = {"losses": "loss", "accuracies": "accuracy", "acc": "accuracy", "acc1": "accuracy"}
FILLERS = frozenset(("final", "end", "epoch", "mean", "avg"))  # parts that say how, not what
FRACTIONS = frozenset(
    [
        "accuracy", "top1", "top5", "precision", "recall", "f1", "auc", "auroc", "ap", "map", "iou", "miou",
        "dice", "em", "balanced_accuracy", "exact_match", "mean_average_precision", "average_precision",
    ]
)
ONE_AT_MOST = frozenset(["r2", "pearson", "spearman", "kendall", "mcc", "kappa"])
HIGHER = frozenset(["bleu", "meteor", "cider", "psnr", "ssim", "reward", "return", "elo"])
LOWER = frozenset(["loss", "nll", "ce", "cross_entropy", "bce", "bpb", "bpc", "elbo_loss", "ppl", "perplexity"])
LOWER_ABOVE_0 = frozenset(["mse", "rmse", "mae", "mape", "rmsle", "smape", "fid", "kid", "lpips", "hd95", "hausdorff"])
ERROR_RATES = frozenset(["wer", "cer", "ter", "eer", "error_rate"])
NEVER = frozenset(  # what describes the training, not its result
    [
        "lr", "learning_rate", "epoch", "step", "global_step", "iteration", "runtime", "second", "per_second",
        "time", "duration", "seconds", "memory", "gpu", "cpu", "system", "timestamp", "loss_scale", "norm",
        "examples", "samples", "flos", "tokens", "count", "util", "count", "num", "n", "throughput", "eta",
        "ms",
    ]
)
UNDECIDED = frozenset(  # could be better either way
    [
        "score", "metric", "objective", "gap", "error", "discriminator", "generator", "adv", "adversarial",
        "kl", "entropy", "similarity", "distance", "cost", "value",
    ]
)
MODIFIERS = frozenset(["score", "macro", "micro", "weighted", "50"])
RUNNING_BEST = frozenset(("best", "max", "min"))
LEARNING_RATES = [
    "lr", "learning_rate", "start_lr", "base_lr", "init_lr", "initial_lr", "learning_rate_init", "lr0", "eta",
    "max_lr",
]
SETTINGS: dict[str, Sequence[str]] = {  # a setting's name -> its aliases
    "learning_rate": LEARNING_RATES,
    "batch_size": ("bs", "batch_size", "batch", "batchsize", "train_batch_size", "per_device_train_batch_size"),
    "weight_decay": ("wd", "weight_decay", "l2"),
    "dropout": ("dropout", "dropout_rate", "dr", "p_drop"),
    "momentum": ("momentum", "mom"),
    "epochs": ("epochs", "n_epochs", "num_epochs", "max_epochs", "num_train_epochs"),
    "optimizer": ("optimizer", "optim", "optimiser", "opt"),
    "hidden_size": ("hidden_size", "hidden", "width", "d_model", "dim"),
    "depth": ("depth", "n_layers", "num_layers", "layers"),
    "label_smoothing": ("label_smoothing",),
    "warmup": ("warmup", "warmup_steps", "warmup_factor", "warmup_epochs"),
    "gamma": ("gamma",),
    "beta1": ("beta1",),
    "beta2": ("beta2",),
    "temperature": ("temperature", "temp"),
    "model": ("model", "model_name", "arch", "architecture", "net", "network"),
    "method": ("method", "algorithm", "algo", "variant"),
    "dataset": ("dataset", "dataset_name", "data", "task"),
}
CANONICAL = {alias: name for name, aliases in SETTINGS.items() for alias in aliases}
SEEDS = ("seed", "random_seed", "rng_seed", "random_state", "manual_seed", "seed_value", "s")
NAMES_OF_RUNS = frozenset(  # settings that name a run and decide nothing
    [
        "run_name", "run_id", "run", "name", "id", "uuid", "exp_name", "exp_id", "experiment_name",
        "experiment_id", "experiment", "output_dir", "out_dir", "log_dir", "logdir", "logging_dir", "save_dir",
        "save_path", "checkpoint_dir", "ckpt_dir", "work_dir", "run_dir", "wandb_name", "group", "tags",
        "notes", "comment", "device", "timestamp", "date", "time", "created", "finished", "config_hash",
    ]
)
ABBREVIATED = (
    "learning_rate",
    "batch_size",
    "weight_decay",
    "dropout",
    "momentum",
)  # settings that get their usual name
LABELS = frozenset(
    [
        "method", "model", "architecture", "arch", "variant", "config", "trial", "group", "arm", "experiment",
        "recipe", "optimizer", "legend",
    ]
)
AXIS_NAMES: dict[str, str] = {
    **dict.fromkeys(("epoch", "epochs_done", "epoch_id", "current_epoch", "ep", "trainer/epoch"), "epoch"),
    **dict.fromkeys(
        [
            "step", "global_step", "_step", "iteration", "iter", "it", "iterations", "update", "updates",
            "batch_idx", "trainer/global_step", "training_iteration", "n_iter", "training_step",
        ],
        "step",
    ),
    **dict.fromkeys(("samples", "n_samples", "examples", "trained_samples", "samples_seen", "tokens_seen"), "samples"),
    **dict.fromkeys(("elapsed", "elapsed_seconds", "relative time (process)", "relative time (wall)"), "seconds"),
}
STATUSES = {
    **dict.fromkeys(["finished", "completed", "complete", "success", "succeeded", "done", "ok", "finish"], "completed"),
    **dict.fromkeys(["failed", "fail", "crashed", "crash", "error", "failure"], "failed"),
    **dict.fromkeys(
        [
            "killed", "stopped", "interrupted", "preempted", "cancelled", "canceled", "aborted", "timeout",
            "pruned",
        ], "stopped"
    ),
    **dict.fromkeys(("diverged", "nan"), "diverged"),
}
# fmt: on


def slug(name: str) -> str:
    """Return a name as an identifier in snake case: "--Learning Rate" → "learning_rate", "valLoss" → "val_loss"."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^0-9a-z]+", "_", name.casefold()).strip("_")


def strip_environment(name: str) -> str:
    """Return a slug without the prefixes of environments and sweeps: "env_LEARNING_RATE" → "learning_rate"."""
    return re.sub(r"^(env|config|hparams?|params?|args|setting)_", "", slug(name))


def name_setting(name: str) -> str | None:
    """Return the usual name of a setting, "learning_rate" for "optimizer.lr", or None if it is unknown."""
    whole, last = strip_environment(name), slug(re.split(r"[./]|__", name)[-1])
    return CANONICAL.get(whole) or CANONICAL.get(last)


def is_seed(name: str) -> bool:
    """Return whether a setting's name means the seed."""
    whole, last = strip_environment(name), slug(re.split(r"[./]|__", name)[-1])
    return whole in SEEDS or last in SEEDS


def names_run(name: str) -> bool:
    """Return whether a setting only names a run."""
    return strip_environment(name) in NAMES_OF_RUNS or slug(name.rsplit(".", 1)[-1]) in NAMES_OF_RUNS


def find_axis(name: str) -> str | None:
    """Return which axis a column is: "epoch", "step", "samples" or "seconds"; None for another column."""
    return AXIS_NAMES.get(name.casefold().strip()) or AXIS_NAMES.get(slug(name))


@dataclass(frozen=True)
class MetricGuess:
    """A guess from a metric's name; `quantity` is None where the direction is unknown, and `reason` says why."""

    raw: str
    name: str
    split: Split | None
    quantity: Quantity | None
    fraction: bool
    reason: str = ""
    explicit: bool = True  # whether the name says the split


def guess_metric(raw: str, siblings: Iterable[str] = ()) -> MetricGuess | None:
    """Return what a metric's name says, or None for a quantity that is never a result, such as a learning rate.

    `siblings` are the other metrics of the runs: "loss" beside "val_loss" is that of the training data.
    """
    words = slug(raw).split("_")
    if words[0] in RUNNING_BEST or (words[-1] in RUNNING_BEST and len(words) > 1):
        return None
    split = next((SPLITS[word] for word in (words[0], words[-1], *words) if word in SPLITS), None)
    rest = [PLAIN.get(word, word) for word in words if word not in SPLITS]
    terms = [word for word in rest if word not in FILLERS or "average" in rest] or rest
    if "_".join(terms) in NEVER:
        return None
    while len(terms) > 1 and terms[-1] == "step":
        terms = terms[:-1]
    if not terms:
        return MetricGuess(raw, slug(raw), None, None, False, "its name says a split and no metric")
    what = "_".join(terms)
    if what == "top_1":
        what = "top1"
    if _is_never(terms):
        return None
    name = f"{PREFIXES[split]}_{what}" if split else what
    if _is_undecided(terms):
        return MetricGuess(raw, name, split, None, False, "its name does not say whether higher or lower is better")
    match = _find_quantity(terms)
    if match is None:
        return MetricGuess(raw, name, split, None, False, "its name is not known")
    quantity, fraction = match
    explicit = split is not None
    if split is None:
        split = _guess_split(what, quantity.better, siblings)
        name = f"{PREFIXES[split]}_{what}"
    return MetricGuess(raw, name, split, quantity, fraction, explicit=explicit)


def _is_undecided(words: list[str]) -> bool:
    """Return whether a name holds a word that could be better either way, but as part of a known quantity."""
    whole = "_".join(_strip_modifiers(words))
    for known in ("cross_entropy", "error_rate"):
        whole = whole.replace(known, "")
    return bool(UNDECIDED & set(whole.split("_"))) or whole in ("d_loss", "g_loss")


def _strip_modifiers(words: list[str]) -> list[str]:
    """Return a name's parts without those that say how a known quantity is averaged: f1_macro, r2_score."""
    for end in range(len(words), 0, -1):
        if words[end - 1] not in MODIFIERS:
            return words[:end] if words[end - 1] in FRACTIONS | ONE_AT_MOST else words
    return words


def _is_never(words: list[str]) -> bool:
    whole = "_".join(words)
    return (
        whole in NEVER
        or words[-1] in NEVER
        or words[0] in ("lr", "system", "gpu", "cpu", "mem", "net", "num", "n", "grad", "perf", "time", "accumulated")
        or "per_second" in whole
    )


def _find_quantity(words: list[str]) -> tuple[Quantity, bool] | None:
    """Return the quantity that the last parts of a name say, and whether its values are fractions or percent."""
    label, short = " ".join(words), _strip_modifiers(words)
    for start in range(len(short)):
        tail = "_".join(short[start:])
        if tail in FRACTIONS:
            known = QUANTITIES.get("_".join(words)) or QUANTITIES["accuracy"]
            return known.model_copy(update={} if "_".join(words) in QUANTITIES else {"label": label}), True
        if tail in ONE_AT_MOST:
            return Quantity(label=label, better="higher", high=1), False
        if tail in HIGHER or tail.startswith(("rouge", "ep_rew")):
            return Quantity(label=label, better="higher"), False
        if tail in LOWER:
            return Quantity(label=label, better="lower"), False
        if tail in LOWER_ABOVE_0:
            return Quantity(label=label.upper() if len(words) == 1 else label, better="lower", low=0), False
        if tail in ERROR_RATES:
            return Quantity(label=label, better="lower", low=0), False
    return None


def _guess_split(what: str, better: Literal["higher", "lower"], siblings: Iterable[str]) -> Split:
    for sibling in siblings:
        words = slug(sibling).split("_")
        rest = "_".join(PLAIN.get(word, word) for word in words if word not in SPLITS and word not in FILLERS)
        if rest == what and any(SPLITS.get(word) == "validation" for word in words):
            return "train"
    return "validation" if better == "higher" else "train"


def parse_status(text: object) -> tuple[str, str]:
    """Return the status that a word of a source means, and as reason the word where it means none."""
    word = str(text).strip()
    known = STATUSES.get(word.casefold())
    return (known, "") if known else ("unknown", f"the source says {word!r}"[:60] if word else "")
