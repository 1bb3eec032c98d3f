"""Pictures contain the right numbers; figures have the axes, curves and labels that the text mentions."""

import matplotlib as mpl
import numpy as np
import pytest
import torch

mpl.use("agg")

from matplotlib.axes import Axes

from toykit import datasets, plots
from toykit._shared.palette import LINE_COLORS, voc_palette
from toykit.experiments.optimality import to_optimum
from toykit.plots.grid import HIGHEST
from toykit.potts import RELAXATIONS


@pytest.fixture(params=[False, True], ids=["plain", "styled"])
def _styled(request):
    """Use matplotlib's settings once and the project's once: a figure must not depend on them."""
    if request.param:
        plots.style()


def test_the_palette_is_vocs():
    expected = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert (voc_palette(5) * 255).round().astype(int).tolist() == expected
    assert (voc_palette(21)[20] * 255).round().astype(int).tolist() == [0, 64, 128]
    assert (voc_palette(256)[255] * 255).round().astype(int).tolist() == [224, 224, 192]
    assert len(np.unique(voc_palette(256), axis=0)) == 256
    with pytest.raises(ValueError, match="expected 1 to 256"):
        voc_palette(257)


def test_soft_colors_are_convex_combinations():
    y = torch.rand(4, 3, 5, generator=torch.Generator().manual_seed(0)).softmax(0)
    picture, colors = plots.soft_colors(y), voc_palette(4)
    assert picture.shape == (3, 5, 3)
    assert picture[1, 2] == pytest.approx(sum(float(y[k, 1, 2]) * colors[k] for k in range(4)), abs=1e-6)
    assert np.array_equal(plots.soft_colors(y[None]), picture)
    best = int(y[:, 1, 2].argmax())
    assert (plots.hard_colors(y)[1, 2] == plots.class_tints(4)[best]).all()
    assert (plots.hard_colors(y * 0) == plots.class_tints(4)[0]).all()  # the first of equals
    assert (plots.hard_colors(y, colors)[1, 2] == colors[best]).all()
    with pytest.raises(ValueError, match=r"labels: expected \(K, H, W\)"):
        plots.soft_colors(torch.rand(2, 4, 3, 5))


def test_entropy_map_is_a_share():
    y = torch.tensor([[[1.0, 0.5, 0.25]], [[0.0, 0.5, 0.25]], [[0.0, 0.0, 0.25]], [[0.0, 0.0, 0.25]]])
    assert plots.entropy_map(y)[0] == pytest.approx([0, 0.5, 1], abs=1e-6)


def test_seeds_lie_over_the_faded_photo():
    image, seeds = np.full((9, 9, 3), 100, np.uint8), np.full((9, 9), 255, np.uint8)
    seeds[4, 4], seeds[0, 8] = 1, 254
    picture = plots.overlay_seeds(image, seeds, 2, fade=0.5)
    assert picture[4, 4] == pytest.approx(plots.class_tints(2)[1])
    assert (picture[3, 4] == 1).all()  # the rim
    assert picture[0, 8] == pytest.approx(0.5 * 100 / 255 + 0.5)  # padding is no seed
    assert image.max() == 100  # the photo itself is left alone


def test_panels_have_titles_and_a_legend():
    picture = np.zeros((4, 6, 3))
    figure = plots.panels({"one": picture, "two": picture, "three": picture}, columns=2, legend=("cat", "dog"))
    assert [axis.get_title() for axis in figure.axes] == ["one", "two", "three", ""]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cat", "dog"]


def test_a_picture_many_times_as_high_as_wide_does_not_make_a_tower():
    figure = plots.panels({"scan": np.zeros((1000, 3, 3)), "usual": np.zeros((3, 4, 3))})
    assert figure.get_size_inches() == pytest.approx((9.5, HIGHEST + 0.3))
    assert plots.panels({"usual": np.zeros((5, 4, 3))}).get_size_inches()[1] == pytest.approx(9.5 * 5 / 4 + 0.3)


def test_names_are_written_inside_their_classes():
    ids = np.full((20, 30), 255)
    ids[2:5, 3:6], ids[10:19, 12:29] = 0, 2
    figure = plots.panels(
        {"seeds": np.ones((20, 30, 3)), "other": ids / 255}, legend=("a", "b", "c"), named={"seeds": ids}
    )
    texts = figure.axes[0].texts
    assert [text.get_text() for text in texts] == ["a", "c"]  # b is nowhere
    for text, k in zip(texts, (0, 2), strict=True):
        column, row = text.get_position()
        assert ids[round(row), round(column)] == k
    assert texts[0].get_position() == pytest.approx((4, 3))  # the middle
    assert not figure.axes[1].texts
    for wrong in ({"legend": ()}, {"named": {"seed": ids}}):
        with pytest.raises(ValueError, match="named: expected a legend and titles among"):
            plots.panels({"seeds": ids / 255}, **{"legend": ("a",), "named": {"seeds": ids}, **wrong})


@pytest.mark.usefixtures("_styled")
@pytest.mark.parametrize("classes", [2, 21, 150, 200])
@pytest.mark.parametrize("width", [2, 9.5])
def test_a_legend_of_any_length_leaves_the_pictures_their_size(classes, width):
    ids = np.arange(600).reshape(20, 30) % min(classes, 60)
    names = tuple(f"class {k}" for k in range(classes))
    colors = voc_palette(classes)
    figure = plots.panels({"mask": colors[ids]}, width=width, legend=names, colors=colors)
    figure.draw_without_rendering()
    (axis,), (legend,) = figure.axes, figure.legends
    picture, box = axis.get_window_extent(), legend.get_window_extent()
    assert picture.width > 0.85 * figure.bbox.width
    assert picture.height == pytest.approx(picture.width * 20 / 30, rel=0.01)
    assert not picture.overlaps(box)
    assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= box.y0
    texts = [text.get_window_extent() for text in legend.get_texts()]
    assert not any(a.overlaps(b) for n, a in enumerate(texts) for b in texts[:n])
    listed = [text.get_text() for text in legend.get_texts()]
    if listed != list(names):
        assert listed[-1] == f"... and {classes - len(listed) + 1} more"
        assert listed[:-1] == [f"class {k}" for k in range(len(listed) - 1)]
    assert (len(listed) == classes) == (classes == 2 or (classes == 21 and width == 9.5))


def test_a_short_legend_lists_the_classes_that_occur():
    ids, seeds = np.full((20, 30), 140), np.full((20, 30), 255)
    ids[:, :3], seeds[4, 4] = 77, 149
    names = tuple(f"class {k}" for k in range(150))
    colors = voc_palette(150)
    pictures = {"mask": colors[ids], "seeds": np.ones((20, 30, 3)), "entropy": np.zeros((20, 30))}
    listed = plots.panels(pictures, legend=names, named={"seeds": seeds}, colors=colors).legends[0].get_texts()
    assert [text.get_text() for text in listed] == ["class 77", "class 140", "class 149", "... and 147 more"]
    # tints repeat, and a colour does not tell which class it is
    pictures["mask"] = plots.class_tints(150)[ids]
    listed = plots.panels(pictures, legend=names, named={"seeds": seeds}).legends[0].get_texts()
    assert [text.get_text() for text in listed] == ["class 149", "... and 149 more"]


@pytest.mark.usefixtures("_styled")
def test_names_stay_inside_the_picture_and_clear_of_each_other():
    names = tuple(f"a long name {k}" for k in range(12))
    ids = np.full((20, 30), 255)
    for k in range(12):
        ids[3 * (k % 6), [0, 1, 2] if k < 6 else [-3, -2, -1]] = k  # at the edges, where half a name would be cut
    figure = plots.panels({"seeds": np.ones((20, 30, 3))}, width=4, legend=names, named={"seeds": ids})
    picture, texts = figure.axes[0].get_window_extent(), figure.axes[0].texts
    boxes = [text.get_window_extent() for text in texts]
    assert 6 <= len(texts) <= 12
    assert all(picture.x0 - 1 <= box.x0 and box.x1 <= picture.x1 + 1 for box in boxes)
    assert not any(a.shrunk(0.98, 0.98).overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    strip = np.zeros((20, 30), int)
    strip[:, :2] = 1  # no room for a long name but on the other class
    figure = plots.panels({"seeds": np.ones((20, 30, 3))}, width=4, legend=("a", "motorbike"), named={"seeds": strip})
    assert [text.get_text() for text in figure.axes[0].texts] == ["a"]
    figure = plots.panels(
        {"seeds": np.ones((40, 9, 3))},
        legend=("a potted plant, not a tree",),
        named={"seeds": np.zeros((40, 9), int)},
        width=1,
    )
    assert not figure.axes[0].texts  # it would be cut
    crowded = np.arange(600).reshape(20, 30) % 200
    names = tuple(f"class {k}" for k in range(200))
    figure = plots.panels({"seeds": np.ones((20, 30, 3))}, width=2, legend=names, named={"seeds": crowded})
    assert 0 < len(figure.axes[0].texts) < 200


def test_a_name_hides_as_little_of_other_strokes_as_it_can():
    """The first place that is tried, in the middle of the thickest part, lies within another class's stroke."""
    ids = np.full((60, 60), 255)
    ids[20:23, 20:23], ids[40:42, 20:50] = 0, 0
    ids[19, 10:50], ids[23, 10:50] = 1, 1
    figure = plots.panels({"seeds": np.ones((60, 60, 3))}, width=2, legend=("suit", "b"), named={"seeds": ids})
    suit, _ = figure.axes[0].texts
    assert suit.get_position()[1] > 30


def test_move_figure_checks_its_time():
    with pytest.raises(ValueError, match=r"at: expected a number in \[0, 1\], got 1.5"):
        plots.move_figure("a", at=1.5)


def test_move_figure_marks_a_time():
    plain, marked = plots.move_figure("b"), plots.move_figure("b", at=0.5)
    assert len(marked.axes[1].lines) == len(plain.axes[1].lines) + 1
    labels = [text.get_text() for text in plain.axes[1].get_legend().get_texts()]
    assert labels == ["BL", "Q", "NQ", "CCE (infinite)", "LQ (infinite at the ends)", "CD (infinite)"]
    quadratic = plain.axes[1].lines[1]
    assert quadratic.get_color() == LINE_COLORS[1]
    assert min(quadratic.get_ydata()) == pytest.approx(0.75)


def test_contours_and_surfaces_show_all_six():
    for figure in (plots.contours(), plots.surfaces()):
        assert [axis.get_title() for axis in figure.axes] == [f"$P_{{{name}}}$" for name in RELAXATIONS]
    assert len(plots.contours(("Q",), columns=1).axes) == 1
    bilinear, divergence = plots.contours(("BL", "CD"), columns=2).axes
    for axis, heights in ((bilinear, {"0.4", "0.7"}), (divergence, {"0.1", "0.4", "0.7", "1"})):
        assert {text.get_text() for text in axis.texts} == heights
        assert all(0.05 < place < 0.95 for text in axis.texts for place in text.get_position())  # clear of the frame


def test_descent_fields_point_downhill():
    figure = plots.descent_fields(("BL", "CD"), limit=2.0, columns=2)
    assert [axis.get_title() for axis in figure.axes] == ["$P_{BL}$", "$P_{CD}$"]
    bounded, logarithmic = (next(c for c in axis.collections if type(c).__name__ == "Quiver") for axis in figure.axes)
    corner = 8  # of 9 x 9: l_i = 2, l_j = -2, both pixels sure and at odds
    assert np.hypot(bounded.U[corner], bounded.V[corner]) < 0.1 < np.hypot(logarithmic.U[corner], logarithmic.V[corner])
    assert logarithmic.U[corner] < 0 < logarithmic.V[corner]  # together


def test_landscapes_mark_the_label_and_the_minimum():
    """For Q the minimum is at the label, for BL at its largest corner, C."""
    figure = plots.landscapes(torch.tensor([0.2, 0.2, 0.6]), ("BL", "Q"), columns=2)
    assert [axis.get_title() for axis in figure.axes[:2]] == ["$P_{BL}(p, q)$", "$P_{Q}(p, q)$"]
    rows = plots.landscapes(torch.tensor([0.2, 0.2, 0.6]), ("BL", "CCE"), columns=1)
    assert [axis.get_ylim()[1] for axis in rows.axes if not axis.get_title()] == [1, 2]  # each row its own colour bar
    for axis, height in zip(figure.axes[:2], (1.0, 0.6), strict=True):
        dot, low = axis.lines
        assert (dot.get_xdata()[0], dot.get_ydata()[0]) == pytest.approx((0.5, 0.6 * 3**0.5 / 2))
        assert (low.get_xdata()[0], low.get_ydata()[0]) == pytest.approx((0.5, height * 3**0.5 / 2))


def test_label_curves_are_the_loss_curves_of_the_reverse():
    forth, back = plots.loss_curves(("CE",), labels=(0.75,)), plots.label_curves(("RCE",), predictions=(0.75,))
    ours, theirs = (figure.axes[0].lines for figure in (back, forth))
    assert ours[0].get_ydata() == pytest.approx(theirs[0].get_ydata())
    assert ours[1].get_xdata() == pytest.approx(0.75)
    assert back.legends[0].get_texts()[0].get_text() == r"$\sigma$ = (0.75, 0.25)"


def test_loss_curves_follow_their_label():
    figure = plots.loss_curves(("CE", "CCE"), labels=(0.5,))
    assert [axis.get_title() for axis in figure.axes] == ["$H_{CE}$", "$H_{CCE}$"]
    flat = figure.axes[1].lines[0].get_ydata()
    assert max(flat) - min(flat) < 1e-9
    assert len(figure.axes[0].lines) == 2  # the curve and its minimum
    assert figure.axes[0].lines[1].get_xdata() == pytest.approx(0.5)


def test_convergence_curves_show_each_photo_and_the_median():
    runs = [run for name in ("chelsea", "coffee") for run in to_optimum(datasets.photo(name, 32), steps=12)]
    left, right = plots.convergence_curves(runs).axes
    assert len(left.lines) == 2 * (2 + 1)
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["gd", "adam"]
    assert len(right.lines) == 2 * (2 + 1) + 1  # and the paper's figure
    assert left.lines[0].get_ydata()[-1] == pytest.approx(float(runs[0].excess[-1]))


def test_figure_format_is_checked():
    with pytest.raises(ValueError, match="kind: expected one of png, jpeg; got 'bmp'"):
        plots.figure_format("bmp")


def test_style_changes_what_figures_look_like():
    mpl.rcParams["axes.spines.top"] = True
    plots.style()
    assert not mpl.rcParams["axes.spines.top"]


def test_the_readmes_picture_can_be_made_anew():
    from toykit.plots.overview import overview

    figure = overview("chelsea", long_side=40, part=(0.5, 0.0, 0.5))
    shown = [axis.get_images()[0].get_array() for axis in figure.axes]
    assert [axis.get_title()[:2] for axis in figure.axes[2:4]] == ["BL", "CD"]
    for whole, enlarged in zip(shown[:4], shown[4:], strict=True):
        inner = enlarged[2:-2, 2:-2]  # without the frame
        assert inner.size
        assert np.array_equal(whole[2 : 2 + len(inner), 22:-2], inner)


def test_training_curves_show_means_ranges_and_the_phases():
    def history(shift):
        mious = (None, 0.3 + shift, None, 0.6 + shift)
        return [
            {"step": 5 * (n + 1), "phase": "seeds" if n < 2 else "soft", "loss": 1.0 / (n + 1) + shift, "val_miou": m}
            for n, m in enumerate(mious)
        ]

    figure = plots.training_curves({"soft": [history(0.0), history(0.1)], "full": [history(0.2)]})
    left, right = figure.axes
    soft, full = right.lines[:2]
    assert (soft.get_label(), full.get_label()) == ("soft", "full")
    assert list(soft.get_xdata()) == [10, 20]
    assert soft.get_ydata() == pytest.approx([0.35, 0.65])
    assert left.lines[0].get_ydata() == pytest.approx([1.05, 0.55, 1 / 3 + 0.05, 0.3])
    (band,) = right.collections  # one run has no range
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (pytest.approx(0.3), pytest.approx(0.7))
    assert list(right.lines[2].get_xdata()) == [10, 10]
    never = [{"step": 1, "phase": "soft", "loss": 1.0, "val_miou": None}]
    assert not plots.training_curves({"soft": [never]}).axes[1].lines


def test_affinities_are_drawn_as_they_are_and_few_neighbours_ringed():
    image = np.zeros((9, 12, 3), np.uint8)
    few, many = torch.zeros(9, 12), torch.full((9, 12), 0.5)
    few[4, 4], few[4, 6] = 1.0, 0.5
    figure = plots.affinity_panels(image, (4, 5), {"few": few, "many": many}, window=2)
    upper, lower = figure.axes[:3], figure.axes[3:]
    assert [axis.get_title() for axis in upper] == ["photo", "few\n2 of $w > 0.01$", "many\n108 of $w > 0.01$"]
    assert np.array_equal(upper[1].images[0].get_array(), few)
    rings = upper[1].collections[0]
    assert rings.get_offsets().tolist() == [[4, 4], [6, 4]]
    assert rings.get_sizes()[0] > rings.get_sizes()[1]
    assert not upper[2].collections
    for axis in figure.axes:
        assert (axis.lines[0].get_xdata()[0], axis.lines[0].get_ydata()[0]) == (5, 4)
    assert lower[1].get_xlim() == (2.5, 7.5)
    assert lower[1].get_ylim() == (6.5, 1.5)


def test_shapes_beside_the_volume_potential():
    volumes = [0.0, 0.25, 0.5]
    curves = {"disk": torch.tensor([0, 0.1, 0.2]), "scattered": torch.tensor([0, 0.375, 0.5])}
    figure = plots.shape_curves(volumes, {"NN": curves, "DN": curves})
    assert [axis.get_title() for axis in figure.axes] == ["NN", "DN"]
    potential, disk, _ = figure.axes[1].lines
    assert potential.get_ydata() == pytest.approx([0, 0.375, 0.5])
    assert disk.get_ydata() == pytest.approx([0, 0.1, 0.2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["$2 v (1 - v)$", "disk", "scattered"]
    figure = plots.discount_curves([1, 10], {"colour bandwidth 9": [0.1, 0.5]}, "pixels")
    assert figure.axes[0].lines[1].get_ydata() == pytest.approx([0.1, 0.5])
    assert "pixels" in figure.axes[0].get_xlabel()
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["1", "10"]


def test_the_papers_eight_methods_have_lines_of_their_own(monkeypatch):
    plot, looks = Axes.plot, []
    monkeypatch.setattr(
        Axes, "plot", lambda *a, **o: (looks.append((o["color"], str(o["linestyle"]))), plot(*a, **o))[1]
    )
    rows = [{"step": step, "phase": "seeds", "loss": 1.0 / step, "val_miou": 0.1 * step} for step in (1, 2)]
    plots.training_curves({f"method {number}": [rows] for number in range(8)})
    assert len(looks) == 16  # loss and mIoU
    assert len(set(looks)) == 8
