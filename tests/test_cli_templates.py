"""The commands `templates`, `new` and `summary`, run for real in an empty folder."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from test_cli import HEAVY, LOADED, SMALL, contents, plain_environment, refused, run

from sheetconv.errors import TemplateError, WorkbookError
from sheetconv.files import written_together
from sheetconv.own_template import new_template
from sheetconv.template import load_template, template_names, templates_folder

# --- templates


def test_templates_are_listed_with_their_figures(tmp_path: Path) -> None:
    done = run(tmp_path, "templates")
    assert (done.returncode, done.stderr) == (0, "")
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["template", "input", "parameters", "formula", "cells"]
    assert [row.split()[0] for row in rows[:-2]] == template_names()
    (row,) = [row for row in rows if row.startswith("conv-example ")]
    assert row.split(maxsplit=8) == [
        "conv-example", "1", "x", "28", "x", "28", "366", "9,336",
        "fast.ai's conv-example.xlsx: two convolutions, max-pool and a dense layer, "
        "with and without dropout.",
    ]  # fmt: skip
    assert rows[-1] == "  sheetconv new NAME --from TEMPLATE"


# --- summary

CONV_EXAMPLE = """\
conv-example:
layer    type       output shape    parameters  multiplications  activations  receptive field  \
step   first at
input               (1, 1, 28, 28)
conv1    Conv2d     (1, 2, 26, 26)          18           12,168        1,352  3 x 3            \
1 x 1  (0, 0)
relu1    ReLU       (1, 2, 26, 26)           0                0        1,352  3 x 3            \
1 x 1  (0, 0)
conv2    Conv2d     (1, 2, 24, 25)          36           21,600        1,200  5 x 5            \
1 x 1  (0, 0)
relu2    ReLU       (1, 2, 24, 25)           0                0        1,200  5 x 5            \
1 x 1  (0, 0)
maxpool  MaxPool2d  (1, 2, 12, 13)           0                0          312  6 x 6            \
2 x 2  (0, 0)
flatten  Flatten    (1, 312)                 0                0            0  6 x 6            \
2 x 2  (0, 0)
dense    Linear     (1, 1)                 312              312            1  28 x 30          \
-      (0, 0)
total                                      366           34,080        5,417
Receptive fields reach over the edge of the image, into padding.
"""


def test_summary_of_conv_example(tmp_path: Path) -> None:
    done = run(tmp_path, "summary", "conv-example")
    assert (done.returncode, done.stderr) == (0, "")
    heading, dropped, plain = done.stdout.split("\n\n")
    assert heading.splitlines() == [
        "conv-example: fast.ai's conv-example.xlsx: two convolutions, max-pool and a dense layer, "
        "with and without dropout.",
        "Workbook: 9,336 formula cells and 2,301 number cells",
        "  file size about 150,000 bytes",
        "  recalculation about 0.03 s in IronCalc, 0.06 s in LibreOffice",
        "  conv-example (dropout): one worksheet, 65 rows x 243 columns (as asked)",
        "  conv-example: one worksheet, 57 rows x 144 columns (as asked)",
    ]
    assert plain == CONV_EXAMPLE
    assert dropped.startswith("conv-example (dropout):\nlayer ")
    assert "dropout  Dropout    (1, 2, 24, 25) " in dropped
    assert contents(tmp_path) == {}


def test_summary_of_a_template_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(SMALL)
    done = run(tmp_path, "summary", "own.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Small\nWorkbook: 18 formula cells and 80 number cells\n")
    explaining = re.search("and ([0-9]+) formula cells that explain it", done.stdout)
    assert explaining is not None
    run(tmp_path, "build", "own.toml")
    total = 18 + int(explaining[1])
    assert f"{total} formula cells on" in run(tmp_path, "check", "own.xlsx").stdout


def test_summary_says_what_does_not_fit_and_still_describes_it(tmp_path: Path) -> None:
    text = SMALL.replace("[1, 6, 6]", "[1, 3, 20000]").replace(
        "in_features = 16", "in_features = 19998"
    )
    (tmp_path / "wide.toml").write_text(text + '\n[networks.drawing]\nlayout = "one-sheet"\n')
    done = run(tmp_path, "summary", "wide.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "small: does not fit: the network needs" in done.stdout
    assert "file size" not in done.stdout
    assert "dense1    Linear   (1, 2) " in done.stdout
    assert "does not fit" not in run(tmp_path, "summary", "conv-example").stdout


# --- new


def test_new_build_check(tmp_path: Path) -> None:
    """The steps that `new` prints, one after the other."""
    done = run(tmp_path, "new", "mine", "--from", "conv-example")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "wrote mine.toml and mine.npz: a copy of conv-example",
        "Edit mine.toml, then:",
        "  sheetconv build mine.toml",
    ]
    assert sorted(contents(tmp_path)) == ["mine.npz", "mine.toml"]
    assert run(tmp_path, "build", "mine.toml").returncode == 0
    done = run(tmp_path, "check", "mine.xlsx", "--probes", "0")
    assert done.returncode == 0
    assert "OK: 9,336 formula cells agree with NumPy" in done.stdout


def test_only_the_name_of_the_data_differs_from_the_original(tmp_path: Path) -> None:
    run(tmp_path, "new", "mine", "--from", "conv-example")
    original = (templates_folder() / "conv-example.toml").read_text(encoding="utf-8")
    copy = (tmp_path / "mine.toml").read_text(encoding="utf-8")
    pairs = zip(original.splitlines(), copy.splitlines(), strict=True)
    assert {pair for pair in pairs if pair[0] != pair[1]} == {
        ('data = "conv-example.npz"', 'data = "mine.npz"')
    }
    numbers = (templates_folder() / "conv-example.npz").read_bytes()
    assert (tmp_path / "mine.npz").read_bytes() == numbers


@pytest.mark.parametrize("name", template_names())
def test_every_template_can_be_copied(name: str, tmp_path: Path) -> None:
    assert run(tmp_path, "new", "mine", "--from", name).returncode == 0
    original, copy = load_template(name), load_template(tmp_path / "mine.toml")
    for before, after in zip(original.networks, copy.networks, strict=True):
        assert dict(before.network) == dict(after.network)
        assert before.drawing == after.drawing
        np.testing.assert_array_equal(before.image, after.image)
        for key, value in before.network.state_dict().items():
            np.testing.assert_array_equal(value, after.network.state_dict()[key])


def test_a_name_may_end_in_toml_and_have_blanks(tmp_path: Path) -> None:
    done = run(tmp_path, "new", "mein Netz é.toml", "--from", "conv-example")
    assert done.returncode == 0
    assert sorted(contents(tmp_path)) == ["mein Netz é.npz", "mein Netz é.toml"]
    assert done.stdout.endswith('  sheetconv build "mein Netz é.toml"\n')
    assert run(tmp_path, "build", "mein Netz é.toml").returncode == 0


def test_a_template_without_numbers_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(b"# a comment\r\n" + SMALL.encode())
    done = run(tmp_path, "new", "mine", "--from", "own.toml")
    assert done.stdout.startswith("wrote mine.toml: a copy of own.toml\n")
    assert (tmp_path / "mine.toml").read_bytes() == (tmp_path / "own.toml").read_bytes()
    assert sorted(contents(tmp_path)) == ["mine.toml", "own.toml"]


def network(data: str, comment: str = "") -> str:
    return SMALL.partition("\n\n")[2].replace("layers", f"{data}{comment}\nlayers", 1)


def with_numbers(folder: Path, head: str, *networks: str) -> None:
    """A template own.toml of several networks, and files a.npz and b.npz."""
    text = head + "".join(
        item.replace('"small"', f'"small {number}"') for number, item in enumerate(networks)
    )
    (folder / "own.toml").write_text(text)
    for name, value in (("a", 0.25), ("b", 0.5)):
        np.savez(folder / f"{name}.npz", input=np.full((1, 6, 6), value))


def test_every_data_file_is_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_numbers(
        tmp_path,
        'format = 1\ntitle = "data = \\"a.npz\\""\n',
        network('data = "a.npz"', "  # of a"),
        network("data = 'b.npz'"),
        network('  data   =   "a.npz"'),
    )
    monkeypatch.chdir(tmp_path)
    written = new_template("mine", "own.toml")
    assert [path.name for path in written] == ["mine.toml", "mine.npz", "mine-1.npz"]
    text = (tmp_path / "mine.toml").read_text()
    assert 'title = "data = \\"a.npz\\""' in text
    assert 'data = "mine.npz"  # of a\n' in text
    images = [item.image[0, 0, 0] for item in load_template("mine.toml").networks]
    assert images == [0.25, 0.5, 0.25]


def test_data_that_cannot_be_renamed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_numbers(tmp_path, "format = 1\n", network('"data" = "a.npz"'))
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(TemplateError, match=r"own\.toml: cannot tell where it names its data"):
        new_template("mine", "own.toml")
    assert contents(tmp_path) == before


# --- Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["summary"], "Missing argument 'TEMPLATE'"),
        (["summary", "conv-exampel"], "no template is named 'conv-exampel': did you mean conv-exa"),
        (["summary", "onw.toml"], "the template onw.toml does not exist: did you mean own.toml?"),
        (["summary", "own"], "no template is named 'own': did you mean own.toml?"),
        (["summary", "conv-example.toml"], "does not exist: did you mean conv-example?"),
        (["build", "folder"], "folder is a folder: give the path of a .toml file in it"),
        (["build", "a.xlsx"], "a.xlsx is a workbook, no template: did you mean sheetconv check a"),
        (["summary", "broken.toml"], "broken.toml is not valid TOML"),
        (["templates", "conv-example"], "unexpected extra argument"),
        (["new"], "Missing argument 'NAME'"),
        (["new", "mine"], "Missing option '--from'"),
        (["new", "mine", "--from", "conv-exampel"], "did you mean conv-example?"),
        (["new", "mine", "--from", "broken.toml"], "broken.toml is not valid TOML"),
        (["new", "own", "--from", "conv-example"], "own.toml exists already: replace it with"),
        (["new", "taken", "--from", "conv-example"], "taken.npz exists already: replace it with"),
        (["new", "folder", "--from", "conv-example"], "folder.toml is a folder"),
        (["new", "folder", "--from", "conv-example", "-f"], "folder.toml is a folder"),
        (["new", "a/b", "--from", "conv-example"], "'a/b' is no name for a template"),
        (["new", "a" * 300, "--from", "conv-example"], "cannot write into"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_mistakes(tmp_path: Path, arguments: Sequence[str], message: str) -> None:
    (tmp_path / "own.toml").write_text(SMALL)
    (tmp_path / "broken.toml").write_text(SMALL.replace('"Small"', "Small"))
    (tmp_path / "taken.npz").write_bytes(b"mine")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "folder").mkdir()
    assert message in refused(tmp_path, *arguments)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".toml", ".", "..", "../a", "/tmp/a.toml", "a\\b", " a", "a ", "a.", "a\nb", "C:a"),
        *('a"b', "NUL", "com1.toml", "aux.x.toml"),
    ],
)
def test_names_that_are_none_for_a_file_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TemplateError, match=r"is no name for a (template|file on Windows): "):
        new_template(name, "conv-example")
    assert contents(tmp_path) == {}


def test_force_replaces_both_files(tmp_path: Path) -> None:
    for name in ("own.toml", "own.npz"):
        (tmp_path / name).write_text("mine")
    assert run(tmp_path, "new", "own", "--from", "conv-example", "--force").returncode == 0
    assert load_template(tmp_path / "own.toml").networks[1].drawing.worksheet == "conv-example"


def test_a_template_can_replace_itself(tmp_path: Path) -> None:
    run(tmp_path, "new", "own", "--from", "conv-example")
    before = contents(tmp_path)
    assert run(tmp_path, "new", "own", "--from", "own.toml", "-f").returncode == 0
    assert contents(tmp_path) == before


# --- What is loaded


@pytest.mark.parametrize(
    "arguments",
    [["templates"], ["summary", "own.toml"], ["new", "mine", "--from", "own.toml"]],
    ids=lambda value: value[0],
)
def test_every_command_loads_only_what_it_uses(tmp_path: Path, arguments: Sequence[str]) -> None:
    (tmp_path / "own.toml").write_text(SMALL)
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(heavy=HEAVY), *arguments],
        cwd=tmp_path,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1].split() == ["loaded", "numpy"]


# --- Both files or none

INTERRUPTED = """\
import os, pathlib, signal
from sheetconv.cli import main

def interrupting(self, data):
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()

pathlib.Path.write_bytes = interrupting
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_interrupted_new_leaves_what_stood_there(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_text("mine")
    before = contents(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "new", "own", "--from", "conv-example", "-f"],
        cwd=tmp_path,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr.strip() == "sheetconv: interrupted; no file was changed"
    assert contents(tmp_path) == before


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """The paths of two files in an empty folder."""
    return [tmp_path / "a.toml", tmp_path / "a.npz"]


def write_both(paths: Sequence[Path], *, force: bool = True) -> None:
    with written_together(paths, force=force) as temporaries:
        for temporary, path in zip(temporaries, paths, strict=True):
            temporary.write_text(f"new {path.name}")


@pytest.mark.parametrize("standing", [(), (0,), (1,), (0, 1)])
def test_files_are_written_together(two: list[Path], standing: Sequence[int]) -> None:
    for number in standing:
        two[number].write_text("old")
    write_both(two)
    assert contents(two[0].parent) == {"a.toml": b"new a.toml", "a.npz": b"new a.npz"}


@pytest.mark.parametrize("failing", ["a.toml", "a.npz"])
@pytest.mark.parametrize("standing", [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("error", [PermissionError(13, "no"), KeyboardInterrupt()])
def test_if_one_cannot_take_its_place_none_does(
    two: list[Path],
    standing: Sequence[int],
    failing: str,
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in standing:
        two[number].write_text("old")
    before = contents(two[0].parent)
    replace, calls = Path.replace, []

    def failing_once(self: Path, target: Path) -> Path:
        calls.append(target.name)
        if target.name == failing and calls.count(failing) == 1:
            raise error
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing_once)
    with pytest.raises((WorkbookError, KeyboardInterrupt)):
        write_both(two)
    assert failing in calls
    assert contents(two[0].parent) == before


def test_a_full_disk_leaves_no_file(two: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    two[1].write_text("old")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(WorkbookError) as caught:
        write_both(two)
    assert str(caught.value) == f"cannot write {two[0]} and {two[1]}: No space left on device"
    assert contents(two[0].parent) == {"a.npz": b"old"}
