"""Pictures of the gallery that pyplot does not know: figures that are returned."""

from weakref import WeakSet

from sphinx_gallery.scrapers import figure_rst

_seen: WeakSet = WeakSet()


def _scrape(block, block_vars, gallery_conf):
    from matplotlib.figure import Figure

    paths = []
    # A list, because a figure may have two names. `___` is the last expression's value.
    for value in list(block_vars["example_globals"].values()):
        if not isinstance(value, Figure) or value in _seen:
            continue
        _seen.add(value)
        # Those of pyplot have one until they are closed, and another scraper.
        if value.canvas.manager is None:
            path = next(block_vars["image_path_iterator"])
            value.savefig(path, dpi=100)
            paths.append(path)
    return figure_rst(paths, gallery_conf["src_dir"])


def _get_sg_image_scraper():
    """Give sphinx-gallery the function."""
    return _scrape
