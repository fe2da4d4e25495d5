"""Networks written as ONNX: what onnxruntime computes, what comes back, what is refused."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx_models import (
    by_runtime,
    random,
)
from test_layout import Case, cases

from sheetconv import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Normalize,
    ReLU,
    Sequential,
    Softmax,
    from_onnx,
)
from sheetconv.errors import ModelError, ShapeError, WorkbookError
from sheetconv.interchange.onnx_reading import read_onnx
from sheetconv.layers import LAYERS


def written(network: Sequential) -> bool:
    """Whether ONNX has a counterpart of every layer."""
    return not any(
        isinstance(layer, BatchNorm2d) and not layer.track_running_stats
        for layer in network.layers.values()
    )


@settings(derandomize=True, deadline=None, max_examples=60)
@given(case=cases(), seed=st.integers(0, 99))
def test_random_networks_go_to_onnx_and_back_without_dropout(case: Case, seed: int) -> None:
    network = case.network
    lasting = [(name, layer) for name, layer in network if not isinstance(layer, Dropout)]
    assume(written(network) and lasting)
    plain = Sequential(*lasting)
    plain.load_state_dict(network.state_dict())
    x = random(2, *case.input_shape, seed=seed)
    with TemporaryDirectory() as folder:
        first, second = Path(folder) / "a.onnx", Path(folder) / "b.onnx"
        network.to_onnx(first, case.input_shape, dtype="float64")
        back = from_onnx(first)
        back.to_onnx(second, case.input_shape, dtype="float64")
        plain.to_onnx(first, case.input_shape, dtype="float64", force=True)
        assert second.read_bytes() == first.read_bytes()
    assert list(back.layers) == list(plain.layers)
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(back.state_dict()[name], value)
    np.testing.assert_array_equal(back(x), network(x))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(case=cases(), seed=st.integers(0, 99))
def test_onnxruntime_computes_random_networks_as_we_do(case: Case, seed: int) -> None:
    assume(written(case.network))
    x = random(2, *case.input_shape, seed=seed).astype(np.float32).astype(np.float64)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.onnx"
        case.network.to_onnx(path, case.input_shape)
        got = by_runtime(str(path), x)
    np.testing.assert_allclose(got, case.network(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, id=f"{name}-{number}")
        for name, layer_class in LAYERS.items()
        for number, example in enumerate(layer_class.examples())
        if "random" not in example.params
    ],
)
def test_every_layer_goes_to_onnx_and_back(example: Any, tmp_path: Path) -> None:
    layer, shape = example.layer, example.x.shape
    network = Sequential(("it", layer))
    rng = np.random.default_rng(0)
    network.load_state_dict(
        {name: np.abs(rng.normal(size=value.shape)) for name, value in network.state_dict().items()}
    )
    path = tmp_path / "it.onnx"
    if (type(layer).__name__, vars(layer).get("track_running_stats")) == ("BatchNorm2d", False):
        with pytest.raises(ModelError, match="without running statistics"):
            network.to_onnx(path, shape)
        return
    network.to_onnx(path, shape, dtype="float64")
    x = random(2, *shape)
    if not isinstance(layer, Dropout) and (layer != Flatten() or len(shape) == 3):
        back = from_onnx(path)
        np.testing.assert_array_equal(back(x), network(x))
        assert back.state_dict().keys() == network.state_dict().keys()
    network.to_onnx(path, shape, force=True)
    np.testing.assert_allclose(by_runtime(str(path), x), network(x), rtol=1e-4, atol=1e-4)


def test_layers_come_back_as_they_went(tmp_path: Path) -> None:
    layers = [
        ("first", Conv2d(1, 4, 3, padding=1)),
        ("act", ReLU()),
        ("pool", MaxPool2d(2, 2, ceil_mode=True)),
        ("deep", Conv2d(4, 4, (1, 3), stride=(1, 2), padding=(0, 1), groups=4, bias=False)),
        ("leaky", LeakyReLU(0.1)),
        ("mean", AvgPool2d(3, 1, 1, count_include_pad=False)),
        ("sides", Conv2d(4, 2, 2, padding=(0, 1, 2, 3), dilation=2)),
        ("drop", Dropout(0.3)),
        ("flat", Flatten()),
        ("out", Linear(44, 3)),
        ("p", Softmax()),
    ]
    network = Sequential(*layers)
    network.to_onnx(tmp_path / "a.onnx", (1, 15, 9))
    lasting = [item for item in layers if item[0] != "drop"]
    assert list(from_onnx(tmp_path / "a.onnx").layers.items()) == lasting


def test_what_is_written_takes_any_batch_and_size(tmp_path: Path) -> None:
    network = Sequential(Conv2d(1, 2, 3, padding=1), ReLU(), MaxPool2d(2))
    path = tmp_path / "open.onnx"
    network.to_onnx(path)
    for shape in ((1, 1, 4, 4), (3, 1, 9, 6)):
        x = random(*shape)
        np.testing.assert_allclose(by_runtime(str(path), x), network(x), rtol=1e-5, atol=1e-5)
    assert read_onnx(path, (1, 4, 4)).input_shape == (1, 4, 4)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([Linear(4, 2), ReLU()], ["N", 4]),
        ([Normalize(3), MaxPool2d(2)], ["N", 3, "height", "width"]),
        ([ReLU(), MaxPool2d(2), Conv2d(3, 2, 1)], ["N", 3, "height", "width"]),
    ],
)
def test_the_input_is_what_the_layers_say(
    tmp_path: Path, layers: list[Any], expected: list[Any]
) -> None:
    path = tmp_path / "a.onnx"
    Sequential(*layers).to_onnx(path)
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == expected


@pytest.mark.parametrize("layers", [[ReLU()], [MaxPool2d(2), Flatten(), Linear(4, 2)]])
def test_layers_that_do_not_say_what_they_take(tmp_path: Path, layers: list[Any]) -> None:
    with pytest.raises(ShapeError, match="give to_onnx input_shape"):
        Sequential(*layers).to_onnx(tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_float32_is_the_default_and_float64_an_option(tmp_path: Path) -> None:
    network = Sequential(Conv2d(1, 2, 3))
    weight = network.params["conv1"]["weight"]
    for dtype, wanted in (("float32", weight.astype(np.float32)), ("float64", weight)):
        path = tmp_path / f"{dtype}.onnx"
        network.to_onnx(path, **({} if dtype == "float32" else {"dtype": dtype}))
        (held, _) = onnx.load(path).graph.initializer
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(held), wanted)
        np.testing.assert_array_equal(from_onnx(path, (1, 4, 4)).params["conv1"]["weight"], wanted)
    with pytest.raises(ModelError, match="dtype is 'float16'"):
        network.to_onnx(tmp_path / "c.onnx", dtype="float16")  # type: ignore[arg-type]


@pytest.mark.parametrize("std", [0.0, 1e-60])
def test_a_deviation_of_0_is_refused(tmp_path: Path, std: float) -> None:
    network = Sequential(Normalize(2))
    network.buffers["normalize1"]["std"][1] = std
    with pytest.raises(ModelError, match=r"normalize1\.std holds 0, or what is 0 in float32"):
        network.to_onnx(tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
    if std:
        network.to_onnx(tmp_path / "a.onnx", dtype="float64")


class Unheard(ReLU):
    """A layer of somebody else's."""


def test_a_layer_without_a_counterpart_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="layer relu1: Unheard has no counterpart in ONNX"):
        Sequential(Unheard()).to_onnx(tmp_path / "a.onnx", (1, 2, 2))
    assert list(tmp_path.iterdir()) == []


def test_a_number_beyond_float32_is_refused(tmp_path: Path) -> None:
    network = Sequential(Linear(1, 1))
    network.params["dense1"]["weight"][:] = 1e39
    with pytest.raises(ModelError, match=r"dense1\.weight holds numbers .* dtype='float64'"):
        network.to_onnx(tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
    network.to_onnx(tmp_path / "a.onnx", dtype="float64")


def test_a_model_larger_than_a_file_may_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sheetconv.interchange.onnx_writing.MAX_BYTES", 500)
    Sequential(ReLU()).to_onnx(tmp_path / "small.onnx", (1, 2, 2))
    with pytest.raises(ModelError, match="an ONNX file holds at most 500"):
        Sequential(Linear(100, 1)).to_onnx(tmp_path / "large.onnx")
    assert [item.name for item in tmp_path.iterdir()] == ["small.onnx"]


def test_an_existing_file_stays_without_force(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_text("mine")
    network = Sequential(Linear(1, 1))
    with pytest.raises(WorkbookError, match="exists already"):
        network.to_onnx(path)
    with pytest.raises(WorkbookError, match="does not exist"):
        network.to_onnx(tmp_path / "none" / "a.onnx")
    with pytest.raises(ShapeError, match="layer dense1"):
        network.to_onnx(path, (2,), force=True)
    assert path.read_text() == "mine"
    network.to_onnx(path, force=True)
    assert list(from_onnx(path).layers) == ["dense1"]
    assert [item.name for item in tmp_path.iterdir()] == ["a.onnx"]
