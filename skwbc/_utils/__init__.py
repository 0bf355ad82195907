"""Tools that every folder of the package may use, and that import none of them."""
