"""ONNX files: read with bounds, and the tensors in them or beside them.

Models come from strangers. Nothing outside the model's folder is opened, and nothing is
allocated that the file does not hold.
"""

from __future__ import annotations

import stat
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

# What protobuf takes, and far more than a workbook can hold.
MAX_BYTES = 2**31 - 1

_LONGEST_NAME = 1000

# Types of numbers by the field that holds them when they are not raw bytes.
_FIELDS = {
    "FLOAT": "float_data",
    "DOUBLE": "double_data",
    "FLOAT16": "int32_data",
    "BFLOAT16": "int32_data",
    "INT32": "int32_data",
    "INT64": "int64_data",
    "BOOL": "int32_data",
}


def require_onnx() -> None:
    """Raise `ModelError` unless the package onnx is there."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise ModelError(
            "ONNX models need the package onnx: python -m pip install 'sheetconv[onnx]'"
        ) from None


def read_model(path: Path) -> ModelProto:
    """The model in a file; its external data is not read.

    Raises:
        ModelError: the file is missing, no regular file, empty, larger than 2 GiB, or no
            ONNX model.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    content = _read(path, path, 0, None)
    if not content:
        raise ModelError(f"{path} is empty: expected an ONNX model")
    model = ModelProto()
    try:
        model.ParseFromString(content)
    # Names that are no text are refused here by the one protobuf, by `text` with the other.
    except (DecodeError, UnicodeDecodeError):
        raise ModelError(f"{path} is no ONNX model, or a damaged one: export it again") from None
    return model


def _read(path: Path, shown: Path, offset: int, length: int | None) -> bytes:
    """Bytes of a regular file, at most 2 GiB."""
    try:
        with path.open("rb") as file:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"{shown} is no regular file")
            wanted = status.st_size - offset if length is None else length
            if wanted > MAX_BYTES:
                raise ModelError(f"{shown} holds {wanted:,} bytes: the limit is {MAX_BYTES:,}")
            if offset + wanted > status.st_size:
                raise ModelError(
                    f"{shown} has {status.st_size:,} bytes: expected {offset + wanted:,}"
                )
            file.seek(offset)
            return file.read(wanted)
    except FileNotFoundError:
        raise ModelError(f"{shown} does not exist") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"cannot read {shown}: {reason}") from None


def text(value: str | bytes) -> str:
    """A text of a model; protobuf gives bytes where it is not UTF-8.

    Raises:
        ModelError: it is not, or longer than any name.
    """
    if isinstance(value, bytes):
        raise ModelError(f"the name {value[:40]!r} is no text: the model is damaged")
    if len(value) > _LONGEST_NAME:
        raise ModelError(f"a name that begins {value[:40]!r} has {len(value):,} characters")
    return value


def tensor_values(tensor: TensorProto, folder: Path | None) -> NDArray[Any]:
    """The numbers of a tensor, in their own type.

    Args:
        tensor: from a model.
        folder: where the model lies, for external data; None if it came without a file.

    Raises:
        ModelError: the tensor holds no numbers, fewer or more than its shape says, or
            its external data is missing or lies outside the folder.
    """
    from onnx import TensorProto, numpy_helper
    from onnx.helper import tensor_dtype_to_np_dtype

    where = f"tensor {text(tensor.name)!r}"
    kinds = TensorProto.DataType
    kind = kinds.Name(tensor.data_type) if tensor.data_type in kinds.values() else ""
    if kind not in _FIELDS:
        raise ModelError(
            f"{where} holds {kind or tensor.data_type}: expected one of {', '.join(_FIELDS)}"
        )
    dims = tuple(tensor.dims)
    if any(length < 0 for length in dims):
        raise ModelError(f"{where} has the shape {dims}: expected lengths of at least 0")
    dtype = np.dtype(tensor_dtype_to_np_dtype(tensor.data_type))
    wanted = prod(dims) * dtype.itemsize
    if tensor.data_location == TensorProto.EXTERNAL:
        raw = _external(tensor, folder, wanted, where)
        return _plain(np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(dims))
    if tensor.HasField("raw_data"):
        held = len(tensor.raw_data)
    else:
        held = len(getattr(tensor, _FIELDS[kind])) * dtype.itemsize
    if held != wanted:
        raise ModelError(f"{where} of shape {dims} holds {held:,} bytes: expected {wanted:,}")
    return _plain(np.asarray(numpy_helper.to_array(tensor)))


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers of a type that NumPy has: bfloat16 is a part of float32."""
    return values if values.dtype.kind in "biuf" else values.astype(np.float32)


def _external(tensor: TensorProto, folder: Path | None, wanted: int, where: str) -> bytes:
    entries = {text(entry.key): text(entry.value) for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise ModelError(
            f"{where} lies in the file {location!r}: give the path of the model, not the model"
        )
    path = _inside(folder, location, where)
    try:
        offset, length = (int(entries.get(key, 0)) for key in ("offset", "length"))
    except ValueError:
        raise ModelError(f"{where} has an offset or length that is no number") from None
    if offset < 0 or (length or wanted) != wanted:
        raise ModelError(
            f"{where} has {length:,} bytes from {offset:,} on in {location!r}: expected {wanted:,}"
        )
    try:
        return _read(path, path, offset, wanted)
    except ModelError as error:
        raise ModelError(f"{where}: its external data: {error}") from None


def _inside(folder: Path, location: str, where: str) -> Path:
    """The file of external data, which has to lie in the model's own folder."""
    refusal = ModelError(
        f"{where} has its data in {location!r}, outside the folder of the model: nothing is read "
        "there; save the model with its data beside it"
    )
    parts = Path(location).parts
    # Windows' separators and drives are refused everywhere: ONNX writes relative paths with /.
    if (
        not parts
        or Path(location).is_absolute()
        or ".." in parts
        or not {*"\\:\0"}.isdisjoint(location)
    ):
        raise refusal
    try:
        home = folder.resolve()
        path = (home / location).resolve()
    except (OSError, RuntimeError, ValueError):
        raise refusal from None
    if not path.is_relative_to(home):
        raise refusal
    return path
