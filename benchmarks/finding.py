"""Measure how well cells are found in fields: recall, precision, boxes and time.

    python benchmarks/finding.py --data ../shared/data

judges `skwbc.fields.find_cells` on fields of two laboratories with boxes of white
cells. Its network was trained on the first half of the fields of each (by file name, in
chula within each type), and is judged on the second. A hit is a cell whose centre lies
inside a box that has no other; what is found elsewhere is a false alarm. Some white
cells have no box. ``fields_unboxed.csv`` lists those that a look at all fields found,
and smudges and cells cut by the border that may or may not count; "with the unboxed"
counts the former as boxes and leaves the latter out.

``--pictures`` writes a picture of each field with a miss or a false alarm.
"""

import argparse
import csv
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from skwbc.datasets import make_blood_smear
from skwbc.fields import find_cells
from skwbc.fields._images import read_field

SETS = ("fields_bccd", "fields_chula")
NOT_WHITE = ("RBC", "Platelets")
UNBOXED = Path(__file__).with_name("fields_unboxed.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default="../shared/data")
    parser.add_argument("--pictures", type=Path, help="a folder for pictures")
    parser.add_argument("--min-score", type=float, default=None)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    settings = {} if arguments.min_score is None else {"min_score": arguments.min_score}
    print("| fields | cells | recall | precision | with the unboxed | median IoU |")
    print("|---|---|---|---|---|---|")
    for name in SETS:
        boxes, others = read_boxes(arguments.data / name)
        halves = first_halves(boxes)
        found = {}
        for file in boxes:
            image = read_field(arguments.data / name / file)
            found[file] = find_cells(image, **settings)
            if arguments.pictures:
                draw(
                    arguments.pictures / f"{name}_{file}",
                    image,
                    found[file],
                    boxes[file],
                    others[file],
                )
        for title, files in {
            "judged half": [file for file in boxes if file not in halves],
            "training half": [file for file in boxes if file in halves],
            "all": [*boxes],
        }.items():
            row = judge(files, found, boxes, others)
            print(f"| {name}, {title}: {len(files)} | {row}")
    drawn()
    measure_times(arguments.data)


def read_boxes(folder: Path) -> tuple[dict, dict]:
    """Return the boxes of white cells by file, and marks of cells without a box."""
    boxes: dict[str, list] = {file.name: [] for file in sorted(folder.glob("*.jpg"))}
    with open(folder / "boxes.csv", newline="") as table:
        for row in csv.DictReader(table):
            if row["label"] not in NOT_WHITE:
                sides = ("xmin", "ymin", "xmax", "ymax")
                boxes[row["file"]].append([int(row[side]) for side in sides])
    marks = defaultdict(list)
    with open(UNBOXED, newline="") as table:
        for row in csv.DictReader(table):
            if row["set"] == folder.name:
                place = [int(row[key]) for key in ("x", "y", "side")]
                marks[row["file"]].append((*place, row["what"]))
    return boxes, marks


def first_halves(files) -> set[str]:
    """Return the files that the network may have been trained on."""
    groups = defaultdict(list)
    for file in sorted(files):
        # In chula, the name begins with the type of the cell.
        groups[file[0] if "-" in file else ""].append(file)
    return {file for group in groups.values() for file in group[: len(group) // 2]}


def judge(files, found, boxes, others) -> str:
    """Return recall, precision and the overlap of the boxes as a row of the table."""
    hits = n_boxes = n_found = unboxed = unclear = n_cells = 0
    overlaps = []
    for file in files:
        cells, free = found[file], [*boxes[file]]
        marks = [*others[file]]
        n_cells += sum(what == "cell" for *_, what in marks)
        n_boxes, n_found = n_boxes + len(free), n_found + len(cells)
        for cell in cells:
            x, y = (cell[:2] + cell[2:]) / 2
            inside = [b for b in free if b[0] <= x <= b[2] and b[1] <= y <= b[3]]
            if inside:
                best = max(inside, key=lambda box: overlap(box, cell))
                free.remove(best)
                overlaps.append(overlap(best, cell))
                hits += 1
                continue
            near = [m for m in marks if max(abs(m[0] - x), abs(m[1] - y)) <= m[2] / 2]
            if near:
                marks.remove(near[0])
                unboxed += near[0][3] == "cell"
                unclear += near[0][3] != "cell"
    recall, precision = hits / n_boxes, hits / n_found
    with_recall = (hits + unboxed) / (n_boxes + n_cells)
    with_precision = (hits + unboxed) / (n_found - unclear)
    return (
        f"{n_boxes} | {recall:.3f} | {precision:.3f} | recall {with_recall:.3f}, "
        f"precision {with_precision:.3f} | {np.median(overlaps):.3f} |"
    )


def overlap(a, b) -> float:
    """Return the intersection over union."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod(np.maximum(np.subtract(high, low), 0))
    areas = [np.prod(np.subtract(each[2:], each[:2])) for each in (a, b)]
    return float(shared / (sum(areas) - shared))


def drawn() -> None:
    """Judge drawn fields, which are different ones from those of the training."""
    for scale in (2.5, 5, 10):
        fields, boxes, _ = make_blood_smear(
            20, pixels_per_micrometre=scale, touching=0.3, random_state=7
        )
        found = {str(k): find_cells(field) for k, field in enumerate(fields)}
        truth = {str(k): each.tolist() for k, each in enumerate(boxes)}
        row = judge([*found], found, truth, defaultdict(list))
        print(f"| drawn, {scale} pixels per micrometre: {len(fields)} | {row}")


def measure_times(data: Path) -> None:
    """Print the time of a field on one thread, of the processor and of the clock."""
    field = read_field(next(iter(sorted((data / SETS[0]).glob("*.jpg")))))
    large = cv2.resize(field, (4000, 3000), interpolation=cv2.INTER_CUBIC)
    empty = np.full_like(field, (230, 215, 225))
    for name, image in {
        "640 x 480": field,
        "640 x 480 without cells": empty,
        "4000 x 3000": large,
    }.items():
        find_cells(image)
        clocks = []
        for _ in range(7):
            start = time.perf_counter(), time.process_time()
            find_cells(image)
            clocks.append(
                (time.perf_counter() - start[0], time.process_time() - start[1])
            )
        clock, processor = 1000 * np.median(clocks, axis=0)
        print(f"{name}: {clock:.0f} ms, {processor:.0f} ms of processor time")


def draw(path: Path, image, cells, boxes, marks) -> None:
    """Write a field with its boxes in green, what was found in black, marks in red."""
    text = (
        judge(["f"], {"f": cells}, {"f": boxes}, {"f": marks})
        if len(cells) and boxes
        else ""
    )
    if "recall 1.000, precision 1.000" in text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image[..., ::-1].copy()
    for color, wide, group in (((0, 200, 0), 5, boxes), ((0, 0, 0), 2, cells)):
        for x0, y0, x1, y1 in group:
            cv2.rectangle(image, (int(x0), int(y0)), (int(x1), int(y1)), color, wide)
    for x, y, *_ in marks:
        cv2.circle(image, (x, y), 9, (0, 0, 255), 3)
    cv2.imwrite(str(path), image)


if __name__ == "__main__":
    main()
