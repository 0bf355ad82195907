"""Training of first weights in PyTorch: varied images, losses, checkpoints."""

import copy
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

BATCH = 384
RATE, DECAY = 2e-3, 0.03
# Smallest and largest magnification: the cell fills a third of the image to all of it.
MAGNIFICATION = {"pbc": (0.85, 2.3), "chula": (0.6, 1.7), "drawn": (0.55, 1.6)}
# Weights of the sources in a batch, besides the square root of a class's size.
SHARE = {"pbc": 1.0, "chula": 1.0, "drawn": 0.35}
# Optical densities of haematoxylin, eosin and DAB (Ruifrok and Johnston, 2001).
STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))


class Images(NamedTuple):
    """Labelled images of several sources.

    Attributes
    ----------
    pixels : ndarray of shape (n_images, 3, side, side), uint8
    labels, sources : ndarray of shape (n_images,)
        Types of cells, the same in all sources, and names of the sources.
    """

    pixels: np.ndarray
    labels: np.ndarray
    sources: np.ndarray


def train(
    maps: Any,
    images: Images,
    *,
    steps: int,
    same_type: bool,
    seed: int,
    checkpoint: Path,
    tell: Callable[[str], None],
) -> nn.Module:
    """Train a network to tell types apart, and each image from all others.

    The loss is the cross-entropy of the types (labels smoothed by 0.05), and half of
    the contrastive loss of SimCLR [1]_ (temperature 0.2): of two variants of an image,
    each has to find the other among all. With `same_type`, a quarter of the supervised
    contrastive loss [2]_ (temperature 0.12) is added. AdamW with a cosine learning
    rate; the result has the exponential averages of the weights.

    Parameters
    ----------
    maps : Module
        From images to rows of length ``maps.width``.
    images : Images
    steps : int
        Of training, with `BATCH` images and two variants of each.
    same_type : bool
    seed : int
    checkpoint : Path
        Written every 200 steps; an interrupted training goes on from there.
    tell : callable
        Called with lines about the progress.

    Returns
    -------
    Module
        Like `maps`, trained.

    References
    ----------
    .. [1] T. Chen et al. "A simple framework for contrastive learning of visual
       representations." ICML 2020.
    .. [2] P. Khosla et al. "Supervised contrastive learning." NeurIPS 2020.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    generator = torch.Generator(device).manual_seed(seed)
    names, codes = np.unique(images.labels, return_inverse=True)
    pixels = torch.from_numpy(images.pixels).to(device)
    targets = torch.from_numpy(codes).to(device)
    weights = torch.from_numpy(sampling_weights(images)).to(device)
    limits = torch.tensor(
        [MAGNIFICATION[name] for name in images.sources], device=device
    )
    for layer in maps.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        elif isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.02
    head = nn.Linear(maps.width, len(names))
    project = nn.Sequential(nn.Linear(maps.width, 256), nn.ReLU(), nn.Linear(256, 128))
    model = nn.ModuleList([maps, head, project]).to(device)
    average = copy.deepcopy(maps)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim > 1]},
            {
                "params": [p for p in model.parameters() if p.ndim == 1],
                "weight_decay": 0,
            },
        ],
        lr=RATE,
        weight_decay=DECAY,
    )
    parts = {"model": model, "average": average, "optimizer": optimizer}
    first = resume(checkpoint, parts, generator)
    start = time.perf_counter()
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * cosine(step / steps)
        rows = torch.multinomial(weights, BATCH, replacement=True, generator=generator)
        rows = torch.cat([rows, rows])
        with torch.no_grad():
            varied = vary(pixels[rows], limits[rows], generator)
            varied = varied - varied.mean(dim=(1, 2, 3), keepdim=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            features = maps(varied)
        features = features.float()
        logits = head(functional.dropout(features, 0.2))
        loss = functional.cross_entropy(logits, targets[rows], label_smoothing=0.05)
        loss = loss + 0.5 * contrast(project(features))
        if same_type:
            loss = loss + 0.25 * contrast(project(features), targets[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        with torch.no_grad():
            keep = min(0.998, (step + 1) / (step + 11))
            for mean, value in zip(
                average.state_dict().values(), maps.state_dict().values(), strict=True
            ):
                if mean.dtype.is_floating_point:
                    mean.lerp_(value, 1 - keep)
        if (step + 1) % 200 == 0 or step + 1 == steps:
            save(checkpoint, parts, generator, step + 1)
            seconds = time.perf_counter() - start
            tell(f"step {step + 1} of {steps}, {seconds:.0f} s, loss {loss.item():.3f}")
    return average.cpu().eval()


def sampling_weights(images: Images) -> np.ndarray:
    """Return how often each image is drawn, relative to the others."""
    weights = np.zeros(len(images.labels))
    for source, share in SHARE.items():
        for label in np.unique(images.labels[images.sources == source]):
            chosen = (images.sources == source) & (images.labels == label)
            weights[chosen] = share / np.sqrt(chosen.sum())
    return weights / weights.sum()


def cosine(done: float, warmup: float = 0.05) -> float:
    """Return the learning rate as a fraction of the highest one."""
    rest = max(0.0, (done - warmup) / (1 - warmup))
    return min(1.0, done / warmup) * 0.5 * (1 + math.cos(math.pi * rest))


def contrast(
    projected: torch.Tensor, targets: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the contrastive loss of two variants, one after the other, of a batch."""
    rows = functional.normalize(projected, dim=1)
    n = len(rows)
    temperature = 0.2 if targets is None else 0.12
    itself = torch.eye(n, dtype=torch.bool, device=rows.device)
    logits = (rows @ rows.T / temperature).masked_fill(itself, -1e4)
    log_proba = logits - logits.logsumexp(dim=1, keepdim=True)
    if targets is None:
        each = torch.arange(n, device=rows.device)
        return -log_proba[each, each.roll(n // 2)].mean()
    same = (targets[:, None] == targets[None]) & ~itself
    return -((log_proba * same).sum(dim=1) / same.sum(dim=1)).mean()


def vary(
    pixels: torch.Tensor,
    limits: torch.Tensor,
    generator: torch.Generator,
    side: int = 100,
) -> torch.Tensor:
    """Vary position, size, sharpness, stains, light and noise of images.

    Parameters
    ----------
    pixels : Tensor of shape (n_images, 3, height, width), uint8
    limits : Tensor of shape (n_images, 2)
        Smallest and largest magnification.
    generator : Generator
    side : int, default=100
        Side of the result in pixels.

    Returns
    -------
    Tensor of shape (n_images, 3, side, side)
        From 0 to 1.
    """
    n, device = len(pixels), pixels.device

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, device=device, generator=generator)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device=device, generator=generator)

    def some(fraction: float) -> torch.Tensor:
        return (uniform(n) < fraction).float() * uniform(n)

    def per_image(values: torch.Tensor) -> torch.Tensor:
        return values[:, None, None, None]

    # Rotation, mirror image, magnification, aspect, shear, shift.
    angle = uniform(n) * 2 * math.pi
    magnify = limits[:, 0] * (limits[:, 1] / limits[:, 0]) ** uniform(n)
    aspect = torch.exp(normal(n) * 0.06)
    flip = torch.where(uniform(n) < 0.5, -1.0, 1.0)
    shear = (uniform(n) * 2 - 1) * 0.14
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1)
    scale = torch.stack(
        [flip * aspect / magnify, shear / magnify, 0 * shear, 1 / (aspect * magnify)], 1
    )
    shift = (uniform(n, 2, 1) * 2 - 1) * 0.09
    affine = torch.cat([turn.view(n, 2, 2) @ scale.view(n, 2, 2), shift], 2)
    # Three batches of ten have fewer pixels.
    coarse = side
    if uniform(1).item() < 0.3:
        coarse = int(torch.randint(44, side, (1,), device=device, generator=generator))
    grid = functional.affine_grid(affine, [n, 3, coarse, coarse], align_corners=False)
    x = functional.grid_sample(
        pixels.float() / 255, grid, padding_mode="reflection", align_corners=False
    )
    if coarse != side:
        x = functional.interpolate(x, (side, side), mode="bicubic", align_corners=False)
    x = x.clamp(0, 1)
    blurred = (uniform(n) < 0.3).nonzero()[:, 0]
    if len(blurred):
        x[blurred] = blur(x[blurred], 0.3 + 1.4 * uniform(len(blurred)))
    # Stains.
    stains = torch.tensor(STAINS, device=device)
    change = torch.exp(normal(n, 3) * 0.2 * (uniform(n, 1) < 0.5))
    change = torch.linalg.inv(stains) @ torch.diag_embed(change) @ stains
    density = -torch.log(x.clamp_min(1 / 255))
    x = torch.exp(-torch.einsum("nchw,ncd->ndhw", density, change)).clamp(0, 1)
    # Saturation; gamma and gain, of all channels and of each.
    grey = x.mean(dim=1, keepdim=True)
    x = (grey + (0.35 + per_image(uniform(n))) * (x - grey)).clamp(1e-3, 1)
    gamma = per_image(normal(n)) * 0.15 + normal(n, 3, 1, 1) * 0.2
    gain = per_image(normal(n)) * 0.1 + normal(n, 3, 1, 1) * 0.1
    x = x ** torch.exp(gamma) * torch.exp(gain)
    # Darkness, haze, vignetting, noise, sharpening.
    x = x * torch.exp2(-0.9 * per_image(some(0.3)))
    haze = 0.45 * per_image(some(0.2))
    x = x * (1 - haze) + haze * uniform(n, 3, 1, 1)
    line = torch.linspace(0, 1, side, device=device)
    centre = uniform(n, 2, 1, 1) * 1.6 - 0.3
    distance = (line[:, None] - centre[:, 0]) ** 2 + (line - centre[:, 1]) ** 2
    x = x * torch.exp(-0.6 * some(0.35)[:, None, None] * distance)[:, None]
    x = x.clamp(0, 1)
    x = x + normal(*x.shape) * 0.04 * per_image(some(0.3))
    smooth = functional.avg_pool2d(functional.pad(x, (1,) * 4, mode="reflect"), 3, 1)
    return (x + per_image(some(0.15)) * (x - smooth)).clamp(0, 1)


def blur(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Blur each image with a Gaussian of its own width in pixels."""
    n, channels, height, width = x.shape
    offsets = torch.arange(-4, 5, device=x.device)
    kernels = torch.exp(-(offsets**2) / (2 * sigma[:, None] ** 2))
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    kernels = kernels.repeat_interleave(channels, 0)[:, None]
    x = functional.pad(x, (4,) * 4, mode="reflect").view(1, -1, height + 8, width + 8)
    x = functional.conv2d(x, kernels[:, :, None], groups=n * channels)
    x = functional.conv2d(x, kernels[..., None], groups=n * channels)
    return x.view(n, channels, height, width)


def save(
    file: Path, parts: dict[str, Any], generator: torch.Generator, step: int
) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    state |= {"step": step, "generator": generator.get_state()}
    state["dropout"] = torch.get_rng_state()
    temporary = file.with_suffix(".part")
    torch.save(state, temporary)
    os.replace(temporary, file)


def resume(file: Path, parts: dict[str, Any], generator: torch.Generator) -> int:
    """Restore the state of an interrupted training; return the number of its steps."""
    if not file.exists():
        return 0
    state = torch.load(file, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    generator.set_state(state["generator"])
    torch.set_rng_state(state["dropout"])
    return state["step"]
