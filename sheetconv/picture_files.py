"""Pictures of the user's own to choose from: a folder of them, or an .npz file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .batches import batch_of
from .data_files import load_arrays
from .errors import ImageError, SheetconvError
from .guides import MOST_PICTURES, Guides, check_pictures
from .images import load_image
from .layers.base import Array
from .template import Template, TemplateNetwork
from .template_guides import picture_labels

#: What file managers put beside pictures.
_JUNK = ("thumbs.db", "desktop.ini")


def with_pictures(
    template: Template, path: Path, invert: bool | None = None, *, keep_image: bool = False
) -> Template:
    """A template whose pictures to choose from are the user's own.

    Args:
        template: the template; each network's `pixels` say what pixels become.
        path: a folder of pictures, or of folders that are named as the classes of theirs; or an
            .npz file with `pictures` and, if they are known, `labels`, the numbers of their
            classes.
        invert: whether dark and light are swapped, whatever the template says. Default: as the
            template says. It is for a folder.
        keep_image: whether the template's own image is the first of them. Default False: the
            first picture takes its place.

    Raises:
        ImageError: the file or a picture cannot be used, or a network takes several images.
    """
    if path.is_dir():
        return _each(template, keep_image, lambda item: _of_folder(item, path, invert))
    if path.suffix.lower() != ".npz":
        raise ImageError(
            f"{path} is no folder and no .npz file: give a folder of pictures, or of folders that "
            "are named as their classes"
        )
    if invert is not None:
        raise ImageError(
            f"{path} holds numbers, which are taken as they are: --invert and --no-invert are for "
            "pictures"
        )
    arrays = load_arrays(path, ImageError)
    return _each(template, keep_image, lambda item: _of_arrays(item, arrays, path))


def _each(
    template: Template, keep_image: bool, change: Callable[[TemplateNetwork], Guides]
) -> Template:
    networks = []
    for item in template.networks:
        _check_takes_a_list(item)
        guides = change(item)
        assert guides.pictures is not None
        image = item.image if keep_image else guides.pictures[0].reshape(item.image.shape)
        networks.append(replace(item, image=image, guides=guides))
    return replace(template, networks=tuple(networks))


def _check_takes_a_list(item: TemplateNetwork) -> None:
    batch, _ = batch_of(item.network, item.image.shape)
    where = f"worksheet {item.drawing.worksheet!r}"
    if batch > 1:
        raise ImageError(
            f"{where} shows {batch} images at once: pictures to choose from are for networks with "
            "one"
        )
    if item.drawing.is_pinned:
        raise ImageError(
            f"{where} pins its cells and has no room for a list of pictures: give one with --image"
        )
    if "pictures" in item.guides.leave_out:
        raise ImageError(f"{where}: the template leaves out pictures: take them from leave_out")


def _check_classes(item: TemplateNetwork, labels: Sequence[str], path: Path) -> None:
    """Refuse folders that are named as no class: every answer would be wrong."""
    classes = item.drawing.classes
    if any(labels) and not classes:
        raise ImageError(
            f"the folders of {path} are named as classes, and worksheet "
            f"{item.drawing.worksheet!r} has no names of classes: give them in the order of the "
            "outputs, as in --classes cat,dog"
        )
    for label in labels:
        # A picture of several labels, as the worksheet says them.
        parts = {*label.split(", ")} - {"", "none"}
        if not parts <= set(classes):
            raise ImageError(
                f"the folder {path / label} is named as no class of this network: its classes are "
                f"{', '.join(classes)}"
            )


def _of_folder(item: TemplateNetwork, path: Path, invert: bool | None) -> Guides:
    files = _files(path)
    pixels = item.pixels if invert is None else replace(item.pixels, invert=invert)
    _, shape = batch_of(item.network, item.image.shape)
    pictures = np.stack([load_image(file, shape, pixels) for file, _ in files])
    labels = [label for _, label in files]
    _check_classes(item, labels, path)
    return _guides(item, pictures, labels if any(labels) else (), [f.stem for f, _ in files], path)


def _is_picture(entry: Path) -> bool:
    """Whether a file is none that is hidden, or that file managers leave behind."""
    return entry.is_file() and not entry.name.startswith(".") and entry.name.lower() not in _JUNK


def _files(path: Path) -> list[tuple[Path, str]]:
    """The pictures of a folder in order, and the class of each; empty without class folders."""
    try:
        entries = sorted(path.iterdir())
        found = [(entry, "") for entry in entries if _is_picture(entry)]
        for folder in entries:
            if folder.is_dir() and not folder.name.startswith("."):
                own = [
                    (entry, folder.name) for entry in sorted(folder.iterdir()) if _is_picture(entry)
                ]
                if not own:
                    raise ImageError(f"the folder {folder} holds no pictures: put some into it")
                found += own
    except OSError as error:
        raise ImageError(f"cannot read the folder {path}: {error.strerror}") from None
    if not found:
        raise ImageError(f"the folder {path} holds no pictures: put some into it, or into a folder")
    if len(found) > MOST_PICTURES:
        raise ImageError(
            f"the folder {path} holds {len(found):,} files: a list has room for {MOST_PICTURES}"
        )
    return found


def _of_arrays(item: TemplateNetwork, arrays: dict[str, Array], path: Path) -> Guides:
    if "pictures" not in arrays:
        names = ", ".join(sorted(arrays)) or "nothing"
        raise ImageError(f"{path} holds no array 'pictures': it holds {names}")
    pictures = arrays["pictures"]
    try:
        labels = picture_labels(arrays.get("labels"), item.drawing.classes)
    except SheetconvError as error:
        raise ImageError(f"{path}: {error}") from None
    return _guides(item, pictures, labels, (), path)


def _guides(
    item: TemplateNetwork,
    pictures: Array,
    labels: Sequence[str],
    names: Sequence[str],
    path: Path,
) -> Guides:
    _, shape = batch_of(item.network, item.image.shape)
    try:
        check_pictures(pictures, shape)
        return replace(item.guides, pictures=pictures, labels=tuple(labels), names=tuple(names))
    except SheetconvError as error:
        raise ImageError(f"{path}: {error}") from None
