"""A template of one's own, to start from: a copy of another, with its numbers."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from .errors import TemplateError
from .files import written_together
from .template import find_template, load_template

# What Windows takes in no name; the first two separate folders.
_FORBIDDEN = '/\\:*?"<>|'
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_DATA = re.compile(r"""^(\s*data\s*=\s*)("[^"\n]*"|'[^'\n]*')""", re.MULTILINE)


def new_template(name: str, source: str | Path, *, force: bool = False) -> list[Path]:
    """Copy a template and its numbers into the current folder, under a new name.

    Comments and worksheet names stay as they are; `data` names the copied numbers.

    Args:
        name: of the new template, with or without .toml.
        source: the name of a template that comes with sheetconv, or the path of a .toml file.
        force: replace existing files. Default False.

    Returns:
        The files written: NAME.toml, and NAME.npz where the template has numbers.

    Raises:
        TemplateError: the name is none for a file, or the template cannot be used.
        WorkbookError: a file exists and `force` is false, or cannot be written; then none is.

    Example:
        >>> import os, tempfile
        >>> before = os.getcwd()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     os.chdir(folder)
        ...     written = new_template("mine", "conv-example")
        ...     os.chdir(before)
        >>> [path.name for path in written]
        ['mine.toml', 'mine.npz']
    """
    stem = _stem(name)
    path = find_template(source)
    # What cannot be built is no start.
    load_template(path)
    text = path.read_bytes().decode("utf-8")
    content = tomllib.loads(text)
    data = dict.fromkeys(n["data"] for n in content["networks"] if n.get("data"))
    names = {
        old: f"{stem}-{number}.npz" if number else f"{stem}.npz" for number, old in enumerate(data)
    }
    text = _with_data(text, content, names, path)
    numbers = [(path.parent / old).read_bytes() for old in names]
    paths = [Path(f"{stem}.toml"), *map(Path, names.values())]
    with written_together(paths, force=force) as temporaries:
        for temporary, written in zip(temporaries, [text.encode(), *numbers], strict=True):
            temporary.write_bytes(written)
    return paths


def _stem(name: str) -> str:
    stem = name.removesuffix(".toml")
    bad = any(letter in _FORBIDDEN or not letter.isprintable() for letter in stem)
    if bad or not stem.strip(" .") or stem != stem.strip() or stem.endswith("."):
        raise TemplateError(
            f"{name!r} is no name for a template: expected a file name, as in mine, without "
            f"{' '.join(_FORBIDDEN)}, in the current folder"
        )
    if _RESERVED.fullmatch(stem):
        raise TemplateError(f"{name!r} is no name for a file on Windows: choose another")
    return stem


def _with_data(text: str, content: dict[str, Any], names: dict[str, str], path: Path) -> str:
    """The text of a template whose `data` keys have other values, all else as it is."""

    def renamed(match: re.Match[str]) -> str:
        old = tomllib.loads(f"data = {match[2]}")["data"]
        return f'{match[1]}"{names[old]}"' if old in names else match[0]

    changed = _DATA.sub(renamed, text)
    for network in content["networks"]:
        if network.get("data"):
            network["data"] = names[network["data"]]
    if tomllib.loads(changed) != content:
        raise TemplateError(
            f"{path}: cannot tell where it names its data: write each data = ... in a line of "
            "its own"
        )
    return changed
