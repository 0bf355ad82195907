"""Gallery scraper for returned figures, which pyplot does not know."""

from weakref import WeakSet

from sphinx_gallery.scrapers import figure_rst

_saved: WeakSet = WeakSet()


def _scrape(block, block_vars, gallery_conf):
    from matplotlib.figure import Figure

    paths = []
    # One figure may have two names. `___` is the value of the last expression.
    for value in list(block_vars["example_globals"].values()):
        if not isinstance(value, Figure) or value in _saved:
            continue
        _saved.add(value)
        # Open pyplot figures have a manager; another scraper saves them.
        if value.canvas.manager is None:
            path = next(block_vars["image_path_iterator"])
            value.savefig(path, dpi=100)
            paths.append(path)
    return figure_rst(paths, gallery_conf["src_dir"])


def _get_sg_image_scraper():
    """Return the scraper, for sphinx-gallery."""
    return _scrape
