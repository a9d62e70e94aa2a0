"""An FTP server as a program of its own, with the failures of a department's server; not imported, but started.

    python tests/ftp_server.py PORT FOLDER [--certificate PEM KEY] [--quota] [--die-in N] [--hang-in N]

User `pq`, password `secret`. Every command that it takes stands in its log.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from typing import Any

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import DTPHandler, FTPHandler, TLS_FTPHandler
from pyftpdlib.log import config_logging
from pyftpdlib.servers import FTPServer


def main() -> None:
    """Serve until it is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder")
    parser.add_argument("--certificate", nargs=2, metavar=("PEM", "KEY"))
    parser.add_argument("--quota", action="store_true", help="no file is taken")
    parser.add_argument("--die-in", type=int, default=0, help="kill -9 in the middle of this file (1: the first)")
    parser.add_argument("--hang-in", type=int, default=0, help="answer no more from the middle of this file on")
    options = parser.parse_args()
    config_logging(level=10)
    base = TLS_FTPHandler if options.certificate else FTPHandler
    handler: Any = type("Handler", (base,), {"ftp_STOR": _over_quota} if options.quota else {})
    handler.auth_failed_timeout = 0.1
    handler.authorizer = DummyAuthorizer()
    handler.authorizer.add_user("pq", "secret", options.folder, perm="elradfmwMT")
    if options.certificate:
        handler.certfile, handler.keyfile = options.certificate
        handler.tls_control_required = handler.tls_data_required = True
    if options.die_in or options.hang_in:
        handler.dtp_handler = type("Failing", (_Failing,), {"left": options.die_in or options.hang_in})
        handler.dtp_handler.dies = bool(options.die_in)
    FTPServer(("127.0.0.1", options.port), handler).serve_forever()


def _over_quota(handler: Any, _file: str, mode: str = "w") -> None:
    handler.respond(f"552 Disk quota exceeded ({mode}).")


class _Failing(DTPHandler):
    """Takes files, and half of the one in which it fails."""

    left: int
    dies: bool

    def recv(self, buffer_size: int) -> bytes:
        data: bytes = super().recv(buffer_size)
        if data:
            type(self).left -= 1
            if self.left == 0:
                self.file_obj.write(data[: len(data) // 2])
                self.file_obj.flush()
                if self.dies:
                    os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(3600)
        return data


if __name__ == "__main__":
    main()
