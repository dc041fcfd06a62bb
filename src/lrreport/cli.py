"""The command line: it parses and forwards, nothing more."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from lrreport import LrreportError, __version__
from lrreport.study import REPOSITORY, Study, load_study
