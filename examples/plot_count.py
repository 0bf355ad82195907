"""
Counting the cells of a field
=============================

Photographs of a smear show fields with many cells. Here the white cells of drawn fields
are found, cut out, classified and counted, and the count gets an interval.
"""

# %%
# A field
# -------
#
# :func:`~skwbc.datasets.make_blood_smear` draws fields with known boxes: white cells,
# some of which touch, among red cells and platelets.

import matplotlib.pyplot as plt
import numpy as np

from skwbc import make_cell_classifier
from skwbc.datasets import make_blood_cells, make_blood_smear
from skwbc.fields import count_cells, crop_cells, find_cells

CLASSES = ["eosinophil", "lymphocyte", "monocyte", "neutrophil"]
COLOURS = dict(zip(CLASSES, ["#d55e00", "#0072b2", "#00785a", "#a03c78"], strict=True))
fields, true_boxes, _ = make_blood_smear(
    12, n_cells=8, classes=CLASSES, pixels_per_micrometre=5, random_state=11
)

# %%
# Finding and cropping
# --------------------
#
# :func:`~skwbc.fields.find_cells` needs neither a setting nor a model of your own. The
# boxes come with the most certain first.

boxes, scores = find_cells(fields[-1], return_scores=True)
cells = crop_cells(fields[-1], boxes, margin=0.35, size=(100, 100))
print(f"{len(boxes)} cells were found, {len(true_boxes[-1])} were drawn")

figure, axes = plt.subplots(2, 4, figsize=(8, 4.4), layout="constrained")
for each in axes.flat:
    each.axis("off")
for each, cell, score in zip(axes.flat, cells, scores, strict=False):
    each.imshow(cell)
    each.set_title(f"score {score:.2f}")

# %%
# Counting
# --------
#
# The model is trained on single cells. The counts are corrected for its confusions,
# which it knows from its held-out cells; the 95 % interval covers these and the number
# of counted cells.

X, y = make_blood_cells(40, classes=CLASSES, random_state=0)
model = make_cell_classifier("features", random_state=0).fit(X, y)
count = count_cells(model, fields, margin=0.35)

print(f"{count.n_counted} cells counted, {count.n_unlike} unlike the training cells")
for row in count.classes:
    print(
        f"{row['class']:12} {row['cells']:3} cells, {row['adjusted']:5.1f} % "
        f"({row['low']:.1f} to {row['high']:.1f} %)"
    )

# %%
# The result
# ----------
#
# The count of all twelve fields, and the cells of the last one. Cells unlike the
# training cells have a dashed box and are not counted.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.6), width_ratios=[1.75, 1], layout="constrained"
)
left.imshow(fields[-1])
left.axis("off")
for cell in count.cells:
    if cell["field"] == "field 11":
        x, top = cell["xmin"], cell["ymin"]
        colour = COLOURS[cell["predicted"]]
        left.add_patch(
            plt.Rectangle(
                (x, top),
                cell["xmax"] - x,
                cell["ymax"] - top,
                fill=False,
                color=colour,
                linewidth=2.5,
                linestyle="-" if cell["counted"] else "--",
            )
        )
        # Below the box if there is no room above it.
        place = top - 5 if top > 25 else cell["ymax"] + 20
        label = left.text(x, place, cell["predicted"], color="white", fontsize=9)
        label.set_bbox({"facecolor": colour, "edgecolor": "none", "pad": 2})
names = [row["class"] for row in count.classes]
shares = np.array([row["adjusted"] for row in count.classes])
ends = np.array([[row["low"], row["high"]] for row in count.classes]).T
right.barh(
    names,
    shares,
    xerr=np.abs(ends - shares),
    color=[COLOURS[name] for name in names],
    capsize=5,
)
right.invert_yaxis()
right.set(xlabel="per cent, with 95 % interval", title=f"{count.n_counted} cells")
