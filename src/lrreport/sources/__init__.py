"""Import logs of other tools: a source is a module that returns runs in the same form, and a line here."""

from types import ModuleType

from lrreport.sources import lightning, mlflow, optuna, table, tensorboard, text, trainer_state, wandb
from lrreport.sources.grid import Grid, print_grid
from lrreport.sources.importing import Import, inspect, parse_import, read_import, recognize
from lrreport.sources.logs import Note, SourceFile
from lrreport.sources.spec import ImportSpec
from lrreport.sources.study_file import write_study

# A folder is read by the first source that recognises files in it.
SOURCES: dict[str, ModuleType] = {
    "tensorboard": tensorboard,
    "wandb": wandb,
    "mlflow": mlflow,
    "optuna": optuna,
    "trainer_state": trainer_state,
    "lightning": lightning,
    "table": table,
    "text": text,
}
__all__ = [
    "SOURCES", "Grid", "Import", "ImportSpec", "Note", "SourceFile", "inspect", "parse_import", "print_grid",
    "read_import", "recognize", "write_study",
]  # fmt: skip
