"""From an .onnx file to a checked workbook, by the command and in Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import save
from onnx_models import FLOAT, model, node, random
from test_cli import SMALL, refused, run

from sheetconv import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, Softmax, build, check
from sheetconv.errors import ModelError
from sheetconv.interchange.onnx_template import load_template_or_model, template_from_onnx


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A model of every kind of cell, written by sheetconv."""
    network = Sequential(
        Conv2d(1, 2, 3, padding=(0, 1, 1, 0)), ReLU(), MaxPool2d(2), Flatten(), Linear(8, 3),
        Softmax(),
    )  # fmt: skip
    path = tmp_path / "small.onnx"
    network.to_onnx(path, (1, 6, 6))
    return path


def test_a_model_becomes_a_workbook_that_is_right(small: Path) -> None:
    done = run(small.parent, "build", "small.onnx")
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote small.xlsx" in done.stdout
    checked = run(small.parent, "check", "small.xlsx")
    assert "OK: " in checked.stdout
    summary = run(small.parent, "summary", "small.onnx")
    assert summary.returncode == 0
    assert "dense1" in summary.stdout


def test_a_model_takes_an_image(small: Path) -> None:
    image = random(1, 6, 6)
    np.save(small.parent / "x.npy", image)
    run(small.parent, "build", "small.onnx", "--plain", "--image", "x.npy")
    (item,) = load_template_or_model(small).networks
    build(item.network, small.parent / "same.xlsx", image=image, drawing=item.drawing)
    compared = run(small.parent, "diff", "small.xlsx", "same.xlsx")
    assert compared.returncode == 0, compared.stdout


def test_a_model_made_elsewhere_becomes_a_workbook_that_is_right(tmp_path: Path) -> None:
    made = model(
        node("Conv", "w", auto_pad="SAME_UPPER", strides=[2, 2]),
        node("Add", "b"),
        node("LeakyRelu"),
        node("AveragePool", kernel_shape=[2, 2], pads=[0, 0, 1, 1], strides=[2, 2]),
        node("GlobalMaxPool"),
        node("Reshape", "s"),
        tensors={
            "w": random(3, 2, 3, 2), "b": random(3, 1, 1), "s": np.array([-1, 3]),
        },
        kind=FLOAT,
    )  # fmt: skip
    save(made, tmp_path / "made elsewhere.onnx")
    template = template_from_onnx(tmp_path / "made elsewhere.onnx")
    (item,) = template.networks
    assert (template.name, item.drawing.worksheet) == ("made elsewhere", "made elsewhere")
    path = tmp_path / "a.xlsx"
    build(item.network, path, image=item.image, drawing=item.drawing)
    assert check(path).ok


def test_templates_are_what_they_were() -> None:
    assert load_template_or_model("conv-example").name == "conv-example"


@pytest.mark.parametrize("name", ["A1", "x" * 32, "a[b]", "history"])
def test_names_that_excel_refuses_are_replaced(small: Path, name: str) -> None:
    path = small.rename(small.with_name(f"{name}.onnx"))
    assert run(path.parent, "build", path.name, "-o", "out.xlsx").returncode == 0
    assert template_from_onnx(path).networks[0].drawing.worksheet == "network"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "small.onnx does not exist"),
        (b"", "small.onnx is empty: expected an ONNX model"),
        (b"\xff\x00", "is no ONNX model, or a damaged one"),
        (
            model(node("Abs"), kind=FLOAT).SerializeToString(),
            "small.onnx: node '' (Abs, output 'y') is not supported; supported are chains of",
        ),
        (
            model(node("Relu"), shape=("N", 1, None, None)).SerializeToString(),
            "give input_shape=(channels, height, width) or (features,) to from_onnx",
        ),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "small.onnx").write_bytes(content)
    assert says in refused(tmp_path, "build", "small.onnx")


@pytest.fixture
def open_model(tmp_path: Path) -> Path:
    """A model that leaves height and width open."""
    Sequential(Conv2d(3, 2, 3), ReLU()).to_onnx(tmp_path / "open.onnx")
    return tmp_path / "open.onnx"


def test_lengths_that_a_model_leaves_open_are_given_by_an_option(open_model: Path) -> None:
    for command in ("build", "summary"):
        done = run(open_model.parent, command, "open.onnx", "--input", "3,6,5")
        assert (done.returncode, done.stderr) == (0, "")
    assert "(1, 2, 4, 3)" in done.stdout
    assert "OK: " in run(open_model.parent, "check", "open.xlsx").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["open.onnx"], "in the command --input CHANNELS,HEIGHT,WIDTH or --input FEATURES"),
        (["open.onnx", "--input", "3,6"], "'--input': '3,6' is no shape: write channels,height"),
        (["open.onnx", "--input", "3,6,0"], "'3,6,0' is no shape"),
        (["open.onnx", "--input", "1,6,5"], "input_shape is (1, 6, 5), without the batch"),
        (["open.onnx", "--input", "3,99999,99999"], "expected at most 16,777,216"),
        (["conv-example", "--input", "1,28,28"], "--input is for .onnx models"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(
    open_model: Path, arguments: list[str], says: str
) -> None:
    for command in ("build", "summary"):
        assert says in refused(open_model.parent, command, *arguments)


def test_an_input_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    save(model(node("Relu"), shape=("N", 1, 2**40, 2**40)), tmp_path / "vast.onnx")
    with pytest.raises(ModelError, match=r"vast\.onnx: its input .*: expected at most 16,777,216"):
        template_from_onnx(tmp_path / "vast.onnx")


def test_what_takes_long_to_load_is_loaded_when_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    script = (
        "import sys, sheetconv, sheetconv.cli\n"
        "sheetconv.from_onnx, sheetconv.from_torch\n"
        "sheetconv.cli.cli.main(['build', 'small.toml'], standalone_mode=False)\n"
        "print(sorted({'onnx', 'torch', 'google.protobuf'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
