"""Other packages take ensembles of tables by the code of the page "Works with".

Its code for images is run with the other pages.
"""

import warnings

import numpy as np
import pytest
from code_blocks import ROOT, read_page
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import ColourStatistics, KFoldEnsembleClassifier
from skwbc.datasets import make_blood_cells

BLOCKS = {
    block.needs: block.text
    for block in read_page(ROOT / "docs/user_guide/works_with.md").blocks
    if block.needs and not block.images_only
}


@pytest.mark.parametrize("package", BLOCKS)
def test_tables(package, tmp_path, monkeypatch):
    pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    names = {"np": np, "clone": clone, "cross_val_score": cross_val_score}
    for k, (which, n) in enumerate({"": 8, "_apart": 4, "_new": 2}.items()):
        images, y = make_blood_cells(n, image_size=(24, 24), random_state=k)
        names |= {f"X{which}": ColourStatistics().fit_transform(images)}
        names |= {f"y{which}": y}
    member = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    names["clf"] = KFoldEnsembleClassifier(member, cv=2, random_state=0)
    with warnings.catch_warnings():
        # Those of other packages are their own.
        warnings.simplefilter("ignore")
        exec(BLOCKS[package].replace("FlattenImages(), ", ""), names)
