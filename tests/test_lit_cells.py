"""What lights up in a real spreadsheet program: LibreOffice chooses, calculates and draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sheetconv as sc
from sheetconv.calculators import Engine
from sheetconv.calculators.office import Office
from sheetconv.cells import Cell, Range
from sheetconv.drawing import Drawing
from sheetconv.formulas import Placed
from sheetconv.guides.receptive_field import ReceptiveFieldGuide
from sheetconv.network_sheet import NetworkSheet
from sheetconv.palette import LIT, RIGHT, WRONG
from sheetconv.rendering.pages import MARGIN, corners, draw, print_pages
from sheetconv.template import load_template
from sheetconv.tensor_cells import read_descriptions
from sheetconv.tracing.colours import rgb
from sheetconv.workbook import build_workbook

DPI = 240
PIXELS_PER_UNIT = DPI / 2540


class Screen:
    """A worksheet that LibreOffice shows."""

    def __init__(self, office: Office, area: Range) -> None:
        self.office, self.area = office, area

    def put(self, cell: Cell, value: str | float) -> None:
        place = Range(cell.sheet, cell.row, cell.column)
        self.office.call("write", "set", *corners(place), [[value]])

    def draw(self) -> None:
        """Draw it again, without its digits."""
        looks = self.office.call("look", "page", "looks", *corners(self.area))
        self.office.call("blank", "page", "blank", looks["heights"], *corners(self.area))
        self.office.call("calculate", "page", "calculate")
        (page,) = print_pages(self.office, [self.area])
        self.picture = np.asarray(draw(page, DPI)).astype(int)
        self.x = (np.cumsum([MARGIN, *looks["widths"]]) * PIXELS_PER_UNIT).astype(int)
        self.y = (np.cumsum([MARGIN, *looks["heights"]]) * PIXELS_PER_UNIT).astype(int)

    def is_near(self, place: tuple[slice, slice], colour: str) -> bool:
        """Whether a pixel of the picture has a colour, nearly."""
        patch = self.picture[place]
        return bool((np.abs(patch - np.array(rgb(colour))).sum(axis=2) < 100).any())

    def is_lit(self, cell: Cell) -> bool:
        """Whether a cell has a line of the colour of lit cells on each of its four sides."""
        row, column = cell.row - self.area.row, cell.column - self.area.column
        left, right = self.x[column], self.x[column + 1]
        top, bottom = self.y[row], self.y[row + 1]
        middle = slice((top + bottom) // 2 - 1, (top + bottom) // 2 + 2)
        centre = slice((left + right) // 2 - 1, (left + right) // 2 + 2)
        sides = (
            (middle, slice(left - 4, left + 5)),
            (middle, slice(right - 4, right + 5)),
            (slice(top - 4, top + 5), centre),
            (slice(bottom - 4, bottom + 5), centre),
        )
        return all(self.is_near(side, LIT) for side in sides)

    def colour_inside(self, cell: Cell) -> tuple[int, ...]:
        row, column = cell.row - self.area.row, cell.column - self.area.column
        x = (self.x[column] + self.x[column + 1]) // 2
        y = (self.y[row] + self.y[row + 1]) // 2
        return tuple(self.picture[y, x].tolist())


def lit(screen: Screen, placed: Placed) -> np.ndarray:
    """Which units of a tensor light up, in its shape."""
    cells = [cell for grid in placed.grids for cell in grid.cells()]
    return np.array([screen.is_lit(cell) for cell in cells]).reshape(placed.shape)


def expected(guide: ReceptiveFieldGuide, unit: str, number: int) -> np.ndarray:
    """Which units of the tensor of that number should."""
    step = guide.chain.steps[number]
    mask = np.zeros((guide.layout.batch, *step.shape), dtype=bool)
    spans = guide.chain.spans(unit)[number]
    ranges = [slice(spans[k] - 1, spans[k + 1]) if spans[k] else slice(0) for k in (0, 2, 4, 6)]
    mask[tuple(ranges)] = True
    return mask.reshape(guide.layout.placed[step.name].shape)


@pytest.mark.usefixtures("libreoffice")
@pytest.mark.parametrize(("aligned", "images"), [(False, 1), (True, 1), (False, 2), (True, 3)])
def test_what_a_unit_sees_is_framed_and_nothing_else(
    aligned: bool, images: int, tmp_path: Path
) -> None:
    network = sc.Sequential(
        sc.Conv2d(1, 2, 3, stride=2, padding=1),
        sc.ReLU(),
        sc.MaxPool2d(2),
        sc.Conv2d(2, 2, 2, groups=2),
        sc.Flatten(),
        sc.Linear(8, 2),
    )
    drawing = Drawing(aligned=frozenset({"maxpool1"} if aligned else ()))
    image = np.random.default_rng(0).random((images, 1, 12, 12)) + 0.5
    built = sc.build(network, tmp_path / "a.xlsx", image=image, drawing=drawing, guides=True)
    (guide,) = (
        g for g in read_descriptions(built.path)[0].guides if isinstance(g, ReceptiveFieldGuide)
    )
    place = next(guide.given()["unit"].grid.cells())
    area = Range("network", 0, 0, 40 * images, 60)
    compared = 0
    with Office(built.path, 120.0) as office:
        screen = Screen(office, area)
        units = [guide.suggestions[0], guide.suggestions[2], guide.suggestions[3], "nonsense"]
        last = guide.chain.steps[2].grids[-1]
        for unit in [*units, last.cell(last.height - 1, 0).a1]:
            screen.put(place, unit)
            screen.draw()
            for number, step in enumerate(guide.chain.steps):
                wanted = expected(guide, unit, number)
                found = lit(screen, guide.layout.placed[step.name])
                np.testing.assert_array_equal(found, wanted, err_msg=f"{unit}: {step.name}")
                compared += int(wanted.sum())
            # The heat map shows through, framed or not: no pixel here is zero, which is white.
            pixels = [cell for grid in guide.layout.placed["input"].grids for cell in grid.cells()]
            assert all(screen.colour_inside(cell) != (255, 255, 255) for cell in pixels)
    assert compared > 100


@pytest.mark.usefixtures("libreoffice")
def test_the_chosen_picture_and_its_verdict_are_drawn(tmp_path: Path) -> None:
    item = load_template("digits").networks[0]
    sheet = NetworkSheet(item.network, item.image, item.drawing, item.guides)
    built = build_workbook([sheet], tmp_path / "a.xlsx")
    bank = item.guides.pictures
    assert bank is not None
    says = item.network(bank).argmax(1)
    right = [str(said) == label for said, label in zip(says, item.guides.labels, strict=True)]
    layout = built.layouts[0]
    (plane,) = layout.placed["input"].grids
    with Office(built.path, 120.0) as office:
        screen = Screen(office, Range("digits", 0, 0, 20, 40))
        for number in (right.index(True), right.index(False)):
            screen.put(Cell("digits", 1, 4), f"no. {number + 1} ({item.guides.labels[number]})")
            screen.draw()
            colour = rgb(RIGHT if right[number] else WRONG)
            assert screen.colour_inside(Cell("digits", 1, 20)) == colour
            # Darker where the picture is: the more, the less red.
            shades = np.array([255 - screen.colour_inside(cell)[0] for cell in plane.cells()])
            pixels = bank[number].reshape(-1)
            assert np.corrcoef(shades, pixels)[0, 1] > 0.999
            assert set(shades[pixels == 0].tolist()) == {0}


@pytest.mark.usefixtures("libreoffice")
def test_lists_and_limits_are_libreoffice_s_own(
    tmp_path: Path, libreoffice: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads each validation as it is meant, and where its list stands."""
    from sheetconv.calculators import office as module

    item = load_template("edges").networks[0]
    sheet = NetworkSheet(item.network, item.image, item.drawing, item.guides)
    built = build_workbook([sheet], tmp_path / "a.xlsx")
    server = Path(__file__).with_name("uno_validations.py")
    monkeypatch.setattr(module, "_SERVER", server)
    with libreoffice.open(built.path) as book:

        def rule(name: str, row: int, column: int) -> list[object]:
            found = book._call("ask", "validation", name, column, row)  # type: ignore[attr-defined]
            assert isinstance(found, list)
            return found

        assert rule("edges", 1, 4) == ["LIST", "$pictures.$B$8:$B$19", "0", True]
        assert rule("edges", 2, 4)[0] == "LIST"
        assert rule("edges", 2, 4)[3] is False
        assert rule("edges", 8, 31) == ["LIST", "$kernels.$B$8:$B$25", "0", True]
        assert rule("matrix", 3, 3) == ["WHOLE", "1", "23", True]
        assert rule("pictures", 10, 6)[0] == "DECIMAL"
        assert rule("edges", 30, 30) == ["ANY", "", "", False]
