"""Papermill's engine, except that the notebook is written once for each code cell."""

from typing import Any

from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

ENGINE = "lrreport"


class ExecutionManager(NotebookExecutionManager):  # type: ignore[misc]  # Papermill has no types
    """Writes the notebook when a code cell starts, so that the file names the running cell, and at its start and end.

    Papermill writes it before and after every cell of any kind, which takes a third of its CPU time.
    """

    _writes = True

    def cell_start(self, cell: Any, cell_index: int | None = None, **options: Any) -> None:
        """Note that a cell starts."""
        self._writes = cell.cell_type == "code"
        super().cell_start(cell, cell_index, **options)
        self._writes = True

    def cell_complete(self, cell: Any, cell_index: int | None = None, **options: Any) -> None:
        """Note that a cell has ended."""
        self._writes = False
        super().cell_complete(cell, cell_index, **options)
        self._writes = True

    def save(self, **options: Any) -> None:
        """Write the notebook, if now is the time."""
        if self._writes:
            super().save(**options)


class Engine(NBClientEngine):  # type: ignore[misc]
    """Executes a notebook as Papermill's own engine does, with our manager."""

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str | None = None, log_output: bool = False, **options: Any
    ) -> Any:
        """Execute a notebook, and return it with its outputs; raise what nbclient raises."""
        options = {key: value for key, value in options.items() if key not in ("progress_bar", "autosave_cell_every")}
        manager = ExecutionManager(nb, output_path=output_path, log_output=log_output, progress_bar=False)
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, **options)
        finally:
            manager.notebook_complete()
        return manager.nb


papermill_engines.register(ENGINE, Engine)
