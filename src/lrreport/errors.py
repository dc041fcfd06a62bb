"""Errors that a user can act on."""


class LrreportError(Exception):
    """Invalid input; the message is a single line that names the source, the value and the remedy."""


class FailedError(LrreportError):
    """A run or a report failed although its input was valid."""


class NewerRecordError(LrreportError):
    """A record written by a newer version of lrreport, which this version must not touch."""


def as_line(text: str) -> str:
    """Return a message as a single line of at most 1000 printable characters."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    return plain if len(plain) <= 1000 else f"{plain[:997]}..."
