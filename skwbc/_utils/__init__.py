"""Tools that all parts of the package use and that use none of them."""
