"""The two DRHT auto-encoders, and the two joined by the bridge.

The networks follow Yang et al., "Image Correction via Deep Reciprocating HDR Transformation",
CVPR 2018: an encoder with kernels 9, 5, 3, 3, 3 and channels 64, 64, 128, 256, 256, a latent of 512
channels, a mirrored decoder, ELU, skips a + b + a·b between encoder and decoder at all five levels,
and a skip from input to output.

`Architecture` has the differences. In the shipped networks, all five encoder levels have stride 2
and the output is projected to 2×2 pixels at once, which costs a quarter of a first level at full
resolution; a mean over the picture is added to the latent; and the skip from input to output has a
gain.

`fold_normalisation` moves the statistics of batch normalisation, which are fixed at inference, into
the convolutions. So the shipped networks are convolutions only, and the result of a picture does
not depend on its batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drht_plugin.bridge import transfer
from drht_plugin.model.activation import elu_

_MOST_LOG_GAIN = 4.0


@dataclass(frozen=True)
class Architecture:
    """Structure of both networks.

    Attributes:
        channels: channels of the five levels; the latent has twice those of the last.
        kernels: kernel sizes of the five encoder levels; the decoder mirrors them.
        unshuffled: side in pixels of the squares that become channels of the input; 1 for none.
        first_stride: stride of the first convolution.
        context: whether a mean over the picture is added to the latent (not in the paper).
        gain: whether the skip from input to output has a gain (not in the paper).
    """

    channels: tuple[int, int, int, int, int] = (64, 64, 128, 256, 256)
    kernels: tuple[int, int, int, int, int] = (9, 5, 3, 3, 3)
    unshuffled: int = 1
    first_stride: int = 2
    context: bool = True
    gain: bool = True

    @property
    def first_scale(self) -> int:
        """Reduction of the first level, relative to the input: 1 or 2."""
        return self.unshuffled * self.first_stride


ARCHITECTURES = {
    "drht-d-1": Architecture(gain=False),
    "drht-d-2": Architecture(),
    "drht-p2-2": Architecture(kernels=(5, 3, 3, 3, 3), unshuffled=2, first_stride=1),
    "drht-wide-2": Architecture(channels=(96, 96, 192, 384, 384)),
    "drht-paper-1": Architecture(first_stride=1, context=False, gain=False),
}
"""Architectures by the name that is stored with their weights."""

SHIPPED = "drht-d-2"
"""Default architecture, that of the shipped weights."""


def _down(channels_in: int, channels_out: int, kernel: int, stride: int) -> nn.Module:
    return nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2)


def _up(channels_in: int, channels_out: int, kernel: int) -> nn.Module:
    return nn.ConvTranspose2d(
        channels_in, channels_out, kernel, stride=2, padding=kernel // 2, output_padding=1
    )


class Block(nn.Module):
    """Convolution, normalisation and ELU.

    Args:
        convolution: the convolution, up or down.
        channels: its output channels.
    """

    def __init__(self, convolution: nn.Module, channels: int) -> None:
        super().__init__()
        self.conv = convolution
        self.norm: nn.Module = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block.

        Args:
            x: B×C×H×W features.

        Returns:
            The block's features.
        """
        return elu_(self.norm(self.conv(x)))


class Context(nn.Module):
    """Adds a function of the latent's mean over the picture to every position of the latent.

    This is not in the paper. The overall brightness of a corrected picture depends on the whole
    picture, of which one position of the latent sees about half.

    Args:
        channels: channels of the latent.
        hidden: channels of the hidden layer.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.spread = nn.Linear(hidden, channels)

    def start_neutral(self) -> None:
        """Set the weights so that nothing is added before training."""
        nn.init.zeros_(self.spread.weight)
        nn.init.zeros_(self.spread.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Add the context.

        Args:
            x: B×C×H×W latent.

        Returns:
            B×C×H×W latent.
        """
        mean = x.mean((2, 3))
        return x + self.spread(F.elu(self.squeeze(mean)))[:, :, None, None]


def initialise(network: nn.Module) -> None:
    """Initialise every convolution by Xavier's method with zero biases, as in the paper's networks.

    Args:
        network: the network, changed in place.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


class Change(NamedTuple):
    """Output of a network, which changes a picture x to ELU(x·gain + residual).

    The gain is not in the paper. A residual that lifts a shadow many times has to redraw the
    shadow's detail, and blurs it, whereas a smooth gain preserves it.

    Attributes:
        gain: B×3×H×W float32; None for 1.
        residual: B×3×H×W float32.
    """

    gain: Tensor | None
    residual: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Apply the change.

        Args:
            x: B×3×H×W picture.

        Returns:
            B×3×H×W changed picture.
        """
        if self.gain is None:
            return F.elu(self.residual + x)
        return F.elu(torch.addcmul(self.residual, x, self.gain))


class AutoEncoder(nn.Module):
    """One DRHT network, from a picture to its `Change`.

    Args:
        architecture: structure of the network.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        first, *_, last = architecture.channels
        scale = architecture.first_scale
        ends = (3 * architecture.unshuffled**2, *architecture.channels)
        strides = (architecture.first_stride, 2, 2, 2, 2)
        self.shuffle_in, self.shuffle_out = nn.PixelUnshuffle(architecture.unshuffled), scale
        self.encoder = nn.ModuleList(
            Block(_down(i, o, k, s), o)
            for i, o, k, s in zip(
                ends[:-1], architecture.channels, architecture.kernels, strides, strict=True
            )
        )
        # The latent has a 32nd of the picture's resolution.
        self.latent = Block(_down(last, 2 * last, 3, 2 // scale), 2 * last)
        self.context = Context(2 * last, 64) if architecture.context else nn.Identity()
        bottom = _down(2 * last, last, 3, 1) if scale == 2 else _up(2 * last, last, 3)
        self.bottom = Block(bottom, last)
        # The decoder has the encoder's kernels in reverse order.
        ways = zip(
            architecture.channels[:-1],
            architecture.channels[1:],
            architecture.kernels[:-1],
            strict=True,
        )
        up = [(i, o, k) for o, i, k in ways][::-1]
        self.decoder = nn.ModuleList(Block(_up(i, o, k), o) for i, o, k in up)
        self.project = nn.Conv2d(first, 3 * scale**2, 1)
        self.gain = nn.Conv2d(first, 3, 1) if architecture.gain else None
        # On the meta device, weights are about to be loaded; drawing them would take a second.
        if not self.project.weight.is_meta:
            self._initialise()

    def _initialise(self) -> None:
        initialise(self)
        # Sub-pixels of a colour start equal, so that training need not unlearn a grid pattern.
        projected, features = self.project.weight.shape[:2]
        colour = torch.randn(3, features, 1, 1) * 0.02
        self.project.weight.data.copy_(colour.repeat_interleave(projected // 3, dim=0))
        if isinstance(self.context, Context):
            self.context.start_neutral()
        if self.gain is not None:
            nn.init.zeros_(self.gain.weight)

    def forward(self, x: Tensor) -> Change:
        """Compute the change of a picture.

        Args:
            x: B×3×H×W picture or log-radiance; H and W are multiples of `NETWORK_STRIDE`.

        Returns:
            The change, of the same size.
        """
        x = self.shuffle_in(x)
        levels = []
        for block in self.encoder:
            x = block(x)
            levels.append(x)
        x = self.bottom(self.context(self.latent(x)))
        for block, level in zip(self.decoder, reversed(levels[1:]), strict=True):
            x = block(join(x, level))
        x = join(x, levels[0])
        residual = F.pixel_shuffle(self.project(x).float(), self.shuffle_out)
        if self.gain is None:
            return Change(None, residual)
        # Bounded, because training from scratch would drive some gains to infinity.
        log_gain = _MOST_LOG_GAIN * torch.tanh(self.gain(x).float() / _MOST_LOG_GAIN)
        if self.shuffle_out > 1:
            log_gain = F.interpolate(log_gain, scale_factor=self.shuffle_out, mode="bilinear")
        return Change(log_gain.exp(), residual)


class _Join(torch.autograd.Function):
    """The skip a + b + a·b with one pass over memory for each gradient."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return torch.addcmul(a, b, a + 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        (gradient,) = gradients
        return torch.addcmul(gradient, gradient, b), torch.addcmul(gradient, gradient, a)


def join(a: Tensor, b: Tensor) -> Tensor:
    """Join features by DRHT's skip connection a + b + a·b.

    Args:
        a: decoder features, B×C×H×W.
        b: encoder features of the same shape.

    Returns:
        B×C×H×W.
    """
    joined: Tensor = _Join.apply(a, b)
    return joined


class Estimate(NamedTuple):
    """Output of the two networks, B×3×H×W float32.

    Attributes:
        y: the HDR estimate in the LDR domain, y = α·H^γ.
        corrected: T, display-encoded, not clipped.
    """

    y: Tensor
    corrected: Tensor


class Drht(nn.Module):
    """HDR estimation, the bridge and LDR correction.

    Args:
        architecture: structure of both networks.
    """

    def __init__(self, architecture: Architecture = ARCHITECTURES[SHIPPED]) -> None:
        super().__init__()
        self.hdr_estimation = AutoEncoder(architecture)
        self.ldr_correction = AutoEncoder(architecture)

    def forward(self, ldr: Tensor, known: tuple[Tensor, Tensor] | None = None) -> Estimate:
        """Estimate y and T.

        Args:
            ldr: B×3×H×W float32 display codes in 0..1; H and W are multiples of `NETWORK_STRIDE`.
            known: the picture's true y, B×3×H×W, and how far it may be more than that,
                B×1×H×W in 0..1; None where nothing is known.

        Returns:
            y and T, not clipped.
        """
        y = self.hdr_estimation(ldr).apply(ldr)
        if known is not None:
            y = known[0] + known[1] * (y - known[0]).clamp_min(0)
        bounded = y.clamp(0, transfer.Y_MAX)
        radiance = (bounded / transfer.ALPHA) ** (1 / transfer.GAMMA)
        log_radiance = torch.log(radiance + transfer.DELTA)
        display = bounded.clamp(max=transfer.ALPHA) / transfer.ALPHA
        return Estimate(y, self.ldr_correction(log_radiance).apply(display))


def fold_normalisation(model: Drht) -> Drht:
    """Fold every normalisation into its convolution and switch to inference mode.

    The output at inference stays the same up to rounding.

    Args:
        model: the networks, changed in place.

    Returns:
        `model`.
    """
    model.eval()
    for module in model.modules():
        if isinstance(module, Block) and isinstance(module.norm, nn.BatchNorm2d):
            _fold(module)
    return model


def _fold(block: Block) -> None:
    """Fold the normalisation of a block into its convolution."""
    norm, conv = block.norm, block.conv
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert conv.bias is not None
    gain = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    shape = (1, -1, 1, 1) if isinstance(conv, nn.ConvTranspose2d) else (-1, 1, 1, 1)
    conv.weight.data.mul_(gain.view(shape))
    conv.bias.data.sub_(norm.running_mean).mul_(gain).add_(norm.bias.detach())
    block.norm = nn.Identity()
