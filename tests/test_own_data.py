"""The user's own image and weights in a template: all of its networks take them, or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sheetconv import Linear, Sequential, load_image, load_template
from sheetconv.errors import ImageError, ShapeError
from sheetconv.own_data import batch_changes, load_into, with_images
from sheetconv.template import Template

TWO = """\
format = 1
[[networks]]
worksheet = "first"
input = [1, 4, 4]
layers = [{ type = "Flatten" }, { type = "Linear", in_features = 16, out_features = 1 }]
[networks.pixels]
invert = true
[[networks]]
worksheet = "second"
input = [3, 2, 2]
layers = [{ type = "Flatten" }, { type = "Linear", in_features = 12, out_features = 1 }]
"""


@pytest.fixture
def template(tmp_path: Path) -> Template:
    (tmp_path / "two.toml").write_text(TWO)
    return load_template(tmp_path / "two.toml")


def picture(folder: Path, grey: int) -> Path:
    path = folder / f"{grey}.png"
    Image.new("L", (8, 8), grey).save(path)
    return path


def test_each_network_takes_a_picture_in_its_own_shape_and_scale(
    template: Template, tmp_path: Path
) -> None:
    first, second = with_images(template, [picture(tmp_path, 51)]).networks
    np.testing.assert_allclose(first.image, np.full((1, 4, 4), 0.8))
    np.testing.assert_allclose(second.image, np.full((3, 2, 2), 0.2))
    assert first.network is template.networks[0].network
    assert first.image is not template.networks[0].image


def test_the_callers_word_on_inversion_is_the_last(template: Template, tmp_path: Path) -> None:
    for invert, expected in ((True, 0.8), (False, 0.2)):
        for item in with_images(template, [picture(tmp_path, 51)], invert).networks:
            np.testing.assert_allclose(item.image, expected)


def test_several_images_are_stacked_in_their_order(template: Template, tmp_path: Path) -> None:
    paths = [picture(tmp_path, grey) for grey in (0, 51, 255)]
    first, second = with_images(template, paths).networks
    assert (first.image.shape, second.image.shape) == ((3, 1, 4, 4), (3, 3, 2, 2))
    for number, path in enumerate(paths):
        np.testing.assert_array_equal(second.image[number], load_image(path, (3, 2, 2)))


@pytest.mark.parametrize("shape", [(1, 2, 3), (7, 1, 2, 3), (6,), (7, 6)])
def test_the_templates_own_may_be_several_images(
    shape: tuple[int, ...], template: Template, tmp_path: Path
) -> None:
    item = replace(template.networks[0], image=np.zeros(shape))
    if len(shape) < 3:
        item = replace(item, network=Sequential(Linear(6, 1)))
    own = np.arange(6.0).reshape((1, 2, 3) if len(shape) > 2 else (6,))
    np.save(tmp_path / "x.npy", own)
    (got,) = with_images(replace(template, networks=(item,)), [tmp_path / "x.npy"]).networks
    np.testing.assert_array_equal(got.image, own)


def test_an_image_that_one_network_cannot_take_is_refused(
    template: Template, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 4)))
    with pytest.raises(ImageError, match=r"^worksheet 'second': .*x\.npy has shape \(4, 4\)"):
        with_images(template, [tmp_path / "x.npy"])


def test_weights_that_one_network_cannot_take_go_into_none(
    template: Template, tmp_path: Path
) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, **{"0.weight": np.zeros((1, 16)), "0.bias": np.zeros(1)})
    with pytest.raises(ShapeError, match=r"^worksheet 'second': .*w\.npz: .* expects \(1, 12\)"):
        load_into(template, path)
    assert template.networks[0].network.params["dense1"]["weight"].any()
    # The first network by itself takes them.
    load_into(Template("", "", "", template.networks[:1]), path)
    assert not template.networks[0].network.params["dense1"]["weight"].any()


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (2, 1, ["a: 1 image of your own, in place of the template's 2: its batch is 1"]),
        (1, 3, ["a: 3 images of your own, in place of the template's 1: its batch is 3"]),
        (2, 2, []),
    ],
)
def test_another_number_of_images_is_said(
    before: int, after: int, lines: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.toml"
    head = f'format = 1\n[[networks]]\ninput = [1, 4, 4]\nbatch = {before}\nworksheet = "a"'
    path.write_text(head + '\nlayers = [{ type = "ReLU" }]\n')
    own = load_template(path.with_name("a.toml"))
    with_own = with_images(own, [picture(tmp_path, 51)] * after)
    assert batch_changes(own, with_own) == lines
