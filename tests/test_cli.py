"""The command, run for real in an empty folder: what it prints, writes and returns.

Every mistake of a user is one line on standard error and exit code 2, and changes
nothing on disk.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from openpyxl import Workbook
from PIL import Image
from planting import opened, spliced

import sheetconv
from sheetconv import cli
from sheetconv.arranging import lay_out
from sheetconv.checking import check
from sheetconv.checking.report import frame
from sheetconv.diff import diff
from sheetconv.images import load_image
from sheetconv.network_sheet import NetworkSheet
from sheetconv.template import load_template
from sheetconv.workbook import build_workbook

SMALL = """\
format = 1
title = "Small"

[[networks]]
worksheet = "small"
input = [1, 6, 6]
layers = [
  { type = "Conv2d", in_channels = 1, out_channels = 1, kernel_size = 3 },
  { type = "ReLU" },
  { type = "Flatten" },
  { type = "Linear", in_features = 16, out_features = 2 },
]
"""
ERROR = "sheetconv: error: "


def run(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`sheetconv ARGUMENTS` in a folder; warnings are errors there, too."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "sheetconv", *arguments],
        cwd=folder,
        env=plain_environment() | (environment or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def plain_environment() -> dict[str, str]:
    return os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "200"}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def refused(folder: Path, *arguments: str) -> str:
    """The one line of a user's mistake; asserts that the folder is as it was."""
    before = contents(folder)
    done = run(folder, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(ERROR)
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")
    assert contents(folder) == before
    return done.stderr.removeprefix(ERROR)


@pytest.fixture(scope="module")
def small_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.toml").write_text(SMALL)
    template = load_template(folder / "small.toml")
    sheets = [NetworkSheet(item.network, item.image, item.drawing) for item in template.networks]
    return build_workbook(sheets, folder / "small.xlsx", title=template.title).path


@pytest.fixture
def small(small_original: Path, tmp_path: Path) -> Path:
    """A workbook of 18 formula cells, alone in a folder."""
    return Path(shutil.copy(small_original, tmp_path / "small.xlsx"))


@pytest.fixture
def wrong(small: Path) -> Path:
    """The same with a constant in place of its last formula."""
    spliced(small, "small", last_cell(small), 777.0)
    return small


def last_cell(path: Path) -> str:
    return str(frame(check(path))["cell"].iloc[-1])


# What works.


def test_version_and_help(tmp_path: Path) -> None:
    done = run(tmp_path, "--version")
    assert (done.returncode, done.stdout) == (0, f"sheetconv, version {sheetconv.__version__}\n")
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    commands = ("build", "templates", "new", "summary", "check", "diff", "trace", "render")
    assert all(f"  {command} " in done.stdout for command in commands)
    for command in commands:
        done = run(tmp_path, command, "-h")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: sheetconv {command}")
    assert contents(tmp_path) == {}


def test_without_a_command_it_shows_help(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert "Usage: sheetconv" in done.stderr


def test_build_check_diff(tmp_path: Path) -> None:
    """The first steps that the help names, and the smaller formula style."""
    done = run(tmp_path, "build", "conv-example")
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote conv-example.xlsx: 9,336 formula cells" in done.stdout
    assert "sheetconv check conv-example.xlsx" in done.stdout
    done = run(tmp_path, "check", "conv-example.xlsx", "--probes", "1", "--report", "r.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert "OK: 9,336 formula cells agree with NumPy" in done.stdout
    assert done.stdout.endswith("wrote r.csv\n")
    assert len(pd.read_csv(tmp_path / "r.csv")) == 9_336
    done = run(tmp_path, "build", "conv-example", "-o", "s.xlsx", "--formulas", "sumproduct")
    assert done.returncode == 0
    assert sorted(contents(tmp_path)) == ["conv-example.xlsx", "r.csv", "s.xlsx"]
    array, sumproduct = tmp_path / "conv-example.xlsx", tmp_path / "s.xlsx"
    assert sumproduct.stat().st_size < array.stat().st_size
    assert {item.aspect for item in diff(array, sumproduct).differences} == {"formula"}


def test_diff(small: Path) -> None:
    (small.parent / "small.toml").write_text(SMALL)
    for name, style in (("plain.xlsx", "sumproduct"), ("array.xlsx", "array")):
        run(small.parent, "build", "small.toml", "-o", name, "--formulas", style, "--plain")
    done = run(small.parent, "diff", "plain.xlsx", "array.xlsx", "--limit", "3")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[3] == "... and 13 more"
    assert done.stdout.endswith("different: 16 differences\n")
    done = run(small.parent, "diff", "small.xlsx", "small.xlsx")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("equal\n")


def test_own_template_with_its_own_numbers(tmp_path: Path) -> None:
    numbers = {
        "input": np.eye(6)[np.newaxis],
        "conv1.weight": np.ones((1, 1, 3, 3)),
        "conv1.bias": np.zeros(1),
        "dense1.weight": np.ones((2, 16)),
        "dense1.bias": np.array([0.5, -100.0]),
    }
    np.savez(tmp_path / "numbers.npz", **numbers)
    (tmp_path / "own.toml").write_text(SMALL.replace("layers", 'data = "numbers.npz"\nlayers', 1))
    assert run(tmp_path, "build", "own.toml", "--plain").returncode == 0
    done = run(tmp_path, "check", "own.xlsx")
    assert done.returncode == 0
    with opened(tmp_path / "own.xlsx") as book:
        assert book["small"].dimensions
    # The 4 x 4 windows see 3, 2 or 1 ones of the diagonal: 4*3 + 6*2 + 4*1.
    table = report(tmp_path, "own.xlsx")
    assert list(table["ironcalc"].iloc[-2:]) == [28.5, -72.0]


def own_data(folder: Path) -> np.ndarray:
    """A picture x.png, 7 to 217; its numbers from 0 to 1 as .csv; weights as w.npz and w.pt."""
    pixels = np.arange(36, dtype=np.uint8).reshape(6, 6) * 6 + 7
    Image.fromarray(pixels).save(folder / "x.png")
    np.savetxt(folder / "x.csv", pixels / 255, delimiter=",")
    weights = {
        "0.weight": np.ones((1, 1, 3, 3)), "0.bias": np.zeros(1),
        "3.weight": np.ones((2, 16)), "3.bias": np.array([0.5, -100.0]),
    }  # fmt: skip
    np.savez(folder / "w.npz", **weights)
    return pixels


@pytest.mark.parametrize("image", ["x.png", "x.csv"])
@pytest.mark.parametrize("invert", [None, True, False])
@pytest.mark.parametrize("template_inverts", [False, True])
def test_own_image_and_weights(
    image: str, invert: bool | None, template_inverts: bool, tmp_path: Path
) -> None:
    """Every unit of the output is the sum over all windows, and a bias."""
    pixels = own_data(tmp_path) / 255
    (tmp_path / "own.toml").write_text(
        SMALL + f"[networks.pixels]\nrange = [0, 2]\ninvert = {str(template_inverts).lower()}\n"
    )
    options = {None: [], True: ["--invert"], False: ["--no-invert"]}[invert]
    call = ["build", "own.toml", "--plain", "--image", image, "--weights", "w.npz", *options]
    if image == "x.csv" and invert is not None:
        assert "x.csv holds numbers, which are taken as they are" in refused(tmp_path, *call)
        return
    if image == "x.png":
        inverted = template_inverts if invert is None else invert
        pixels = 2 * (1 - pixels if inverted else pixels)
    done = run(tmp_path, *call)
    assert (done.returncode, done.stderr) == (0, "")
    total = sum(pixels[i : i + 3, j : j + 3].sum() for i in range(4) for j in range(4))
    got = report(tmp_path, "own.xlsx")["ironcalc"].iloc[-2:]
    np.testing.assert_allclose(got, [total + 0.5, total - 100], rtol=1e-12)


def test_own_image_goes_into_every_network(tmp_path: Path) -> None:
    own_data(tmp_path)
    assert run(tmp_path, "build", "conv-example", "--image", "x.png").returncode == 0
    template = load_template("conv-example")
    own = load_image(tmp_path / "x.png", (1, 28, 28))
    with opened(tmp_path / "conv-example.xlsx") as book:
        for item in template.networks:
            layout = lay_out(item.network, (1, 28, 28), item.drawing)
            first = layout.placed["input"].grids[0].cell(0, 0)
            sheet = book[item.drawing.worksheet]
            shown = [
                [sheet.cell(first.row + 1 + row, first.column + 1 + column).value
                 for column in range(28)] for row in range(28)
            ]  # fmt: skip
            np.testing.assert_array_equal(np.array(shown, dtype=float), own[0])


def report(folder: Path, *files: str) -> pd.DataFrame:
    assert run(folder, "check", *files, "--probes", "0", "--report", "x.json").returncode == 0
    return pd.DataFrame(json.loads((folder / "x.json").read_text(encoding="utf-8")))


def test_name_with_spaces_and_letters_of_all_kinds(tmp_path: Path) -> None:
    name = "Faltung é 畳み込み.XLSX"
    (tmp_path / "small.toml").write_text(SMALL)
    done = run(tmp_path, "build", "small.toml", "-o", name, "--plain")
    assert (done.returncode, done.stderr) == (0, "")
    assert f'sheetconv check "{name}"\n' in done.stdout
    done = run(tmp_path, "check", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{name}: 18 formula cells on 1 worksheet")


def test_force_replaces(small: Path) -> None:
    (small.parent / "small.toml").write_text(SMALL.replace('"small"', '"other"'))
    before = small.read_bytes()
    assert run(small.parent, "build", "small.toml", "--force").returncode == 0
    assert small.read_bytes() != before


def test_same_call_gives_the_same_bytes(small: Path) -> None:
    (small.parent / "small.toml").write_text(SMALL)
    run(small.parent, "build", "small.toml", "--plain", "-o", "again.xlsx")
    assert (small.parent / "again.xlsx").read_bytes() == small.read_bytes()


def test_doctor(tmp_path: Path) -> None:
    done = run(tmp_path, "doctor")
    assert (done.returncode, done.stderr) == (0, "")
    first, *engines = done.stdout.splitlines()
    assert first.startswith(f"sheetconv {sheetconv.__version__}, Python ")
    assert [line.split()[0] for line in engines] == ["ironcalc", "libreoffice", "excel"]


# What a check finds.


def test_wrong_cell(wrong: Path) -> None:
    done = run(wrong.parent, "check", "small.xlsx")
    assert (done.returncode, done.stderr) == (1, "")
    cell = last_cell(wrong)
    assert f"small!{cell}: 777.0 stands where a formula is expected (dense1, file)" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("WRONG: 1 cell; 18 formula cells checked (")


def test_several_files_of_which_one_is_wrong(wrong: Path, small_original: Path) -> None:
    done = run(wrong.parent, "check", str(small_original), "small.xlsx", "--report", "r.csv")
    assert done.returncode == 1
    assert "OK: 18 formula cells" in done.stdout
    assert "WRONG: 1 cell; 18 formula cells" in done.stdout
    table = pd.read_csv(wrong.parent / "r.csv")
    assert list(table.columns[:2]) == ["file", "worksheet"]
    assert len(table) == 36
    assert list(table.loc[table["verdict"] == "wrong", "file"]) == ["small.xlsx"]


def test_engine_of_the_users_choice(small: Path) -> None:
    done = run(small.parent, "check", "small.xlsx", "--engine", "ironcalc", "--probes", "0")
    assert done.returncode == 0
    assert "recalculated by ironcalc 0." in done.stdout
    assert "probe" not in done.stdout


# Mistakes.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["biuld"], "No such command 'biuld'"),
        (["build"], "Missing argument 'TEMPLATE'"),
        (["build", "conv-exampel"], "did you mean conv-example?"),
        (["build", "conv-example", "--fromulas", "array"], "No such option"),
        (["build", "conv-example", "--formulas", "fast"], "'fast' is not one of"),
        (["build", "conv-example", "-o", "x.xls"], "the name of a workbook ends in .xlsx"),
        (["build", "conv-example", "-o", "no/x.xlsx"], "the folder no does not exist"),
        (["build", "conv-example", "-o", "folder.xlsx"], "folder.xlsx is a folder"),
        (
            ["build", "conv-example", "-o", "small.xlsx"],
            "small.xlsx exists already: replace it with",
        ),
        (["build", "missing.toml"], "the template missing.toml does not exist"),
        (["check"], "Missing argument 'FILES...'"),
        (["check", "missing.xlsx"], "missing.xlsx: no such file"),
        (["check", "folder.xlsx"], "folder.xlsx: a folder"),
        (["check", "small.xlsx", "--engine", "ironclac"], "did you mean 'ironcalc'?"),
        (["check", "small.xlsx", "--report", "r.xlsx"], "ends in .csv or .json"),
        (["check", "missing.xlsx", "--report", "r.txt"], "ends in .csv or .json"),
        (["diff", "small.xlsx"], "Missing argument 'B'"),
        (["diff", "small.xlsx", "missing.xlsx"], "missing.xlsx: no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(small: Path, arguments: Sequence[str], message: str) -> None:
    (small.parent / "folder.xlsx").mkdir()
    assert message in refused(small.parent, *arguments)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="Excel may be here")
def test_excel_is_not_here(small: Path) -> None:
    message = refused(small.parent, "check", "small.xlsx", "--engine", "excel")
    assert "the engine excel cannot be used here" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"an empty file \(0 bytes\)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a password-protected workbook"),
        (b"PK\x03\x04 and then nothing of a zip", "corrupt|zip|damaged"),
        (b"a;b\n1;2\n", "CSV"),
        (b"<html>", "HTML"),
    ],
)
def test_files_that_are_no_workbooks(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.xlsx").write_bytes(content)
    text = refused(tmp_path, "check", "x.xlsx")
    assert text.startswith("x.xlsx: ")
    assert re.search(message, text)


@pytest.mark.parametrize("command", ["check", "diff"])
def test_truncated_workbook(small: Path, command: str) -> None:
    whole = shutil.copy(small, small.parent / "whole.xlsx")
    small.write_bytes(small.read_bytes()[:-300])
    arguments = ["small.xlsx", whole.name][: 2 if command == "diff" else 1]
    assert refused(small.parent, command, *arguments).startswith("small.xlsx: ")


def test_workbook_of_another_program(tmp_path: Path) -> None:
    Workbook().save(tmp_path / "x.xlsx")
    message = refused(tmp_path, "check", "x.xlsx")
    assert "x.xlsx was not made by sheetconv" in message
    assert "sheetconv build" in message


def test_existing_report(small: Path) -> None:
    (small.parent / "r.csv").write_text("mine")
    before = contents(small.parent)
    done = run(small.parent, "check", "small.xlsx", "--report", "r.csv")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{ERROR}r.csv exists already")
    assert contents(small.parent) == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Small"', "title = Small", "line 2"),
        ("in_features = 16", "in_features = 15", "expected (15,)"),
        ('worksheet = "small"', 'worksheet = "sheetconv"', "keeps that name to itself"),
        ('worksheet = "small"', 'sheet = "small"', "unknown key 'sheet'"),
        ("[1, 6, 6]", '[1, 6, 6]\ndata = "none.npz"', "none.npz does not exist"),
    ],
)
def test_mistakes_in_templates(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SMALL
    (tmp_path / "own.toml").write_text(SMALL.replace(old, new, 1))
    assert message in refused(tmp_path, "build", "own.toml")


def conv_template(height: int, width: int, in_channels: int, out_channels: int) -> str:
    return (
        f'format = 1\n[[networks]]\nworksheet = "w"\ninput = [{in_channels}, {height}, {width}]\n'
        f'layers = [{{ type = "Conv2d", in_channels = {in_channels}, '
        f"out_channels = {out_channels}, kernel_size = 3 }}]\n"
    )


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (conv_template(40, 20_000, 1, 1), "a worksheet has 1,048,576 and 16,384"),
        (conv_template(600, 10, 1, 1_760), "rows, and a worksheet has 1,048,576"),
    ],
)
def test_networks_that_do_not_fit(tmp_path: Path, template: str, message: str) -> None:
    (tmp_path / "large.toml").write_text(template)
    assert message in refused(tmp_path, "build", "large.toml")


# Images and weights that cannot be used.

TWO = SMALL + SMALL.partition("\n\n")[2].replace('"small"', '"wide"').replace(
    "[1, 6, 6]", "[1, 6, 7]"
).replace("in_features = 16", "in_features = 20")  # fmt: skip


def png_bomb(path: Path) -> None:
    """A real PNG of 10 kB that claims 100,000 x 100,000 pixels."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10**7))), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data
        content += struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content)


def other_weights(path: Path) -> None:
    np.savez(path, **{"0.weight": np.ones((1, 1, 5, 5)), "3.weight": np.full((2, 16), np.nan)})


@pytest.mark.parametrize(
    ("arguments", "make", "message"),
    [
        (["--image", "none.png"], None, "none.png does not exist"),
        (["--image", "b.png"], png_bomb, "b.png has more than 50,000,000 pixels"),
        (["--image", "b.png"], Path.touch, "b.png is an empty file"),
        (["--image", "b.png"], Path.mkdir, "b.png is a folder"),
        (["--image", "b.png"], lambda path: path.write_bytes(bytes(99)), "not a picture that can"),
        (["--image", "x.png", "--image", "none.png"], None, "none.png does not exist"),
        (["--image", "b.npy"], lambda path: np.save(path, np.zeros((6, 7))),
         "worksheet 'small': b.npy has shape (6, 7): expected (1, 6, 6)"),
        (["--image", "x.csv"], None,
         "worksheet 'wide': x.csv has 6 rows of 6 numbers: expected 6 rows of 7"),
        (["--image", "b.npy"],
         lambda path: np.save(path, np.array([{}]), allow_pickle=True),
         "b.npy is not an .npy file of numbers: the array holds object"),
        (["--image", "b.csv"], lambda path: path.write_text("1,x"), "row 1, column 2 is 'x'"),
        (["--invert"], None, "--no-invert are for pictures: give --image or --pictures, too"),
        (["--image", "x.csv", "--no-invert"], None, "x.csv holds numbers"),
        (["--weights", "none.pt"], None, "none.pt does not exist"),
        (["--weights", "x.png"], None, "files of weights end in .npz, .safetensors, .pt, .pth"),
        (["--weights", "b.pt"], lambda path: path.write_bytes(b"text"), "b.pt is damaged, or"),
        (["--weights", "b.safetensors"], lambda path: path.write_bytes(b"text"), "is not a .safet"),
        (["--weights", "w.npz"], None, "worksheet 'wide': w.npz: the weights do not fit the "
         "network: 3.weight (2, 16) -> dense1.weight expects (2, 20)"),
        (["--weights", "b.npz"], other_weights,
         "worksheet 'small': b.npz: the weights do not fit the network: 0.weight (1, 1, 5, 5) -> "
         "conv1.weight expects (1, 1, 3, 3); conv1.bias (1,) is missing; 3.weight holds NaN or "
         "infinity; dense1.bias (2,) is missing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_own_data_that_cannot_be_used(
    arguments: list[str],
    make: Callable[[Path], object] | None,
    message: str,
    tmp_path: Path,
) -> None:
    """Refused in one line; a workbook that is there stays as it was."""
    own_data(tmp_path)
    (tmp_path / "two.toml").write_text(TWO)
    (tmp_path / "two.xlsx").write_text("mine")
    if make is not None:
        make(tmp_path / arguments[-1])
    assert message in refused(tmp_path, "build", "two.toml", *arguments, "--force")


# Interruptions.

INTERRUPTED = """\
import os, signal, sys
from sheetconv import sheet_writer
from sheetconv.cli import main

def interrupting(bands):
    yield from ()
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()

sheet_writer._rows = interrupting
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_interrupted_build_leaves_the_old_file(small: Path, tmp_path: Path) -> None:
    """Ctrl-C in the midst of writing the cells."""
    (small.parent / "small.toml").write_text(SMALL)
    before = contents(small.parent)
    temporary = tmp_path.parent / f"{tmp_path.name}-tmp"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "build", "small.toml", "--force"],
        cwd=small.parent,
        env=plain_environment() | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr.strip() == "sheetconv: interrupted; no file was changed"
    assert contents(small.parent) == before
    assert contents(temporary) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of a POSIX shell")
def test_reader_that_goes_away(small: Path) -> None:
    """As `sheetconv check small.xlsx ... | head -1` does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sheetconv", "check", *["small.xlsx"] * 3],
        cwd=small.parent,
        env=plain_environment() | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 1


# What is loaded.

LOADED = """\
import sys
import sheetconv.cli
if sys.argv[1:]:
    sheetconv.cli.cli.main(standalone_mode=False)
print("loaded", *(name for name in {heavy!r} if name in sys.modules))
"""
HEAVY = (
    "numpy", "pandas", "openpyxl", "xlsxwriter", "ironcalc", "xlwings", "tqdm", "pytest", "PIL",
    "safetensors", "torch",
)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ([], []),
        (["doctor"], []),
        (["build", "small.toml", "-o", "new.xlsx"], ["numpy", "xlsxwriter"]),
        (["build", "small.toml", "--image", "x.csv", "-f"], ["numpy", "xlsxwriter"]),
        (["build", "small.toml", "--image", "x.png", "-f"], ["numpy", "xlsxwriter", "PIL"]),
        (["build", "small.toml", "--weights", "w.npz", "-f"], ["numpy", "xlsxwriter"]),
        (["check", "small.xlsx"], ["numpy", "ironcalc"]),
        (["trace", "small.xlsx", "O4"], ["numpy"]),
        (["trace", "small.xlsx", "O4", "--png", "o4.png"], ["numpy", "PIL"]),
        (["check", "small.xlsx", "--report", "r.csv"], ["numpy", "pandas", "ironcalc"]),
    ],
    ids=lambda value: "-".join(value),
)
def test_every_command_loads_only_what_it_uses(
    small: Path, arguments: Sequence[str], needed: Sequence[str]
) -> None:
    (small.parent / "small.toml").write_text(SMALL)
    own_data(small.parent)
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(heavy=HEAVY), *arguments],
        cwd=small.parent,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1].split()[1:] == list(needed)


def test_a_fault_of_its_own_is_no_answer_about_cells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(cli.cli, "main", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 70
    assert "RuntimeError: unforeseen" in capsys.readouterr().err


# --- Pictures to choose from, and workbooks without


def classes_of_pictures(folder: Path) -> None:
    """Two folders named as classes, one picture beside them, and a file that is hidden."""
    for name, grey in (("bank/cat/a.png", 40), ("bank/dog/b.png", 200), ("bank/c.png", 90)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 6), grey).save(folder / name)
    (folder / "bank" / ".hidden").write_text("x")


def test_plain_has_the_network_alone(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    done = run(tmp_path, "build", "small.toml", "--plain")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].endswith("worksheets: small")
    assert "18 formula cells, " in done.stdout
    done = run(tmp_path, "build", "small.toml", "-o", "full.xlsx")
    assert "worksheets: start, small, field, gallery, matrix, summary" in done.stdout
    assert "the worksheet start says what to try" in done.stdout
    assert run(tmp_path, "check", "full.xlsx").returncode == 0


def test_a_folder_of_pictures_is_a_list(tmp_path: Path) -> None:
    classes_of_pictures(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL + '[networks.drawing]\nclasses = ["cat", "dog"]\n')
    done = run(tmp_path, "build", "small.toml", "--pictures", "bank", "--invert")
    assert (done.returncode, done.stderr) == (0, "")
    with opened(tmp_path / "small.xlsx") as book:
        sheet = book["pictures"]
        names = [sheet.cell(8 + k, 2).value for k in range(4)]
        labels = [sheet.cell(8 + k, 3).value for k in range(4)]
        assert names == ["no. 1 (c)", "no. 2 (a)", "no. 3 (b)", "draw your own"]
        assert labels == [None, "cat", "dog", None]
        assert sheet["F8"].value == pytest.approx(1 - 90 / 255)
        assert book["small"]["E2"].value == "no. 1 (c)"
    assert run(tmp_path, "check", "small.xlsx").returncode == 0


def test_an_image_of_ones_own_comes_before_the_pictures(tmp_path: Path) -> None:
    classes_of_pictures(tmp_path)
    Image.new("L", (6, 6), 255).save(tmp_path / "mine.png")
    (tmp_path / "small.toml").write_text(SMALL + '[networks.drawing]\nclasses = ["cat", "dog"]\n')
    done = run(tmp_path, "build", "small.toml", "--pictures", "bank", "--image", "mine.png")
    assert (done.returncode, done.stderr) == (0, "")
    with opened(tmp_path / "small.xlsx") as book:
        assert book["pictures"]["B8"].value == "no. 1 (mine)"
        assert book["pictures"]["F8"].value == 1
        assert book["pictures"]["B9"].value == "no. 2 (c)"


def test_pictures_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL + '[networks.drawing]\nclasses = ["cat", "dog"]\n')
    pictures = np.random.default_rng(0).random((3, 1, 6, 6))
    np.savez(tmp_path / "bank.npz", pictures=pictures, labels=np.array([1, -1, 0]))
    done = run(tmp_path, "build", "small.toml", "--pictures", "bank.npz")
    assert (done.returncode, done.stderr) == (0, "")
    with opened(tmp_path / "small.xlsx") as book:
        labels = [book["pictures"].cell(8 + k, 3).value for k in range(3)]
        assert labels == ["dog", None, "cat"]
        assert book["pictures"]["G9"].value == pictures[0, 0, 1, 1]


@pytest.mark.parametrize(
    ("options", "prepare", "message"),
    [
        (["--pictures", "none"], None, "none is no folder and no .npz file"),
        (["--pictures", "a.png"], None, "a.png is no folder and no .npz file"),
        (["--pictures", "empty"], lambda p: (p / "empty").mkdir(), "empty holds no pictures"),
        (["--pictures", "bank", "--plain"], None, "--plain has no list for --pictures"),
        (["--pictures", "texts"], lambda p: text_as_picture(p), "is not a picture"),
        (["--pictures", "b.npz"], lambda p: npz(p, x=np.zeros(3)), "no array 'pictures': it holds"),
        (
            ["--pictures", "b.npz"],
            lambda p: npz(p, pictures=np.zeros((2, 1, 5, 5))),
            "'pictures' has shape (2, 1, 5, 5): expected (count, 1, 6, 6)",
        ),
        (
            ["--pictures", "b.npz"],
            lambda p: npz(p, pictures=np.zeros((2, 1, 6, 6)), labels=np.array([0, 0.5])),
            "'labels' holds what is no class",
        ),
        (
            ["--pictures", "b.npz"],
            lambda p: npz(p, pictures=np.zeros((2, 1, 6, 6)), labels=np.array([0])),
            "1 labels for 2 pictures",
        ),
        (["--pictures", "b.npz"], lambda p: npz(p, pictures=np.zeros((0, 1, 6, 6))), "0, 1, 6, 6"),
        (
            ["--pictures", "b.npz", "--invert"],
            lambda p: npz(p, pictures=np.zeros((2, 1, 6, 6))),
            "b.npz holds numbers, which are taken as they are",
        ),
        (["--pictures", "many"], lambda p: many_files(p), "many holds 201 files: a list has room"),
    ],
)
def test_pictures_that_cannot_be_used(
    options: list[str],
    prepare: Callable[[Path], object] | None,
    message: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    if prepare is not None:
        prepare(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert message in refused(tmp_path, "build", "small.toml", *options)
    assert sorted(tmp_path.rglob("*")) == before


def npz(folder: Path, **arrays: np.ndarray) -> None:
    np.savez(folder / "b.npz", **arrays)


def text_as_picture(folder: Path) -> None:
    (folder / "texts").mkdir()
    (folder / "texts" / "a.png").write_text("no picture")


def many_files(folder: Path) -> None:
    (folder / "many").mkdir()
    for number in range(201):
        (folder / "many" / f"{number}.png").touch()


def test_classes_are_named_on_the_command_line(tmp_path: Path) -> None:
    classes_of_pictures(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    message = refused(tmp_path, "build", "small.toml", "--pictures", "bank")
    assert "has no names of classes: give them in the order of the outputs" in message
    call = ["build", "small.toml", "--pictures", "bank", "--classes", "dog, cat"]
    assert run(tmp_path, *call).returncode == 0
    with opened(tmp_path / "small.xlsx") as book:
        texts = [cell.value for row in book["small"].iter_rows() for cell in row]
        assert {"dog", "cat"} <= set(texts)
    for names, words in (
        ("a", "--classes has 1 names, and the output of worksheet 'small' has the shape (2,)"),
        ("a,a", "--classes has a name that is empty or stands twice: 'a', 'a'"),
        ("a,", "is empty or stands twice"),
        ("a\x01,b", "control character"),
    ):
        call = ["build", "small.toml", "-o", "b.xlsx", "--classes", names]
        assert words in refused(tmp_path, *call)


def test_what_file_managers_leave_is_no_picture(tmp_path: Path) -> None:
    classes_of_pictures(tmp_path)
    (tmp_path / "bank" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "bank" / "cat" / "desktop.ini").write_bytes(b"x")
    (tmp_path / "small.toml").write_text(SMALL)
    call = ["build", "small.toml", "--pictures", "bank", "--classes", "dog,cat"]
    assert run(tmp_path, *call).returncode == 0
    (tmp_path / "bank" / "cow").mkdir()
    assert "bank/cow holds no pictures" in refused(tmp_path, *call, "-o", "b.xlsx")


def test_folders_that_are_named_as_no_class_are_refused(tmp_path: Path) -> None:
    classes_of_pictures(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL + '[networks.drawing]\nclasses = ["cat", "cow"]\n')
    message = refused(tmp_path, "build", "small.toml", "--pictures", "bank")
    assert "the folder bank/dog is named as no class of this network: its classes are" in message


def test_pictures_are_for_drawings_with_room_for_a_list(tmp_path: Path) -> None:
    classes_of_pictures(tmp_path)
    message = refused(tmp_path, "build", "conv-example", "--pictures", "bank")
    assert "pins its cells and has no room for a list of pictures" in message
    (tmp_path / "small.toml").write_text(SMALL + '[networks.guides]\nleave_out = ["pictures"]\n')
    message = refused(tmp_path, "build", "small.toml", "--pictures", "bank")
    assert "the template leaves out pictures" in message


def test_pictures_are_for_networks_of_one_image(tmp_path: Path) -> None:
    classes_of_pictures(tmp_path)
    assert "shows 3 images at once" in refused(tmp_path, "build", "norms", "--pictures", "bank")
