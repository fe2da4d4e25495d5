"""PyTorch's modules become the same network, directly and through its ONNX exporters."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sheetconv import Sequential, from_onnx, from_torch
from sheetconv.errors import ModelError

SHAPE = (2, 9, 8)


#: Networks for inputs of SHAPE.
NETWORKS: dict[str, Callable[[], nn.Sequential]] = {
    "lenet": lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(3, 4, (2, 3)),
        nn.Sigmoid(), nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(8, 5), nn.ReLU(),
        nn.Linear(5, 3, bias=False), nn.Softmax(dim=1),
    ),
    "strided": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=(1, 0), dilation=(1, 2), groups=2, bias=False),
        nn.LeakyReLU(0.25), nn.Conv2d(4, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(2, 3),
    ),
    "pools": lambda: nn.Sequential(
        nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 1, 1), nn.AvgPool2d((2, 1), 1, 0),
        nn.AvgPool2d(2, 1, 1, count_include_pad=False),
        nn.MaxPool2d(2, 2, 0, ceil_mode=True), nn.AdaptiveMaxPool2d(1),
    ),
    "padding modules": lambda: nn.Sequential(
        nn.ZeroPad2d((1, 0, 2, 3)), nn.Conv2d(2, 2, 3), nn.Identity(), nn.ZeroPad2d(1),
        nn.Identity(), nn.Conv2d(2, 2, 3, padding=1),
    ),
    "nested": lambda: nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 2, 3), nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))),
        nn.Flatten(), nn.Sequential(nn.Dropout(0.3), nn.Linear(18, 2)),
    ),
    "same": lambda: nn.Sequential(
        nn.Conv2d(2, 2, (2, 4), padding="same"), nn.Conv2d(2, 2, 3, padding="valid"),
    ),
    "norms": lambda: nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3), nn.InstanceNorm2d(3), nn.ReLU(),
        nn.BatchNorm2d(3, affine=False), nn.InstanceNorm2d(3, affine=True),
        nn.Conv2d(3, 2, 1, bias=False), nn.BatchNorm2d(2, eps=0.125),
    ),
    "gelu": lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.GELU()),
    "gelu by tanh": lambda: nn.Sequential(nn.GELU(approximate="tanh"), nn.Flatten()),
    "reflections": lambda: nn.Sequential(
        nn.ReflectionPad2d((1, 2, 3, 0)), nn.Conv2d(2, 2, 3),
        nn.ReplicationPad2d(1), nn.Conv2d(2, 2, 3),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(2, 2, 3, padding=(0, 1), padding_mode="replicate"),
    ),
    "circles": lambda: nn.Sequential(
        nn.CircularPad2d((0, 1, 1, 0)), nn.Conv2d(2, 2, 3),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
    ),
}  # fmt: skip


#: What exporters write in a way that is no chain of operators that are taken over.
REFUSED = {
    # Planes are cut into strips and joined.
    ("circles", "12"): "expected a chain, without branches",
    ("circles", "20"): "expected a chain, without branches",
    # Before opset 20 there is no Gelu.
    ("gelu by tanh", "12"): r"\(Mul, .* is not supported",
}


def network(name: str) -> nn.Sequential:
    """One of NETWORKS in float64, as if trained."""
    torch.manual_seed(0)
    return trained(NETWORKS[name]())


def trained(module: nn.Sequential) -> nn.Sequential:
    """The module in float64, its norms as if they had seen images."""
    for part in module.double().modules():
        if isinstance(part, nn.BatchNorm2d | nn.InstanceNorm2d):
            for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                if tensor is not None:
                    nn.init.uniform_(tensor, 0.5, 1.5)
    return module.eval()


def images(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=(2, *shape)))


def assert_same(ours: Sequential, theirs: nn.Module) -> None:
    x = images(*SHAPE)
    expected = theirs(x).detach().numpy()
    np.testing.assert_allclose(ours(x.numpy()), expected, rtol=1e-10, atol=1e-10)


def exported(module: nn.Module, path: Path, how: str) -> Path:
    """The module written by one of PyTorch's exporters, for any batch."""
    with warnings.catch_warnings():
        # PyTorch's own: on exporters to come, and on what it traces.
        warnings.simplefilter("ignore")
        if how == "export":
            torch.onnx.export(
                module, (images(*SHAPE),), path, dynamo=True, verbose=False,
                dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
            )  # fmt: skip
        else:
            torch.onnx.export(
                module, (images(*SHAPE),), path, dynamo=False, opset_version=int(how),
                input_names=["x"], dynamic_axes={"x": {0: "N"}},
            )  # fmt: skip
    return path


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", NETWORKS)
def test_modules_are_taken_over(name: str) -> None:
    module = network(name)
    assert_same(from_torch(module, SHAPE), module)


@pytest.mark.parametrize(
    "norm",
    [
        nn.InstanceNorm2d(2, track_running_stats=True),
        nn.InstanceNorm2d(2, affine=True, momentum=None, track_running_stats=True),
        nn.BatchNorm2d(2, track_running_stats=False),
    ],
)
def test_norms_that_pytorch_does_not_export_are_taken_over(norm: nn.Module) -> None:
    module = trained(nn.Sequential(norm))
    assert_same(from_torch(module, SHAPE), module)


#: The new exporter takes many seconds for each: one with and one without what is special.
EXPORTED = [(name, how) for name in NETWORKS for how in ("12", "20")] + [
    (name, "export") for name in ("lenet", "reflections", "circles")
]


@pytest.mark.parametrize(("name", "how"), EXPORTED)
def test_what_pytorch_exports_is_taken_over(name: str, how: str, tmp_path: Path) -> None:
    module = network(name)
    path = exported(module, tmp_path / "a.onnx", how)
    if (name, how) in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[name, how]):
            from_onnx(path)
    else:
        assert_same(from_onnx(path), module)


class Views(nn.Module):
    """What people write instead of Flatten and pools."""

    def __init__(self, flatten: Callable[[torch.Tensor], torch.Tensor], features: int) -> None:
        super().__init__()
        self.conv_a = nn.Conv2d(2, 3, 3)
        self.flatten = flatten
        self.head = nn.Linear(features, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.head(self.flatten(torch.relu(self.conv_a(x)))), dim=-1)


@pytest.mark.parametrize("how", ["export", "17"])
@pytest.mark.parametrize(
    ("flatten", "features"),
    [
        (lambda x: x.view(x.size(0), -1), 126),
        (lambda x: x.reshape(-1, 126), 126),
        (lambda x: x.reshape(x.shape[0], 3 * 7 * 6), 126),
        (lambda x: x.flatten(1), 126),
        (lambda x: x.mean((2, 3)), 3),
        (lambda x: x.amax((2, 3)), 3),
    ],
)
def test_views_and_means_that_people_write(
    flatten: Callable[[torch.Tensor], torch.Tensor], features: int, how: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = Views(flatten, features).double().eval()
    ours = from_onnx(exported(module, tmp_path / "a.onnx", how))
    assert_same(ours, module)
    assert [name for name in ours.layers if name in ("conv_a", "head")] == ["conv_a", "head"]


def test_a_wrong_weight_is_found() -> None:
    module = network("lenet")
    ours = from_torch(module, SHAPE)
    ours.params["dense2"]["weight"][0, 0] += 1e-6
    with pytest.raises(AssertionError):
        assert_same(ours, module)


def test_weights_are_copied() -> None:
    module = nn.Sequential(nn.Conv2d(2, 1, 1).double())
    ours = from_torch(module, SHAPE)
    with torch.no_grad():
        module[0].weight.fill_(9.0)
    assert not (ours.params["conv1"]["weight"] == 9.0).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_weights_of_every_precision_become_float64_exactly(dtype: torch.dtype) -> None:
    module = nn.Sequential(nn.Linear(3, 2).to(dtype))
    weight = from_torch(module, (3,)).params["dense1"]["weight"]
    assert weight.dtype == np.float64
    np.testing.assert_array_equal(weight, module[0].weight.detach().double().numpy())


def test_names_that_are_identifiers_are_kept() -> None:
    from collections import OrderedDict

    module = nn.Sequential(
        OrderedDict(body=nn.Sequential(nn.ReLU(), nn.ReLU()), head=nn.Flatten(), out=nn.ReLU())
    )
    assert list(from_torch(module, SHAPE).layers) == ["relu1", "relu2", "head", "out"]


def test_a_single_module_is_a_network() -> None:
    assert list(from_torch(nn.Conv2d(2, 1, 1), SHAPE).layers) == ["conv1"]


def test_dropout_is_taken_over_in_train_mode_and_left_out_in_eval() -> None:
    module = nn.Sequential(nn.Dropout(0.25), nn.Flatten(), nn.Dropout(0.5), nn.ReLU()).train()
    ours = from_torch(module, SHAPE)
    assert list(ours.layers) == ["dropout1", "flatten1", "dropout2", "relu1"]
    assert [ours.layers[f"dropout{n}"].p for n in (1, 2)] == [0.25, 0.5]
    module[0].eval()
    assert list(from_torch(module, SHAPE).layers) == ["flatten1", "dropout1", "relu1"]
    ours = from_torch(module.eval(), SHAPE)
    assert list(ours.layers) == ["flatten1", "relu1"]
    assert_same(ours, module)


class Double(nn.ReLU):
    """Not what its class says."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (nn.Sequential(nn.ReLU(), nn.Unflatten(1, (1, 2))), "module '1' is a Unflatten, which"),
        (nn.Sequential(nn.Sequential(nn.LSTM(1, 1))), "module '0.0' is a LSTM, which is not"),
        (nn.Sequential(Double()), "module '0' is a Double, which is not supported; supported are"),
        (nn.ModuleList([nn.ReLU()]), "module 'itself' is a ModuleList"),
        (nn.Sequential(nn.LazyConv2d(2, 1)), "is a LazyConv2d"),
        (nn.Sequential(), "the model has no layer that computes anything"),
        (nn.Sequential(nn.Identity()), "the model has no layer that computes anything"),
        (nn.Sequential(nn.Conv2d(3, 1, 1)), "module '0' (Conv2d): Conv2d(in_channels=3"),
        (nn.Sequential(nn.Linear(3, 1)), "put Flatten before it"),
        (nn.Sequential(nn.Softmax(dim=1)), "module '0' (Softmax): Softmax(dim=1) got an input of"),
        (nn.Sequential(nn.Flatten(), nn.Softmax(dim=0)), "module '1' (Softmax): Softmax: dim is 0"),
        (nn.Sequential(nn.Flatten(), nn.Softmax()), "Softmax: dim is None"),
        (nn.Sequential(nn.Flatten(0)), "flattens dimensions 0 to -1: expected 1 to -1"),
        (nn.Sequential(nn.Flatten(1, 2)), "flattens dimensions 1 to 2: expected 1 to -1"),
        (nn.Sequential(nn.MaxPool2d(2, return_indices=True)), "return_indices is not supported"),
        (nn.Sequential(nn.AvgPool2d(2, divisor_override=3)), "divisor_override is not supported"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(2)), "output_size is 2: expected 1"),
        (nn.Sequential(nn.AdaptiveMaxPool2d((None, 1))), "output_size is None: expected"),
        (nn.Sequential(nn.LeakyReLU(-1.0)), "negative_slope is -1.0"),
        (nn.Sequential(nn.ZeroPad2d(1), nn.ReLU()), "module '0' (ZeroPad2d) stands before module"),
        (nn.Sequential(nn.ZeroPad2d(1)), "module '0' (ZeroPad2d) stands last"),
        (nn.Sequential(nn.ZeroPad2d((-1, 0, 0, 0)), nn.Conv2d(2, 1, 1)), "crops"),
        (nn.Sequential(nn.Flatten(), nn.ZeroPad2d(1)), "got an input of shape (144,)"),
        (
            nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(2, 1, 1, padding=1)),
            "module '0' (ReflectionPad2d) pads before module '1' (Conv2d), which pads",
        ),
        (nn.Sequential(nn.Linear(3, 1, dtype=torch.complex64)), "weight holds torch.complex64"),
        (nn.Sequential(nn.Linear(3, 1, device="meta")), "weight holds torch.float32 on meta"),
        ("not a module", "from_torch got str: expected a torch.nn.Module"),
    ],
)
def test_what_cannot_be_taken_over_is_named(module: Any, says: str) -> None:
    with pytest.raises(ModelError) as caught:
        from_torch(module, SHAPE)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(), (2, 9), (1, 2, 9, 8), (0,), 5, ("a",), (2.5,)])
def test_an_input_shape_is_needed(shape: Any) -> None:
    with pytest.raises(ModelError, match="input_shape is "):
        from_torch(nn.ReLU(), shape)


def test_infinite_weights_are_refused() -> None:
    module = nn.Linear(2, 1)
    nn.init.constant_(module.weight, float("inf"))
    with pytest.raises(ModelError, match=r"dense1\.weight holds NaN or infinity"):
        from_torch(module, (2,))


def test_without_the_package_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.ReLU()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match=r"python -m pip install 'sheetconv\[torch\]'"):
        from_torch(module, SHAPE)
