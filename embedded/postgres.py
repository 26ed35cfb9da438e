"""PostgreSQL of the embedded stack: the data directory, made once, and the server as a part that the keeper keeps.

It listens on a Unix socket only, asks for a password (SCRAM), and syncs to disk as a production server does. PostgreSQL
refuses to run as root; there it runs as a system user of its own.
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
from embedded.supervisor import Part, die_with_parent

ROLE = DATABASE = "karyo"
SYSTEM_USER = "embedded_postgres"
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 107  # bytes: sockaddr_un.sun_path, unix(7)
SMALL_SHARED_MEMORY = 256 * 2**20  # bytes; containers get 64 MiB unless told otherwise
LEFT_OVER_SECONDS = 20.0
_CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}  # linux/capability.h; the weaker one first


@dataclass(frozen=True)
class Postgres:
    """The cluster in ``home/postgres``.

    Args:
        home: KARYO_HOME, absolute.
        password: of the role ``karyo``, which owns the cluster.
        shared_memory: where POSIX shared memory lives; a test gives a small one.
    """

    home: Path
    password: str
    shared_memory: Path = Path("/dev/shm")

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.home / "postgres"

    @property
    def log(self) -> Path:
        """What the server and its set-up said."""
        return self.home / "logs" / "postgres.log"

    @cached_property
    def sockets(self) -> Path:
        """Folder of the socket: in ``home``, or a short one keyed by it where that path would be too long."""
        folder = self.home / "run" / "postgres"
        if len(os.fsencode(folder / SOCKET_NAME)) > LONGEST_SOCKET_PATH:
            key = sha256(os.fsencode(self.home)).hexdigest()[:12]
            folder = Path(tempfile.gettempdir()) / f"karyo-{os.getuid()}-{key}"
        return folder

    @cached_property
    def user(self) -> pwd.struct_passwd | None:
        """The system user that the server runs as, where that is another than ours."""
        if os.geteuid() != 0:
            return None
        add = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        complaint = ""
        for _ in range(25):
            try:
                return pwd.getpwnam(SYSTEM_USER)
            except KeyError:
                try:
                    complaint = subprocess.run(add, capture_output=True, text=True, check=False).stderr.strip()
                except OSError as error:
                    complaint = str(error)
            time.sleep(0.1)  # another stack may be adding it: useradd locks /etc/passwd
        raise StackError(
            f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} for it cannot be made: {complaint}. "
            "Make that user, or run karyo as an ordinary user."
        )

    def url(self) -> str:
        """SQLAlchemy's URL of the database."""
        return f"postgresql+psycopg://{ROLE}:{self.password}@/{DATABASE}?host={quote(str(self.sockets))}"

    def prepare(self) -> Part:
        """Make the data directory if there is none, end a left-over server, and describe the part to start.

        Raises:
            StackError: ``initdb`` fails, or the server of a crashed run does not stop.
        """
        self._make_socket_folder()
        self._end_left_over_server()
        if self.data.exists():
            self._own_data()
        else:
            self._initdb()
        return Part("postgres", self._command(), str(self.log), stop_signal=signal.SIGINT, grace_seconds=25.0)

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "shared_buffers": "64MB",
            "max_connections": "60",
            "dynamic_shared_memory_type": "mmap" if _is_small(self.shared_memory) else "posix",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "logging_collector": "off",
            "log_line_prefix": "%m [%p] ",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        postgres = str(postgres_folder() / "postgres")
        return [*self._as_user(), *die_with_parent(signal.SIGINT), postgres, "-D", str(self.data), *options]

    def _as_user(self) -> list[str]:
        """Command prefix that drops root.

        The folders above the data or the program may be closed to other users, as /root is. Rather than opening them to
        everybody, the server alone is let through, by the one capability that this takes.
        """
        if self.user is None:
            return []
        command = ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups"]
        if not all(_open_to_others(path) for path in (self.home, postgres_folder())):
            held = int(next(line for line in _status_lines() if line.startswith("CapEff")).split()[1], 16)
            for name, bit in _CAPABILITIES.items():
                if held >> bit & 1:
                    return [*command, f"--inh-caps=+{name}", f"--ambient-caps=+{name}"]
        return command

    def _make_socket_folder(self) -> None:
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        owner = self.sockets.lstat().st_uid
        if self.sockets.is_symlink() or owner not in {os.geteuid(), self.user.pw_uid if self.user else -1}:
            raise StackError(f"{self.sockets} belongs to another user; remove it, or set KARYO_HOME to a shorter path")
        self._give(self.sockets)

    def _give(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _own_data(self) -> None:
        """Root's server user may have another number than when the data was made, in a new container for instance."""
        owner = self.data.stat().st_uid
        if self.user is not None and owner != self.user.pw_uid:
            if self.home.stat().st_uid != 0:
                raise StackError(f"{self.home} belongs to user {owner}; run karyo as that user, or set KARYO_HOME")
            for folder, _, files in os.walk(self.data):
                for path in (folder, *(f"{folder}/{name}" for name in files)):
                    os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)

    def _end_left_over_server(self) -> None:
        """The lock is ours, so a server in this directory is a crashed run's; a dead one leaves its pid file."""
        pid_file = self.data / "postmaster.pid"
        try:
            process = psutil.Process(int(pid_file.read_text().split()[0]))
            if process.name() != "postgres" or Path(process.cwd()) != self.data:
                raise psutil.NoSuchProcess(process.pid)  # the number has gone to a stranger
            process.send_signal(signal.SIGINT)
            process.wait(LEFT_OVER_SECONDS)
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
        self._give(draft)
        with tempfile.NamedTemporaryFile("w", dir=self.sockets) as password:
            password.write(self.password)
            password.flush()
            self._give(Path(password.name))
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
            ]
            with self.log.open("ab") as log:
                status = subprocess.run(command, stdout=log, stderr=log, cwd="/", check=False).returncode
        if status != 0:
            raise StackError(f"PostgreSQL could not make its data directory; {self.log} ends:\n{last_lines(self.log)}")
        draft.rename(self.data)

    def answers(self) -> bool:
        """Whether the database takes a connection. Makes the database at the first one."""
        try:
            self._connect(DATABASE).close()
        except psycopg.OperationalError as error:
            if error.sqlstate != "3D000" and "does not exist" not in str(error):
                if "authentication failed" in str(error):
                    raise StackError(
                        f"the password in {self.home / 'secrets.json'} is not that of the data in {self.data}; "
                        "restore the file, or set KARYO_HOME to a new folder"
                    ) from error
                return False
            with self._connect("postgres") as connection:
                connection.execute(f"CREATE DATABASE {DATABASE}")
        return True

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.sockets),
            user=ROLE,
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )


def _is_small(folder: Path) -> bool:
    try:
        space = os.statvfs(folder)
    except OSError:
        return True
    return not os.access(folder, os.W_OK) or space.f_bavail * space.f_frsize < SMALL_SHARED_MEMORY


def _open_to_others(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _status_lines() -> list[str]:
    return Path("/proc/self/status").read_text().splitlines()
