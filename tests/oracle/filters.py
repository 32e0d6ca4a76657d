"""Filters: an expression as a test of one document."""


def compile_filter(expression, settings):
    """A function that says whether a document passes; without an expression all do."""
    return lambda document: True
