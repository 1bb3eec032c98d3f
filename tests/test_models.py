"""Networks: shapes, normalisation in one place, weights from files, learning rates of body and head."""

import numpy as np
import pytest
import torch

from toykit._shared.resources import data_root
from toykit.models import MODELS, architectures, build, load_weights, parameter_groups


def tiny(name=MODELS[0], **options):
    torch.manual_seed(0)
    return build(name, 3, image_size=32, weights=None, **options)


@pytest.fixture(scope="module")
def mobilenet():
    return tiny().eval()


@pytest.mark.parametrize("name", MODELS)
def test_logits_have_the_photos_size(name):
    network = tiny(name).eval()
    with torch.no_grad():
        for size in ((32, 32), (48, 32), (37, 50)):
            assert network(255 * torch.rand(2, 3, *size)).shape == (2, 3, *size)


def test_every_parameter_learns_and_is_in_one_group(mobilenet):
    network = tiny()
    network(255 * torch.rand(2, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    body, head = parameter_groups(network, 0.5, head_factor=10)
    assert (body["lr"], head["lr"]) == (0.5, 5.0)
    assert {id(p) for p in [*body["params"], *head["params"]]} == {id(p) for p in network.parameters()}
    assert len(body["params"]) + len(head["params"]) == len(list(network.parameters()))


def test_it_normalises_as_torchvision_does(mobilenet):
    from torchvision.transforms.v2.functional import normalize

    image = 255 * torch.rand(1, 3, 32, 32)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # ImageNet's, as torchvision documents them
    with torch.no_grad():
        maps = mobilenet.head.select(mobilenet.body(normalize(image / 255, mean, std)))
        expected = torch.nn.functional.interpolate(mobilenet.head(maps), scale_factor=4.0, mode="bilinear")
        assert torch.allclose(mobilenet(image), expected, atol=1e-4)


def test_padding_is_the_mean_colour_and_is_cut_away(mobilenet):
    image = 255 * torch.rand(1, 3, 30, 20)
    padded = mobilenet.mean.expand(1, 3, 32, 32).clone()
    padded[..., :30, :20] = image
    with torch.no_grad():
        assert torch.allclose(mobilenet(image), mobilenet(padded)[..., :30, :20], atol=1e-5)


def test_frozen_batch_norm_keeps_its_statistics_and_dropout_stays():
    for frozen in (False, True):
        network = tiny(freeze_batch_norm=frozen).train()
        before = {k: v.clone() for k, v in network.state_dict().items() if "running" in k}
        network(255 * torch.rand(2, 3, 32, 32))
        same = all(torch.equal(network.state_dict()[k], v) for k, v in before.items())
        assert same == frozen
        drops = [m for m in network.modules() if isinstance(m, torch.nn.Dropout)]
        assert all(m.training for m in drops)
        assert any(m.p == 0.5 for m in drops)
    assert not any(m.p for m in tiny(dropout=0.0).modules() if isinstance(m, torch.nn.Dropout))


def test_a_frozen_body_stays_in_evaluation_mode_whatever_the_head_does():
    network = build("light_mobilenetv2", 2, weights=None, freeze_body=True)
    for mode in (True, False, True):
        assert network.train(mode).training == mode
        assert not any(module.training for module in network.body.modules())
        assert all(module.training == mode for module in network.head.modules())


def test_the_fine_head_starts_as_the_light_one_and_adds_a_finer_grid():
    light, fine = tiny("light_mobilenetv2"), tiny("light_mobilenetv2_fine")
    assert (light.stride, fine.stride) == (8, 4)
    missing, unexpected = fine.load_state_dict(light.state_dict(), strict=False)
    assert not unexpected
    assert all(name.startswith("head.finest.") for name in missing)
    image = 255 * torch.rand(2, 3, 64, 48)
    with torch.no_grad():
        coarse = light.eval()(image, coarse=True)
        enlarged = torch.nn.functional.interpolate(coarse, scale_factor=2.0, mode="bilinear")
        assert torch.allclose(fine.eval()(image, coarse=True), enlarged, atol=1e-4)
    fine.train()(image).square().sum().backward()
    for name, parameter in fine.head.finest.classifier.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    torch.nn.init.normal_(fine.head.finest.classifier.weight)
    fine.zero_grad()
    fine(image).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in fine.head.finest.parameters())


@pytest.mark.parametrize("name", [MODELS[0], "light_mobilenetv2", "light_mobilenetv2_fine", "vit_linear"])
def test_weights_from_a_file(name, tmp_path):
    light = name in architectures.LIGHT
    network = tiny(MODELS[0] if light else name)  # files hold the whole encoder
    body = getattr(network.body, "vit", network.body)
    state = {k: torch.randn_like(v) if v.is_floating_point() else v for k, v in body.state_dict().items()}
    torch.save(state | {"classifier.1.weight": torch.zeros(1), "head.bias": torch.zeros(1)}, tmp_path / "w.pt")
    loaded = build(name, 3, image_size=32, weights=tmp_path / "w.pt")
    weights = getattr(loaded.body, "vit", loaded.body).state_dict()
    assert all(torch.equal(v, state[k]) for k, v in weights.items())
    assert len(state) - len(weights) == (6 if light else 0)  # its last layer is left out


def test_vit_weights_of_another_size_are_resized(tmp_path):
    torch.save(tiny("vit_linear").body.vit.state_dict(), tmp_path / "w.pt")
    network = build("vit_linear", 3, image_size=64, weights=tmp_path / "w.pt")
    assert network.body.vit.pos_embed.shape[1] == 4 * 4 + 1


def test_weights_that_do_not_fit(tmp_path, mobilenet):
    state = mobilenet.body.state_dict()
    first = next(iter(state))
    cases = {
        "missing": ({k: v for k, v in state.items() if k != first}, f"1 missing: {first}"),
        "more": (state | {"extra": torch.zeros(1)}, "1 unexpected: extra"),
        "shape": (state | {first: torch.zeros(2)}, f"1 of another shape: {first}"),
        "list": ([1, 2], "cannot be read as a state dict"),
        "pickle": ({"a": np.random.default_rng}, "cannot be read as a state dict"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / f"{name}.pt"
        torch.save(content, path)
        with pytest.raises(ValueError, match=message) as caught:
            load_weights(mobilenet.body, path)
        assert str(path) in str(caught.value)
    for content, reason in (
        ("", "it is empty"),
        ("<html>", "it begins with b'<htm'"),
        ("PK\3\4", "File is not a zip file"),
    ):
        (tmp_path / "text.pt").write_text(content)
        with pytest.raises(ValueError, match=rf"text\.pt: cannot be read as a state dict .*\({reason}"):
            load_weights(mobilenet.body, tmp_path / "text.pt")
    with pytest.raises(FileNotFoundError):
        load_weights(mobilenet.body, tmp_path / "absent.pt")


def test_a_torchvision_that_does_not_fit_is_not_taken_for_a_missing_extra(monkeypatch):
    def fail():
        raise ImportError("torchvision does not fit this torch")

    monkeypatch.setattr(architectures, "torchvision", fail)
    with pytest.raises(ImportError, match=r"^torchvision does not fit this torch$"):
        tiny()


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"model\.name: expected one of deeplabv3plus_mobilenetv2"):
        build("unet", 3)
    with pytest.raises(ValueError, match=r"multiple of 16 \(512 where the paper has 513\), got 513"):
        build(MODELS[0], 3, image_size=513)


def test_the_shared_imagenet_weights():
    path = data_root() / "weights" / "mobilenet_v2_imagenet.pt"
    if not path.exists():
        pytest.skip("TOYKIT_DATA has no weights/mobilenet_v2_imagenet.pt")
    network = build(MODELS[0], 3, image_size=32, weights=path)
    assert torch.equal(
        network.body.state_dict()["features.0.0.weight"], torch.load(path, weights_only=True)["features.0.0.weight"]
    )
    with pytest.raises(ValueError, match="not the weights of this network's body, a ResNetEncoder"):
        build(MODELS[1], 3, image_size=32, weights=path)
