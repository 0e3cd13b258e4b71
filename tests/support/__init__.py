"""What the tests of more than one folder share; each module says what it needs. See tests/README.rst.

What must not be here: tests, and anything that only one folder uses.
"""
