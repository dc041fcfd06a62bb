"""How does the learning rate change what this model learns? One report, every sentence a tested claim."""

__version__ = "0.1.0"


class LrreportError(Exception):
    """An error a user can mend; its text is one line that names the place, the value and the remedy."""


class FailedError(LrreportError):
    """Something that should have worked did not: a run, or the writing of a report."""
