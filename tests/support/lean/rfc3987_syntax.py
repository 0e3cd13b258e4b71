"""In the place of a package that parses a grammar when it is imported, which takes as long as all else of Synapse.

JupyterLab brings that package, and jsonschema imports it where it is found, in each Synapse that a test starts.
"""

raise ImportError("not wanted in the tests")
