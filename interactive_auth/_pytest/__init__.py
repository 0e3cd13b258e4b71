"""The pytest plugin: a fixture, and nothing that takes time to import, since every pytest does where this is installed.

What must not be here: anything but fixtures. ``testing`` is imported when the fixture is first used.

PYTEST_DONT_REWRITE: nothing is asserted here, and it may be imported before pytest asks for it, as mutmut does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from interactive_auth.testing import UIAServer


@pytest.fixture
def uia_server() -> Iterator[UIAServer]:
    """Run a homeserver that follows a script (``interactive_auth.testing.UIAServer``), and stop it after the test.

    It wants nothing but ``m.login.dummy`` until its ``flows`` and ``answers`` are set.
    """
    from interactive_auth.testing import UIAServer

    with UIAServer() as server:
        yield server
