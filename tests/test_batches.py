"""Images as users give them: which arrays are one image, which several, in every command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sheetconv as sc
from sheetconv.batches import as_batch, batch_of
from sheetconv.budget import budget
from sheetconv.errors import ShapeError
from sheetconv.layers import Layer
from sheetconv.network_sheet import NetworkSheet
from sheetconv.own_data import with_images
from sheetconv.template import load_template

TEMPLATE = """
format = 1
[[networks]]
worksheet = "rows"
input = [4]
batch = 3
layers = [{ type = "Linear", in_features = 4, out_features = 2 }]
"""


@pytest.mark.parametrize(
    ("layers", "given", "batch", "shape"),
    [
        ([sc.Conv2d(1, 1, 3)], (6, 5), 1, (1, 6, 5)),
        ([sc.Conv2d(6, 1, 3)], (6, 5, 5), 1, (6, 5, 5)),
        ([sc.Conv2d(1, 1, 3)], (2, 1, 6, 5), 2, (1, 6, 5)),
        ([sc.Linear(5, 1)], (5,), 1, (5,)),
        ([sc.Linear(5, 1)], (6, 5), 6, (5,)),
        ([sc.ReLU(), sc.Softmax()], (6, 5), 6, (5,)),
        # Both would do: an image.
        ([sc.ReLU()], (6, 5), 1, (1, 6, 5)),
        ([sc.Flatten(), sc.Linear(30, 1)], (6, 5), 1, (1, 6, 5)),
        # Neither does: the network says why.
        ([sc.Linear(4, 1)], (6, 5), 1, (1, 6, 5)),
    ],
)
def test_an_array_is_one_image_or_several(
    layers: list[Layer], given: tuple[int, ...], batch: int, shape: tuple[int, ...]
) -> None:
    network = sc.Sequential(*layers)
    assert batch_of(network, given) == (batch, shape)
    numbers = np.arange(float(np.prod(given))).reshape(given)
    np.testing.assert_array_equal(as_batch(network, numbers), numbers.reshape(batch, *shape))


@pytest.mark.parametrize("shape", [(), (0, 6), (1, 1, 1, 6, 6)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="the image has shape"):
        batch_of(sc.Sequential(sc.ReLU()), shape)


def test_rows_of_features_cost_and_count_as_they_are_built(tmp_path: Path) -> None:
    (tmp_path / "rows.toml").write_text(TEMPLATE)
    (item,) = load_template(tmp_path / "rows.toml").networks
    built = sc.build(item.network, tmp_path / "a.xlsx", image=item.image, drawing=item.drawing)
    found = budget([NetworkSheet(item.network, item.image, item.drawing)])
    assert (found.formula_cells, found.number_cells) == (built.formula_cells, built.number_cells)
    assert sc.summarize(item.network, item.image.shape).layers[-1].output_shape == (3, 2)


def test_rows_of_features_give_way_to_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "rows.toml").write_text(TEMPLATE)
    (tmp_path / "a.csv").write_text("1,2,3,4\n")
    template = load_template(tmp_path / "rows.toml")
    (item,) = with_images(template, [tmp_path / "a.csv"] * 2).networks
    assert item.image.tolist() == [[1, 2, 3, 4]] * 2
    built = sc.build(item.network, tmp_path / "a.xlsx", image=item.image, drawing=item.drawing)
    assert built.layouts[0].batch == 2
