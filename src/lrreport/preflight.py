"""Checks before runs are made, of what would fail later: published claims, the scheduler, data and user functions."""

from collections.abc import Sequence

from lrreport.errors import LrreportError
from lrreport.study.metrics import SPLIT_PREFIXES
from lrreport.study.settings import IMPORT_PATH, Training
from lrreport.study.study import Study
from lrreport.sweep.executor import Notify
from lrreport.sweep.scheduler import Address
from lrreport.training.check import check_setups


def check_published_claims(study: Study) -> None:
    """Raise LrreportError for a published claim that lrreport does not know, or whose arguments are wrong."""
    if study.published is None or not study.published.claim:
        return
    from lrreport.inference.claims import check_published_claim

    names = [f"{prefix}_{name}" for prefix in SPLIT_PREFIXES for name in study.quantities] + list(study.metrics)
    metrics = {name: metric for name in names if (metric := study.find_metric(name))}
    for claim in study.published.claim:
        try:
            check_published_claim(claim, study.factors, metrics)
        except LrreportError as err:
            raise LrreportError(f"{study.where}: {err}") from err


def check_execution(setups: Sequence[Training], code_folder: str, scheduler: Address | None, notify: Notify) -> None:
    """Raise LrreportError for an unusable scheduler, damaged data, or user functions that do not work.

    `setups` are the levels of the built-in loop; without any the data are the producer's.
    """
    if scheduler is not None:
        scheduler.check()
    if not setups:
        return
    dataset = setups[0].dataset
    if scheduler is None and not IMPORT_PATH.match(dataset):
        from lrreport.training.files import verify_files

        verify_files(dataset)
    for note in check_setups(setups, code_folder).notes:
        notify(note)
