"""Every command and every piece of code in the README runs, in the order in which it stands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What .ci/run does, or the installation that this very test runs in.
RUN_ELSEWHERE = ("make ", "python -m pip install ")


def blocks() -> list[tuple[str, str]]:
    """Language and text of every code block."""
    return BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))


def commands() -> list[str]:
    """Every shell command of the README."""
    return [
        line
        for language, text in blocks()
        if language == "sh"
        for line in text.splitlines()
        if line.strip()
    ]


def test_the_readme_has_its_two_commands_first() -> None:
    assert [line.split("#")[0].strip() for line in commands()[:2]] == ["make demo", "make test"]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make demo" in ci
    assert "make test" in ci


@pytest.mark.usefixtures("libreoffice")
def test_everything_in_the_readme_runs(tmp_path: Path) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    # `pytest workbooks/` is for a folder of workbooks that were built before.
    (tmp_path / "workbooks").mkdir()
    ran = []
    for language, text in blocks():
        if language == "python":
            (tmp_path / "example.py").write_text(text, encoding="utf-8")
            done = run([sys.executable, "example.py"], tmp_path, environment)
            assert done.stdout.strip() == "True"
        elif language == "toml":
            (tmp_path / "small.toml").write_text(text, encoding="utf-8")
        elif language == "sh":
            for line in text.splitlines():
                if not line.strip() or line.startswith(RUN_ELSEWHERE):
                    continue
                if line.startswith("sheetconv build conv-example") and "-o" not in line:
                    (tmp_path / "conv-example.xlsx").unlink(missing_ok=True)
                if line.startswith("pytest"):
                    shutil.copy(tmp_path / "small.xlsx", tmp_path / "workbooks")
                    line += " -p no:cacheprovider"
                expected = 1 if line.startswith("sheetconv diff") else 0
                done = run(shlex.split(line, comments=True), tmp_path, environment)
                assert done.returncode == expected, f"{line}\n{done.stdout}\n{done.stderr}"
                ran.append(line)
    assert any(line.startswith("sheetconv check") for line in ran)
    assert (tmp_path / "cells.csv").is_file()


def run(
    command: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it prints."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_pictures_and_files_that_the_readme_names_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text) + re.findall(
        r"`((?:sheetconv|templates)/\S+\.\w+)`", text
    )
    assert len(names) >= 3
    assert [name for name in names if not (ROOT / name).exists()] == []
