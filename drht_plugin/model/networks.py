"""The two DRHT auto-encoders and the pair of them, bridged.

Yang et al., "Image Correction via Deep Reciprocating HDR Transformation", CVPR 2018: kernels
9, 5, 3, 3, 3 and channels 64, 64, 128, 256, 256 down, a latent of 512, the mirror of it up, ELU,
skips a + b + a·b between encoder and decoder at all five levels, and a skip from input to
output. All five encoder levels have stride 2 here, and the output is projected to 2×2 pixels at
once, which costs a quarter of a first level at full resolution.

Batch normalisation has fixed statistics at inference, and `fold_normalisation` moves them into
the convolutions: the shipped networks are convolutions only, and the result of a picture does
not depend on its batch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drht_plugin.bridge import transfer

STRIDE = 32
"""Heights and widths given to the networks are multiples of this."""

_Y_MAX = transfer.ALPHA * transfer.H_MAX**transfer.GAMMA

_ENCODER = ((3, 64, 9), (64, 64, 5), (64, 128, 3), (128, 256, 3), (256, 256, 3))
_DECODER = ((256, 256, 3), (256, 128, 3), (128, 64, 5), (64, 64, 9))


def _down(channels_in: int, channels_out: int, kernel: int, stride: int) -> nn.Module:
    return nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2)


def _up(channels_in: int, channels_out: int, kernel: int) -> nn.Module:
    return nn.ConvTranspose2d(
        channels_in, channels_out, kernel, stride=2, padding=kernel // 2, output_padding=1
    )


class Block(nn.Module):
    """Convolution, normalisation, ELU."""

    def __init__(self, convolution: nn.Module, channels: int) -> None:
        super().__init__()
        self.conv = convolution
        self.norm: nn.Module = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """B×C×H×W features to the block's features."""
        return F.elu(self.norm(self.conv(x)), inplace=True)


class Context(nn.Module):
    """Adds to every place of the latent what its mean over the whole picture says.

    Not in the paper: how bright a corrected picture is as a whole is decided by the whole
    picture, and a latent place sees about half of one.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.spread = nn.Linear(hidden, channels)

    def start_neutral(self) -> None:
        """Add nothing, until training finds a use for it."""
        nn.init.zeros_(self.spread.weight)
        nn.init.zeros_(self.spread.bias)

    def forward(self, x: Tensor) -> Tensor:
        """B×C×H×W to the same."""
        mean = x.mean((2, 3))
        return x + self.spread(F.elu(self.squeeze(mean)))[:, :, None, None]


def initialise(network: nn.Module) -> None:
    """Xavier's initialisation of every convolution, as of the published networks; no biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


class AutoEncoder(nn.Module):
    """One DRHT network without its input-to-output skip: B×3×H×W to a B×3×H×W residual.

    H and W are multiples of `STRIDE`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(Block(_down(i, o, k, 2), o) for i, o, k in _ENCODER)
        self.latent = Block(_down(256, 512, 3, 1), 512)
        self.context = Context(512, 64)
        self.bottom = Block(_down(512, 256, 3, 1), 256)
        self.decoder = nn.ModuleList(Block(_up(i, o, k), o) for i, o, k in _DECODER)
        self.project = nn.Conv2d(64, 12, 1)
        self._initialise()

    def _initialise(self) -> None:
        initialise(self)
        # The four sub-pixels of a colour start alike, so that no lattice is there to unlearn.
        colour = torch.randn(3, 64, 1, 1) * 0.02
        self.project.weight.data.copy_(colour.repeat_interleave(4, dim=0))
        self.context.start_neutral()

    def forward(self, x: Tensor) -> Tensor:
        """Residual of the picture or log-radiance x."""
        levels = []
        for block in self.encoder:
            x = block(x)
            levels.append(x)
        x = self.bottom(self.context(self.latent(x)))
        for block, level in zip(self.decoder, reversed(levels[1:]), strict=True):
            x = block(join(x, level))
        x = join(x, levels[0])
        return F.pixel_shuffle(self.project(x).float(), 2)


class _Join(torch.autograd.Function):
    """The DRHT skip a + b + a·b, with one fused pass over memory for each gradient."""

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
    """The skip a + b + a·b of encoder and decoder features."""
    joined: Tensor = _Join.apply(a, b)
    return joined


class Estimate(NamedTuple):
    """What the two networks say of a picture; all B×3×H×W float32.

    y: the HDR estimate in the LDR domain, y = α·H^γ ≥ 0; corrected: T, display-encoded.
    """

    y: Tensor
    corrected: Tensor


class Drht(nn.Module):
    """HDR estimation, the bridge, and LDR correction."""

    def __init__(self) -> None:
        super().__init__()
        self.hdr_estimation = AutoEncoder()
        self.ldr_correction = AutoEncoder()

    def forward(self, ldr: Tensor) -> Estimate:
        """A display-encoded picture in 0..1, B×3×H×W float32, to y and T (not yet clamped)."""
        y = F.elu(self.hdr_estimation(ldr) + ldr)
        bounded = y.clamp(0, _Y_MAX)
        radiance = (bounded / transfer.ALPHA) ** (1 / transfer.GAMMA)
        log_radiance = torch.log(radiance + transfer.DELTA)
        display = bounded.clamp(max=transfer.ALPHA) / transfer.ALPHA
        return Estimate(y, F.elu(self.ldr_correction(log_radiance) + display))


def fold_normalisation(model: Drht) -> Drht:
    """Move the fixed statistics of every normalisation into its convolution, in place.

    The model is put into inference mode; its output stays the same up to rounding.
    """
    model.eval()
    for module in model.modules():
        if isinstance(module, Block) and isinstance(module.norm, nn.BatchNorm2d):
            _fold(module)
    return model


def _fold(block: Block) -> None:
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
