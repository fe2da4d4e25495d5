"""The templates that come with sheetconv: what they say of themselves holds.

`conv-example` is held against its original in test_conv_example.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sheetconv import check, load_template
from sheetconv.layers.base import Array
from sheetconv.network_sheet import NetworkSheet
from sheetconv.template import TemplateNetwork, template_names, templates_folder
from sheetconv.workbook import build_workbook

#: Template -> which of its outputs is the image's class, and how many there are.
CLASSIFIERS = {
    "simple-cnn": (1, 2),
    "simple-cnn-wide": (4, 10),
    "lenet5": (5, 10),
    "digits": (2, 10),
    "digits-batchnorm": (3, 10),
    "two-filters": (6, 10),
}
#: Template -> its worksheets, and formula cells.
SHIPPED = {
    "digits": (["digits"], 736),
    "digits-batchnorm": (["digits-batchnorm"], 4_512),
    "edges": (["edges"], 4 * 26 * 26),
    "lenet5": (["lenet5"], 8_116),
    "multi-label": (["multi-label"], (6 + 8) * 12 * 12 + 8 + 4),
    # A mean and a variance for each plane; or for each plane of each image.
    "norms": (["batch norm", "instance norm"], 4 * 3 * 2 * 14 * 14 + 2 * 2 + 2 * 6),
    "rgb": (["rgb"], 2 * 14 * 14),
    "simple-cnn": (["simple-cnn"], 1_568),
    "simple-cnn-wide": (["simple-cnn-wide"], 6_302),
    "two-filters": (["two-filters"], 2 * 6 * 6 + 2 * 3 * 3 + 10 + 22),
    "two-strides": (["two-strides"], 2 * 14 * 14 + 2 * 7 * 7),
}


def only(name: str) -> TemplateNetwork:
    (item,) = load_template(name).networks
    return item


def output(name: str) -> Array:
    item = only(name)
    return item.network(item.image[None])[0]


def test_every_template_is_tested_here() -> None:
    assert {*SHIPPED, "conv-example"} == set(template_names())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_template_says_what_it_is(name: str) -> None:
    text = (templates_folder() / f"{name}.toml").read_text(encoding="utf-8")
    assert text.startswith("# ")
    template = load_template(name)
    assert template.title == name
    assert template.description.endswith(".")
    assert [item.drawing.worksheet for item in template.networks] == SHIPPED[name][0]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_data_holds_every_number_and_nothing_is_random(name: str) -> None:
    for item in load_template(name).networks:
        with np.load(templates_folder() / f"{name}.npz") as data:
            named = set(data.files) - {"pictures", "labels"}
            assert {"input", *item.network.state_dict()} == named
            assert all(data[key].dtype == np.float64 for key in data.files)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_built_workbook_agrees_with_numpy(name: str, tmp_path: Path) -> None:
    template = load_template(name)
    sheets = [
        NetworkSheet(item.network, item.image, item.drawing, item.guides)
        for item in template.networks
    ]
    built = build_workbook(sheets, tmp_path / f"{name}.xlsx", title=template.title)
    result = check(built.path)
    assert result.ok, result.wrong[:3]
    assert result.formula_cells == built.formula_cells
    fed = sum(
        layout.placed[tensor].size
        for item, layout in zip(template.networks, built.layouts, strict=True)
        for tensor in fed_tensors(item)
    )
    assert built.formula_cells - built.guide_cells == SHIPPED[name][1] + fed


def fed_tensors(item: TemplateNetwork) -> list[str]:
    """The tensors that a workbook of the template takes from its lists."""
    pictures = item.guides.pictures is not None and not item.drawing.is_pinned
    kernels = [f"{next(iter(item.network.layers))}.weight"] if item.guides.kernels else []
    return [*(["input"] if pictures else []), *kernels]


@pytest.mark.parametrize("name", sorted(SHIPPED.keys() - {"conv-example", "norms"}))
def test_pictures_to_choose_from_begin_with_the_template_s_own(name: str) -> None:
    (item,) = load_template(name).networks
    assert item.guides.pictures is not None
    first = 0 if name == "rgb" else 1  # the landscape itself is added
    assert len(item.guides.pictures) >= 3
    if first:
        np.testing.assert_array_equal(item.guides.pictures[0], item.image)
    if name in CLASSIFIERS:
        answers = item.network(item.guides.pictures).argmax(1)
        named = [item.drawing.classes[k] for k in answers]
        right = [a == b for a, b in zip(named, item.guides.labels, strict=True)]
        assert right.count(False) == 2


# --- Trained networks


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_knows_its_image_and_is_not_absurdly_sure(name: str) -> None:
    label, classes = CLASSIFIERS[name]
    probabilities = output(name)
    assert probabilities.shape == (classes,)
    assert probabilities.sum() == pytest.approx(1.0)
    assert 0.95 < probabilities[label] < 0.99


def test_all_four_shapes_are_found_or_missed_rightly() -> None:
    # A horizontal bar, no vertical bar, a diagonal, a dot.
    np.testing.assert_array_equal(output("multi-label").round(1), [1, 0, 1, 1])


def test_without_its_dot_the_picture_loses_that_label_alone() -> None:
    item = only("multi-label")
    image = item.image[0]
    # Rows 5 and 6, columns 9 and 10 hold the dot; what lies around is background.
    assert image[5:7, 9:11].min() > 0.6 > 0.2 > image[7:9, 9:11].max()
    image[5:7, 9:11] = image[7:9, 9:11]
    np.testing.assert_array_equal(
        item.network(item.image[None])[0] > 0.5, [True, False, True, False]
    )


@pytest.mark.parametrize("name", [*CLASSIFIERS, "multi-label"])
def test_a_cell_shows_all_of_a_trained_weight(name: str) -> None:
    for key, value in only(name).network.state_dict().items():
        np.testing.assert_array_equal(value, value.round(4 if "running" in key else 2), err_msg=key)
        assert np.unique(value).size > 1


@pytest.mark.parametrize("name", [*CLASSIFIERS, "multi-label", "two-strides", "rgb"])
def test_pixels_lie_between_0_and_1(name: str) -> None:
    image = only(name).image
    assert (image.min(), image.max()) >= (0, 0.9)
    assert image.max() <= 1


# --- Networks made by hand


def test_edges_are_those_of_the_book() -> None:
    units = output("edges")
    # The book's two examples, im3_t[4:7,6:9] and im3_t[7:10,17:20], times its top_edge.
    assert (units[0, 4, 6], units[0, 7, 17]) == (762, -29)
    # Rows 5 to 7, columns 2 to 4 of the digit are 0 12 99, 0 138 254 and 0 220 254.
    left = (12 + 138 + 220) - 0
    diagonal_1 = (99 - 12) + (138 - 0) + 0
    diagonal_2 = (0 - 12) + (138 - 254) + 254
    assert units[1:, 5, 2].tolist() == [left, diagonal_1, diagonal_2]


def test_a_unit_of_two_strides_sees_7_by_7_pixels() -> None:
    network = only("two-strides").network
    ones = {key: np.ones_like(value) for key, value in network.state_dict().items()}
    network.load_state_dict(ones)
    dots = np.eye(28 * 28).reshape(-1, 1, 28, 28)  # one bright pixel each
    seen = network(dots)[:, 0, 3, 3].reshape(28, 28) > 0
    rows, columns = np.nonzero(seen)
    # Two strides of 2 lead from unit 3 to pixel 12; a padding of 1 each, and 2 for the second.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (9, 15, 9, 15)
    assert seen.sum() == 7 * 7


def test_two_strides_has_the_image_and_kernels_of_conv_example() -> None:
    original = load_template("conv-example").networks[1]
    item = only("two-strides")
    np.testing.assert_array_equal(item.image, original.image)
    for name in ("conv1", "conv2"):
        np.testing.assert_array_equal(
            item.network.params[name]["weight"], original.network.params[name]["weight"]
        )


def test_one_kernel_of_rgb_answers_to_the_sun_and_one_to_the_horizon() -> None:
    sun, horizon = output("rgb")
    red, green, blue = only("rgb").image
    # The sun's centre is pixel (4, 11), unit (3, 10): 9 pixels of 0.1 * (red - blue).
    assert sun[3, 10] == pytest.approx(9 * 0.1 * (1.0 - 0.1)) == pytest.approx(sun.max())
    # Sky over hill, three columns: blue from 1 to 0.1, green from 0.7 to 0.6, red 0.2 below.
    assert horizon.max() == pytest.approx(3 * ((1.0 - 0.1) + (0.6 - 0.7) - 0.2))
    for i, j in zip(*np.nonzero(horizon > 1e-9), strict=True):
        window = np.s_[i : i + 3, j : j + 3]
        sky, grass = blue[window] == 1, (green[window] == 0.6) & (red[window] == 0.2)
        assert sky.any()
        assert grass.any()
    assert (horizon > 1.7).any(axis=0).sum() >= 10


def test_batch_normalisation_leaves_a_faint_digit_faint_and_instance_normalisation_does_not() -> (
    None
):
    batch, instance = (item.network(item.image) for item in load_template("norms").networks)
    for out, axes in ((batch, (0, 2, 3)), (instance, (2, 3))):
        np.testing.assert_allclose(out.mean(axes), 0, atol=1e-12)
        np.testing.assert_allclose(out.std(axes), 1, atol=1e-4)
    contrast = batch.std((2, 3))
    assert (contrast[2] < 0.7 * contrast[:2]).all()


def test_a_trained_network_says_how_good_it_is() -> None:
    for name in (*CLASSIFIERS, "multi-label"):
        text = (templates_folder() / f"{name}.toml").read_text(encoding="utf-8")
        shares = [float(share) for share in re.findall(r"(\d\d\.\d\d)%", text)]
        assert len(shares) == 1
        # Two filters cannot know as much.
        assert shares[0] > (93 if name == "two-filters" else 97)
