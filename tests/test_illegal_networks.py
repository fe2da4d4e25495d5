"""Random illegal networks: refused with one line of sheetconv's own, and nothing is written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sheetconv as sc
from sheetconv.cli import cli
from sheetconv.drawing import Columns, Fill, Style, Text
from sheetconv.errors import LayoutError, ShapeError, SheetconvError, TemplateError, WorkbookError
from sheetconv.layers import LAYERS, layer_from_config

some = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def refused(call: Callable[[], Any]) -> str:
    """The one line with which a call is refused; empty where it is not."""
    try:
        call()
    except SheetconvError as error:
        text = str(error)
        assert text.strip()
        assert text.isprintable(), text
        assert len(text) < 2000
        return text
    return ""


# --- Values of any kind

SCALARS: list[Any] = [
    *(-1, 0, 1, 2, 3, 10**6, 10**9, 10**12, 10**30, -(10**400), 10**400),
    *(0.5, -0.5, 1.0, 1e300, 5e-324, float("nan"), float("inf"), 1j),
    *(True, False, None, "", "3", "none", "zeros", "\n", "\ud800", "x" * 1000, b"ab"),
    *(np.int64(2), np.uint64(2**63), np.float64(0.25), np.float32(0.5), np.bool_(True)),
    *(np.str_("zeros"), np.array(2), np.array([1, 2]), np.array([]), np.zeros((9, 9))),
    *(object(), len, range(3), {1, 2}, Path("a")),
]
ODD: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.sampled_from(["a", "type", 3]), inner, max_size=2)
    ),
    max_leaves=5,
)
LEGAL = {
    "in_channels": 1,
    "out_channels": 2,
    "kernel_size": 2,
    "output_size": 1,
    "num_features": 1,
    "in_features": 4,
    "out_features": 2,
}
IMAGES: list[Any] = [
    *(np.ones((1, 4, 4)), np.ones((2, 1, 3, 3)), np.ones(4), np.ones((0, 4, 4)), np.ones(())),
    *(np.full((1, 4, 4), np.nan), np.ones((1, 4, 4), complex), np.ones((1,) * 6)),
    *([[1, 2], [3]], [[1, 2], [3, 4]], [["a"]], np.array([["1"]]), "abc", None, object()),
]


def test_values_that_python_cannot_write_are_refused_in_words() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (-(10**5000), [1, 10**5000, 1], deep):
        with pytest.raises(ShapeError, match="too large to show: expected"):
            sc.Conv2d(1, 1, kernel_size=value)
    with pytest.raises(ShapeError, match=r"is array\(\[\[0., 0., .*\.\.\.: expected") as caught:
        sc.Conv2d(1, 1, kernel_size=np.zeros((9, 9)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", sorted(LAYERS))
@settings(some, max_examples=60)
@given(data=st.data())
def test_fields_of_any_kind_are_refused_or_give_a_workbook(kind: str, data: st.DataObject) -> None:
    config = {"type": kind}
    config |= {
        field.name: LEGAL[field.name] for field in fields(LAYERS[kind]) if field.name in LEGAL
    }
    names = [field.name for field in fields(LAYERS[kind])] + ["typ", 3]
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2)):
        config[name] = data.draw(ODD)
    image = data.draw(st.sampled_from(IMAGES))
    layout = data.draw(st.sampled_from(["one-sheet", "per-layer"]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.xlsx"

        def make() -> None:
            layer = layer_from_config(config)
            assert layer_from_config(layer.config()) == layer
            sc.build(sc.Sequential(layer), path, image=image, drawing=sc.Drawing(layout=layout))

        if refused(make):
            assert list(Path(folder).iterdir()) == []
        else:
            # What was taken over can be used, numbers of NumPy's own types too.
            assert sc.check(path, probes=1).wrong == []


@some
@given(config=ODD)
def test_what_is_no_layer_is_refused(config: Any) -> None:
    assert refused(lambda: layer_from_config(config))
    assert refused(lambda: sc.Sequential(config))
    assert refused(lambda: sc.Sequential(("a", config)))


@pytest.mark.parametrize(
    "layer",
    [
        sc.LeakyReLU(np.float64(0.25)),
        sc.Softmax(np.int64(1)),
        sc.AdaptiveAvgPool2d(np.int64(1)),
        sc.Conv2d(np.int64(1), np.int8(1), (np.int64(2), 2)),
        sc.BatchNorm2d(np.int64(1), eps=np.float64(0.5)),
        sc.Dropout(np.float64(0.5), seed=np.int64(3)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_numbers_of_numpys_types_are_taken(layer: sc.Layer, tmp_path: Path) -> None:
    layers = [sc.Flatten(), layer] if isinstance(layer, sc.Softmax) else [layer]
    book = sc.build(sc.Sequential(*layers), tmp_path / "a.xlsx", image=np.eye(3))
    assert sc.check(book.path, probes=1).ok


# --- Numbers that no workbook holds

HOSTILE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
import numpy as np
import sheetconv as sc
from sheetconv.errors import SheetconvError
try:
    sc.build(sc.Sequential({layer}), sys.argv[1], image={image})
except SheetconvError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize(
    ("layer", "image"),
    [
        ("sc.Conv2d(1, 10**9, 3)", "np.eye(4)"),
        ("sc.Conv2d(1, 1, 10**6)", "np.eye(4)"),
        ("sc.Conv2d(1, 1, 1, padding=10**6)", "np.eye(4)"),
        ("sc.Conv2d(1, 1, 2, padding=10**9, dilation=10**9)", "np.eye(4)"),
        ("sc.MaxPool2d(10**9, padding=5 * 10**8, stride=1)", "np.eye(4)"),
        ("sc.AvgPool2d(10**9, ceil_mode=True)", "np.eye(4)"),
        ("sc.BatchNorm2d(10**11)", "np.eye(4)"),
        ("sc.BatchNorm2d(10**9, affine=False)", "np.eye(4)"),
        ("sc.Linear(10**12 - 1, 1)", "np.ones(4)"),
        ("sc.Linear(4, 10**9)", "np.ones(4)"),
        ("sc.ReLU()", "np.ones((10**6, 1, 1, 1))"),
        ("sc.ReLU()", "np.ones(10**7)"),
    ],
)
def test_hostile_numbers_are_refused_within_two_gigabytes(
    layer: str, image: str, tmp_path: Path
) -> None:
    code = HOSTILE.format(layer=layer, image=image)
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.xlsx"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stderr == ""
    assert done.stdout.strip()
    assert done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# --- Networks

NAMES: list[Any] = [
    *("", "conv1", "A1", "R1C1", "input", "out", "sheetconv", "class", "TRUE", "x" * 300, "é"),
    *("a b", "1x", "conv1.weight", "\n", "\ud800", 3, None, ("a", "b")),
]
FITTING: list[sc.Layer] = [
    *(sc.Conv2d(1, 2, 2), sc.Conv2d(2, 1, 1), sc.ReLU(), sc.MaxPool2d(2), sc.Flatten()),
    *(sc.Linear(8, 2), sc.Softmax(), sc.Dropout(), sc.BatchNorm2d(2), sc.AdaptiveAvgPool2d(1)),
]


@some
@given(data=st.data())
def test_layers_with_any_names_and_in_any_order(data: st.DataObject) -> None:
    layer = st.sampled_from(FITTING)
    named = layer | st.tuples(st.sampled_from(NAMES), layer)
    layers = data.draw(st.lists(named, max_size=4))
    shape = data.draw(st.sampled_from([(1, 4, 4), (2, 2, 2), (8,), (2, 1, 4, 4)]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.xlsx"
        layout = data.draw(st.sampled_from(["one-sheet", "per-layer"]))
        drawing = sc.Drawing(layout=layout)
        if refused(
            lambda: sc.build(sc.Sequential(*layers), path, image=np.ones(shape), drawing=drawing)
        ):
            assert list(Path(folder).iterdir()) == []
        else:
            assert sc.check(path, probes=0).ok
            assert sc.read(path).only.output.size


NETWORK = sc.Sequential(sc.Conv2d(1, 2, 2), sc.ReLU(), sc.Flatten(), sc.Linear(8, 2))


@some
@given(data=st.data())
def test_parameters_of_any_kind_are_refused_and_nothing_is_set(data: st.DataObject) -> None:
    before = NETWORK.state_dict()
    spoilt = ODD | st.sampled_from([before["dense1.bias"].astype(complex), [np.nan] * 2, [10**400]])
    state: Any = dict(before)
    state[data.draw(st.sampled_from([*before, "x", 3, None, "a\nb"]))] = data.draw(spoilt)
    state = data.draw(st.sampled_from([state, state, state, *SCALARS]))
    assert refused(lambda: NETWORK.load_state_dict(state))
    for name, value in NETWORK.state_dict().items():
        assert value is before[name]


@some
@given(shape=ODD)
def test_shapes_and_batches_of_any_kind(shape: Any) -> None:
    assert refused(lambda: NETWORK.shapes(shape))
    assert refused(lambda: NETWORK(shape))


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        (np.ones((0, 1, 3, 3)), r"shape \(0, 1, 3, 3\): expected at least one image"),
        (np.ones((1, 1, 3, 3), complex), "complex128 is no kind of real numbers"),
        ([[1], [2, 3]], "not an array of numbers"),
        (
            np.ones((1, 3, 3)),
            r"shape \(1, 3, 3\), as one image: .* expected \(images, 1, height, width\)",
        ),
    ],
)
def test_a_batch_that_no_layer_takes_is_refused(batch: Any, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        NETWORK(batch)


@pytest.mark.parametrize("seed", [-1, 0.5, None, "1", True])
def test_a_seed_is_a_whole_number(seed: Any, tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"seed is .*: expected a whole number of at least 0"):
        sc.Sequential(sc.ReLU(), seed=seed)
    with pytest.raises(ShapeError, match=r"seed is .*: expected a whole number of at least 0"):
        sc.build(NETWORK, tmp_path / "a.xlsx", image=np.eye(3), seed=seed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("network", "path", "drawing", "failure", "says"),
    [
        ("net", "a.xlsx", None, ShapeError, "network is 'net': expected a Sequential"),
        (NETWORK, "a.xlsx", "x", LayoutError, "drawing is 'x': expected a Drawing"),
        (NETWORK, 5, None, WorkbookError, "path is 5: expected the name of an .xlsx file"),
    ],
)
def test_what_build_cannot_take_is_named(
    network: Any, path: Any, drawing: Any, failure: type[Exception], says: str
) -> None:
    with pytest.raises(failure, match=says):
        sc.build(network, path, image=np.eye(3), drawing=drawing)


def test_a_layer_without_fields_says_so() -> None:
    with pytest.raises(TemplateError, match="ReLU has no field 'inplace': it has no fields"):
        layer_from_config({"type": "ReLU", "inplace": True})


# --- Drawings


@pytest.mark.parametrize(
    "kind", [sc.Drawing, Style, Text, Columns, Fill], ids=lambda kind: kind.__name__
)
@some
@given(data=st.data())
def test_drawings_of_any_kind_are_refused_or_drawn(kind: Any, data: st.DataObject) -> None:
    legal = {"cell": "C30", "text": "x", "columns": "C:D", "width": 3.0, "ranges": "C40:D41"}
    legal["style"] = Style()
    own = {
        f.name: legal[f.name] for f in fields(kind) if f.name in legal and kind is not sc.Drawing
    }
    name = data.draw(st.sampled_from([field.name for field in fields(kind)]))
    by_tensor = ODD.map(lambda value: {"input": value})
    own[name] = data.draw(ODD | by_tensor | ODD.map(lambda value: (value,)))
    into = {Style: "styles", Text: "texts", Columns: "columns", Fill: "fills"}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.xlsx"

        def make() -> None:
            part = kind(**own)
            value = {"input": part} if kind is Style else (part,)
            drawing = part if kind is sc.Drawing else sc.Drawing(**{into[kind]: value})
            sc.build(NETWORK, path, image=np.eye(3), drawing=drawing)

        if refused(make):
            assert list(Path(folder).iterdir()) == []
        else:
            assert sc.check(path, probes=0).ok


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: sc.Drawing(zoom=9), "Drawing: zoom is 9: expected a whole number from 10 to 400"),
        (lambda: sc.Drawing(layout="x"), "layout is 'x': expected auto, one-sheet or per-layer"),
        (lambda: sc.Drawing(aligned="pool"), "aligned is 'pool': expected a set of layer names"),
        (lambda: sc.Drawing(colour_scales=(" ",)), "expected ranges such as A2:AB29"),
        (lambda: Style(colour="red"), "Style: colour is 'red': expected a colour such as \"#F8"),
        (lambda: Columns("A:B", float("nan")), "Columns: width is nan: expected a number from 0"),
    ],
)
def test_what_is_no_drawing_is_named(make: Callable[[], object], says: str) -> None:
    with pytest.raises(LayoutError) as caught:
        make()
    assert says in str(caught.value)


# --- Templates

TOML = """format = {format}
[[networks]]
worksheet = {worksheet}
input = {input}
batch = {batch}
data = {data}
seed = {seed}
layers = [{{ type = {type}, name = {name}, kernel_size = {kernel}, stride = {stride} }}]
[networks.drawing]
{key} = {value}
[networks.pixels]
{pixel} = {number}
"""
GOOD = {
    **{"format": "1", "worksheet": '"s"', "input": "[1, 4, 4]", "batch": "2", "seed": "3"},
    **{"type": '"MaxPool2d"', "name": '"pool"', "kernel": "2", "stride": "[1, 2]"},
    **{"key": "zoom", "value": "90", "pixel": "mean", "number": "0.5"},
}
KEYS = ["zoom", "fuse", "aligned", "anchors", "styles", "texts", "columns", "fills", "merges", "x"]
TOML_SCALARS = st.sampled_from(
    [
        *("-1", "0", "1", "2", "1000000000", f"1{'0' * 400}", "true", "nan", "inf", "-0.5"),
        *("1979-05-27", '""', '"A1"', '"A1:B2"', '"\\n"', '"\\u0000"', '"s"', '"none.npz"'),
        *('"ReLU"', '"Conv2D"', '"/dev/zero"', '"."', "}", "[", '"', "\x00"),
    ]
)
TOML_VALUES = st.recursive(
    TOML_SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | inner.map(lambda item: f"{{ input = {item} }}")
    ),
    max_leaves=5,
)


def run(*arguments: str) -> tuple[int, str]:
    """The exit code of a command and what it says, both of an error it raises or of its own."""
    done = CliRunner().invoke(cli, arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit | SheetconvError):
        raise done.exception
    if isinstance(done.exception, SheetconvError):
        return 2, str(done.exception)
    return done.exit_code, done.output


def test_the_template_that_is_spoilt_is_right(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    text = "".join(f"{line}\n" for line in TOML.splitlines() if "data" not in line)
    Path("t.toml").write_text(text.format(**GOOD), encoding="utf-8")
    for arguments in (("build", "t.toml"), ("summary", "t.toml"), ("new", "b", "--from", "t.toml")):
        assert run(*arguments)[0] == 0, arguments


@settings(some, max_examples=250)
@given(data=st.data())
def test_templates_of_any_values_are_refused_or_built(data: st.DataObject) -> None:
    values = dict(GOOD)
    lines = [line for line in TOML.splitlines() if "data" not in line]
    field = data.draw(st.sampled_from([*GOOD, "data"]))
    if field == "data":
        lines = TOML.splitlines()
    if field in ("key", "value"):
        values["key"], field = data.draw(st.sampled_from(KEYS)), "value"
    values[field] = data.draw(TOML_VALUES)
    text = "".join(f"{line}\n" for line in lines).format(**values)
    with TemporaryDirectory() as folder, chdir(folder):
        Path("t.toml").write_text(text, encoding="utf-8")
        for arguments, written in (
            (("summary", "t.toml"), set()),
            (("new", "b", "--from", "t.toml"), {"b.toml"}),
            (("build", "t.toml"), {"t.xlsx"}),
        ):
            before = {path.name for path in Path().iterdir()}
            code, said = run(*arguments)
            assert code in (0, 2), said
            if code:
                assert said.strip()
                assert said.isprintable(), said
            found = {path.name for path in Path().iterdir()} - before
            assert found == (set() if code else written)
