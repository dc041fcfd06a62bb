"""The errors that a user can act on."""


class LrreportError(Exception):
    """Wrong input; the message is one line that names the place, the value and the remedy."""


class FailedError(LrreportError):
    """A run or a report failed although its input was valid."""


class NewerRecordError(LrreportError):
    """A record written by a newer version of lrreport, which this version must not touch."""
