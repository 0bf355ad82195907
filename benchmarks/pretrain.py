"""Train the first weights of the package's networks on photographs of blood cells.

    python benchmarks/pretrain.py --data ../shared/data

trains the compact and the residual network on the cells of ``pbc`` and ``chula`` (one
label per type in both) and on drawn cells of ``make_blood_cells`` (classes of their
own), and writes their convolutions to ``skwbc/cnn/weights``, where ``"blood_cells"``
finds them. All cells are first put into one file, ``--images``, from which another
machine with the package and a GPU can train, too. ``--leave-out chula`` leaves a
laboratory out, to judge weights by cells of a laboratory that they have not seen;
``--out`` names another folder. Takes three minutes on an H200, and most of a day on 2
cores.
The same command resumes an interrupted run. Needs the extra ``benchmark``.

Each file says how it was made: seed, steps, sources and the checksum of their cells.

Sources: A. Acevedo et al., "A dataset of microscopic peripheral blood cell images for
development of automatic recognition systems", Data in Brief 30, 2020 (Hospital Clinic
of Barcelona, CC BY 4.0), and the WBC data set of Chulalongkorn University (MIT).
"""

import argparse
import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import torch
from _pretraining import Images, train
from _torch_networks import CompactMaps, ResidualMaps, as_tensor
from torch import nn

from skwbc._utils.files import replacing
from skwbc.datasets import make_blood_cells

LABORATORIES = ("pbc", "chula")
SIDE = 112
TYPES = ("neutrophil", "eosinophil", "monocyte", "lymphocyte", "basophil")
FOLDER = Path(__file__).parents[1] / "skwbc" / "cnn" / "weights"
# Steps, and whether the loss pulls cells of a type together.
NETWORKS = {
    "compact": (CompactMaps, 4000, False),
    "residual": (ResidualMaps, 4800, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default="../shared/data")
    parser.add_argument(
        "--images",
        type=Path,
        default="cells.npz",
        help="all cells of the sources in one file of 48 MB; made of --data if missing",
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--leave-out", choices=LABORATORIES)
    parser.add_argument("--drawn", type=int, default=600, help="cells of each type")
    parser.add_argument("--steps", type=int, help="fewer, for a quick try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if not arguments.images.exists():
        pack(arguments.data, arguments.drawn, arguments.images)
    sources = [name for name in LABORATORIES if name != arguments.leave_out]
    images, checksum = unpack(arguments.images, [*sources, "drawn"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.networks:
        make, steps, same_type = NETWORKS[name]
        about = {
            "network": name,
            "sources": [*sources, "drawn"],
            "images": len(images.labels),
            "sha256": checksum,
            "steps": arguments.steps or steps,
            "seed": arguments.seed,
        }
        print(json.dumps(about), flush=True)
        key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]
        checkpoint = arguments.out / f"{name}-{key}.checkpoint"
        maps = train(
            make(),
            images,
            steps=about["steps"],
            same_type=same_type,
            seed=arguments.seed,
            checkpoint=checkpoint,
            tell=lambda line: print(line, flush=True),
        )
        about |= {"torch": torch.__version__, "gpu": torch.cuda.is_available()}
        file = arguments.out / f"{name}_blood_cells.npz"
        write(name, maps, file, about)
        checkpoint.unlink()
        print(f"wrote {file}, {file.stat().st_size / 1e6:.2f} MB", flush=True)


def pack(data: Path, drawn: int, file: Path) -> None:
    """Write the cells of all sources, cut square and as WebP, into one file."""
    rows = [
        (source, path.parent.name.lower(), path)
        for source in LABORATORIES
        for path in sorted((data / source).glob("*/*"))
    ]
    found = {source for source, _, _ in rows}
    if found != set(LABORATORIES):
        raise SystemExit(f"{data} has to hold the folders {', '.join(LABORATORIES)}.")
    with ThreadPoolExecutor() as pool:
        cells = list(pool.map(lambda row: encode(square(row[2])), rows))
    sources, labels, _ = map(list, zip(*rows, strict=True))
    for start in range(0, drawn, 100):
        images, types = make_blood_cells(
            min(100, drawn - start),
            image_size=(SIDE, SIDE),
            classes=TYPES,
            random_state=1000 + start // 100,
        )
        cells += [encode(image[..., ::-1]) for image in images]
        labels += [f"drawn {name}" for name in types]
        sources += ["drawn"] * len(types)
    with replacing(file) as temporary:
        sizes = [len(cell) for cell in cells]
        np.savez(
            temporary,
            data=np.concatenate(cells),
            size=sizes,
            label=labels,
            source=sources,
        )


def unpack(file: Path, sources: list[str]) -> tuple[Images, str]:
    """Return the images of some sources, and the checksum of their encoded pixels."""
    with np.load(file) as stored:
        cells = np.split(stored["data"], np.cumsum(stored["size"])[:-1])
        labels, names = stored["label"], stored["source"]
    chosen = np.flatnonzero(np.isin(names, sources))
    checksum = hashlib.sha256(b"".join(cells[row].tobytes() for row in chosen))
    with ThreadPoolExecutor() as pool:
        pixels = list(pool.map(lambda row: decode(cells[row]), chosen))
    return Images(np.stack(pixels), labels[chosen], names[chosen]), checksum.hexdigest()


def square(file: Path) -> np.ndarray:
    """Return the middle of an image in `SIDE` pixels."""
    image = cv2.imread(os.fspath(file))
    if image is None:
        raise SystemExit(f"{file} could not be read as an image.")
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = image[top : top + side, left : left + side]
    shrink = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
    return cv2.resize(image, (SIDE, SIDE), interpolation=shrink)


def encode(image: np.ndarray) -> np.ndarray:
    quality = [cv2.IMWRITE_WEBP_QUALITY, 90]
    return cv2.imencode(".webp", np.ascontiguousarray(image), quality)[1].ravel()


def decode(cell: np.ndarray) -> np.ndarray:
    """Return RGB pixels, channels first."""
    return cv2.imdecode(cell, cv2.IMREAD_COLOR)[..., ::-1].transpose(2, 0, 1)


def write(name: str, maps: nn.Module, file: Path, about: dict) -> None:
    """Write the weights for the package, and check that Keras sees the same."""
    import keras

    from skwbc.cnn import build_compact_cnn, build_residual_cnn
    from skwbc.cnn._pretrained import save_pretrained

    build = {"compact": build_compact_cnn, "residual": build_residual_cnn}[name]
    network = build({"image_shape_": (100, 100, 3), "n_classes_": 2})
    for kind, twin in (("Conv2D", nn.Conv2d), ("BatchNormalization", nn.BatchNorm2d)):
        # Both libraries make the layers in the same order.
        layers = [x for x in network.layers if type(x).__name__ == kind]
        layers.sort(key=lambda layer: int(*re.findall(r"_(\d+)$", layer.name) or [0]))
        twins = [module for module in maps.modules() if isinstance(module, twin)]
        for layer, module in zip(layers, twins, strict=True):
            layer.set_weights(arrays(module))
    save_pretrained(network, file, about)
    keras_maps = keras.Model(network.inputs, network.layers[-3].output)
    views = np.random.default_rng(0).normal(0, 0.2, (8, 100, 100, 3))
    with torch.no_grad():
        expected = maps(as_tensor(views)).numpy()
    difference = np.abs(keras_maps.predict(views, verbose=0) - expected).max()
    if difference > 1e-3 * np.abs(expected).max():
        raise SystemExit(f"The maps of Keras and PyTorch differ by {difference:.2g}.")


def arrays(module: nn.Module) -> list[np.ndarray]:
    """Return the weights of a layer as Keras has them."""
    if isinstance(module, nn.Conv2d):
        return [module.weight.detach().numpy().transpose(2, 3, 1, 0)]
    tensors = (module.weight, module.bias, module.running_mean, module.running_var)
    return [tensor.detach().numpy() for tensor in tensors]


if __name__ == "__main__":
    main()
