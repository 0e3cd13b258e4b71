"""What the environment says about proxies and certificates applies; TLS is verified."""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
import trustme

from interactive_auth import Homeserver, HomeserverConnectionError

if TYPE_CHECKING:
    from conftest import Exchange, WireServer

    Connect = Callable[..., Homeserver]


def tunnel(exchange: Exchange, port: int) -> None:
    """Connect the client to a port of this machine, wherever it wants to go, and pass on what either side sends."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as target:
        exchange.raw(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pairs = {target: exchange.connection, exchange.connection: target}
        while True:
            for source in select.select(list(pairs), [], [], 10)[0]:
                if not (piece := source.recv(65536)):
                    return
                pairs[source].sendall(piece)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxy(server: WireServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """A proxy that the environment names is used, with the whole address, body and token."""
    server.will_reply(200, {"proxied": True})
    monkeypatch.setenv(variable, server.base_url)
    homeserver = connect("http://matrix.example.org", allow_insecure_http=True, access_token="the-access-token")

    assert homeserver.uia_request("POST", "/x", {"a": 1}, {"b": "c d"})(None) == {"proxied": True}

    (received,) = server.received
    assert received.path == "http://matrix.example.org/x?b=c+d"
    assert received.headers["Host"] == "matrix.example.org"
    assert received.headers["Authorization"] == "Bearer the-access-token"
    assert received.json == {"a": 1}


def test_proxy_password(server: WireServer, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the proxy's address are for the proxy."""
    monkeypatch.setenv("HTTP_PROXY", server.base_url.replace("//", "//user:pass@"))

    connect("http://matrix.example.org", allow_insecure_http=True).delete_devices([])(None)

    assert server.received[0].headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNz"
    assert "Authorization" not in server.received[0].headers


def test_https_through_a_proxy(
    server: WireServer,
    tls_server_with: Callable[[ssl.SSLContext], AbstractContextManager[WireServer]],
    authority: trustme.CA,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A proxy of an https address is told where to connect to, and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("matrix.example.org").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    monkeypatch.setenv("HTTPS_PROXY", server.base_url.replace("//", "//user:pass@"))

    homeserver = connect("https://matrix.example.org", access_token="the-access-token", timeout=10)
    with tls_server_with(context) as tls_server:
        tls_server.will_reply(200, {"safe": True})
        server.script = partial(tunnel, port=tls_server.server_port)
        assert homeserver.uia_request("POST", "/x", {"a": 1})(None) == {"safe": True}

    (told,), (received,) = server.received, tls_server.received
    assert (told.method, told.path) == ("CONNECT", "matrix.example.org:443")
    assert told.headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNz"
    assert "Authorization" not in told.headers
    assert (received.path, received.json) == ("/x", {"a": 1})
    assert received.headers["Authorization"] == "Bearer the-access-token"
    assert "Proxy-Authorization" not in received.headers


def test_no_proxy(server: WireServer, homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch) -> None:
    """What NO_PROXY excepts is reached directly."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    homeserver.delete_devices([])(None)

    assert server.received[0].path == "/_matrix/client/v3/delete_devices"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0.0.0.0"])
@pytest.mark.parametrize("own", [True, False], ids=["own session", "caller's session"])
def test_this_machine_is_reached_past_any_proxy(
    server: WireServer, elsewhere: WireServer, monkeypatch: pytest.MonkeyPatch, variable: str, host: str, own: bool
) -> None:
    """A proxy is not told what is sent to this machine, in whichever form it is named, also without NO_PROXY."""
    monkeypatch.setenv(variable, elsewhere.base_url)
    base_url = server.base_url.replace("127.0.0.1", host)

    with requests.Session() as session:
        homeserver = Homeserver(
            base_url, access_token="the-access-token", session=None if own else session, allow_insecure_http=True
        )
        homeserver.delete_devices([])(None)
        homeserver.close()

    assert server.received[0].headers["Authorization"] == "Bearer the-access-token"
    assert elsewhere.received == []


def test_settings_of_a_session_that_change(server: WireServer, elsewhere: WireServer) -> None:
    """What the caller changes of a session's proxies counts for the next request."""
    with requests.Session() as session:
        homeserver = Homeserver(server.base_url, session=session)
        request = homeserver.delete_devices([])
        request(None)
        session.proxies["http"] = elsewhere.base_url
        request(None)
        session.proxies.clear()
        request(None)

    assert (len(server.received), len(elsewhere.received)) == (2, 1)


def test_environment_that_changes(server: WireServer, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Homeserver goes by the environment of its own time, whatever another one has found there."""
    server.will_reply(200, {})
    direct = connect(server.base_url)
    direct.delete_devices([])(None)
    monkeypatch.setenv("HTTP_PROXY", server.base_url)

    connect("http://matrix.example.org", allow_insecure_http=True).delete_devices([])(None)
    monkeypatch.delenv("HTTP_PROXY")
    connect(server.base_url).delete_devices([])(None)

    path = "/_matrix/client/v3/delete_devices"
    assert [received.path for received in server.received] == [path, f"http://matrix.example.org{path}", path]


def test_dead_proxy(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that cannot be reached is connection trouble with its reason, and without the proxy's password."""
    monkeypatch.setenv("HTTP_PROXY", "http://user:hunter2-hunter2@127.0.0.1:1")

    with pytest.raises(HomeserverConnectionError, match="refused") as caught:
        connect("http://matrix.example.org", allow_insecure_http=True).delete_devices([])(None)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates(
    tls_server: WireServer,
    authority: trustme.CA,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
) -> None:
    """An authority that the environment names is trusted."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv(variable, str(tmp_path / "authority.pem"))
    tls_server.will_reply(200, {"safe": True})

    assert connect(tls_server.base_url).delete_devices([])(None) == {"safe": True}


def unknown(authority: trustme.CA, path: Path) -> None:
    """Trust another authority than the server's."""
    trustme.CA().cert_pem.write_to_path(str(path))


def missing(authority: trustme.CA, path: Path) -> None:
    """Trust what is not there."""


def empty(authority: trustme.CA, path: Path) -> None:
    """Trust a file without a certificate."""
    path.write_text("")


@pytest.mark.parametrize(
    ("trust", "reason"),
    [(unknown, "certificate verify failed"), (missing, "invalid path"), (empty, "certificate")],
)
def test_wrong_certificates(
    tls_server: WireServer,
    authority: trustme.CA,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trust: Callable[[trustme.CA, Path], None],
    reason: str,
) -> None:
    """A server that cannot be verified is sent nothing, and the error says why."""
    trust(authority, tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))

    with pytest.raises(HomeserverConnectionError, match=f"^POST {re.escape(tls_server.base_url)}.*{reason}"):
        connect(tls_server.base_url).register("alice", "hunter2-hunter2")(None)

    assert tls_server.received == []


def test_certificate_of_another_host(
    authority: trustme.CA, server: WireServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A certificate that is good for another host only is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("matrix.example.org").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))

    with pytest.raises(HomeserverConnectionError, match="IP address mismatch"):
        connect(server.base_url.replace("http:", "https:")).delete_devices([])(None)

    assert server.received == []


def test_https_to_a_server_without_tls(server: WireServer, connect: Connect) -> None:
    """A server that speaks no TLS is sent nothing readable."""
    with pytest.raises(HomeserverConnectionError, match="SSL"):
        connect(server.base_url.replace("http:", "https:"), timeout=5).register("alice", "hunter2")(None)

    assert server.received == []
