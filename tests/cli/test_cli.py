"""The command line: arguments, output, exit codes, and the files that are written."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers.notebooks import make_notebook
from PIL import Image

import toykit.segment
from toykit import Energy, NearestNeighbors, datasets, plots, random_walker, solve
from toykit._shared.palette import voc_palette
from toykit.cli import main
from toykit.mixture_model import mixture_logits
from toykit.supervision import write_seeds

pytestmark = pytest.mark.filterwarnings("ignore::toykit.ConvergenceWarning")


def call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def files(tmp_path):
    """A small real photo and its scribbles as files, and an output folder."""
    return files_in(tmp_path)


def files_in(folder):
    sample = datasets.photo("chelsea", 48)
    Image.fromarray(sample.image).save(folder / "cat.png")
    write_seeds(folder / "seeds.png", sample.seeds)
    return sample, folder / "cat.png", folder / "seeds.png", folder / "out"


def load(output):
    with np.load(output / "cat_labels.npz") as archive:
        return torch.from_numpy(archive["labels"])[None], tuple(archive["classes"])


def test_help_and_version():
    for command in ([], ["run"], ["segment"]):
        result = call(*command, "--help")
        assert result.exit_code == 0
        assert "Usage" in result.output
    assert "0.1.0" in call("--version").output


def test_segment_replaces_neither_its_inputs_nor_files_of_others(files):
    _, image, seeds, _ = files
    drawn = seeds.rename(seeds.with_name("cat_mask.png"))
    content = drawn.read_bytes()
    result = call("segment", image, drawn, "-o", image.parent)
    assert result.exit_code == 1
    assert "cat_mask.png: a result would replace it; choose another folder (-o)" in result.output
    seeds.write_bytes(content)
    result = call("segment", image, seeds, "-o", image.parent)
    assert result.exit_code == 1
    assert "cat_mask.png: the result would replace it; choose another folder (-o)" in result.output
    assert drawn.read_bytes() == content
    assert not (image.parent / "cat_labels.npz").exists()
    for _ in range(2):  # the second time without the largest result
        assert call("segment", image, seeds, "-o", image.parent / "out").exit_code == 0
        (image.parent / "out" / "cat_labels.npz").unlink()


def test_segment_writes_labels_mask_and_picture(files):
    sample, image, seeds, output = files
    result = call("segment", image, seeds, "-o", output)
    assert result.exit_code == 0, result.output
    assert "class 1: " in result.output
    labels, classes = load(output)
    assert classes == ("class 0", "class 1", "class 2", "class 3")
    picture, seed_map = sample.tensors()
    energy = Energy(neighborhood=NearestNeighbors("auto", 8))
    expected = solve(mixture_logits(picture, seed_map, 4, energy=energy), picture, seed_map, energy).labels
    assert torch.allclose(labels, expected, atol=1e-5)
    with Image.open(output / "cat_mask.png") as mask:
        assert mask.mode == "P"
        assert np.array_equal(np.array(mask), labels[0].argmax(0).numpy())
        assert np.allclose(np.array(mask.convert("RGB")) / 255, voc_palette(4)[labels[0].argmax(0)], atol=1 / 255)
    with Image.open(output / "cat_picture.png") as overview:
        assert min(overview.size) > 300


def test_a_large_photo_is_drawn_smaller(files, monkeypatch):
    sample, image, seeds, output = files
    drawn = {}
    panels = plots.panels
    monkeypatch.setattr(plots, "panels", lambda pictures, **more: drawn.update(pictures) or panels(pictures, **more))
    monkeypatch.setattr(toykit.segment.files, "LONGEST", 20)
    assert call("segment", image, seeds, "-o", output).exit_code == 0
    height, width = sample.seeds.shape  # 48 at most: cells of 3 pixels
    assert {picture.shape[:2] for picture in drawn.values()} == {(-(-height // 3), -(-width // 3))}
    assert load(output)[0].shape[2:] == (height, width)  # the files keep their size


def test_segment_reads_json_scribbles(files):
    _, image, _, output = files
    result = call("segment", image, "data/scribbles/chelsea.json", "-o", output, "--solver", "gradient", "--steps", 5)
    assert result.exit_code == 0, result.output
    assert load(output)[1] == ("background", "cat fur", "eye", "nose")


#: A short run, which the other runs are compared with.
SHORT = ("--solver", "gradient", "--steps", 20)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The labels of the short run without other options."""
    _, image, seeds, output = files_in(tmp_path_factory.mktemp("usual"))
    result = call("segment", image, seeds, "-o", output, *SHORT)
    assert result.exit_code == 0, result.output
    return load(output)[0]


@pytest.mark.parametrize(
    "options",
    [
        ("--relaxation", "BL"),
        ("--cross-entropy", "Q"),
        ("--eta", "2"),
        ("--lambda", "1"),
        ("--bandwidth", "30"),
        ("--bandwidth", "9"),
        ("--connectivity", "4"),
        ("--optimizer", "gd"),
        ("--lr", "0.3"),
        ("--steps", "3"),
        ("--unary", "none"),
        ("--refine", "0"),
        ("--solver", "closed-form"),
        ("--solver", "graph-cut"),
        ("--solver", "mean-field"),
    ],
)
def test_each_option_of_segment_matters(files, usual, options):
    _, image, seeds, output = files
    result = call("segment", image, seeds, "-o", output, *(() if "--solver" in options else SHORT), *options)
    assert result.exit_code == 0, result.output
    assert not torch.allclose(load(output)[0], usual, atol=1e-3)


def test_closed_form_without_unary_is_gradys_random_walker(files):
    sample, image, seeds, output = files
    result = call("segment", image, seeds, "-o", output, "--solver", "closed-form", "--unary", "none")
    assert result.exit_code == 0, result.output
    picture, seed_map = sample.tensors()
    neighborhood = NearestNeighbors("auto", 8)
    logits = torch.zeros(1, 4, *seed_map.shape[1:])
    expected = random_walker(logits, picture, seed_map, eta=0.0, neighborhood=neighborhood).labels
    assert torch.allclose(load(output)[0].double(), expected, atol=1e-6)
    result = call("segment", image, seeds, "-o", output, "--solver", "closed-form", "--relaxation", "CD")
    assert result.exit_code == 1
    assert "closed form exists for" in result.output


def segment_with_logits(files, logits, steps):
    _, image, seeds, output = files
    unary = output.with_suffix(".npy")
    np.save(unary, logits)
    solver = ("--solver", "gradient", "--steps", steps)
    return call("segment", image, seeds, "-o", output, "--unary", unary, *solver)


def test_logits_of_a_network(files):
    sample, _, _, output = files
    height, width = sample.seeds.shape
    logits = np.random.default_rng(0).normal(size=(6, height, width)).astype(np.float32)
    result = segment_with_logits(files, logits, steps=5)
    assert result.exit_code == 0, result.output
    labels, classes = load(output)
    assert classes[-1] == "class 5"
    picture, seed_map = sample.tensors()
    energy = Energy(neighborhood=NearestNeighbors("auto", 8))
    expected = solve(torch.from_numpy(logits)[None], picture, seed_map, energy, "gradient", steps=5).labels
    assert torch.allclose(labels, expected, atol=1e-5)


def test_bad_files_are_named_and_nothing_is_written(files, tmp_path):
    sample, image, seeds, output = files
    height, width = sample.seeds.shape
    (tmp_path / "broken.png").write_bytes(b"x")
    write_seeds(tmp_path / "empty.png", np.full((height, width), 255, np.uint8))
    np.save(tmp_path / "small.npy", np.zeros((4, 3, 3), np.float32))
    np.save(tmp_path / "few.npy", np.zeros((2, height, width), np.float32))
    np.save(tmp_path / "nan.npy", np.full((4, height, width), np.nan, np.float32))
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.savez(tmp_path / "archive.npz", logits=np.zeros((4, height, width), np.float32))
    for arguments, message in [
        ((tmp_path / "broken.png", seeds), "broken.png: cannot be read as a picture"),
        ((image, tmp_path / "broken.png"), "broken.png: cannot be read as a PNG"),
        ((image, image), "cat.png: expected an indexed PNG"),
        ((image, tmp_path / "empty.png"), "empty.png: no pixel carries a class"),
        ((image, seeds, "--unary", tmp_path / "small.npy"), "small.npy: expected floating logits"),
        ((image, seeds, "--unary", tmp_path / "few.npy"), "with K from 4 to 254"),
        ((image, seeds, "--unary", tmp_path / "nan.npy"), "nan.npy: "),
        ((image, seeds, "--unary", tmp_path / "objects.npy"), "objects.npy: cannot be read as an NPY file"),
        ((image, seeds, "--unary", tmp_path / "absent.npy"), "absent.npy"),
        (
            (image, seeds, "--unary", tmp_path / "archive.npz"),
            "archive.npz: cannot be read as an NPY file (it is an archive",
        ),
        ((image, seeds, "--bandwidth", "-1"), "bandwidth: expected"),
        ((image, seeds, "--features", tmp_path / "absent.pt"), "absent.pt"),
    ]:
        result = call("segment", *arguments, "-o", output)
        assert result.exit_code == 1, arguments
        assert message in result.output, result.output
        assert not list(output.glob("*"))
    for arguments in (
        (image,),
        (tmp_path / "absent.png", seeds),
        (image, seeds, "--relaxation", "TV"),
        (image, seeds, "--bandwidth", "wide"),
        (image, seeds, "--solver", "closed-form", "--steps", 5),  # an option without effect
        (image, seeds, "--solver", "graph-cut", "--relaxation", "CD"),
        (image, seeds, "--unary", "none", "--eta", 0.7),
        (image, seeds, "--unary", "none", "--refine", 1),
        (image, seeds, "--unary", "none", "--features", "mobilenetv2_100"),
    ):
        assert call("segment", *arguments, "-o", output).exit_code == 2, arguments
    assert call("segment", image, seeds, "-o", seeds / "folder").exit_code == 1  # a folder that cannot be


def test_padding_is_no_part_of_the_photo(files):
    sample, image, seeds, output = files
    padded = sample.seeds.copy()
    padded[-5:] = 254
    write_seeds(seeds, padded)
    result = call("segment", image, seeds, "-o", output, "--solver", "gradient", "--steps", 5)
    assert result.exit_code == 0, result.output
    assert "Warning" not in result.output
    with Image.open(output / "cat_mask.png") as mask:
        mask = np.array(mask)
    assert (mask[-5:] == 254).all()
    assert (mask[:-5] < 4).all()
    assert f"class 1: {(mask[:-5] == 1).mean():.1%}" in result.output


def test_big_endian_logits_are_read(files):
    height, width = files[0].seeds.shape
    logits = np.random.default_rng(0).normal(size=(1, 4, height, width)).astype(">f4")
    result = segment_with_logits(files, logits, steps=2)
    assert result.exit_code == 0, result.output


def test_run_exits_with_one_if_a_notebook_fails(tmp_path):
    good = make_notebook(tmp_path / "good.ipynb", "steps = 1", "assert steps in (1, 5)")
    bad = make_notebook(tmp_path / "bad.ipynb", "smoke = True", "assert smoke")
    result = call("run", good, bad, "-o", tmp_path / "out", "-p", "steps", "5")
    assert result.exit_code == 0, result.output
    result = call("run", bad, good, "-o", tmp_path / "out", "--full")
    assert result.exit_code == 1
    assert "bad       failed" in result.output
    assert "good      ok" in result.output
    assert (tmp_path / "out" / "good.ipynb").is_file()


def test_run_refuses_before_anything_runs(tmp_path):
    path = make_notebook(tmp_path / "n.ipynb", "steps = 1")
    output = tmp_path / "out"
    for arguments, message in [
        (("-p", "stesp", "5"), "parameter 'stesp'"),
        (("-p", "steps", "many"), "parameter steps: expected int"),
        (("--in-place", "-p", "steps", "5"), "--in-place stores the default run"),
        (("-p", "steps", "5", "-p", "steps", "6"), "given twice"),
        (("--list", "-p", "steps", "5"), "--list runs nothing"),
        (("--list", "--in-place"), "leave -p, --full and --in-place out"),
        ((path,), "each notebook runs once"),
    ]:
        result = call("run", path, "-o", output, *arguments)
        assert result.exit_code == 2
        assert message in result.output
    assert "expected one of 00_start_here" in call("run", "77", "-o", output).output
    assert not output.exists()


def test_run_lists_notebooks_and_parameters():
    result = call("run", "--list", "04")
    assert result.exit_code == 0
    assert result.output.startswith("04_random_walker: smoke=True, steps=200, lr=0.075")


def test_without_its_libraries_the_command_says_what_to_install():
    code = "import sys; sys.modules['click'] = None; import toykit.cli"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "pip install 'toykit[notebooks]'" in result.stderr


def test_neighbours_and_bandwidth_are_the_neighbourhoods(files):
    sample, image, seeds, output = files
    options = ("--bandwidth", "9", "--connectivity", "4", "--refine", "1", "--solver", "gradient", "--steps", 4)
    assert call("segment", image, seeds, "-o", output, *options).exit_code == 0
    picture, seed_map = sample.tensors()
    logits = mixture_logits(picture, seed_map, 4, energy=Energy(), rounds=1)
    expected = solve(logits, picture, seed_map, Energy(), "gradient", steps=4).labels
    assert torch.allclose(load(output)[0], expected, atol=1e-5)


def test_without_predictions_the_fast_solver_starts_from_uniform_ones(files):
    sample, image, seeds, output = files
    assert call("segment", image, seeds, "-o", output, "--unary", "none").exit_code == 0
    picture, seed_map = sample.tensors()
    energy = Energy(eta=0.0, neighborhood=NearestNeighbors("auto", 8))
    expected = solve(torch.zeros(1, 4, *seed_map.shape[1:]), picture, seed_map, energy).labels
    assert torch.allclose(load(output)[0], expected, atol=1e-5)


def test_features_of_a_file(files, tmp_path):
    from torchvision.models import mobilenet_v2

    _, image, seeds, output = files
    torch.manual_seed(0)
    torch.save(mobilenet_v2(weights=None).state_dict(), tmp_path / "weights.pt")
    steps = ("--solver", "gradient", "--steps", 2, "--refine", 0)
    assert call("segment", image, seeds, "-o", output, *steps).exit_code == 0
    before = load(output)[0]
    result = call("segment", image, seeds, "-o", output, *steps, "--features", tmp_path / "weights.pt")
    assert result.exit_code == 0, result.output
    assert not torch.allclose(load(output)[0], before, atol=1e-3)


def test_the_progress_bar_does_not_stop_the_solver(files, monkeypatch):
    """tqdm's update() returns True when it redraws, and True from a callback means "stop"."""
    import tqdm

    monkeypatch.setattr(tqdm.tqdm, "update", lambda self, n=1: True)
    _, image, seeds, output = files
    result = call("segment", image, seeds, "-o", output)
    assert result.exit_code == 0, result.output
    assert "stopped by the callback" not in result.output
