"""Certificates and protocols that are not to be trusted: refused by name, before anything is sent."""

from __future__ import annotations

import datetime
import re
import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import requests
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.website import stand_at_443

from interactive_auth import Homeserver, HomeserverConnectionError, InteractiveAuth, RetryPolicy

if TYPE_CHECKING:
    from conftest import Exchange, WireServer

    Connect = Callable[..., Homeserver]

HOST, PASSWORD = "localhost", "correct horse battery staple"
DAY, NOW = datetime.timedelta(days=1), datetime.datetime.now(datetime.timezone.utc)


def issued(*names: str, begin: int = -2, end: int = 2) -> Callable[[trustme.CA, ssl.SSLContext], None]:
    """Make a step that gives a server a certificate of the authority's, good from a day to a day."""

    def configure(authority: trustme.CA, context: ssl.SSLContext) -> None:
        authority.issue_cert(*names, not_before=NOW + begin * DAY, not_after=NOW + end * DAY).configure_cert(context)

    return configure


def by_a_stranger(authority: trustme.CA, context: ssl.SSLContext) -> None:
    """Give a server a certificate of another authority's."""
    trustme.CA().issue_cert(HOST).configure_cert(context)


def by_itself(authority: trustme.CA, context: ssl.SSLContext) -> None:
    """Give a server a certificate that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), NOW - DAY, NOW + DAY)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with trustme.Blob(certificate + secret).tempfile() as path:
        context.load_cert_chain(path)


def only(version: ssl.TLSVersion) -> Callable[[trustme.CA, ssl.SSLContext], None]:
    """Make a step that gives a server a good certificate, and one version of the protocol."""

    def configure(authority: trustme.CA, context: ssl.SSLContext) -> None:
        issued(HOST)(authority, context)
        context.set_ciphers("ALL:@SECLEVEL=0")  # with which OpenSSL still speaks the old versions
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version

    return configure


class Flaw(NamedTuple):
    """What is wrong with a server, and how the error names it."""

    configure: Callable[[trustme.CA, ssl.SSLContext], None]
    reason: str


FLAWS = {
    "wrong host name": Flaw(issued("matrix.example.org"), "[Hh]ostname mismatch"),
    "host name of a subdomain": Flaw(issued(f"*.{HOST}"), "[Hh]ostname mismatch"),
    "expired": Flaw(issued(HOST, begin=-3, end=-1), "certificate has expired"),
    "not yet valid": Flaw(issued(HOST, begin=1, end=3), "certificate is not yet valid"),
    "self-signed": Flaw(by_itself, "self[- ]signed certificate"),
    "unknown authority": Flaw(by_a_stranger, "unable to get local issuer certificate|self[- ]signed"),
    "TLS 1.1": Flaw(only(ssl.TLSVersion.TLSv1_1), "(?i)protocol.version|unsupported.protocol"),
    "TLS 1.0": Flaw(only(ssl.TLSVersion.TLSv1), "(?i)protocol.version|unsupported.protocol"),
}
GOOD = {
    "issued": issued(HOST),
    "TLS 1.2": only(ssl.TLSVersion.TLSv1_2),
    "TLS 1.3": only(ssl.TLSVersion.TLSv1_3),
}


@pytest.fixture(autouse=True)
def trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trust the authority."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))


Begin = Callable[[Callable[[trustme.CA, ssl.SSLContext], None]], "WireServer"]


@pytest.fixture
def begin(
    authority: trustme.CA, tls_server_with: Callable[[ssl.SSLContext], AbstractContextManager[WireServer]]
) -> Iterator[Begin]:
    """Return a starter of servers with the certificates that a step gives them."""
    with ExitStack() as stack:

        def start(configure: Callable[[trustme.CA, ssl.SSLContext], None]) -> WireServer:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            configure(authority, context)
            server = stack.enter_context(tls_server_with(context))
            server.base_url = server.base_url.replace("127.0.0.1", HOST)
            return server

        yield start


@pytest.mark.parametrize("configure", GOOD.values(), ids=GOOD)
def test_good_server(begin: Begin, connect: Connect, configure: Callable[[trustme.CA, ssl.SSLContext], None]) -> None:
    """A server with a good certificate for its name is trusted, by the authority of REQUESTS_CA_BUNDLE."""
    server = begin(configure)
    server.will_reply(200, {"user_id": "@alice:example.org"})

    assert connect(server.base_url).register("alice", PASSWORD)(None) == {"user_id": "@alice:example.org"}


def test_no_authority(begin: Begin, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without REQUESTS_CA_BUNDLE the same certificate is one of an authority that nobody knows."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    server = begin(issued(HOST))

    with pytest.raises(HomeserverConnectionError, match=r"unable to get local issuer certificate|self[- ]signed"):
        connect(server.base_url).register("alice", PASSWORD)(None)

    assert server.received == []


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS)
def test_flawed_server(begin: Begin, connect: Connect, flaw: Flaw) -> None:
    """A server that cannot be trusted is sent nothing, and the error names request and reason."""
    server = begin(flaw.configure)

    with pytest.raises(HomeserverConnectionError, match=flaw.reason) as caught:
        connect(server.base_url, access_token="token").register("alice", PASSWORD)(None)

    assert re.match(f"POST {server.base_url}/_matrix/client/v3/register got no answer: .", str(caught.value))
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert len(server.connections) == 1
    assert server.received == []


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS)
def test_flawed_server_of_a_code(begin: Begin, server: WireServer, connect: Connect, flaw: Flaw) -> None:
    """Nor is a code sent to such a server, whatever address the homeserver names."""
    stranger = begin(flaw.configure)

    with pytest.raises(HomeserverConnectionError, match=flaw.reason):
        connect(server.base_url).submit_token(f"{stranger.base_url}/code", "sid", "secret", "123456")

    assert stranger.received == []


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS)
def test_flawed_server_that_is_discovered(begin: Begin, flaw: Flaw, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that cannot be trusted is not taken for a homeserver, wherever in the discovery it stands."""
    flawed, asked = begin(flaw.configure), begin(issued(HOST))
    asked.will_reply(200, {"m.homeserver": {"base_url": flawed.base_url}})

    for server in (flawed, asked):
        with monkeypatch.context() as patched:
            name = stand_at_443(patched, server.base_url)
            with pytest.raises(HomeserverConnectionError, match=flaw.reason):
                Homeserver.discover(name, retry=None)

    assert len(asked.received) == 1
    assert flawed.received == []


def test_client_certificate_is_for_the_homeserver(begin: Begin, authority: trustme.CA, tmp_path: Path) -> None:
    """A session's client certificate is shown to the homeserver, and to no address that it names."""
    shown: list[object] = []

    def ask_for_one(authority: trustme.CA, context: ssl.SSLContext) -> None:
        issued(HOST)(authority, context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL

    def script(exchange: Exchange) -> None:
        shown.append(exchange.connection.getpeercert())
        exchange.reply(200, b'{"success": true}', {})

    homeserver, stranger = begin(ask_for_one), begin(ask_for_one)
    homeserver.script = stranger.script = script
    certificate = tmp_path / "client.pem"
    authority.issue_cert("client@example.org").private_key_and_cert_chain_pem.write_to_path(str(certificate))

    with requests.Session() as session:
        session.cert = str(certificate)
        client = Homeserver(homeserver.base_url, session=session)
        client.delete_devices([])(None)
        client.submit_token(f"{stranger.base_url}/code", "sid", "secret", "123456")
        client.delete_devices([])(None)

    assert [bool(certificate) for certificate in shown] == [True, False, True]


def test_certificate_that_expires_meanwhile(begin: Begin, authority: trustme.CA, connect: Connect) -> None:
    """Each connection is verified: a server that comes back with an expired certificate is not sent the password."""
    server = begin(issued(HOST))
    server.will_reply(401, {"flows": [{"stages": ["m.login.password"]}], "session": "S1"}, Connection="close")

    def expire(stage: object) -> dict[str, str]:
        issued(HOST, begin=-3, end=-1)(authority, server.socket.context)  # type: ignore[attr-defined]  # an SSLSocket
        return {"type": "m.login.password", "password": PASSWORD}

    request = connect(server.base_url, access_token="token").delete_devices(["D"])
    auth = InteractiveAuth(request, {"m.login.password": expire}, retry=RetryPolicy(1))

    with pytest.raises(HomeserverConnectionError, match="certificate has expired"):
        auth.attempt_auth()

    assert [b"auth" in received.body for received in server.received] == [False]
    assert len(server.connections) == 3


def test_more_than_an_answer(tls_server: WireServer) -> None:
    """What comes encrypted in one piece with an answer, and lies behind it, is not the answer to the next request."""
    head, forged = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", b'{"forged": true}'
    whole = b'{"padding": "%b"}' % (9000 * b"x")

    def script(exchange: Exchange) -> None:
        if len(exchange.server.received) == 1:
            exchange.wfile.write(head % len(whole) + whole + head % len(forged) + forged)
        else:
            exchange.reply(200, b'{"real": true}', {})

    tls_server.script = script

    with Homeserver(tls_server.base_url) as homeserver:
        homeserver.delete_devices([])(None)
        assert homeserver.delete_devices([])(None) == {"real": True}
        assert homeserver.delete_devices([])(None) == {"real": True}
