"""The source distribution: the tests and the examples belong to it, and setuptools leaves most of them out.

``setup.cfg`` names the command, since a template for it (MANIFEST.in) would have to lie at the top. What must not be
here: imports of anything but setuptools, which is all that there is when a distribution is built.
"""

import sys

from setuptools.command.sdist import sdist


class SourceDistribution(sdist):
    """``sdist`` with all that the tests need."""

    def make_distribution(self) -> None:
        """Add the tests and the examples, as a template would."""
        for line in ("graft tests", "graft examples", "global-exclude *.py[cod]", "prune tests/.hypothesis"):
            self.filelist.process_template_line(line)
        super().make_distribution()


# Setuptools before 61, as in Ubuntu 22.04, imports this module but looks for the class in the outermost package.
vars(sys.modules.get("tests", sys.modules[__name__]))["SourceDistribution"] = SourceDistribution
