"""Train the network that finds cells in fields.

    python benchmarks/pretrain_fields.py --data ../shared/data

trains a small fully convolutional network on the first half of the fields of two
laboratories (see finding.py), on mosaics of the cells of a third, and on drawn fields,
and writes it to ``skwbc/fields/weights/cells.onnx``. Needs the extra ``onnx``; takes
half an hour on two cores.

Every sample is a part of a field in optical density, enlarged or reduced so that a
typical cell has 15 to 240 pixels. The network learns to find cells of 20 to 48 pixels;
somewhat smaller and larger ones are left out of the loss, all others are background, so
that platelets and lobes of nuclei are not taken for cells. Colours, background, focus
and noise vary. The loss is that of "Objects as Points" (Zhou et al., 2019) with the
intersection over union of the boxes.

Sources: BCCD (MIT); WBC data set of Chulalongkorn University (MIT); A. Acevedo et al.,
"A dataset of microscopic peripheral blood cell images for development of automatic
recognition systems", Data in Brief 30, 2020 (Hospital Clinic of Barcelona, CC BY 4.0).
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
import onnx
import tensorflow as tf
from finding import SETS, first_halves, read_boxes
from keras import layers
from onnx import TensorProto, helper, numpy_helper

from skwbc._utils.files import replacing
from skwbc.datasets import make_blood_smear
from skwbc.fields._finding import _DENSITY, _light, _surface
from skwbc.fields._images import read_field

OUT = Path(__file__).parents[1] / "skwbc" / "fields" / "weights" / "cells.onnx"
SIDE, STRIDE, SMALLEST, LARGEST = 160, 4, 20, 48
BATCH, WARM_UP, RATE = 15, 150, 4e-3
CHANCES = {"fields_bccd": 0.3, "fields_chula": 0.3, "pbc": 0.22, "drawn": 0.18}
# Diameters of the types of pbc in its pixels; platelets are background.
DIAMETERS = {
    "neutrophil": 64, "eosinophil": 66, "ig": 72, "erythroblast": 46, "monocyte": 74,
    "basophil": 60, "lymphocyte": 52, "platelet": None,
}  # fmt: skip
TYPES = ("neutrophil", "eosinophil", "monocyte", "lymphocyte", "basophil")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default="../shared/data")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    keras.utils.set_random_seed(arguments.seed)
    cv2.setNumThreads(1)
    sources = {name: fields_of(arguments.data / name) for name in SETS}
    sources["pbc"] = mosaics(arguments.data / "pbc", rng)
    sources["drawn"] = drawn(rng)
    network = build()
    train(network, sources, arguments.steps, rng)
    with replacing(arguments.out) as temporary:
        onnx.save(as_onnx(network), temporary)


# --- the data: fields as pyramids of densities, and rows (xmin, ymin, xmax, ymax,
# whether it is a cell, whether its box is known) --------------------------------------


def fields_of(folder: Path) -> list:
    boxes, marks = read_boxes(folder)
    fields = []
    for file in sorted(first_halves(boxes)):
        cells = [(*box, 1, 1) for box in boxes[file]]
        for x, y, side, what in marks[file]:
            low, high = np.array([x, y]) - side / 2, np.array([x, y]) + side / 2
            cells.append((*low, *high, what == "cell", 0))
        fields.append((pyramid(read_field(folder / file)), as_rows(cells)))
    return fields


def drawn(rng) -> list:
    fields = []
    for k in range(110):
        (field,), (boxes,), _ = make_blood_smear(
            n_cells=int(rng.integers(0, 9)),
            classes=TYPES,
            field_size=(360, 480),
            pixels_per_micrometre=float(np.exp(rng.uniform(np.log(2.2), np.log(8)))),
            touching=0.45,
            random_state=1000 + k,
        )
        fields.append((pyramid(field), as_rows([(*box, 1, 1) for box in boxes])))
    return fields


def as_rows(cells) -> np.ndarray:
    return np.array(cells, float).reshape(-1, 6)


def pyramid(image: np.ndarray) -> list[np.ndarray]:
    levels = []
    while min(image.shape[:2]) >= 64:
        light = _surface(_light(image), *image.shape[:2])
        levels.append((cv2.LUT(image, _DENSITY) + light).astype(np.float16))
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return levels


def mosaics(folder: Path, rng, n: int = 4) -> list:
    """Put single cells and platelets side by side; ignore what else is in the tiles."""
    tiles = {}
    for name in DIAMETERS:
        files = sorted((folder / name).glob("*.jpg"))
        tiles[name] = []
        for k in rng.permutation(len(files))[:250]:
            image = cv2.imread(str(files[k]), cv2.IMREAD_COLOR_RGB)
            if image is not None and image.shape[:2] == (120, 120):
                pixels = image.reshape(-1, 3)
                bright = pixels[np.argsort(pixels.sum(axis=1))[-1500:]]
                light = np.log10(np.median(bright, axis=0) / 255)
                density = cv2.LUT(image, _DENSITY) + light
                tiles[name].append(density.astype(np.float16))
    y, x = np.mgrid[:120, :120] - 60
    distance = np.hypot(y, x)
    fields = []
    for _ in range(70):
        field = np.zeros((n * 120, n * 120, 3), np.float16)
        ignored = np.zeros(field.shape[:2], np.uint8)
        cells, chance = [], rng.choice([0.3, 0.7, 0.95])
        for row, column in np.ndindex(n, n):
            name = "platelet" if rng.random() < chance else rng.choice([*DIAMETERS])
            tile = tiles[name][rng.integers(len(tiles[name]))].astype(np.float32)
            tile = np.rot90(tile, rng.integers(4))
            red, green, blue = np.moveaxis(tile, 2, 0)
            nuclear = np.ascontiguousarray(np.minimum(red, green) - 0.7 * blue)
            others = cv2.GaussianBlur(nuclear, (0, 0), 2) > 0.04
            diameter = DIAMETERS[name]
            others &= distance > (0.6 * diameter if diameter else 40)
            area = np.s_[row * 120 : row * 120 + 120, column * 120 : column * 120 + 120]
            field[area] = tile
            ignored[area] = cv2.dilate(others.astype(np.uint8), np.ones((9, 9)))
            if diameter:
                centre = np.array([column, row]) * 120 + 60
                box = (*(centre - diameter / 2), *(centre + diameter / 2))
                cells.append((*box, 1, 0))
        fields.append(([field], as_rows(cells), ignored))
    return fields


# --- samples --------------------------------------------------------------------------


def sample(sources: dict, rng) -> tuple:
    """Return a part of a field, and score, its weight, boxes and theirs."""
    fields = sources[rng.choice([*sources], p=[CHANCES[name] for name in sources])]
    levels, cells, *ignored = fields[rng.integers(len(fields))]
    height, width = levels[0].shape[:2]
    sizes = (cells[:, 2:4] - cells[:, :2]).max(axis=1) if len(cells) else [100.0]
    low, high = ((15, 72), (72, 240))[rng.random() > 0.66]
    zoom = np.exp(rng.uniform(np.log(low), np.log(high))) / np.median(sizes)
    level = 0
    while zoom * 2**level <= 0.5 and level < len(levels) - 1:
        level += 1
    if len(cells) and rng.random() < 0.75:
        cell = cells[rng.integers(len(cells))]
        centre = (cell[:2] + cell[2:4]) / 2 + rng.uniform(-0.45, 0.45, 2) * SIDE / zoom
    else:
        centre = rng.uniform(0, (width, height))
    turn, flip = rng.integers(4) * np.pi / 2, rng.choice([-1, 1])
    stretch = np.exp(rng.normal(0, 0.06))
    matrix = zoom * np.array(
        [[np.cos(turn) * flip * stretch, -np.sin(turn)],
         [np.sin(turn) * flip, np.cos(turn) / stretch]]
    )  # fmt: skip
    shift = SIDE / 2 - matrix @ centre

    def warped(image, factor=1, how=cv2.INTER_NEAREST):
        affine = np.c_[matrix * factor, shift].astype(np.float32)
        return cv2.warpAffine(image, affine, (SIDE, SIDE), flags=how)

    density = warped(levels[level].astype(np.float32), 2**level, cv2.INTER_LINEAR)
    inside = warped(np.ones((height, width), np.uint8))
    corners = cells[:, [[0, 1], [2, 3]]] @ matrix.T + shift
    boxes = np.hstack([corners.min(axis=1), corners.max(axis=1)])
    half = STRIDE // 2
    weight = (inside[half::STRIDE, half::STRIDE] > 0).astype(np.float32)
    if ignored:
        weight[warped(ignored[0])[half::STRIDE, half::STRIDE] > 0] = 0
    targets = _targets(boxes, cells[:, 4] > 0, cells[:, 5] > 0, weight)
    return _varied(density, inside, rng), *targets


def _targets(boxes, are_cells, are_known, weight) -> tuple:
    n = SIDE // STRIDE
    heat, sides = np.zeros((n, n)), np.zeros((n, n, 4))
    sides_weight = np.zeros((n, n))
    y, x = np.mgrid[:n, :n] * STRIDE + (STRIDE - 1) / 2
    for (left, top, right, bottom), is_cell, is_known in zip(
        boxes, are_cells, are_known, strict=True
    ):
        size = max(right - left, bottom - top)
        within = (x > left) & (x < right) & (y > top) & (y < bottom)
        if is_cell and not 0.62 * SMALLEST <= size <= 1.55 * LARGEST:
            continue
        if not (is_cell and SMALLEST <= size <= LARGEST):
            weight[within] = 0
            continue
        cx, cy = (left + right) / 2, (top + bottom) / 2
        if not (0 <= cx < SIDE and 0 <= cy < SIDE):
            continue
        distance = ((x - cx) / (right - left + 4)) ** 2
        distance += ((y - cy) / (bottom - top + 4)) ** 2
        peak = np.exp(-distance / (2 * 0.13**2))
        row, column = int(cy // STRIDE), int(cx // STRIDE)
        peak[row, column] = 1
        weight[within if is_known else (row, column)] = 1
        nearest = (peak > heat) & (peak > 0.25)
        heat = np.maximum(heat, peak)
        if is_known:
            sides_weight[nearest] = 1
            distances = np.stack([x - left, y - top, right - x, bottom - y], axis=2)
            sides[nearest] = distances[nearest] / 16
    return tuple(
        each.astype(np.float32) for each in (heat, weight, sides, sides_weight)
    )


def _varied(density, inside, rng) -> np.ndarray:
    """Vary stain, background, focus, colour shift and noise."""
    gain = np.exp(rng.normal(0, 0.35)) * np.exp(rng.normal(0, 0.22, 3))
    mix = np.eye(3) + rng.normal(0, 0.09, (3, 3))
    if rng.random() < 0.25:
        grey = rng.uniform(0, 0.6)
        mix = (1 - grey) * mix + grey / 3
    density = density @ (mix * gain).astype(np.float32)
    ramp = np.linspace(-1, 1, SIDE)
    slopes = rng.normal(0, 0.015, 3) + ramp[:, None, None] * rng.normal(0, 0.02, 3)
    slopes = slopes + ramp[:, None] * rng.normal(0, 0.02, 3)
    density += (inside[..., None] * slopes).astype(np.float32)
    if rng.random() < 0.35:
        density = cv2.GaussianBlur(density, (0, 0), rng.uniform(0.4, 1.8))
    if rng.random() < 0.1:
        blurred = cv2.GaussianBlur(density, (0, 0), 1.5)
        density += (density - blurred) * rng.uniform(0.5, 1.5)
    if rng.random() < 0.15:
        for channel in (0, 2):
            step = rng.integers(-1, 2, 2)
            density[..., channel] = np.roll(density[..., channel], step, (0, 1))
    noise = rng.normal(0, rng.uniform(0.002, 0.03), density.shape)
    density += (inside[..., None] * noise).astype(np.float32)
    return np.clip(density, -0.2, 1.5)


# --- the network ----------------------------------------------------------------------


def build() -> keras.Model:
    def convolution(x, name, filters, kernel=3, stride=1, dilation=1, relu=True):
        x = layers.Conv2D(
            filters, kernel, stride, "same", dilation_rate=dilation, use_bias=False,
            name=name,
        )(x)  # fmt: skip
        x = layers.BatchNormalization(momentum=0.95, name=f"{name}_norm")(x)
        return layers.ReLU()(x) if relu else x

    inputs = layers.Input((SIDE, SIDE, 3))
    fine = convolution(convolution(inputs, "half", 12, stride=2), "fine", 24, stride=2)
    x = convolution(fine, "coarse", 32, stride=2)
    for dilation, name in zip(DILATIONS, AROUND, strict=True):
        x = layers.Add()([x, convolution(x, name, 32, dilation=dilation)])
    up = layers.UpSampling2D(2)(convolution(x, "up", 24, 1, relu=False))
    both = layers.Add()([up, convolution(fine, "across", 24, 1, relu=False)])
    x = convolution(layers.ReLU()(both), "last", 24)
    # Cells are rare at first, and half a box is about 18 pixels.
    start = keras.initializers.Constant([-3.5, 0.8, 0.8, 0.8, 0.8])
    return keras.Model(
        inputs, layers.Conv2D(5, 1, bias_initializer=start, name="head")(x)
    )


DILATIONS, AROUND = (1, 2, 4, 1), ("around_1", "around_2", "around_3", "around_4")


def train(network: keras.Model, sources: dict, steps: int, rng) -> None:
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, max(1, steps - WARM_UP), warmup_target=RATE, warmup_steps=WARM_UP
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-3, clipnorm=5.0)

    @tf.function
    def step(density, heat, weight, sides, sides_weight):
        with tf.GradientTape() as tape:
            found = network(density, training=True)
            loss = score_loss(found[..., 0], heat, weight)
            loss += box_loss(tf.nn.softplus(found[..., 1:]), sides, sides_weight * heat)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        return loss

    start, losses = time.time(), []
    for number in range(1, steps + 1):
        batch = zip(*(sample(sources, rng) for _ in range(BATCH)), strict=True)
        losses.append(float(step(*map(np.stack, batch))))
        if number % 100 == 0:
            mean, seconds = np.mean(losses[-100:]), time.time() - start
            print(f"step {number}: loss {mean:.3f}, {seconds:.0f} s", flush=True)


def score_loss(logits, heat, weight):
    p = tf.sigmoid(logits)
    centre = tf.cast(heat > 0.99, tf.float32)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(centre, logits)
    loss = centre * (1 - p) ** 2 + (1 - centre) * (1 - heat) ** 4 * p**2
    return tf.reduce_sum(loss * weight * entropy) / (tf.reduce_sum(centre * weight) + 1)


def box_loss(found, sides, weight):
    def area(each):
        return (each[..., 0] + each[..., 2]) * (each[..., 1] + each[..., 3])

    shared = area(tf.minimum(found, sides))
    overlap = (shared + 0.05) / (area(found) + area(sides) - shared + 0.05)
    return tf.reduce_sum(weight * (1 - overlap)) / (tf.reduce_sum(weight) + 1)


def as_onnx(network: keras.Model) -> onnx.ModelProto:
    """Return the network for images of any size, its normalisations in its weights."""
    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def apply(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def convolution(name, x, stride=1, dilation=1, relu=True):
        layer = network.get_layer(name)
        kernel = layer.kernel.numpy()
        if layer.use_bias:
            bias = layer.bias.numpy()
        else:
            norm = network.get_layer(f"{name}_norm")
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / np.sqrt(variance + norm.epsilon)
            kernel, bias = kernel * scale, beta - mean * scale
        size = kernel.shape[0]
        pads = [0] * 4 if size == 1 else [0, 0, 1, 1] if stride == 2 else [dilation] * 4
        weights = constant(f"{name}_kernel", kernel.transpose(3, 2, 0, 1))
        x = apply(
            "Conv", [x, weights, constant(f"{name}_bias", bias)], f"{name}_sum",
            strides=[stride] * 2, dilations=[dilation] * 2, pads=pads,
        )  # fmt: skip
        return apply("Relu", [x], name) if relu else x

    fine = convolution("fine", convolution("half", "density", 2), 2)
    x = convolution("coarse", fine, 2)
    for dilation, name in zip(DILATIONS, AROUND, strict=True):
        inner = convolution(name, x, dilation=dilation)
        x = apply("Add", [x, inner], f"{name}_added")
    twice = constant("twice", np.array([1, 1, 2, 2], np.float32))
    up = apply(
        "Resize", [convolution("up", x, relu=False), "", twice], "up_twice",
        mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )  # fmt: skip
    both = apply("Add", [up, convolution("across", fine, relu=False)], "both")
    last = convolution("last", apply("Relu", [both], "both_relu"))
    head = convolution("head", last, relu=False)
    axis = constant("axis", np.array([1]))
    ends = [constant(f"end_{k}", np.array([k])) for k in (0, 1, 5)]
    score = apply("Slice", [head, ends[0], ends[1], axis], "score_logit")
    sides = apply("Slice", [head, ends[1], ends[2], axis], "sides_raw")
    sides = apply("Softplus", [sides], "sides_16")
    sides = apply("Mul", [sides, constant("16", np.array([16.0], np.float32))], "sides")
    score = apply("Sigmoid", [score], "score")
    apply("Concat", [score, sides], "cells", axis=1)
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info("density", kind, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("cells", kind, [1, 5, "rows", "columns"])],
        constants,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    main()
