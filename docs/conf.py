"""Sphinx configuration: `make docs` builds offline, and warnings are errors."""

import os
import sys
from pathlib import Path

# TensorFlow reads these when an example of the gallery imports it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from skwbc import __version__

project = "skwbc"
author = "The skwbc developers"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
    "public_api",
    "repository_links",
    "browser_page",
    "offline",
]
exclude_patterns = ["_build", "auto_examples/*.ipynb"]
templates_path = ["_templates"]
root_doc = "index"
nitpicky = True
nitpick_ignore_regex = [
    # Names of other packages in our docstrings. The build is offline, so their
    # inventories are not available.
    ("py:.*", r"(numpy|np|joblib|keras|onnx|onnxruntime|matplotlib|pathlib)(\..*)?"),
    # Properties that are documented under Attributes, without a page of their own.
    ("py:obj", r"shape|ndim"),
]

# Pages are MyST Markdown.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# The API reference: each name in docs/api/*.md gets a page.
autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"  # the numpydoc sections state the types
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # done by the template
numpydoc_attributes_as_param_list = True

# The gallery runs during the build.
sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "backreferences_dir": "api/generated/backreferences",
    "doc_module": ("skwbc",),
    "reference_url": {"skwbc": None},
    # The order matters: the second scraper closes the figures of pyplot.
    "image_scrapers": ("figures", "matplotlib"),
    "within_subsection_order": "FileNameSortKey",
    "reset_modules": ("matplotlib",),
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1,
    # The page of computation times would load external scripts.
    "write_computation_times": False,
    "capture_repr": (),
}

# Pages load no external resources.
html_theme = "pydata_sphinx_theme"
html_title = "skwbc"
html_static_path = ["_static"]
html_css_files = ["skwbc.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "changelog": [], "getting_started": []}
