"""The two commands of the README as whole processes, beside starting Python and its imports.

The peer of `build` is openpyxl reading the same workbook once, that of `check` twice (a
check needs formulas and values), each in a process of its own.

    python benchmarks/whole_process.py [--runs 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def timed(command: list[str], folder: Path, runs: int) -> float:
    """The median seconds of a command."""
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    sheetconv = [sys.executable, "-m", "sheetconv"]
    book = "conv-example.xlsx"
    load = f"import openpyxl; openpyxl.load_workbook({book!r})"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = timed([*sheetconv, "build", "conv-example", "--force"], folder, runs)
        check = timed([*sheetconv, "check", book], folder, runs)
        once = timed([sys.executable, "-c", load], folder, runs)
        twice = timed([sys.executable, "-c", f"{load}; {load}"], folder, runs)
        numpy = timed([sys.executable, "-c", "import numpy"], folder, runs)
        size = (folder / book).stat().st_size
    print(f"python -c 'import numpy'                       {numpy:.2f} s")
    print(f"sheetconv build conv-example                   {build:.2f} s  {size:,} bytes")
    print(f"openpyxl, load the result                      {once:.2f} s  {once / build:.1f}x build")
    print(f"sheetconv check, IronCalc and its probes       {check:.2f} s")
    print(
        f"openpyxl, load formulas and values             {twice:.2f} s  {twice / check:.1f}x check"
    )


if __name__ == "__main__":
    main()
