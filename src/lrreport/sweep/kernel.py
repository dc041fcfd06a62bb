"""The kernel of a notebook: IPython's, with every socket in a folder that only its user can enter."""

import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

import zmq
from ipykernel import iostream, kernelapp
from zmq.eventloop.zmqstream import ZMQStream

from lrreport.sweep.worker import CODE_FOLDER


class PrivateIOPubThread(iostream.IOPubThread):
    """Takes the output of forked processes from a Unix socket, where ipykernel listens on a TCP port."""

    def _setup_pipe_in(self) -> None:
        self._pipe_uuid = os.urandom(16)
        self._pipe_address = f"ipc://{Path.cwd() / 'pipe'}"  # the kernel starts in its private folder
        pipe_in = self.socket.context.socket(zmq.PULL)
        pipe_in.linger = 0
        pipe_in.bind(self._pipe_address)
        self._pipe_in = ZMQStream(pipe_in, self.io_loop)
        self._pipe_in.on_recv(self._handle_pipe_msg)

    def _setup_pipe_out(self) -> tuple[Any, Any]:
        context = zmq.Context()  # a new context, since this is a forked process
        pipe_out = context.socket(zmq.PUSH)
        pipe_out.linger = 3000  # milliseconds
        pipe_out.connect(self._pipe_address)
        return context, pipe_out


def enter_code_folder() -> None:
    """Work in the folder of a user's notebook, whose modules come after the standard library's and before those installed."""
    folder = os.environ.pop(CODE_FOLDER, None)
    if folder is None:
        return
    os.chdir(folder)
    standard = [index for index, path in enumerate(sys.path) if path.startswith(sysconfig.get_path("stdlib"))]
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    last = max((index for index in standard if sys.path[index] not in installed), default=-1)
    sys.path.insert(last + 1, folder)


class PrivateKernelApp(kernelapp.IPKernelApp):
    """Opens its sockets before it enters the folder of the notebook."""

    def init_sockets(self) -> None:
        """Create the sockets, all of them Unix sockets where the connection file says so."""
        super().init_sockets()  # type: ignore[no-untyped-call]
        enter_code_folder()


def main() -> None:
    """Run a kernel for the connection file that the command line names."""
    if os.name == "posix":
        kernelapp.IOPubThread = PrivateIOPubThread  # type: ignore[attr-defined]
    PrivateKernelApp.launch_instance()


if __name__ == "__main__":
    main()
