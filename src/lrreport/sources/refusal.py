"""Errors for logs that cannot be read as they are, each with a setting that helps."""

from lrreport.errors import LrreportError


class RefusalError(LrreportError):
    """Logs that cannot be read as they are; `setting` would help, such as "import.duplicates=last"."""

    def __init__(self, problem: str, setting: str) -> None:
        super().__init__(problem)
        self.setting = setting


def refuse_file(path: str, problem: str, remedy: str = "", line: int | None = None) -> RefusalError:
    """Return the error for a file that cannot be read: with its remedy, or left out by import.exclude."""
    where = path if line is None else f"{path}, line {line}"
    remedy = f"{remedy}, or exclude the file" if remedy else "exclude the file"
    return RefusalError(f"{where}: {problem}; {remedy} with import.exclude", f"import.exclude={path}")
