"""Pictures of a measurement: what is drawn is what was measured, in words, and nothing is cut off."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.measuring import Measurement
from chiasm.measuring.drawing import KINDS, draw
from chiasm.pictures.bands import Band, bands
from chiasm.pictures.page import asset
from chiasm.pictures.style import BLUE, DEPTHS, VERMILLION, png, svg, tail, theme
from chiasm.pictures.tile import tiles
from chiasm.pictures.triangle import CORNERS, places
from tests.measured_units import measured, mixed, weights
from tests.test_report_figures import clipped, texts

LONG = "encoder_of_a_model_with_names_that_never_end_and_go_on"


def columns(a: Tensor, b: Tensor) -> Tensor:
    """Two channels of 3 x 4 places: the first column hears left only, the last one right only; one place is dead."""
    w = torch.tensor([1.0, 0.75, 0.25, 0.0])
    made = (w * a + (1 - w) * b)[:, None, None].repeat(1, 2, 3, 1)
    made[:, :, 2, 3] = 0
    return made


def tokens(a: Tensor, b: Tensor) -> Tensor:
    """Six tokens of two channels: the first hears left only, the last right only, the third nothing."""
    w = torch.linspace(1, 0, 6)[None, :, None]
    made = (w * a[:, None] + (1 - w) * b[:, None]).repeat(1, 1, 2)
    made[:, 2] = 0
    return made


SCENES: dict[str, Callable[[], tuple[Measurement, str | None]]] = {
    "layers": lambda: (measured({"fusion": mixed, LONG: weights(64), "trunk": weights(400)}), None),
    "plane": lambda: (measured({LONG: mixed}), "plane"),
    "many planes": lambda: (measured({f"layer_{i}": mixed for i in range(14)}), "plane"),
    "many layers": lambda: (measured({f"layer_{i}": mixed for i in range(30)}), "ridgeline"),
    "one unit": lambda: (measured({"fusion": lambda a, b: a}), None),
    "one unit, ridge": lambda: (measured({"fusion": lambda a, b: a}), "ridgeline"),
    "dead": lambda: (measured({"fusion": lambda a, b: 0 * mixed(a, b)}), None),
    "dead ridges": lambda: (measured({"fusion": lambda a, b: 0 * mixed(a, b)}), "ridgeline"),
    "dead triangle": lambda: (measured({"fusion": lambda *x: 0 * x[0]}, 3), None),
    "dead shares": lambda: (measured({"fusion": lambda *x: 0 * x[0]}, 3), "shares"),
    "5000 units": lambda: (measured({"fusion": weights(5000)}, anchors=64), "plane"),
    "5000 in a triangle": lambda: (measured({"fusion": weights(5000, 3)}, 3, anchors=64), None),
    "5000 ridges": lambda: (measured({"fusion": weights(5000)}, anchors=64), "ridgeline"),
    "triangles": lambda: (measured({"fusion": weights(60, 3), LONG: weights(60, 3)}, 3), None),
    "shares": lambda: (measured({"fusion": weights(60, 6)}, 6), None),
    "two shares": lambda: (measured({"fusion": mixed}), "shares"),
    "long sources": lambda: (measured({"fusion": mixed}, ["the_left_eye_of_the_animal", "its_right_eye"]), None),
    "three long sources": lambda: (
        measured({"fusion": weights(9, 3)}, ["the_left_eye_of_it", "the_right_eye_of_it", "a_sound_from_the_side"]),
        None,
    ),
    "map": lambda: (measured({"fusion": columns}, per="position"), "map"),
    "tokens": lambda: (measured({"fusion": tokens}, per="position"), "map"),
    "thin map": lambda: (measured({LONG: lambda a, b: columns(a, b).repeat(1, 1, 1, 16)}, per="position"), "map"),
    "few anchors": lambda: (measured({"fusion": mixed, "b": mixed}, anchors=4), None),
}


def words(figure: Figure) -> str:
    return " | ".join(text.get_text() for text in texts(figure))


def collisions(figure: Figure) -> list[str]:
    """Words that lie on other words, or headings that reach into axes."""
    boxes = [(text.get_text(), text.get_window_extent().padded(-1)) for text in texts(figure)]
    found = [f"{a} / {b}" for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]
    places = [axes.get_window_extent() for axes in figure.axes]
    return found + [t.get_text() for t in figure.texts if any(t.get_window_extent().overlaps(p) for p in places)]


@pytest.mark.parametrize("scene", SCENES)
def test_every_picture_says_how_it_was_measured_and_nothing_is_cut_off_or_small(scene: str) -> None:
    measurement, kind = SCENES[scene]()
    figure = draw(measurement, kind)
    told = words(figure)
    assert "product pairing" in told
    assert re.search(rf"\b{measurement.anchors} anchors a source", told)
    for layer in list(measurement.values())[:1]:
        assert re.search(rf"\b{layer.dead.sum()} (of {len(layer)} )?dead", told)
    assert not clipped(figure)
    assert min(float(text.get_fontsize()) for text in texts(figure)) >= 9
    assert not collisions(figure)
    assert "nan" not in told
    assert ("no live unit" in told) == scene.startswith("dead")


@pytest.mark.parametrize(
    ("sources", "layers", "said"),
    [(2, 1, "synergy (% of variance)"), (2, 2, "layer by layer"), (3, 2, "touch only"), (4, 1, "share of a unit's")],
)
def test_a_picture_that_fits_is_chosen(sources: int, layers: int, said: str) -> None:
    names = ["fusion", "trunk"][:layers]
    assert said in words(draw(measured(dict.fromkeys(names, weights(9, sources)), sources)))


def test_pictures_of_too_many_layers_say_which_part_is_drawn() -> None:
    m = measured({f"layer_{i}": weights(3) for i in range(30)}, anchors=16)
    assert "24 of 30 layers" in words(draw(m))
    few = draw(m, "plane")
    assert "12 of 30 layers" in words(few)
    assert len(few.axes) == 12
    assert [t for t in texts(few) if t.get_text() == "Units of layer layer_29"]  # the ends are kept


def test_a_plane_holds_every_live_unit_where_it_was_measured() -> None:
    m = measured({"fusion": mixed})
    lines = [line for line in draw(m, "plane").axes[0].get_lines() if line.get_linestyle() == "None"]
    drawn = np.concatenate([np.asarray(line.get_xydata()) for line in lines])
    layer = m["fusion"]
    truth = np.stack([layer.rsv()[:4], layer.synergy()[:4]], 1)
    np.testing.assert_array_equal(drawn[drawn[:, 0].argsort()], truth[truth[:, 0].argsort()])
    blue = next(line for line in lines if len(np.asarray(line.get_xdata())) and line.get_marker() == "o")
    assert np.asarray(blue.get_xdata())[0] == pytest.approx(1)  # the unit of left alone


def test_ridges_stand_at_their_units_with_their_mean_and_its_interval() -> None:
    m = measured({"a": lambda a, b: a, "b": mixed})
    axes = draw(m, "ridgeline").axes[0]
    bars = [line for line in axes.get_lines() if line.get_linewidth() == 2]
    assert [float(np.asarray(bar.get_xdata())[0]) for bar in bars] == pytest.approx([1, m["b"].mean_rsv()])
    spans = [line for line in axes.get_lines() if line.get_linewidth() == 4]
    assert np.asarray(spans[1].get_xdata()) == pytest.approx(m["b"].interval("mean_rsv"))
    ticks = [np.sort(np.asarray(line.get_xdata(), float)) for line in axes.get_lines() if line.get_marker() == "|"]
    assert ticks[1] == pytest.approx(np.sort(m["b"].rsv()[:4]))
    left, right = axes.collections[:2]
    assert [to_hex(np.atleast_2d(c.get_facecolor())[0]) for c in (left, right)] == [VERMILLION, BLUE]
    assert left.get_paths()[0].get_extents().x1 <= 0 <= right.get_paths()[0].get_extents().x0
    assert "mean +1.00, 0 of 1 dead" in words(draw(m, "ridgeline"))


def test_a_ridge_of_shares_lies_on_its_own_axis() -> None:
    with theme():
        figure, (cell,) = tiles(1, 3)
        axes = cell.axes(0.2, 0.2, 0.2, 0.2)
        bands(axes, [Band("a", np.full(50, 0.25), "", None, ("#000000", "#000000"))], 0, 0.5, 1)
    ridge = max(axes.get_lines(), key=lambda line: len(np.asarray(line.get_xdata())))
    x, y = np.asarray(ridge.get_xydata()).T
    assert x[np.argmax(y)] == pytest.approx(0.25, abs=0.005)  # half a step of the grid
    assert not figure.texts


def test_a_unit_stands_in_the_corner_of_the_only_source_that_moves_it() -> None:
    m = measured({"fusion": lambda a, b, c: torch.cat([a, b, c, a * b, a + b + c], 1)}, 3)
    axes = draw(m).axes[0]
    dots = [np.asarray(line.get_xydata()) for line in axes.get_lines() if line.get_marker() == "o"]
    assert [len(some) for some in dots] == [4, 0, 0, 1]  # the product alone needs several sources
    np.testing.assert_allclose(dots[0][:3], CORNERS, atol=1e-9)
    assert dots[3][0] == pytest.approx([0.5, 0], abs=0.1)  # halfway between left and right, but for sampling
    assert dots[0][3] == pytest.approx(CORNERS.mean(0), abs=0.1)
    cross = next(line for line in axes.get_lines() if line.get_marker() == "+")
    assert np.asarray(cross.get_xydata())[0] == pytest.approx(places(m["fusion"].mean_share()[:, None])[0])
    below = {t.get_text(): t.get_window_extent().y0 for t in texts(axes.figure)}  # type: ignore[arg-type]
    assert below["touch only"] > below["left only"]


def test_a_map_shows_the_mean_over_live_channels_and_hatches_what_is_dead() -> None:
    m = measured({"fusion": columns}, per="position")
    shown = draw(m, "map").axes[0].get_images()[0]
    ends = [to_hex(shown.to_rgba(x)) for x in (-1.0, 1.0)]  # type: ignore[arg-type]
    assert ends == [VERMILLION, BLUE]  # right only, left only
    image: np.ma.MaskedArray[Any, Any] = np.ma.asarray(shown.get_array())
    w = np.array([1, 0.75, 0.25, 0])
    truth = (w**2 - (1 - w) ** 2) / (w**2 + (1 - w) ** 2)
    assert image.mask.tolist() == [[False] * 4, [False] * 4, [False] * 3 + [True]]
    np.testing.assert_allclose(image[0], truth, atol=0.1)  # 256 anchors: an error of .06 at RSV 0
    np.testing.assert_allclose(image[0, [0, 3]], [1, -1], atol=1e-6)
    told = words(draw(m, "map"))
    assert "2 × 3 × 4 units, 2 dead" in told
    assert "position explains 100 %" in told
    assert "left only" in told


def test_a_line_over_tokens_breaks_where_all_are_dead() -> None:
    m = measured({"fusion": tokens}, per="position")
    figure = draw(m, "map")
    means = next(x for x in figure.axes[0].get_lines() if len(np.asarray(x.get_xdata())) == 6)
    y = np.asarray(means.get_ydata(), float)
    assert np.isnan(y).tolist() == [False, False, True, False, False, False]
    np.testing.assert_allclose(y[[0, 5]], [1, -1], atol=1e-6)
    assert "+1: left only" in words(figure)


@pytest.mark.parametrize(
    ("sources", "kind", "layers", "said"),
    [
        (2, "violin", None, "unknown kind of picture 'violin'.*ridgeline"),
        (2, "triangle", None, "3 sources and this measurement has 2 .left and right.; expected 'ridgeline'.*'map'"),
        (3, "plane", None, "2 sources and this measurement has 3.*expected 'triangle' or 'shares'"),
        (2, "map", None, "'fusion' have no places.*per='position'"),
        (2, None, "trunk", "unknown layer 'trunk'"),
        (2, None, [], "no layer to draw"),
    ],
)
def test_mistakes_are_told_in_one_sentence(sources: int, kind: str | None, layers: str | None, said: str) -> None:
    m = measured({"fusion": weights(3, sources)}, sources, anchors=16)
    with pytest.raises(ChiasmError, match=said) as error:
        draw(m, kind, layers)
    assert "\n" not in str(error.value)


def test_one_layer_of_several_is_drawn_by_name() -> None:
    m = measured({"fusion": mixed, "trunk": weights(9)})
    assert "Units of layer trunk" in words(draw(m, layers="trunk"))
    assert len(draw(m, "plane", ["trunk"]).axes) == 1
    assert words(m.plot("plane", "trunk")) == words(draw(m, "plane", "trunk"))


@pytest.mark.parametrize("kind", [kind for kind, sources in KINDS.items() if sources != 3])
def test_pictures_are_the_same_bytes_each_time_whatever_the_users_settings(kind: str) -> None:
    m = measured({"fusion": columns}, per="position")

    def made() -> tuple[bytes, str]:
        with theme():
            return png(figure := draw(m, kind)), svg(figure)

    before = made()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": None}):
        assert made() == before
        assert mpl.rcParams["font.size"] == 30  # and they are put back


def test_a_notebook_shows_a_picture_without_pyplot() -> None:
    figure = draw(measured({"fusion": mixed}))
    assert vars(figure)["_repr_png_"]().startswith(b"\x89PNG")
    again = pickle.loads(pickle.dumps(figure))
    assert vars(again)["_repr_png_"]().startswith(b"\x89PNG")


def luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_synergy_is_a_ramp_of_lightness_on_light_and_dark_pages() -> None:
    css = asset("page.css")
    ramps = [re.findall(r"--depth-\d: (#\w+)", part) for part in css.split("@media")[:2]]
    assert tuple(ramps[0]) == DEPTHS
    light, dark = ([luminance(colour) for colour in ramp] for ramp in ramps)
    # Steps of a quarter of the luminance and more are told apart without any sense of hue.
    assert all(b < 0.75 * a for a, b in pairwise(light))
    assert all(b > 1.33 * a for a, b in pairwise(dark))
    assert (dark[0] + 0.05) / (luminance("#1a2028") + 0.05) > 3  # seen on the dark page


def test_long_names_keep_their_ends() -> None:
    assert tail("fusion", 10) == "fusion"
    assert tail("model.encoder.layers.11.mlp.act", 16) == "…11.mlp.act"
    for longest in range(4, 40):
        assert len(tail("model.encoder.layers.11.mlp.act_function", longest)) <= longest
