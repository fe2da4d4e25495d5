"""Weights of the user's own: which array goes where, and everything that is refused."""

from __future__ import annotations

import json
import math
import os
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sheetconv import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, load_weights
from sheetconv.errors import ShapeError, SheetconvError, WeightsError
from sheetconv.weights import match_state_dict

FORMATS = ["npz", "safetensors", "pt", "pth"]
OWN = ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "dense1.weight", "dense1.bias"]
PYTORCH = ["0.weight", "0.bias", "3.weight", "3.bias", "6.weight", "6.bias"]


def network() -> Sequential:
    return Sequential(
        Conv2d(1, 2, 3), ReLU(), MaxPool2d(2), Conv2d(2, 3, 2), ReLU(), Flatten(), Linear(12, 2)
    )


def in_pytorch() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(2, 3, 2),
        torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(12, 2),
    ).double()  # fmt: skip


class Split(torch.nn.Module):
    """The same with a name for each part; `body` comes first, and last in the alphabet."""

    def __init__(self) -> None:
        super().__init__()
        layers = list(in_pytorch())
        self.the_body = torch.nn.Sequential(*layers[:5])
        self.head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(), layers[6])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.the_body(x))


class Named(torch.nn.Module):
    """The same with a name for each layer, as the tutorials write it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, _, _, self.conv2, _, _, self.fc = in_pytorch()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        return self.fc(torch.relu(self.conv2(x)).flatten(1))


def save(state: Mapping[str, torch.Tensor], path: Path) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})
    elif path.suffix == ".safetensors":
        safetensors.torch.save_file(dict(state), path)
    else:
        torch.save(state, path)
    return path


def arrays(names: list[str]) -> dict[str, np.ndarray]:
    """Arrays of the network's shapes, all different, under other names."""
    rng = np.random.default_rng(0)
    shapes = [array.shape for array in network().state_dict().values()]
    return {name: rng.random(shape) for name, shape in zip(names, shapes, strict=True)}


def refused(path: Path, net: Sequential | None = None) -> str:
    """The one line with which a file is refused; it names the file."""
    with pytest.raises(SheetconvError) as caught:
        load_weights(path, net)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert str(path) in message
    assert len(message) < len(str(path)) + 1_000
    return message


def unfit(state: Mapping[str, object], net: Sequential | None = None, **options: bool) -> str:
    """The one line with which arrays are refused; and without its beginning."""
    with pytest.raises(ShapeError) as caught:
        match_state_dict(net or network(), state, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message.removeprefix("the weights do not fit the network: ")


# --- What fits


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("module", [in_pytorch, Split, Named])
def test_a_network_with_the_weights_of_a_module_computes_the_same(
    module: Callable[[], torch.nn.Module], suffix: str, tmp_path: Path
) -> None:
    trained, net = module().double().eval(), network()
    x = np.random.default_rng(1).random((5, 1, 8, 8))
    path = save(trained.state_dict(), tmp_path / f"w.{suffix}")
    expected = trained(torch.from_numpy(x)).detach().numpy()
    assert not np.allclose(net(x), expected)
    net.load_state_dict(load_weights(path, net))
    np.testing.assert_allclose(net(x), expected, rtol=1e-12)


@pytest.mark.parametrize("suffix", FORMATS)
def test_without_a_network_the_names_are_the_files(suffix: str, tmp_path: Path) -> None:
    state = in_pytorch().state_dict()
    loaded = load_weights(save(state, tmp_path / f"w.{suffix}"))
    assert sorted(loaded) == sorted(state) == sorted(PYTORCH)
    for name, array in loaded.items():
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, state[name].numpy())


@pytest.mark.parametrize("suffix", FORMATS)
def test_own_names_go_by_name_in_any_order(suffix: str, tmp_path: Path) -> None:
    expected = arrays(OWN)
    shuffled = {name: torch.from_numpy(expected[name]) for name in sorted(OWN, reverse=True)}
    loaded = load_weights(save(shuffled, tmp_path / f"w.{suffix}"), network())
    assert loaded.keys() == expected.keys()
    for name in OWN:
        np.testing.assert_array_equal(loaded[name], expected[name])


@pytest.mark.parametrize(
    "names",
    [
        PYTORCH,
        [f"features.{name}" for name in PYTORCH],
        [f"module.model.{name}" for name in PYTORCH],
        [f"arr_{n}" for n in range(6)],
    ],
    ids=lambda names: names[-1],
)
def test_other_names_go_by_order(names: list[str]) -> None:
    given = arrays(names)
    matched = match_state_dict(network(), given)
    assert list(matched) == OWN
    for ours, theirs in zip(OWN, names, strict=True):
        np.testing.assert_array_equal(matched[ours], given[theirs])


def test_within_a_module_arrays_go_by_name() -> None:
    given = arrays(PYTORCH)
    order = [PYTORCH[n] for n in (1, 0, 3, 2, 5, 4)]
    matched = match_state_dict(network(), {name: given[name] for name in order})
    for ours, theirs in zip(OWN, PYTORCH, strict=True):
        np.testing.assert_array_equal(matched[ours], given[theirs])


def test_what_is_no_weight_is_left_out() -> None:
    extra = {"input": np.zeros((1, 8, 8)), "1.num_batches_tracked": np.array(7)}
    assert list(match_state_dict(network(), {**extra, **arrays(PYTORCH)})) == OWN
    assert "2.running_mean (3,) is unexpected" in unfit(
        {**arrays(PYTORCH), "2.running_mean": np.zeros(3)}
    )


def test_nothing_is_set_by_matching() -> None:
    net = network()
    before = {name: array.copy() for name, array in net.state_dict().items()}
    matched = match_state_dict(net, arrays(PYTORCH))
    matched["conv1.bias"][:] = 5
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_network_without_weights_takes_a_file_without() -> None:
    assert match_state_dict(Sequential(ReLU()), {}) == {}
    assert unfit({"0.bias": [1.0]}, Sequential(ReLU())) == "0.bias (1,) is unexpected"


@pytest.mark.parametrize(
    ("dtype", "rtol"),
    [(torch.float64, 0), (torch.float32, 1e-7), (torch.float16, 1e-3), (torch.bfloat16, 1e-2)],
)
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_every_precision_is_read_exactly(
    suffix: str, dtype: torch.dtype, rtol: float, tmp_path: Path
) -> None:
    rough = {name: tensor.to(dtype) for name, tensor in in_pytorch().state_dict().items()}
    loaded = load_weights(save(rough, tmp_path / f"w.{suffix}"))
    for name, tensor in in_pytorch().state_dict().items():
        np.testing.assert_array_equal(loaded[name], rough[name].double().numpy())
        np.testing.assert_allclose(loaded[name], tensor.numpy(), rtol=rtol)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8"])
@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_whole_numbers_are_numbers(suffix: str, dtype: str, tmp_path: Path) -> None:
    array = np.array([[0, 1, 127]]).astype(dtype)
    path = tmp_path / f"w.{suffix}"
    if suffix == "npz":
        np.savez(path, w=array)
    else:
        safetensors.numpy.save_file({"w": array}, path)
    np.testing.assert_array_equal(load_weights(path)["w"], array.astype(float))


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net"])
def test_a_checkpoint_may_hold_the_state_dict(wrapper: str, tmp_path: Path) -> None:
    module = in_pytorch()
    optimiser = torch.optim.Adam(module.parameters()).state_dict()
    content = {
        "epoch": 3,
        wrapper: module.state_dict(),
        "optimizer": optimiser,
        "lr": 0.1,
        "step": torch.ones(1),
    }
    torch.save(content, tmp_path / "w.pt")
    assert list(load_weights(tmp_path / "w.pt", network())) == OWN


def test_of_several_state_dicts_none_is_guessed(tmp_path: Path) -> None:
    state = in_pytorch().state_dict()
    torch.save({"model": state, "ema": state}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="several dictionaries of tensors: 'model', 'ema'"):
        load_weights(tmp_path / "w.pt")


def test_a_folder_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is a folder"):
        load_weights(tmp_path)


def test_files_of_older_pytorch_are_read(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(in_pytorch().state_dict(), path, _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(path)
    assert list(load_weights(path, network())) == OWN


def test_weights_that_are_views_of_others_are_copied(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    torch.save({"a": whole[::2], "c": whole.reshape(2, 3).T}, tmp_path / "w.pt")
    loaded = load_weights(tmp_path / "w.pt")
    assert loaded["a"].tolist() == [0, 2, 4]
    assert loaded["c"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_names_in_capitals_name_their_kind_too(tmp_path: Path) -> None:
    save(in_pytorch().state_dict(), tmp_path / "w.npz").rename(tmp_path / "W.NPZ")
    assert list(load_weights(tmp_path / "W.NPZ", network())) == OWN


# --- Files that do not keep the order of the layers


def test_modules_go_by_their_numbers_and_not_by_the_alphabet(tmp_path: Path) -> None:
    """Twelve layers of one shape: in the alphabet "10" stands before "2"."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(12))).double()
    net = Sequential(*(Linear(3, 3) for _ in range(12)))
    path = save(module.state_dict(), tmp_path / "w.safetensors")
    assert list(load_weights(path))[4] == "10.bias"
    net.load_state_dict(load_weights(path, net))
    x = np.random.default_rng(0).random((4, 3))
    np.testing.assert_allclose(net(x), module(torch.from_numpy(x)).detach().numpy(), rtol=1e-12)


def linear(shapes: Mapping[str, tuple[int, int]]) -> dict[str, np.ndarray]:
    return {f"{name}.weight": np.ones(shape) for name, shape in shapes.items()}


def chain(*widths: int) -> Sequential:
    """Dense layers without bias from each width to the next."""
    return Sequential(*(Linear(a, b, bias=False) for a, b in pairwise(widths)))


def test_one_order_that_fits_is_found() -> None:
    state = linear({"a1": (4, 3), "a2": (5, 4), "z1": (3, 2), "z2": (4, 4)})
    matched = match_state_dict(chain(2, 3, 4, 4, 5), state, ordered=False)
    assert [array.shape for array in matched.values()] == [(3, 2), (4, 3), (4, 4), (5, 4)]
    assert "z1.weight" not in unfit(linear({"a1": (3, 2)}), chain(2, 3, 4))


@pytest.mark.parametrize(
    "state",
    [
        linear({"a": (3, 3), "b": (3, 3)}),
        linear({f"{letter}": (3, 3) for letter in "abcdefghijklmnopqrstuvwxyz"}),
    ],
    ids=["two", "many"],
)
def test_an_order_that_nobody_can_know_is_not_guessed(state: dict[str, np.ndarray]) -> None:
    net = chain(*[3] * (len(state) + 1))
    assert len(match_state_dict(net, state)) == len(state)
    message = unfit(state, net, ordered=False)
    assert "the file does not keep the order of the layers" in message
    assert "save them as .pt or .npz" in message
    assert len(message) < 500


def test_names_of_numbers_without_end_are_names() -> None:
    state = linear({"9" * 5000: (3, 2), "1": (4, 3)})
    assert len(unfit(state, chain(2, 3, 4), ordered=False)) > 0


# --- What does not fit


def test_everything_that_does_not_fit_is_listed() -> None:
    net = Sequential(Conv2d(1, 8, 3), ReLU(), Flatten(), Linear(32, 10), Linear(10, 2, bias=False))
    state = {
        "0.weight": np.zeros((8, 1, 5, 5)),
        "0.bias": np.full(8, math.nan),
        "3.weight": np.zeros((10, 32)),
        "4.weight": np.zeros((2, 10)),
        "4.bias": np.zeros(2),
        "5.weight": np.zeros((1, 2)),
    }
    assert unfit(state, net).split("; ") == [
        "0.weight (8, 1, 5, 5) -> conv1.weight expects (8, 1, 3, 3)",
        "0.bias holds NaN or infinity",
        "dense1.bias (10,) is missing",
        "4.bias (2,) is unexpected",
        "5.weight (1, 2) is unexpected",
    ]


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        ({"conv1.weight": np.zeros((2, 1, 2, 2))},
         ["conv1.weight (2, 1, 2, 2) -> expected (2, 1, 3, 3)"]),
        ({"conv1.weight": None, "dense1.bias": None},
         ["conv1.weight (2, 1, 3, 3) is missing", "dense1.bias (2,) is missing"]),
        ({"conv3.bias": np.zeros(4)}, ["conv3.bias (4,) is unexpected"]),
        ({"conv2.bias": np.array([0, np.inf, 0])}, ["conv2.bias holds NaN or infinity"]),
        ({"conv2.bias": np.float64(1)}, ["conv2.bias () -> expected (3,)"]),
    ],
    ids=["shape", "missing", "unexpected", "infinite", "scalar"],
)  # fmt: skip
def test_own_names_that_do_not_fit_are_listed(
    change: dict[str, np.ndarray | None], messages: list[str]
) -> None:
    state = {name: array for name, array in {**arrays(OWN), **change}.items() if array is not None}
    assert unfit(state).split("; ") == messages
    assert unfit(state, ordered=False).split("; ") == messages


def test_own_names_in_another_order_are_not_taken_by_order() -> None:
    """Two layers of one shape, whose names say more than their order."""
    net = Sequential(("a", Linear(3, 3)), ("b", Linear(3, 3)), ("c", Linear(3, 1)))
    state = {
        f"{name}.{key}": np.ones((width, 3) if key == "weight" else width)
        for name, width in (("b", 3), ("a", 3), ("last", 1))
        for key in ("weight", "bias")
    }
    assert unfit(state, net).split("; ")[0] == "b.weight stands where the network has a.weight"


def test_a_long_list_is_cut() -> None:
    message = unfit(linear({f"{n}": (2, 2) for n in range(30)}), chain(*[3] * 31))
    assert message.count("expects") == 10
    assert message.endswith("; and 20 more")
    assert unfit(linear({"0": (2, 2)}), chain(3, 3)).count("more") == 0


def test_what_is_no_array_of_numbers_is_refused() -> None:
    assert unfit({**arrays(OWN), "conv1.bias": "abc"}) == "conv1.bias is not an array of numbers"


# --- Files that nobody should send


class Trap:
    """An object whose pickle makes a folder when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("wrap", ["torch", "legacy", "pickle", "numpy"])
def test_objects_are_never_unpickled(suffix: str, wrap: str, tmp_path: Path) -> None:
    path, sprung = tmp_path / f"w.{suffix}", tmp_path / "sprung"
    trap = Trap(str(sprung))
    if wrap == "pickle":
        path.write_bytes(pickle.dumps({"w": trap}))
    elif wrap == "numpy":
        objects = np.empty(1, dtype=object)
        objects[0] = trap
        with path.open("wb") as stream:
            np.savez(stream, w=objects)
    else:
        torch.save({"w": trap}, path, _use_new_zipfile_serialization=wrap == "torch")
    refused(path)
    assert not sprung.exists()
    # The trap works: loading it otherwise does spring it.
    if wrap == "pickle":
        pickle.loads(path.read_bytes())
    elif wrap == "numpy":
        with path.open("rb") as stream:
            np.load(stream, allow_pickle=True)["w"]
    else:
        torch.load(BytesIO(path.read_bytes()), weights_only=False)
    assert sprung.exists()


def of_torch(content: object) -> Callable[[Path], object]:
    return lambda path: torch.save(content, path)


def scripted(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("constants.pkl", "data.pkl", "version"):
            archive.writestr(f"w/{name}", "3")


def safetensors_file(header: object, data: bytes = b"") -> Callable[[Path], object]:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return lambda path: path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def tensor(dtype: str, shape: list[int], length: int) -> dict[str, object]:
    return {"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, length]}}


NO_TENSORS = "is damaged, or holds objects that are no tensors, which are never loaded"


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("w.xyz", Path.touch, "files of weights end in .npz, .safetensors, .pt, .pth"),
        ("w.npz", lambda _: None, "does not exist"),
        ("w.npz", Path.mkdir, "is a folder"),
        ("w.npz", Path.touch, "is an empty file"),
        ("w.npz", lambda path: path.write_bytes(b"text"), "is not an .npz file of numbers"),
        ("w.safetensors", Path.touch, "is an empty file"),
        ("w.safetensors", Path.mkdir, "is a folder"),
        ("w.safetensors", lambda path: path.write_bytes(b"text"), "is not a .safetensors file"),
        ("w.safetensors", lambda path: path.write_bytes(b"\xff" * 99), "is not a .safetensors"),
        ("w.safetensors", safetensors_file(b"{" * 9_000), "is not a .safetensors file"),
        ("w.safetensors", safetensors_file(tensor("F32", [2], 4), bytes(4)), "is not a .safet"),
        ("w.safetensors", safetensors_file(tensor("F32", [10**9], 4 * 10**9)), "is not a .safet"),
        ("w.safetensors", safetensors_file(tensor("F32", [2**62, 4], 0)), "is not a .safetensors"),
        ("w.safetensors", safetensors_file(tensor("X9", [1], 1), bytes(1)), "is not a .safetens"),
        ("w.safetensors", safetensors_file(tensor("C64", [1], 8), bytes(8)), "w holds C64: expec"),
        ("w.pt", Path.touch, "is an empty file"),
        ("w.pt", Path.mkdir, "is a folder"),
        ("w.pt", lambda path: path.write_bytes(b"text"), NO_TENSORS),
        ("w.pt", of_torch(torch.nn.Linear(1, 1)), NO_TENSORS),
        ("w.pt", of_torch(torch.zeros(3)), "holds no dictionary of tensors: save it with torch.s"),
        ("w.pt", of_torch([torch.zeros(3)]), "holds no dictionary of tensors"),
        ("w.pt", of_torch({"w": 3}), "the entry 'w' is no tensor: save it with torch.save(model."),
        ("w.pt", of_torch({0: torch.zeros(3)}), "the entry '0' is no tensor"),
        ("w.pt", of_torch({"x" * 999: 1}), f"the entry '{'x' * 60}' is no tensor"),
        ("w.pt", of_torch({"w": torch.zeros(1, dtype=torch.complex64)}), "w holds torch.complex64"),
        ("w.pt", of_torch({"w": torch.zeros(1).expand(2**40)}), "holds 1,099,511,627,776 numbers"),
        ("w.pt", of_torch({"w": torch.eye(2).to_sparse()}), "is not a state_dict saved by PyTorch"),
        ("w.pt", of_torch({"w": torch.empty(2, device="meta")}), "is not a state_dict saved by"),
        ("w.pt", scripted, NO_TENSORS),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used_are_refused(
    name: str, make: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    make(tmp_path / name)
    text = refused(tmp_path / name)
    assert message in text
    assert "weights_only" not in text


def test_the_limit_holds_for_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in FORMATS:
        path = save(in_pytorch().state_dict(), tmp_path / f"w.{suffix}")
        monkeypatch.setattr("sheetconv.data_files.MAX_BYTES", path.stat().st_size)
        load_weights(path)
        monkeypatch.setattr("sheetconv.data_files.MAX_BYTES", path.stat().st_size - 1)
        assert "the limit is" in refused(path)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "does not fit into memory: give a smaller file"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
    ],
    ids=["memory", "permission"],
)
def test_what_the_machine_refuses_is_not_blamed_on_the_file(
    error: Exception, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    path = save(in_pytorch().state_dict(), tmp_path / "w.pt")
    monkeypatch.setattr(torch, "load", fail)
    text = refused(path)
    assert message in text
    assert "is not" not in text
    assert "damaged" not in text


def test_small_types_are_counted_as_the_doubles_that_they_become(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "w.npz", w=np.zeros(1_000, dtype=np.int8))
    monkeypatch.setattr("sheetconv.data_files.MAX_BYTES", 8_000)
    load_weights(tmp_path / "w.npz")
    monkeypatch.setattr("sheetconv.data_files.MAX_BYTES", 7_999)
    assert "w has the shape (1000,), more than 7,999 bytes" in refused(tmp_path / "w.npz")


@pytest.mark.parametrize("suffix", ["npz", "pt"])
def test_a_zip_bomb_is_never_unpacked(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"w.{suffix}"
    np.savez_compressed(tmp_path / "w.npz", w=np.zeros(2**20))
    (tmp_path / "w.npz").rename(path)
    assert path.stat().st_size < 10_000
    opened = []
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *names: opened.append(names))
    monkeypatch.setattr(torch, "load", lambda *names, **_: opened.append(names))
    monkeypatch.setattr("sheetconv.data_files.MAX_BYTES", 2**23)
    assert "the limit is" in refused(path)
    assert opened == []
    monkeypatch.setattr("sheetconv.data_files.MAX_BYTES", 2**23 + 1_000)
    assert "the limit is" not in refused(path)
    assert len(opened) == 1


@pytest.mark.parametrize("library", ["torch", "safetensors"])
def test_a_missing_library_is_named_with_the_command_that_brings_it(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix = {"torch": "pt"}.get(library, library)
    path = save(in_pytorch().state_dict(), tmp_path / f"w.{suffix}")
    monkeypatch.setitem(sys.modules, library, None)
    message = refused(path)
    assert f"{library} is needed: python -m pip install {library}; or save" in message


SEEDS: dict[str, bytes] = {}


@pytest.fixture(scope="module", autouse=True)
def seeds(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("seeds")
    for suffix in FORMATS:
        state = OrderedDict(w=torch.arange(4.0), b=torch.ones(2, 2))
        SEEDS[suffix] = save(state, folder / f"w.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", FORMATS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_bytes_ever_give_anything_but_arrays_or_an_error(
    suffix: str, data: st.DataObject, tmp_path: Path
) -> None:
    """Random bytes, and files of each kind with some of their bytes changed or cut off."""
    good = SEEDS[suffix]
    content = bytearray(data.draw(st.one_of(st.just(good), st.binary(max_size=300))))
    for place in data.draw(st.lists(st.integers(0, len(content)), max_size=8)):
        content[place : place + 1] = data.draw(st.binary(max_size=2))
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    try:
        loaded, message = load_weights(path), "one line"
    except WeightsError as error:
        loaded, message = {}, str(error)
    assert len(message.splitlines()) == 1
    assert all(array.dtype == np.float64 for array in loaded.values())
