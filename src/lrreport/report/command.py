"""The command that makes a study's report again."""

import re
from typing import Any

from lrreport.report.formats import format_rate
from lrreport.study import DEFAULT_STUDY, REPOSITORY, Study, load_study

CHANGED_NAME = re.compile(r"(-[0-9a-f]{6})+$")  # what a study gets each time its settings are changed

VARIABLES = {"learning_rate": "LRS", "seed": "SEEDS", "epochs": "EPOCHS", "device": "DEVICE"}  # of make


def describe_command(study: Study) -> str:
    """Return the command, or nothing if no study file of the repository gives this study."""
    for name in dict.fromkeys((study.name, CHANGED_NAME.sub("", study.name))):
        path = f"studies/{name}.toml"
        if (REPOSITORY / path).exists():
            file = load_study(path)
            options = list_changes(study, file)
            if file.vary.axis not in options and file.changed(**options).digest() == study.digest():
                named = [] if path == DEFAULT_STUDY else [f"STUDY={path}"]
                return " ".join(["make report", *named, *map(_write_option, options.items())])
    return ""


def list_changes(study: Study, file: Study) -> dict[str, Any]:
    """Return the settings of a study that differ from its file's and that the command line can set."""
    ours, theirs = (dict(one.vary) | dict(one.fixed) for one in (study, file))
    return {name: ours[name] for name in VARIABLES if ours[name] != theirs[name]}


def _write_option(option: tuple[str, Any]) -> str:
    name, value = option
    variable = VARIABLES[name]
    if isinstance(value, tuple):
        return f'{variable}="{" ".join(str(one) if isinstance(one, int) else format_rate(one) for one in value)}"'
    return f"{variable}={value}"
