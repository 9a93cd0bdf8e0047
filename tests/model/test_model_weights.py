"""Weights on disk, folding, and what the networks promise at inference."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from strategies import picture
from torch import nn

from drht_plugin import InputError, WeightsError
from drht_plugin.bridge.sizes import NETWORK_STRIDE
from drht_plugin.model.device import choose_device, inference_dtype
from drht_plugin.model.locate import locate
from drht_plugin.model.networks import ARCHITECTURES, SHIPPED, Change, Drht, fold_normalisation
from drht_plugin.model.runner import Runner
from drht_plugin.model.weights import load_model, save_model


def with_statistics(seed: int = 0, architecture: str = SHIPPED) -> Drht:
    """Networks as they are after some training: with gains, shifts and statistics of their own."""
    torch.manual_seed(seed)
    network = Drht(ARCHITECTURES[architecture])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.05)
    return network.eval().requires_grad_(False)


def batch(count: int, height: int = 64, width: int = 96) -> torch.Tensor:
    """Pictures for the networks."""
    pictures = [picture(height, width, 3, "float32", seed) for seed in range(count)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def network() -> Drht:
    return fold_normalisation(with_statistics())


@pytest.fixture(scope="module")
def stored(network: Drht, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "own.safetensors"
    save_model(network, path, {"note": "random"})
    return path


@pytest.fixture
def copied(stored: Path, tmp_path: Path) -> Path:
    for file in (stored, stored.with_suffix(".json")):
        shutil.copy(file, tmp_path)
    return tmp_path / stored.name


def describe(path: Path, **changes: Any) -> None:
    """Change the description beside the weights; by default give it the right checksum."""
    description = json.loads(path.with_suffix(".json").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({**description, "sha256": digest, **changes}))


def test_folding_changes_nothing() -> None:
    """With the normalisation in the convolutions, y and T are the same to 1e-4."""
    network, x = with_statistics(3), batch(2)
    before = network(x)
    fold_normalisation(network)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    after = network(x)
    for a, b in zip(before, after, strict=True):
        assert a.std() > 0.01
        assert (a - b).abs().max() < 1e-4


def test_a_picture_does_not_know_its_batch(network: Drht) -> None:
    """At inference a picture's y and T are the same alone and among others, to 1e-5."""
    x = batch(3)
    together = network(x)
    for i in range(3):
        for whole, alone in zip(together, network(x[i : i + 1]), strict=True):
            assert (whole[i : i + 1] - alone).abs().max() < 1e-5


def test_networks_are_finite_at_the_ends(network: Drht) -> None:
    """Black, white and single bright pictures give finite y ≥ −1 and T of the input's size."""
    x = torch.stack(
        [
            torch.zeros(3, 64, 32),
            torch.ones(3, 64, 32),
            torch.eye(64)[None, :, :32].expand(3, 64, 32),
        ]
    )
    y, corrected = network(x)
    for result in (y, corrected):
        assert result.shape == x.shape
        assert result.dtype == torch.float32
        assert result.isfinite().all()
        assert (result >= -1).all()


def test_weights_round_trip(stored: Path, network: Drht, tmp_path: Path) -> None:
    """Loaded, saved and loaded again, every tensor is the same; half precision is the only loss."""
    first = load_model(stored)
    save_model(first, tmp_path / "again.safetensors", {})
    second = load_model(tmp_path / "again.safetensors")
    assert not first.training
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert a.dtype == torch.float32
        assert not a.requires_grad
        assert torch.equal(a, b), name
        assert torch.equal(a, network.state_dict()[name].half().float()), name
    assert (tmp_path / "again.safetensors").read_bytes() == stored.read_bytes()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_architectures(architecture: str, tmp_path: Path) -> None:
    """Networks of every layout take sizes down to the stride, fold, and load by their name."""
    network = with_statistics(architecture=architecture)
    x = batch(1, NETWORK_STRIDE, 2 * NETWORK_STRIDE)
    trained = network(x)
    folded = fold_normalisation(network)
    for a, b in zip(trained, folded(x), strict=True):
        assert a.shape == x.shape
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)
    save_model(folded, tmp_path / "own.safetensors", {}, architecture)
    loaded = load_model(tmp_path / "own.safetensors")
    torch.testing.assert_close(loaded(x).corrected, folded(x).corrected, atol=0.02, rtol=0.02)


def test_the_gain_carries_detail() -> None:
    """A constant gain multiplies the picture, whatever its detail; none leaves it as it is."""
    x = batch(1)
    stops = torch.full_like(x, 1.5)
    nothing = torch.zeros_like(x)
    torch.testing.assert_close(Change(stops.exp(), nothing).apply(x), x * math.exp(1.5))
    torch.testing.assert_close(Change(None, nothing).apply(x), x)
    fresh = Drht().hdr_estimation(x).gain
    assert fresh is not None
    assert bool((fresh == 1).all())


def test_description(stored: Path) -> None:
    """The description names architecture, checksum and the facts it was given."""
    description = json.loads(stored.with_suffix(".json").read_text())
    digest = hashlib.sha256(stored.read_bytes()).hexdigest()
    assert description == {"architecture": SHIPPED, "sha256": digest, "note": "random"}


def test_shipped_weights() -> None:
    """The shipped model is there under its name, whole, and folded."""
    network = load_model("default")
    assert locate("default").is_file()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())


@pytest.mark.parametrize("place", [0, 7, 100, 1 << 20, -1])
def test_one_flipped_byte(copied: Path, place: int) -> None:
    """A single changed byte, anywhere in the weights, is refused by the file's name."""
    data = bytearray(copied.read_bytes())
    data[place] ^= 0x10
    copied.write_bytes(data)
    with pytest.raises(WeightsError, match=rf"{copied.name}: damaged.*own\.json"):
        load_model(copied)


@pytest.mark.parametrize("length", [0, 5, 1000, -1])
@pytest.mark.parametrize("declared", [False, True])
def test_cut_short(copied: Path, length: int, declared: bool) -> None:
    """Cut weights are refused by name, even where the checksum is that of the cut file."""
    copied.write_bytes(copied.read_bytes()[:length])
    if declared:
        describe(copied)
    with pytest.raises(WeightsError, match=copied.name):
        load_model(copied)


@pytest.mark.parametrize("text", [None, "", "{}", "[]", "null", "{", '{"architecture": 1}', "\0"])
def test_bad_description(copied: Path, text: str | None) -> None:
    """Weights without a description that can be read are refused, naming both files."""
    description = copied.with_suffix(".json")
    description.unlink() if text is None else description.write_text(text)
    with pytest.raises(WeightsError, match=rf"{copied.name}.*own\.json"):
        load_model(copied)


def test_nested_description(copied: Path) -> None:
    """A description of 100 000 brackets is refused by name."""
    copied.with_suffix(".json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(WeightsError, match=rf"{copied.name}.*nested too deeply"):
        load_model(copied)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_values_that_are_no_numbers(copied: Path, value: float, dtype: torch.dtype) -> None:
    """One NaN or infinity in any tensor is refused, naming the tensor."""
    tensors = {key: tensor.to(dtype) for key, tensor in load_file(copied).items()}
    name = sorted(tensors)[-1]
    tensors[name].view(-1)[-1] = value
    save_file(tensors, copied)
    describe(copied)
    with pytest.raises(WeightsError, match=rf"{copied.name}.*{name}.*NaN or infinite"):
        load_model(copied)


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.float64, torch.uint8])
def test_other_dtypes(copied: Path, dtype: torch.dtype) -> None:
    """Tensors of another kind than floats of 16 or 32 bits are refused, naming what they are."""
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(copied).items()}
    save_file(tensors, copied)
    describe(copied)
    with pytest.raises(WeightsError, match=f"is {str(dtype)[6:]}; expected one of float16"):
        load_model(copied)


@pytest.mark.parametrize(
    "head",
    [
        b"[" * 100_000,
        b'{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}',
        b'{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"Q7","shape":[2],"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}',
    ],
)
def test_lying_headers(copied: Path, head: bytes) -> None:
    """A header that claims sizes, types or places that are not there is refused by name."""
    copied.write_bytes(len(head).to_bytes(8, "little") + head + bytes(8))
    describe(copied)
    with pytest.raises(WeightsError, match=copied.name):
        load_model(copied)
    copied.write_bytes((1 << 62).to_bytes(8, "little") + head)
    describe(copied)
    with pytest.raises(WeightsError, match=copied.name):
        load_model(copied)


def test_results_that_are_no_numbers(copied: Path) -> None:
    """Finite weights whose products are not are an error of the model, not a picture."""
    tensors = {name: torch.full_like(t, 60000.0) for name, t in load_file(copied).items()}
    save_file(tensors, copied)
    describe(copied)
    with pytest.raises(WeightsError, match=rf"{copied.name}.*gives NaN or infinite"):
        Runner(copied, "cpu")(picture(64, 64))


def test_description_of_bad_bytes(copied: Path) -> None:
    """A description that is no text is refused like a missing one."""
    copied.with_suffix(".json").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(WeightsError, match=copied.name):
        load_model(copied)


def test_other_architecture(copied: Path) -> None:
    """Weights for other networks are refused, naming both architectures."""
    describe(copied, architecture="drht-z-9")
    with pytest.raises(WeightsError, match=rf"{copied.name}.*drht-z-9.*{SHIPPED}"):
        load_model(copied)


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_other_tensors(copied: Path, change: str) -> None:
    """Tensors that are not those of the architecture are refused, whatever the description says."""
    tensors = load_file(copied)
    name = sorted(tensors)[0]
    if change == "extra":
        tensors["more"] = torch.zeros(1)
    elif change == "missing":
        del tensors[name]
    else:
        tensors[name] = torch.zeros(7)
    save_file(tensors, copied)
    describe(copied)
    with pytest.raises(WeightsError, match=f"{copied.name}.*{SHIPPED}"):
        load_model(copied)


def test_unfolded_networks_are_not_saved(tmp_path: Path) -> None:
    """Networks that still have statistics are refused before a file is written."""
    with pytest.raises(InputError, match="fold_normalisation"):
        save_model(with_statistics(), tmp_path / "own.safetensors", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["none", "weights.bin", "/no/such.safetensors", ""])
def test_unknown_model(model: str) -> None:
    """A model that is neither shipped nor a file is refused, naming the shipped ones."""
    with pytest.raises(InputError, match=r"neither shipped.*default"):
        load_model(model)


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "", "meta", "cpu:x"])
def test_unknown_device(device: str) -> None:
    """A device that is unknown or not there is refused, naming the accepted ones."""
    with pytest.raises(InputError, match="expected auto, cpu, cuda, cuda:N or mps"):
        choose_device(device)


def test_devices() -> None:
    """The CPU is always there, and precision is one that the device computes."""
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device() == choose_device("auto")
    assert inference_dtype(choose_device()) in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("size", [(32, 32), (64, 160)])
def test_runner(stored: Path, network: Drht, size: tuple[int, int]) -> None:
    """A runner gives float32 y and T of the picture's size, twice the same, near float32's."""
    runner = Runner(stored, "cpu")
    ldr = picture(*size)
    first, second = runner(ldr), runner(ldr)
    planes = torch.from_numpy(ldr).permute(2, 0, 1)[None].contiguous()
    for a, b, exact in zip(first, second, network(planes), strict=True):
        assert a.shape == ldr.shape
        assert a.dtype == np.float32
        assert a.tobytes() == b.tobytes()
        expected = exact[0].permute(1, 2, 0).numpy()
        # bfloat16, where the processor has it, keeps 8 bits.
        assert np.abs(a - expected).max() < 0.1
        assert np.abs(a - expected).mean() < 0.01
