"""A PostgreSQL server of the tests' own, pgserver's or the system's, that lives in a directory of its own."""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "p@ss/w:rd"


@dataclass(frozen=True)
class Server:
    """A server that runs: its port on 127.0.0.1; `desk` may do everything, with the password."""

    port: int

    def url(self, password: str | None = None) -> str:
        """The URL of its database, with a password where one is given."""
        return f"postgresql://desk{'' if password is None else f':{password}'}@127.0.0.1:{self.port}/postgres"


@contextmanager
def running_server() -> Iterator[Server]:
    """Starts one; skips the test where there is no PostgreSQL, or it may not be run by this user."""
    programs = _programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL: neither pgserver nor initdb is installed")
    # The server refuses to run as root, and its user cannot enter pytest's directories.
    user = _user()
    home = Path(tempfile.mkdtemp(prefix="flatbook-postgres-"))
    data, secret = home / "data", home / "password"
    secret.write_text(PASSWORD)
    if user is not None:
        for path in (home, secret):
            shutil.chown(path, user)

    def call(program: str, *words: object) -> None:
        command = [str(programs / program), *map(str, words)]
        # A server inherits what its starter has: pipes would be held open by it.
        with (home / "log").open("ab") as log:
            subprocess.run(command, check=True, user=user, cwd=home, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    port = _free_port()
    try:
        call(
            "initdb", "-D", data, "-U", "desk", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync", "-E", "UTF8"
        )
        settings = f"-c listen_addresses=127.0.0.1 -p {port} -k {home} -c fsync=off -c shared_buffers=16MB"
        call("pg_ctl", "-D", data, "-w", "-l", home / "server.log", "-o", settings, "start")
        yield Server(port)
    finally:
        if (data / "postmaster.pid").exists():
            call("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(home, ignore_errors=True)


def _programs() -> Path | None:
    """The directory of initdb and pg_ctl."""
    package = importlib.util.find_spec("pgserver")
    places = [Path(place) / "pginstall" / "bin" for place in (package and package.submodule_search_locations) or ()]
    places += [Path(found).resolve().parent for found in [shutil.which("initdb"), shutil.which("pg_ctl")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


def _user() -> str | None:
    """Whom the server runs as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    found = next((name for name in ("postgres", "nobody") if name in known), None)
    if found is None:
        pytest.skip("PostgreSQL does not run as root, and there is no other user to run it as")
    return found


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
