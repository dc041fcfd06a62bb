"""How does the learning rate change what a model learns? One report whose every sentence is a tested claim."""

from lrreport.errors import FailedError, LrreportError

__version__ = "0.2.0"
__all__ = ["FailedError", "LrreportError", "__version__"]
