"""Clients of the scripted homeserver, and what sends it single requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from interactive_auth import (
    Homeserver,
    InteractiveAuthOptions,
    MatrixError,
    UIARequest,
)
from interactive_auth.testing import UIAServer

EMAIL, MSISDN = "m.login.email.identity", "m.login.msisdn"
SECRET = "a-secret-of-the-clients-own-making"
PATIENCE = 10.0
#: Nothing here has to be waited for.
QUICKLY = InteractiveAuthOptions(poll_interval=0.01, poll_timeout=PATIENCE)


@pytest.fixture
def homeserver(uia_server: UIAServer) -> Iterator[Homeserver]:
    """Make a client of the scripted homeserver, with an access token."""
    with Homeserver(uia_server.base_url, access_token="an-access-token") as made:
        yield made


@pytest.fixture
def stranger(uia_server: UIAServer) -> Iterator[Homeserver]:
    """Make a client without an access token."""
    with Homeserver(uia_server.base_url) as made:
        yield made


def refuse(request: UIARequest[Any], auth: dict[str, Any] | None = None) -> MatrixError:
    """Send a request, and return its refusal."""
    with pytest.raises(MatrixError) as caught:
        request(auth)
    return caught.value


def post(uia_server: UIAServer, path: str, **sent: Any) -> requests.Response:
    """Post something by another client."""
    return requests.post(f"{uia_server.base_url}{path}", timeout=PATIENCE, **sent)
