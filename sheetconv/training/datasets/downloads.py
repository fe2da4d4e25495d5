"""Files of known data sets from the internet: each checked, and kept for the next time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ...errors import DataError

# Seconds until a connection stands, and between two pieces of a file.
_PATIENCE = (10, 60)
_PIECE = 2**16


@dataclass(frozen=True, slots=True)
class Published:
    """Files that several places publish.

    Attributes:
        name: of the data set.
        mirrors: addresses that end in a slash; they are tried in this order.
        hashes: file name -> SHA-256 of the file, in hexadecimal.
    """

    name: str
    mirrors: tuple[str, ...]
    hashes: Mapping[str, str]


def cache_folder() -> Path:
    """Where files are kept: the system's folder for what can be downloaded again."""
    import pooch

    return Path(pooch.os_cache("sheetconv"))


def fetch(published: Published, files: Sequence[str], *, download: bool = True) -> Path:
    """The folder in which some files of a data set are kept, downloaded where they are missing.

    A file that arrived whole stays, so that after an interruption only the others are
    downloaded. One that was changed since is downloaded again.

    Args:
        published: the data set.
        files: names of its files.
        download: whether what is missing is downloaded. Default True.

    Raises:
        DataError: a file is missing and no mirror can be reached, or none has the file that
            was published; or it cannot be written.
    """
    folder = cache_folder() / published.name
    missing = [name for name in files if not _is_whole(folder / name, published.hashes[name])]
    if missing and not download:
        raise DataError(
            f"{published.name} is not on this computer, and download is off: "
            f"{_by_hand(published, files)}"
        )
    for name in missing:
        _download(published, name, folder, files)
    return folder


def _is_whole(path: Path, known: str) -> bool:
    from pooch import file_hash

    return path.is_file() and file_hash(str(path), alg="sha256") == known


def _download(published: Published, name: str, folder: Path, files: Sequence[str]) -> None:
    import pooch
    import requests
    from tqdm import tqdm

    failures = []
    for mirror in published.mirrors:
        try:
            # Without a terminal there is no bar. Pooch sets the total, and asks a bar first
            # whether it is true, which one without a total cannot say.
            with tqdm(
                total=1, unit="B", unit_scale=True, desc=name, leave=False, disable=None
            ) as bar:
                pooch.retrieve(
                    mirror + name,
                    known_hash=f"sha256:{published.hashes[name]}",
                    fname=name,
                    path=folder,
                    downloader=pooch.HTTPDownloader(
                        progressbar=bar, chunk_size=_PIECE, timeout=_PATIENCE
                    ),
                )
            return
        except requests.RequestException as error:
            failures.append(f"{urlsplit(mirror).netloc} {_reason(error)}")
        except ValueError:
            failures.append(f"{urlsplit(mirror).netloc} has another file (of another SHA-256)")
        except OSError as error:
            raise DataError(
                f"cannot write {name} into {folder}: {error.strerror or error}"
            ) from None
    raise DataError(
        f"cannot download {name} of {published.name}: {', '.join(failures)}: with a connection try "
        f"again, or {_by_hand(published, files)}"
    )


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answers {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "does not answer in time"
    return "cannot be reached"


def _by_hand(published: Published, files: Sequence[str]) -> str:
    return (
        f"put {', '.join(files)} from {published.mirrors[0]} into a folder and give it with "
        "--data-dir (in Python data_dir=...)"
    )
