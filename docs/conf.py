"""How the pages are built: `make docs`. Nothing here asks the network."""

import tomllib
from pathlib import Path

from pydantic import BaseModel

ROOT = Path(__file__).parents[1]

project = "fouroptics"
author = "the fouroptics developers"
copyright = f"2026, {author}"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "_templates", "examples", "**/sg_execution_times.rst"]
templates_path = ["_templates"]
default_role = "literal"
nitpicky = True
# No inventories of other packages: their names stay plain text. A wrong reference to fouroptics is an error.
_external = "torch|numpy|scipy|matplotlib|h5py|PIL|pydantic|pydantic_core|typer|rich|annotated_types"
nitpick_ignore_regex = [
    ("py:.*", rf"({_external})(\..*)?"),
    ("py:.*", r"(collections|pathlib|typing|types|enum|abc|dataclasses|os)(\..*)?"),
    ("py:class", r"(?!fouroptics\.)[^.]*"),  # int, None, Tensor, and the words of numpydoc: optional, default ...
    ("py:class", r"(np|npt|nn)\..*"),
    ("py:class", r"fouroptics\..*\.(Array|Function|Frames)"),  # TypeVars
    ("py:obj", r"(?!fouroptics\.)[^.]*"),
]

autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "model_config"}
autodoc_typehints_format = "short"
autosummary_generate = True
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"[\\/]example_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
}

html_theme = "alabaster"
html_static_path = ["_static"]
html_css_files = ["fouroptics.css"]
html_title = f"fouroptics {release}"
html_show_sourcelink = False
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
html_theme_options = {
    "description": "4f optical benches, from convolution kernels to SLM masks",
    "fixed_sidebar": True,
    "page_width": "1080px",
    "sidebar_width": "230px",
    "font_family": "system-ui, -apple-system, 'Segoe UI', sans-serif",
    "head_font_family": "system-ui, -apple-system, 'Segoe UI', sans-serif",
    "show_powered_by": False,
    "show_related": True,
}


def _short_signature(app, what, name, obj, options, signature, returns):
    """Leave out what pydantic makes of a configuration: its docstring has the fields."""
    return ("()", None) if isinstance(obj, type) and issubclass(obj, BaseModel) else None


def setup(app):
    app.connect("autodoc-process-signature", _short_signature)
