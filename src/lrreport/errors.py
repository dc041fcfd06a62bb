"""Errors that a user can act on."""


class LrreportError(Exception):
    """Invalid input; the message is a single line that names the source, the value and the remedy."""


class FailedError(LrreportError):
    """A run or a report failed although its input was valid."""


class NewerRecordError(LrreportError):
    """A record written by a newer version of lrreport, which this version must not touch."""
