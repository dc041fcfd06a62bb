"""Check the address of a cluster's scheduler, and connect to it."""

import ipaddress
import logging
import re
import socket
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

from lrreport.errors import LrreportError
from lrreport.sweep.worker import join_lines

if TYPE_CHECKING:  # Dask is imported where a scheduler is used: it takes a second, and may not be installed
    from distributed import Client

CONNECT_SECONDS = 20


@dataclass(frozen=True)
class Address:
    """The address of a scheduler, and whether `insecure` traffic to other hosts and `mixed` versions are allowed."""

    text: str
    insecure: bool = False
    mixed: bool = False

    def check(self) -> None:
        """Raise LrreportError unless Dask is installed and the address is TLS or a scheduler on this host."""
        try:
            parts = urlsplit(self.text)
            scheme, host, _ = parts.scheme, parts.hostname, parts.port
        except ValueError:
            scheme, host = "", None
        if scheme not in ("tcp", "tls") or not host:
            raise LrreportError(f"--scheduler: {self.text!r} is not an address such as tls://host:8786")
        check_installed()
        if scheme == "tls":
            check_certificates(self.text)
        elif not self.insecure and not is_this_host(host):
            raise LrreportError(
                f"--scheduler: {self.text} is on another host and not encrypted; use tls://, or add --insecure where "
                "nobody else can read or change what is sent"
            )


def check_installed() -> None:
    """Raise LrreportError unless Dask is installed."""
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as err:
        raise LrreportError(
            f"--scheduler: Dask is not installed (no module {err.name}); add it with pip install 'lrreport[cluster]'"
        ) from err


def check_certificates(address: str) -> None:
    """Raise LrreportError unless Dask's own configuration names certificates that can be read."""
    from distributed.security import Security

    try:
        context = Security().get_connection_args("client").get("ssl_context")
    except (OSError, ValueError) as err:
        raise LrreportError(
            f"--scheduler: {address}: the certificates in Dask's configuration cannot be used ({join_lines(err)}); "
            "correct distributed.comm.tls in ~/.config/dask/"
        ) from err
    if context is None:
        raise LrreportError(
            f"--scheduler: {address}: Dask's configuration names no certificates; set ca-file, client.cert and client.key "
            "of distributed.comm.tls in ~/.config/dask/"
        )


def is_this_host(host: str) -> bool:
    """Return whether a host name or address is this machine's; raises LrreportError for an unknown name."""
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError as err:
        raise LrreportError(f"--scheduler: no host {host!r} ({err.strerror})") from err
    local = {interface.address for interfaces in psutil.net_if_addrs().values() for interface in interfaces}
    return all(ipaddress.ip_address(address).is_loopback or address in local for address in addresses)


def connect(address: str) -> "Client":
    """Return a client of the scheduler; raises LrreportError if it does not answer."""
    import dask
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # lrreport prints its own messages
    # Dask keeps the last messages to debug with, and ours hold whole tasks: 1,000 of them would be tens of megabytes.
    with warnings.catch_warnings(), dask.config.set({"distributed.admin.low-level-log-length": 20}):
        warnings.simplefilter("ignore", VersionMismatchWarning)  # of packages that decide nothing
        try:
            return Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="lrreport")
        except (OSError, TimeoutError, ValueError) as err:
            cause = re.sub(r"in <[^>]*>: ", "", join_lines(err.__cause__ or err))  # Dask names its objects
            raise LrreportError(
                f"--scheduler: no scheduler answers at {address} ({cause}); start it with dask scheduler, or name another"
            ) from err
