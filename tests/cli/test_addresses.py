"""Wrong addresses: one sentence and a status from every command and process, no secret."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from cli import main as command_line
from embedded.postgres import PostgresServer
from telemetry import redaction

SECRET = "hunter2-TopSecret"
ACCESS_KEY = "AKIAHIDDENKEY123"
PROCESSES = (("worker",), ("scheduler",), ("web", "--port", "65535"))

Environment = dict[str, str]


@pytest.fixture
def environment(
    module_postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Environment:
    """Addresses of services that work, with the database of the module; no other AWS settings."""
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_any_secret", None)
    for name in os.environ:
        if name.startswith(("AWS_", "KARYO_")) and name != "KARYO_TEST_DATA":
            monkeypatch.delenv(name)
    return {
        "KARYO_DATABASE_URL": module_postgres_url,
        "KARYO_BROKER_URL": redis_url,
        "KARYO_OBJECT_STORE": (tmp_path / "objects").as_uri(),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Call:
    """One call of the command line in this process: its status and its output."""

    def __init__(self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]):
        monkeypatch.setattr(sys, "argv", ["karyo", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as exited:
            command_line.main()
        self.status = exited.value.code
        self.out, self.err = capfd.readouterr()

    def assert_one_sentence(self, status: int, *parts: str) -> None:
        assert self.status == status, self.err
        assert self.out == ""
        assert self.err.startswith("error: ")
        assert self.err.count("\n") == 1, self.err
        assert [part for part in parts if part not in self.err] == [], self.err
        self.assert_no_secret()

    def assert_no_secret(self) -> None:
        assert SECRET not in self.out + self.err
        assert ACCESS_KEY not in self.out + self.err


Karyo = Callable[..., Call]


@pytest.fixture
def _logging_of_pytest() -> Iterator[None]:
    """Undo what a process does to the handlers of the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


@pytest.fixture
def karyo(
    _logging_of_pytest: None,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environment: Environment,
) -> Karyo:
    """Call ``karyo`` with changes of the environment; None removes a variable."""

    def call(*words: str, **changes: str | None) -> Call:
        for name, value in (environment | changes).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return Call(capfd, monkeypatch, words)

    return call


def on_server(url: str, **changes: str) -> str:
    return make_url(url).set(**changes).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"KARYO_S3_ENDPOINT_URL": "localhost:9000"}, ["KARYO_S3_ENDPOINT_URL has no scheme"]),
        ({"KARYO_OBJECT_STORE": "s3://bucket", "AWS_PROFILE": "nosuch"}, ["(nosuch)", "set AWS_PROFILE"]),
        ({"KARYO_OBJECT_STORE": f"https://k:{SECRET}@h/b?{SECRET}"}, ["KARYO_S3_ENDPOINT_URL"]),
        ({"KARYO_OBJECT_STORE": f"ftp://k:{SECRET}@h/b"}, ["starts with ftp://"]),
        ({"KARYO_OBJECT_STORE": "s3://My_Bucket"}, ["'My_Bucket'", "3 to 63 characters"]),
        ({"KARYO_OBJECT_STORE": "s3://bucket", "AWS_SECRET_ACCESS_KEY": ""}, ["AWS_SECRET_ACCESS_KEY is empty"]),
        ({"KARYO_DATABASE_URL": f"mysql://k:{SECRET}@h/db"}, ["write postgresql://user:password@host:5432/database"]),
        ({"KARYO_DATABASE_URL": SECRET}, ["KARYO_DATABASE_URL has no scheme"]),
        ({"KARYO_DATABASE_URL": f"postgresql://k:{SECRET}@h:port/db"}, ["a port that is no number"]),
        ({"KARYO_DATABASE_URL": f"postgresql://k:{SECRET}@localhost/db?nosuch={SECRET}"}, ["nosuch"]),
        ({"KARYO_DATABASE_URL": "postgresql://k:@h/db"}, ["KARYO_DATABASE_URL has an empty password"]),
        ({"KARYO_BROKER_URL": f"amqp://k:{SECRET}@h//"}, ["KARYO_BROKER_URL starts with amqp://"]),
        ({"KARYO_BROKER_URL": ""}, ["missing: KARYO_BROKER_URL"]),
    ],
)
def test_a_wrong_setting_is_one_sentence(karyo: Karyo, changes: Environment, parts: list[str]) -> None:
    karyo("status", **changes).assert_one_sentence(2, *parts)


@pytest.mark.parametrize("words", [("status", "--json"), ("report", "--list"), ("retry",), ("db", "upgrade"), ("web",)])
def test_a_wrong_password_is_one_sentence(karyo: Karyo, module_postgres_url: str, words: tuple[str, ...]) -> None:
    url = on_server(module_postgres_url, password=SECRET)
    called = karyo(*words, KARYO_DATABASE_URL=url)
    called.assert_one_sentence(2, 'password authentication failed for user "karyo"; correct its user')


def test_a_database_that_does_not_exist_is_one_sentence(karyo: Karyo, module_postgres_url: str) -> None:
    url = on_server(module_postgres_url, database="nosuch")
    karyo("status", KARYO_DATABASE_URL=url).assert_one_sentence(2, 'database "nosuch" does not exist')


@pytest.mark.parametrize(
    ("host", "part"), [("nohost.invalid", "nohost.invalid"), ("127.0.0.1:1", "Connection refused"), ("[::1]:1", "::1")]
)
def test_a_database_that_does_not_answer_is_one_sentence(karyo: Karyo, host: str, part: str) -> None:
    called = karyo("status", KARYO_DATABASE_URL=f"postgresql://karyo:{SECRET}@{host}/karyo")
    called.assert_one_sentence(1, "the database does not answer", part, "check that PostgreSQL runs")


def test_a_store_that_does_not_answer_shows_no_query(karyo: Karyo, tmp_path: Path) -> None:
    karyo("models", "promote")
    (tmp_path / "cell.png").write_bytes(b"")
    called = karyo(
        "ingest", "s3://bucket/prefix", KARYO_S3_ENDPOINT_URL="http://127.0.0.1:1", AWS_DEFAULT_REGION="us-east-1"
    )
    assert called.status == 1
    assert "list-type" not in called.err
    assert "Traceback" not in called.err
    called.assert_no_secret()


@pytest.mark.parametrize(
    ("location", "status"), [(f"ftp://k:{SECRET}@h/x", 2), (f"s3://k:{SECRET}@bucket/x", 1), ("s3://Bad_Bucket!/x", 2)]
)
def test_a_location_of_images_is_shown_without_its_credentials(karyo: Karyo, location: str, status: int) -> None:
    karyo("models", "promote")
    called = karyo("ingest", location, COLUMNS="200", AWS_DEFAULT_REGION="us-east-1")
    assert called.status == status, called.err
    assert "Traceback" not in called.err
    called.assert_no_secret()


@pytest.mark.parametrize(
    "words",
    [("status",), ("run", "/"), ("ingest", "/"), ("report", "--list"), ("drain",), ("models", "pipelines"), *PROCESSES],
)
def test_a_database_before_its_migration_names_the_command(
    karyo: Karyo, empty_postgres_url: str, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    called = karyo(*words, KARYO_DATABASE_URL=empty_postgres_url)
    called.assert_one_sentence(2, "no tables of karyoflow", "run `karyo db upgrade`")


@pytest.mark.parametrize("words", [("status",), ("db", "upgrade"), *PROCESSES])
def test_a_database_of_a_newer_version_names_both_versions(
    karyo: Karyo, postgres_url: str, words: tuple[str, ...]
) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE karyo.alembic_version SET version_num = '0099'")
    called = karyo(*words, KARYO_DATABASE_URL=postgres_url)
    called.assert_one_sentence(2, "schema version 0099", "install the version of karyoflow")


@pytest.mark.parametrize("words", PROCESSES)
def test_a_wrong_password_of_the_broker_ends_a_process(karyo: Karyo, redis_url: str, words: tuple[str, ...]) -> None:
    wrong = f"redis://:{SECRET}@{redis_url.rpartition('@')[2]}"
    karyo(*words, KARYO_BROKER_URL=wrong).assert_one_sentence(2, "the broker refuses KARYO_BROKER_URL")


def test_a_worker_without_credentials_ends(karyo: Karyo) -> None:
    called = karyo(
        "worker",
        KARYO_OBJECT_STORE="s3://bucket",
        KARYO_S3_ENDPOINT_URL="http://127.0.0.1:1",
        AWS_ACCESS_KEY_ID=None,
        AWS_SECRET_ACCESS_KEY=None,
    )
    called.assert_one_sentence(2, "Unable to locate credentials", "set AWS_ACCESS_KEY_ID")


@pytest.mark.parametrize("home", ["/dev/null", "/dev/null/home", "/proc/karyo"])
def test_a_home_that_cannot_be_written_is_one_sentence(karyo: Karyo, home: str) -> None:
    embedded = dict.fromkeys(("KARYO_DATABASE_URL", "KARYO_BROKER_URL", "KARYO_OBJECT_STORE"))
    karyo("status", **embedded, KARYO_HOME=home).assert_one_sentence(2, "set KARYO_HOME to a folder of yours")


@pytest.mark.parametrize("words", [("report", "throughput", "--format", "csv", "--out")])
def test_a_missing_folder_of_an_output_is_one_sentence(karyo: Karyo, words: tuple[str, ...]) -> None:
    karyo(*words, "/nonexistent/out").assert_one_sentence(2, "/nonexistent/out", "No such file or directory")


def test_errors_of_analyses_are_shown_without_secrets(karyo: Karyo, postgres_url: str) -> None:
    sentence = f"ConnectionError: http://{ACCESS_KEY}:{SECRET}@h/b?X-Amz-Signature={SECRET}"
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute(
            """
            INSERT INTO karyo.pipelines (digest, name, document) VALUES ('d', 'p', '{}');
            INSERT INTO karyo.cases (accession) VALUES ('A-1');
            INSERT INTO karyo.images
              (sha256, object_key, case_id, file_name, format, byte_count, width, height, bit_depth)
            VALUES ('1', '1', 1, 'cell.png', 'PNG', 1, 1, 1, 8);
            INSERT INTO karyo.lanes (lab, priority) VALUES ('', 1) ON CONFLICT DO NOTHING;
            """
        )
        connection.execute(
            """
            INSERT INTO karyo.analyses
              (case_id, image_id, pipeline_id, priority, lane_id, round, state, reason, error, finished_at)
            SELECT 1, 1, 1, 1, min(id), 0, 'failed', 'unexpected_error', %s, now() FROM karyo.lanes
            """,
            [sentence],
        )
    for words in (("status",), ("status", "--json"), ("report", "failures_by_reason", "--json")):
        called = karyo(*words, KARYO_DATABASE_URL=postgres_url)
        assert called.status == 0, called.err
        assert "http://***@h/b?***" in called.out
        called.assert_no_secret()


def test_an_unexpected_error_is_a_traceback_without_secrets(
    karyo: Karyo, monkeypatch: pytest.MonkeyPatch, environment: Environment
) -> None:
    def fail() -> None:
        raise RuntimeError(f"redis://:{SECRET}@h/0 and {SECRET}")

    monkeypatch.setattr(command_line, "app", fail)
    redaction.hide_secret(SECRET)
    called = karyo("status")
    assert called.status == 1
    assert "RuntimeError: redis://***@h/0 and ***" in called.err
    called.assert_no_secret()


@contextmanager
def started(environment: Environment, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "cli.main", *words]
    with subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.stack
@pytest.mark.parametrize("name", ["worker", "scheduler"])
def test_a_process_waits_for_services_that_do_not_answer_and_logs_no_secret(
    environment: Environment, name: str
) -> None:
    away = {
        "KARYO_DATABASE_URL": f"postgresql://karyo:{SECRET}@127.0.0.1:1/karyo",
        "KARYO_BROKER_URL": f"redis://:{SECRET}@127.0.0.1:1/0",
        "KARYO_OBJECT_STORE": "s3://bucket/prefix",
        "KARYO_S3_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with started(environment | away, name) as process:
        assert process.stderr is not None
        lines: list[str] = []
        while f"{name}.started" not in "".join(lines):
            lines.append(process.stderr.readline())
            assert lines[-1], "".join(lines)
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        process.kill()
        text = "".join(lines) + process.stderr.read()
    assert '"service": "database"' in text
    assert '"service": "broker"' in text
    assert SECRET not in text
    assert ACCESS_KEY not in text


def test_the_embedded_database_answers_with_its_own_password(postgres_server: PostgresServer, karyo: Karyo) -> None:
    called = karyo("status", "--json")
    assert called.status == 0
    assert postgres_server.password not in called.out + called.err
