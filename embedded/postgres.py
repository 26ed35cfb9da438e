"""PostgreSQL of the embedded stack: its data directory and its server process.

The server listens on a Unix socket only, requires a password (SCRAM) and writes to disk as a production server does.
PostgreSQL refuses to run as root; a stack of root's runs it as the system user ``embedded_postgres``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from embedded.binaries import postgres_folder
from embedded.errors import StackError, last_lines
from embedded.supervisor import ProcessSpec, die_with_parent

ROLE = DATABASE = "karyo"
SYSTEM_USER = "embedded_postgres"
SOCKET_NAME = ".s.PGSQL.5432"
MAX_SOCKET_PATH = 107  # bytes: sockaddr_un.sun_path, unix(7)
MIN_SHARED_MEMORY = 256 * 2**20  # bytes; containers have 64 MiB by default
MAX_STOP_SECONDS = 20.0  # s that the server of a crashed run may take to stop
USER_ATTEMPTS = 25  # lookups of the system user, 0.1 s apart
_CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}  # bits in linux/capability.h; the weaker one first
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class PostgresServer:
    """The PostgreSQL cluster in ``home/postgres``.

    Args:
        home: KARYO_HOME, absolute.
        password: password of the role ``karyo``, which owns the cluster.
        shared_memory: folder of POSIX shared memory.
        durable: whether commits are written to disk; tests do without.
    """

    home: Path
    password: str
    shared_memory: Path = Path("/dev/shm")
    durable: bool = True

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.home / "postgres"

    @property
    def log(self) -> Path:
        """Log file of the server and of ``initdb``."""
        return self.home / "logs" / "postgres.log"

    @cached_property
    def socket_folder(self) -> Path:
        """Folder of the Unix socket, in ``home`` or, where that path is too long, in /tmp."""
        folder = self.home / "run" / "postgres"
        if len(os.fsencode(folder / SOCKET_NAME)) > MAX_SOCKET_PATH:
            key = sha256(os.fsencode(self.home)).hexdigest()[:12]
            folder = Path(tempfile.gettempdir()) / f"karyo-{os.getuid()}-{key}"
        return folder

    @cached_property
    def user(self) -> pwd.struct_passwd | None:
        """The system user that the server runs as; ``None`` for the current user."""
        if os.geteuid() != 0:
            return None
        add = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        problem = ""
        for _ in range(USER_ATTEMPTS):
            try:
                return pwd.getpwnam(SYSTEM_USER)
            except KeyError:
                try:
                    problem = subprocess.run(add, capture_output=True, text=True, check=False).stderr.strip()
                except OSError as error:
                    problem = str(error)
            time.sleep(0.1)  # another stack may be adding the user: useradd locks /etc/passwd
        raise StackError(
            f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} for it cannot be made: {problem}. "
            "Make that user, or run karyo as an ordinary user."
        )

    def url(self, database: str = DATABASE) -> str:
        """Return SQLAlchemy's URL of a database of the server."""
        return f"postgresql+psycopg://{ROLE}:{self.password}@/{database}?host={quote(str(self.socket_folder))}"

    def prepare(self) -> ProcessSpec:
        """Create the data directory if there is none, and return the process to start.

        The server of a crashed run is stopped.

        Raises:
            StackError: ``initdb`` fails, or the server of a crashed run does not stop.
        """
        self._make_socket_folder()
        self._stop_leftover_server()
        if self.data.exists():
            self._own_data()
        else:
            self._initdb()
        return ProcessSpec("postgres", self.command(), str(self.log), stop_signal=signal.SIGINT, grace_seconds=25.0)

    def command(self) -> list[str]:
        """Return the command line of the server."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_folder),
            "unix_socket_permissions": "0700",
            "shared_buffers": "64MB",
            "max_connections": "60",
            "dynamic_shared_memory_type": "mmap" if _is_small(self.shared_memory) else "posix",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "logging_collector": "off",
            "log_line_prefix": "%m [%p] ",
            **({} if self.durable else _NOT_DURABLE),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        postgres = str(postgres_folder() / "postgres")
        return [*self._as_user(), *die_with_parent(signal.SIGINT), postgres, "-D", str(self.data), *options]

    def is_ready(self) -> bool:
        """Return whether the server accepts a connection.

        Raises:
            StackError: the server refuses the password.
        """
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError as error:
            if "authentication failed" in str(error):
                raise StackError(
                    f"the password in {self.home / 'secrets.json'} is not that of the data in {self.data}; "
                    "restore the file, or set KARYO_HOME to a new folder"
                ) from error
            return False
        return True

    def create_database(self) -> None:
        """Create the database ``karyo`` unless it exists; the server must be ready."""
        with self.connect("postgres") as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def connect(self, database: str) -> psycopg.Connection:
        """Return a new connection in autocommit mode, as the owner of the cluster."""
        return psycopg.connect(
            host=str(self.socket_folder),
            user=ROLE,
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def _as_user(self) -> list[str]:
        """Return a command prefix that drops root's rights.

        The folders above the data or the program may be closed to other users, as /root is. Their permissions stay as
        they are: the server gets the one capability that lets it pass.
        """
        if self.user is None:
            return []
        command = ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups"]
        if not all(_open_to_others(path) for path in (self.home, postgres_folder())):
            effective = int(next(line for line in _status_lines() if line.startswith("CapEff")).split()[1], 16)
            for name, bit in _CAPABILITIES.items():
                if effective >> bit & 1:
                    return [*command, f"--inh-caps=+{name}", f"--ambient-caps=+{name}"]
        return command

    def _make_socket_folder(self) -> None:
        folder = self.socket_folder
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.lstat().st_uid
        if folder.is_symlink() or owner not in {os.geteuid(), self.user.pw_uid if self.user else -1}:
            raise StackError(f"{folder} belongs to another user; remove it, or set KARYO_HOME to a shorter path")
        self._give_to_user(folder)

    def _give_to_user(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _own_data(self) -> None:
        """Give root's data directory to the system user, whose uid differs between containers."""
        owner = self.data.stat().st_uid
        if self.user is not None and owner != self.user.pw_uid:
            if self.home.stat().st_uid != 0:
                raise StackError(f"{self.home} belongs to user {owner}; run karyo as that user, or set KARYO_HOME")
            for folder, _, files in os.walk(self.data):
                for path in (folder, *(f"{folder}/{name}" for name in files)):
                    os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)

    def _stop_leftover_server(self) -> None:
        """Stop the server of a crashed run; the supervisor's lock excludes one of a running stack."""
        pid_file = self.data / "postmaster.pid"
        try:
            process = psutil.Process(int(pid_file.read_text().split()[0]))
            if process.name() != "postgres" or Path(process.cwd()) != self.data:
                raise psutil.NoSuchProcess(process.pid)  # the pid now belongs to an unrelated process
            process.send_signal(signal.SIGINT)
            process.wait(MAX_STOP_SECONDS)
        except psutil.TimeoutExpired as error:
            raise StackError(
                f"a PostgreSQL of an earlier run, pid {error.pid}, does not stop; see {self.log}"
            ) from error
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
            pass
        pid_file.unlink(missing_ok=True)

    def _initdb(self) -> None:
        draft = self.data.with_name("postgres.new")  # renamed when complete: an interrupted initdb leaves no half
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._give_to_user(draft)
        with tempfile.NamedTemporaryFile("w", dir=self.socket_folder) as password:
            password.write(self.password)
            password.flush()
            self._give_to_user(Path(password.name))
            command = [
                *self._as_user(),
                str(postgres_folder() / "initdb"),
                f"--pgdata={draft}",
                f"--username={ROLE}",
                f"--pwfile={password.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                *([] if self.durable else ["--no-sync"]),
            ]
            with self.log.open("ab") as log:
                status = subprocess.run(command, stdout=log, stderr=log, cwd="/", check=False).returncode
        if status != 0:
            raise StackError(f"PostgreSQL could not make its data directory; {self.log} ends:\n{last_lines(self.log)}")
        draft.rename(self.data)


def _is_small(folder: Path) -> bool:
    try:
        space = os.statvfs(folder)
    except OSError:
        return True
    return not os.access(folder, os.W_OK) or space.f_bavail * space.f_frsize < MIN_SHARED_MEMORY


def _open_to_others(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _status_lines() -> list[str]:
    return Path("/proc/self/status").read_text().splitlines()
