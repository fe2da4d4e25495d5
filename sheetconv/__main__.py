"""`python -m sheetconv`."""

from .cli import main

main()
