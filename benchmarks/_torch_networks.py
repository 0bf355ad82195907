"""The package's networks in PyTorch, layer by layer, without their last layers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class SameConv2d(nn.Conv2d):
    """A convolution with Keras' "same" padding: if it is uneven, more at the end."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        padding: list[int] = []
        for axis in (1, 0):  # the last axis comes first
            n, side, step = images.shape[2 + axis], self.kernel_size[axis], self.stride
            missing = (math.ceil(n / step[axis]) - 1) * step[axis] + side - n
            padding += [max(missing, 0) // 2, max(missing, 0) - max(missing, 0) // 2]
        return super().forward(functional.pad(images, padding))


class CompactMaps(nn.Sequential):
    """The pooled maps of ``build_compact_cnn``.

    Parameters
    ----------
    filters : sequence of int, default=(32, 64, 128, 256)
        Number of maps of each convolution; the last is the length of the output.
    channels : int, default=3
        Number of channels of the images.
    """

    def __init__(
        self, filters: Sequence[int] = (32, 64, 128, 256), channels: int = 3
    ) -> None:
        layers: list[nn.Module] = []
        for stage, maps in enumerate(filters, start=1):
            layers.append(
                convolution(channels, maps, *((5, 2) if stage == 1 else (3,)))
            )
            if stage < len(filters):
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            layers += [normalisation(maps), nn.ReLU()]
            channels = maps
        super().__init__(*layers)
        self.width = channels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).mean(dim=(2, 3))


class ResidualMaps(nn.Module):
    """The pooled maps of ``build_residual_cnn``.

    Parameters
    ----------
    filters : sequence of int, default=(24, 48, 80, 128)
        Number of maps of the first convolution and of each stage.
    blocks : sequence of int, default=(2, 2, 1)
        Number of blocks of each stage.
    """

    def __init__(
        self,
        filters: Sequence[int] = (24, 48, 80, 128),
        blocks: Sequence[int] = (2, 2, 1),
    ) -> None:
        super().__init__()
        maps, *stages = filters
        layers: list[nn.Module] = [
            convolution(3, maps, 5, 2),
            nn.MaxPool2d(2, ceil_mode=True),
            normalisation(maps),
            nn.ReLU(),
        ]
        for stage, (width, count) in enumerate(zip(stages, blocks, strict=True)):
            for block in range(count):
                step = 2 if block == 0 and stage > 0 else 1
                layers.append(ResidualBlock(maps, width, step, change=block == 0))
                maps = width
        self.layers = nn.Sequential(*layers)
        self.width = maps

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images).mean(dim=(2, 3))


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut.

    Parameters
    ----------
    maps, width : int
        Number of maps before and after the block.
    step : int
        1, or 2 to halve the size of the maps.
    change : bool
        Whether the shortcut has a convolution.
    """

    def __init__(self, maps: int, width: int, step: int, change: bool) -> None:
        super().__init__()
        # In the order in which Keras' layers are made.
        pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
        project = [convolution(maps, width, 1), normalisation(width)]
        self.shortcut = nn.Sequential(*[pool] * (step > 1), *project * change)
        self.first, self.first_norm = (
            convolution(maps, width, 3, step),
            normalisation(width),
        )
        self.second, self.second_norm = (
            convolution(width, width, 3),
            normalisation(width),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = functional.relu(self.first_norm(self.first(maps)))
        inner = self.second_norm(self.second(inner))
        return functional.relu(inner + self.shortcut(maps))


def convolution(maps: int, width: int, side: int, step: int = 1) -> SameConv2d:
    return SameConv2d(maps, width, side, step, bias=False)


def normalisation(maps: int) -> nn.BatchNorm2d:
    # Keras' momentum is one minus PyTorch's.
    return nn.BatchNorm2d(maps, eps=1e-3, momentum=0.1)


def as_tensor(images: Any) -> torch.Tensor:
    """Return images in PyTorch's layout: channels before height and width."""
    return torch.from_numpy(np.asarray(images, np.float32)).permute(0, 3, 1, 2)
