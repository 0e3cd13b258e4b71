"""Credentials go to the homeserver alone: not where a redirect leads, nor where a code or a discovery does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from support.website import stand_at_443

from interactive_auth import Homeserver, InteractiveAuth, InteractiveAuthError, MatrixError, handlers

from ..wire.conftest import running
from .canaries import CANARIES, found_in

if TYPE_CHECKING:
    import trustme

    from ..wire.conftest import Exchange, WireServer

    Connect = Callable[..., Homeserver]

SECRET, CODE, PASSWORD = CANARIES["client secret"], CANARIES["code"], CANARIES["password"]
STATUSES = [301, 302, 303, 307, 308]


def authenticate(homeserver: Homeserver) -> Any:
    stages = {"m.login.password": handlers.password("alice", PASSWORD)}
    return InteractiveAuth(homeserver.delete_devices(["D"]), stages).attempt_auth()


#: All kinds of requests, with the secret that each sends.
ASKING: dict[str, tuple[set[str], Callable[[Homeserver], Any]]] = {
    "registering": ({"password"}, lambda homeserver: homeserver.register("alice", PASSWORD)(None)),
    "authentication": ({"password", "session", "access token"}, authenticate),
    "mail": ({"client secret"}, lambda homeserver: homeserver.request_email_token("register", "a@b.c", SECRET)),
    "SMS": (
        {"client secret"},
        lambda homeserver: homeserver.request_msisdn_token("account/3pid", "GB", "1", SECRET),
    ),
    "code": (
        {"client secret", "code"},
        lambda homeserver: homeserver.submit_token(f"{homeserver.base_url}/code", "sid", SECRET, CODE),
    ),
    "validity": (
        {"registration token"},
        lambda homeserver: homeserver.registration_token_validity(CANARIES["registration token"]),
    ),
}


@pytest.fixture
def trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trust the authority of the TLS servers."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))


def redirect(status: int, location: str) -> Callable[[Exchange], None]:
    """Make a script that asks for authentication, and leads everything else away."""

    def script(exchange: Exchange) -> None:
        received = exchange.server.received[-1]
        if received.path.endswith("/delete_devices") and b'"auth"' not in received.body:
            flows = b'{"flows": [{"stages": ["m.login.password"]}], "session": "%s"}' % CANARIES["session"].encode()
            exchange.reply(401, flows, {})
        else:
            exchange.reply(status, b"", {"Location": location})

    return script


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("to", ["another port", "another name", "plain http"])
def test_a_redirect_is_given_nothing(
    tls_server: WireServer,
    server: WireServer,
    elsewhere: WireServer,
    connect: Connect,
    asking: str,
    to: str,
) -> None:
    """Whatever is asked, from wherever a redirect leads, to wherever: nobody connects there."""
    begin = tls_server if to == "plain http" else server
    place = elsewhere.base_url.replace("127.0.0.1", "localhost") if to == "another name" else elsewhere.base_url
    sends, ask = ASKING[asking]
    homeserver = connect(begin.base_url, access_token=CANARIES["access token"], timeout=10)

    for status in STATUSES:
        begin.script = redirect(status, f"{place}/caught")
        with pytest.raises(MatrixError, match=f"^{status}.*redirect, which is never followed"):
            ask(homeserver)

    sent = set().union(*(found_in(f"{one.path} {one.headers} {one.body.decode()}") for one in begin.received))
    assert sent >= sends
    assert elsewhere.connections == []


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Return a session with credentials of every kind."""
    with requests.Session() as session:
        session.auth = ("alice", PASSWORD)
        session.headers["Authorization"] = f"Bearer {CANARIES['access token']}"
        session.headers["X-Key"] = CANARIES["identity token"]
        session.params = {"access_token": CANARIES["access token"]}
        session.cookies.set("login", CANARIES["session"])
        yield session


def test_a_code_is_all_that_its_server_gets(
    server: WireServer, elsewhere: WireServer, session: requests.Session
) -> None:
    """The server that a code is posted to gets the code, and nothing that a session has for the homeserver."""
    elsewhere.will_reply(200, {"success": True})
    homeserver = Homeserver(server.base_url, session=session, access_token=CANARIES["access token"])

    assert homeserver.submit_token(f"{elsewhere.base_url}/code?a=b", "sid", SECRET, CODE)
    homeserver.delete_devices([])(None)

    (there,), (here,) = elsewhere.received, server.received
    assert there.path == "/code?a=b"
    assert found_in(f"{there.path} {there.headers}") == set()
    assert there.json == {"sid": "sid", "client_secret": SECRET, "token": CODE}
    assert found_in(f"{here.path} {here.headers}") == {"access token", "identity token", "session"}


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("with_session", [False, True])
def test_a_discovery_asks_strangers_without_credentials(
    tls_server: WireServer,
    authority: trustme.CA,
    session: requests.Session,
    with_session: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a redirect of the well-known document leads, it is asked for without any credentials."""
    context = tls_server.socket.context  # type: ignore[attr-defined]  # it is an SSLSocket
    with running(context) as stranger, running(context) as home:
        tls_server.will_reply(307, Location=f"{stranger.base_url}/document?a=b")
        stranger.will_reply(200, {"m.homeserver": {"base_url": home.base_url}})
        home.will_reply(200, {"versions": ["v1.17"]})
        name = stand_at_443(monkeypatch, tls_server.base_url)
        options: dict[str, Any] = {"session": session} if with_session else {}

        with Homeserver.discover(name, access_token=CANARIES["access token"], **options) as found:
            assert found.base_url == home.base_url

        assert [received.path for received in stranger.received] == ["/document?a=b"]
        assert found_in(f"{stranger.received[0]}") == set()
        assert ("access token" in found_in(f"{home.received[0]}")) == with_session


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("with_session", [False, True])
def test_a_discovery_goes_nowhere_by_plain_http(
    tls_server: WireServer,
    elsewhere: WireServer,
    session: requests.Session,
    with_session: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A redirect of the well-known document from https to http is not followed."""
    name = stand_at_443(monkeypatch, tls_server.base_url)
    for status in STATUSES:
        tls_server.will_reply(status, Location=f"{elsewhere.base_url}/document")
        with pytest.raises(InteractiveAuthError, match="redirect"):
            Homeserver.discover(name, session=session if with_session else None)

    assert elsewhere.connections == []
