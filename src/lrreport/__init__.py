"""How does the learning rate change what a model learns? A report whose every sentence is a tested claim."""

from lrreport.errors import FailedError, LrreportError

__version__ = "0.2.0"
__all__ = ["FailedError", "LrreportError", "__version__", "load"]


def __getattr__(name: str) -> object:
    """Import `load` when it is first used: it needs pandas."""
    if name == "load":
        from lrreport.exchange import load

        return load
    raise AttributeError(f"module 'lrreport' has no attribute {name!r}")
