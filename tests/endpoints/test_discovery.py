"""Homeserver.discover, against HTTPS servers on this machine, with an authority that vouches for their certificates."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
import trustme
from support.website import stand_at_443
from support.wire import Reply, Wire, serve

from interactive_auth import Homeserver, HomeserverConnectionError, MatrixError, ServerProtocolError

WELL_KNOWN = "/.well-known/matrix/client"
VERSIONS = Reply(200, {"versions": ["v1.17"]})
NOT_FOUND = Reply(404, {"errcode": "M_NOT_FOUND"})

pytestmark = pytest.mark.usefixtures("sent_again_at_once")

Site = Callable[[dict[str, Reply]], Wire]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make a certificate authority."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """Write the authority's certificate to a file."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def site(authority: trustme.CA) -> Iterator[Site]:
    """Run HTTPS servers that give a reply for each path, and 404 for all others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "::1", "xn--fa-hia.example", "*.example.org").configure_cert(context)
    with ExitStack() as running:

        def start(replies: dict[str, Reply]) -> Wire:
            return running.enter_context(serve(lambda sent: replies.get(sent.path, NOT_FOUND), context))

        yield start


@pytest.fixture
def trusting(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the authority."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))


@pytest.fixture
def name_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Wire], str]:
    """Make server names, whose website a server is; the port is that of no website."""
    return lambda wire: stand_at_443(monkeypatch, wire.base_url)


def document(base_url: object) -> Reply:
    """Make a well-known document."""
    return Reply(200, {"m.homeserver": {"base_url": base_url}})


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("prefix", ["", "@alice:"], ids=["server-name", "user-id"])
@pytest.mark.parametrize("ending", ["", "/"], ids=["plain", "trailing-slash"])
def test_the_document_is_followed(site: Site, prefix: str, ending: str, name_of: Callable[[Wire], str]) -> None:
    """A server name, or a user id on it, leads to the homeserver that its document names, if it is one."""
    target = site({"/matrix/_matrix/client/versions": VERSIONS})
    named = site({WELL_KNOWN: document(f"{target.base_url}/matrix{ending}")})

    with Homeserver.discover(f"{prefix}{name_of(named)}", access_token="an-access-token") as homeserver:
        assert homeserver.base_url == f"{target.base_url}/matrix"
        assert homeserver.access_token == "an-access-token"
    assert [(sent.method, sent.path) for sent in named.sent] == [("GET", WELL_KNOWN)]
    assert [(sent.method, sent.path) for sent in target.sent] == [("GET", "/matrix/_matrix/client/versions")]
    assert not [sent for sent in named.sent + target.sent if "Authorization" in sent.headers or sent.body]


@pytest.mark.usefixtures("trusting")
def test_without_a_document(site: Site, name_of: Callable[[Wire], str]) -> None:
    """A server name without a document is the homeserver's own address."""
    named = site({"/_matrix/client/versions": VERSIONS})

    with Homeserver.discover(name_of(named)) as homeserver:
        assert homeserver.base_url == named.base_url


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_https(site: Site, status: int, name_of: Callable[[Wire], str]) -> None:
    """A document that was moved to another https address is found there, over several steps, relative ones too."""
    target = site({"/_matrix/client/versions": VERSIONS})
    moved = site(
        {"/old": Reply(status, {}, {"Location": "/new"}), "/new": document(target.base_url)},
    )
    named = site({WELL_KNOWN: Reply(status, {}, {"Location": f"{moved.base_url}/old"})})

    with Homeserver.discover(name_of(named)) as homeserver:
        assert homeserver.base_url == target.base_url
    assert [sent.path for sent in moved.sent] == ["/old", "/new"]


@pytest.mark.usefixtures("trusting")
def test_a_redirect_to_http(site: Site, name_of: Callable[[Wire], str]) -> None:
    """A redirect to plain http, where anybody on the way can name a homeserver, is not followed."""
    with serve(lambda sent: document("https://localhost")) as plain:
        named = site({WELL_KNOWN: Reply(302, {}, {"Location": plain.base_url})})

        with pytest.raises(ServerProtocolError, match="redirect"):
            Homeserver.discover(name_of(named))

        assert plain.sent == []


@pytest.mark.usefixtures("trusting")
def test_redirects_in_circles(site: Site, name_of: Callable[[Wire], str]) -> None:
    """A document that leads back to itself ends after some steps."""
    named = site({WELL_KNOWN: Reply(302, {}, {"Location": WELL_KNOWN})})

    with pytest.raises(ServerProtocolError, match="in circles"):
        Homeserver.discover(name_of(named))

    assert len(named.sent) == 30


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("status", [300, 304, 305])
def test_what_is_no_redirect(site: Site, status: int, name_of: Callable[[Wire], str]) -> None:
    """Another status of that kind leads nowhere, whatever it names."""
    target = site({WELL_KNOWN: document("https://localhost")})
    named = site({WELL_KNOWN: Reply(status, {}, {"Location": f"{target.base_url}{WELL_KNOWN}"})})

    with pytest.raises(ServerProtocolError):
        Homeserver.discover(name_of(named))

    assert target.sent == []


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("localhost", "localhost"),
        ("@alice:localhost:8448", "localhost"),
        ("localhost:1", "localhost"),
        ("[::1]", "[::1]"),
        ("@alice:[::1]:8448", "[::1]"),
        ("faß.example", "xn--fa-hia.example"),
        ("xn--fa-hia.example", "xn--fa-hia.example"),
        ("@alice:🧡🦊.example.org:8448", "xn--9s9hnf.example.org"),
    ],
)
def test_the_document_is_the_websites(site: Site, name: str, host: str, name_of: Callable[[Wire], str]) -> None:
    """It is asked for at the host name's own port, of IPv6 addresses and of international names in either form, too."""
    target = site({"/_matrix/client/versions": VERSIONS})
    # A website that is not on this machine may not name an address of it.
    base_url = target.base_url if host in ("localhost", "[::1]") else target.base_url.replace("localhost", host)
    named = site({WELL_KNOWN: document(base_url)})
    name_of(named)

    with Homeserver.discover(name) as homeserver:
        assert homeserver.base_url == base_url

    assert [(sent.path, sent.headers["Host"]) for sent in named.sent] == [(WELL_KNOWN, host)]


@pytest.mark.usefixtures("trusting")
def test_trouble_that_passes(site: Site, name_of: Callable[[Wire], str]) -> None:
    """A website that is away for a moment is asked again; not so for those who want none of that."""
    target = site({"/_matrix/client/versions": VERSIONS})
    named = site({})
    answers = [Reply(502, {}), document(target.base_url)]
    named.answer = lambda sent: answers.pop(0)

    with Homeserver.discover(name_of(named)) as homeserver:
        assert homeserver.base_url == target.base_url

    answers += [Reply(502, {}), document(target.base_url)]
    with pytest.raises(ServerProtocolError, match="502"):
        Homeserver.discover(name_of(named), retry=None)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>Welcome</html>", {"Content-Type": "text/html"}),
        Reply(200, b'{"m.homeserver": '),
        Reply(200, []),
        Reply(200, {}),
        Reply(200, {"m.homeserver": None}),
        Reply(200, {"m.homeserver": "https://localhost"}),
        Reply(200, {"m.homeserver": {}}),
        document(None),
        document(""),
        document(["https://localhost"]),
        document("localhost"),
        document("http://matrix.example.org"),
        document("ftp://localhost"),
        document("https://user:secret@localhost"),
        document("https://localhost?a=b"),
        document("https://localhost:99999"),
        Reply(403, {}),
        Reply(500, {}),
        Reply(302, {}),
    ],
    ids=[
        *("html", "cut-short", "list", "empty", "null", "text", "no-base-url", "null-base-url", "empty-base-url"),
        *("list-base-url", "no-scheme", "plain-http", "ftp", "user-info", "query", "bad-port"),
        *("403", "500", "redirect-to-nowhere"),
    ],
)
def test_a_bad_document(site: Site, reply: Reply, name_of: Callable[[Wire], str]) -> None:
    """A document that names no homeserver is the server's fault, and nothing else is asked for."""
    named = site({WELL_KNOWN: reply})

    with pytest.raises(ServerProtocolError):
        Homeserver.discover(name_of(named))

    assert [sent.path for sent in named.sent] == [WELL_KNOWN]


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    "reply",
    [NOT_FOUND, Reply(200, {}), Reply(200, {"versions": "v1.17"}), Reply(200, b"Welcome"), Reply(502, {})],
    ids=["404", "no-versions", "text-versions", "no-json", "502"],
)
def test_an_address_that_is_no_homeserver(site: Site, reply: Reply, name_of: Callable[[Wire], str]) -> None:
    """An address whose server states no versions is no homeserver, whatever else it answers."""
    target = site({"/_matrix/client/versions": reply})
    named = site({WELL_KNOWN: document(target.base_url)})

    with pytest.raises(ServerProtocolError):
        Homeserver.discover(name_of(named))


@pytest.mark.usefixtures("trusting")
def test_an_address_where_nobody_listens(site: Site, name_of: Callable[[Wire], str]) -> None:
    """A homeserver that cannot be reached is connection trouble, which may pass."""
    named = site({WELL_KNOWN: document("https://localhost:1")})

    with pytest.raises(HomeserverConnectionError):
        Homeserver.discover(name_of(named))


def test_a_certificate_that_nobody_vouches_for(site: Site, name_of: Callable[[Wire], str]) -> None:
    """Without trust in the authority nothing is asked for, let alone believed."""
    named = site({WELL_KNOWN: document("https://localhost")})

    with pytest.raises(HomeserverConnectionError):
        Homeserver.discover(name_of(named))

    assert named.sent == []


def test_a_session_of_the_callers(
    site: Site, bundle: Path, monkeypatch: pytest.MonkeyPatch, name_of: Callable[[Wire], str]
) -> None:
    """A session that was passed in sends everything, by its own trust, and stays open."""
    # Of a session's own trust and the environment's, requests takes the environment's.
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    target = site({"/_matrix/client/versions": VERSIONS})
    named = site({WELL_KNOWN: document(target.base_url)})
    with requests.Session() as session:
        session.verify = str(bundle)
        session.headers["X-Mark"] = "mine"

        with Homeserver.discover(name_of(named), session=session) as homeserver:
            assert homeserver.base_url == target.base_url

        assert session.get(f"{target.base_url}/_matrix/client/versions", timeout=30).ok
    assert {sent.headers.get("X-Mark") for sent in named.sent + target.sent} == {"mine"}


@pytest.mark.parametrize(
    "name",
    ["", "@", "@alice", "@alice:", "https://example.org", "example.org/path", "alice@example.org", "a b", "x?y", "x#y"],
)
def test_a_nonsense_name(name: str) -> None:
    """What is neither a server name nor a user id is the caller's mistake."""
    with pytest.raises(ValueError, match="must"):
        Homeserver.discover(name)


@pytest.mark.parametrize("name", [None, 5, b"example.org"])
def test_a_name_that_is_no_text(name: Any) -> None:
    """A name of another type is the caller's mistake, too."""
    with pytest.raises(TypeError, match="must be a str"):
        Homeserver.discover(name)


@pytest.mark.usefixtures("trusting")
def test_what_was_found_is_used(site: Site, name_of: Callable[[Wire], str]) -> None:
    """The homeserver that was found is the one that requests go to."""
    refusal = Reply(403, {"errcode": "M_FORBIDDEN", "error": "No registration here"})
    target = site({"/_matrix/client/versions": VERSIONS, "/_matrix/client/v3/register": refusal})
    named = site({WELL_KNOWN: document(target.base_url)})

    with Homeserver.discover(name_of(named)) as homeserver, pytest.raises(MatrixError, match="No registration here"):
        homeserver.register("alice", "a password").authenticate({})

    assert target.sent[-1].body == {"username": "alice", "password": "a password"}


@pytest.mark.parametrize("how", ["document", "redirect"])
@pytest.mark.parametrize("here", ["http://127.0.0.1:8008", "https://localhost:8448", "https://127.1", "http://[::1]"])
@responses.activate
def test_a_website_that_leads_to_this_machine(here: str, how: str) -> None:
    """A website elsewhere cannot lead a client to what listens on its own machine, and nothing is asked there."""
    document = "https://example.org/.well-known/matrix/client"
    if how == "document":
        responses.get(document, json={"m.homeserver": {"base_url": here}})
    else:
        responses.get(document, status=302, headers={"Location": here.replace("http://", "https://")})

    with pytest.raises(ServerProtocolError, match=r"names an address of this machine|names no homeserver"):
        Homeserver.discover("example.org")

    assert [call.request.url for call in responses.calls] == [document]
