"""A page that classifies drawn cells in the browser, and cells to drop onto it.

It is built where `make browser-test` has put the runtime. Elsewhere the pages that
mention it, in blocks ``{only} browser``, leave it out.
"""

import zipfile
from pathlib import Path

_RUNTIME = Path(__file__).parents[2] / ".venv/npm/node_modules/onnxruntime-web"


def _write(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    import cv2

    from skwbc import make_cell_classifier
    from skwbc.datasets import make_blood_cells
    from skwbc.export import to_page

    X, y = make_blood_cells(30, random_state=0)
    clf = make_cell_classifier("features", random_state=0).fit(X, y)
    to_page(clf, Path(app.outdir) / "drawn_cells.html", runtime=_RUNTIME)
    new, names = make_blood_cells(4, random_state=1)
    with zipfile.ZipFile(Path(app.outdir) / "drawn_cells.zip", "w") as archive:
        for number, (image, name) in enumerate(zip(new, names, strict=True)):
            content = cv2.imencode(".png", image[..., ::-1])[1]
            archive.writestr(f"drawn_cells/{number:02}_{name}.png", content.tobytes())


def setup(app):
    """Build the page at the end of the build."""
    if _RUNTIME.is_dir():
        app.tags.add("browser")
        app.connect("build-finished", _write)
    return {"parallel_read_safe": True}
