"""Study files of version 0.1: flat settings, [margins] and seeds under [vary], rewritten in the present form."""

from typing import Any

# Flat key -> the setting that it is now an option of, its name there, and the values of `name` that have it.
MOVED = {
    "hidden_sizes": ("model", "hidden_sizes", ("mlp",)),
    "activation": ("model", "activation", ("mlp",)),
    "dropout": ("model", "dropout", ("mlp",)),
    "label_smoothing": ("loss", "label_smoothing", ("cross_entropy",)),
    "momentum": ("optimizer", "momentum", ("sgd", "rmsprop")),
    "nesterov": ("optimizer", "nesterov", ("sgd",)),
    "betas": ("optimizer", "betas", ("adam", "adamw")),
    "alpha": ("optimizer", "alpha", ("rmsprop",)),
    "eps": ("optimizer", "eps", ("adam", "adamw", "rmsprop")),
    "weight_decay": ("optimizer", "weight_decay", ("adam", "adamw", "sgd", "rmsprop")),
    "step_epochs": ("schedule", "epochs", ("step",)),
    "gamma": ("schedule", "gamma", ("step",)),
    "warmup_epochs": ("schedule", "epochs", ("linear_warmup",)),
}
DEFAULT_NAMES = {"model": "mlp", "loss": "cross_entropy", "optimizer": "adam", "schedule": "constant"}


def upgrade_settings(settings: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings of a study file in the present form, and a line for each key that has moved."""
    settings = {**settings}
    notes: list[str] = []
    vary, fixed = settings.get("vary"), settings.get("fixed", {})
    if not isinstance(vary, dict) or not isinstance(fixed, dict):
        return settings, notes
    vary, fixed = {**vary}, {**fixed}
    if "seed" in vary and "seeds" not in settings:
        settings["seeds"] = vary.pop("seed")
        notes.append("vary.seed is now the key seeds = [0, 1, 2] above the tables")
    declared = settings.get("metrics", {})
    if isinstance(margins := settings.pop("margins", None), dict) and isinstance(declared, dict):
        metrics = {name: {**table} if isinstance(table, dict) else table for name, table in declared.items()}
        for name, margin in margins.items():
            table = metrics.get(name, {})
            metrics[name] = {**table, "margin": margin} if isinstance(table, dict) else table
            notes.append(f"margins.{name} is now margin in a table [metrics.{name}]")
        settings["metrics"] = metrics
    elif margins is not None:
        settings["margins"] = margins
    for key in [key for key in fixed if key in MOVED]:
        setting, option, owners = MOVED[key]
        value = fixed.pop(key)
        if setting in vary and isinstance(vary[setting], list):  # the option goes to the values that have it
            vary[setting] = [_add_option(level, option, value, owners) for level in vary[setting]]
            notes.append(f"fixed.{key} is now an option of {setting}: {{ name = …, {option} = {_show(value)} }}")
        else:
            fixed[setting] = _as_table(fixed.get(setting, DEFAULT_NAMES[setting])) | {option: value}
            name = fixed[setting].get("name")
            notes.append(f'fixed.{key} is now {setting} = {{ name = "{name}", {option} = {_show(value)} }}')
    settings["vary"] = vary
    if fixed or "fixed" in settings:
        settings["fixed"] = fixed
    return settings, notes


def _as_table(value: Any) -> dict[str, Any]:
    return {**value} if isinstance(value, dict) else {"name": value}


def _add_option(value: Any, option: str, setting: Any, owners: tuple[str, ...]) -> Any:
    table = _as_table(value)
    return {option: setting, **table} if table.get("name") in owners else value


def _show(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, repr(value)) if isinstance(value, bool) else repr(value)
