"""Identity providers for single sign-on, and a browser that walks through their pages."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import unescape
from urllib.parse import parse_qs, quote, urljoin

import requests
from throwaway_synapse import Config, free_port

from .wire import Reply, Sent, serve


def cas_reply(sent: Sent) -> Reply:
    """Answer as a CAS server that believes whatever user a ticket names."""
    user = parse_qs(sent.query)["ticket"][0]
    space = 'xmlns:cas="http://www.yale.edu/tp/cas"'
    said = f"<cas:authenticationSuccess><cas:user>{user}</cas:user></cas:authenticationSuccess>"
    document = f"<cas:serviceResponse {space}>{said}</cas:serviceResponse>"
    return Reply(200, document.encode(), {"Content-Type": "application/xml"})


@contextmanager
def cas_provider() -> Iterator[Config]:
    """Run a CAS server; gives the part of Synapse's configuration that makes it use the server."""
    with serve(cas_reply) as wire:
        yield {"cas_config": {"enabled": True, "server_url": wire.base_url}}


@contextmanager
def oidc_provider() -> Iterator[Config]:
    """Run an OpenID Connect provider; gives the part of Synapse's configuration that makes it use the provider."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _listens(port):
            with suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"the OpenID Connect provider ended with {process.wait(0.05)}")
        provider = {
            "idp_id": "mock",
            "idp_name": "Mock",
            "issuer": f"http://127.0.0.1:{port}",
            "client_id": "synapse",
            "client_secret": "a-client-secret",
            "scopes": ["openid"],
            "skip_verification": True,
            "user_mapping_provider": {"config": {"localpart_template": "{{ user.sub }}"}},
        }
        yield {"oidc_providers": [provider]}
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Browser:
    """Follows a fallback page's way to an identity provider and back, with cookies, as somebody.

    Attributes:
        titles: the titles of the pages that it ended on.
    """

    def __init__(self) -> None:
        self.titles: list[str] = []

    def sign_on(self, fallback_url: str, user: str) -> None:
        """Open a fallback page, go on to the identity provider, say who one is, and follow the way back."""
        with requests.Session() as session:
            page = session.get(fallback_url, timeout=30)
            page.raise_for_status()
            assert title_of(page) == "Confirm it's you"
            link = re.search(r'<a href="([^"]+)" class="primary-button">', page.text)
            assert link is not None
            # The cookies are for secure connections only; a browser takes those to this machine for such, requests not.
            for cookie in session.cookies:
                cookie.secure = False
            target = unescape(link[1])
            if "/oauth2/authorize" in target:
                back = session.post(target, data={"sub": user}, timeout=30)
            else:
                service = parse_qs(target.partition("?")[2])["service"][0]
                back = session.get(f"{urljoin(target, service)}&ticket={quote(user)}", timeout=30)
            self.titles.append(title_of(back))


def title_of(page: requests.Response) -> str:
    """Return a page's title."""
    found = re.search(r"<title>\s*(.*?)\s*</title>", page.text, re.DOTALL)
    assert found is not None, page.text
    return unescape(found[1])
