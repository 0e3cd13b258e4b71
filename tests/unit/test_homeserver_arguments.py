"""What a homeserver is made of and asked for: its address, and every argument of a wrong type or value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from interactive_auth import Homeserver

ADDRESS = "https://matrix.example.org"
#: Something that no message about a wrong argument may show.
SECRET = "hunter2-hunter2"


@pytest.fixture
def homeserver() -> Iterator[Homeserver]:
    """Return a homeserver that cannot be reached: what gets as far as being sent is no TypeError or ValueError."""
    with Homeserver(ADDRESS, access_token="token1") as homeserver:
        yield homeserver


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://matrix.example.org", "https://matrix.example.org"),
        ("https://matrix.example.org/", "https://matrix.example.org"),
        ("https://matrix.example.org//", "https://matrix.example.org"),
        ("https://example.org/matrix/", "https://example.org/matrix"),
        ("https://example.org:8448", "https://example.org:8448"),
        ("https://[2001:db8::1]:8448", "https://[2001:db8::1]:8448"),
        ("https://my_server", "https://my_server"),
        ("http://127.0.0.1:8008", "http://127.0.0.1:8008"),
        ("http://127.8.9.10", "http://127.8.9.10"),
        ("http://[::1]:8008/", "http://[::1]:8008"),
        ("http://localhost:8008", "http://localhost:8008"),
        ("HTTP://LocalHost", "HTTP://LocalHost"),
        ("https://faß.de:8448/x/", "https://xn--fa-hia.de:8448/x"),
        ("https://xn--fa-hia.de", "https://xn--fa-hia.de"),
        ("https://Bücher.example", "https://xn--bcher-kva.example"),
        ("https://🧡🦊.ws", "https://xn--9s9hnf.ws"),
        ("https://xn--9s9hnf.ws/", "https://xn--9s9hnf.ws"),
    ],
)
def test_base_url(given: str, kept: str) -> None:
    """Any https address will do, and plain http to this machine; slashes at the end are dropped."""
    with Homeserver(given) as homeserver:
        assert homeserver.base_url == kept
        assert repr(homeserver) == f"<Homeserver {kept}>"


BAD_ADDRESSES = [
    *("", " ", "/", "matrix.example.org", "example.org:8448", "//example.org", "https:", "https://", "https:///x"),
    *("ftp://example.org", "file:///etc/passwd", "unix:///run/x", "https://:8448", "https://h:0", "https://h:x"),
    *("https://h:99999", "https://[::1", "https://[zz]", "https://user@h", "https://:pw@h", "https://h?a=b"),
    *(
        "https://h#a",
        "https://h?",
        "https://h/?",
        "https://h#",
        " https://h",
        "https://h ",
        "https://h\n",
        "https://a b",
    ),
    *("https://h\t/x", "https://a\\b", "https://a..b", "https://.org", "https://*", f"https://{'a' * 64}.org"),
    *("https://\ud800.org", "https://h/\x1b[2J"),
]


@pytest.mark.parametrize("address", BAD_ADDRESSES, ids=ascii)
def test_bad_base_url(address: str) -> None:
    """What is no address of a homeserver is a ValueError that names the argument, before anything is sent."""
    with pytest.raises(ValueError, match=r"^base_url "):
        Homeserver(address)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://matrix.example.org/_matrix", "the homeserver's address alone, without /_matrix"),
        ("https://matrix.example.org/_matrix/", "the homeserver's address alone, without /_matrix"),
        ("https://example.org/_MATRIX/client", "the homeserver's address alone, without /_matrix"),
        ("https://https://example.org", "an http:// or https:// address"),
        ("example.org", "Homeserver.discover takes a server name or a user id"),
        ("https://example.org/sub/_matrix/client/v3", "the homeserver's address alone, without /_matrix"),
        (" https://matrix.example.org", "no white space"),
        ("https://matrix.example.org\n", "no white space"),
        ("https://matrix\u00a0example.org", "no white space"),
        ("https://matrix..example.org", "a host that cannot be looked up"),
        ("https://.example.org", "a host that cannot be looked up"),
        (f"https://{'a' * 64}.org", "a host that cannot be looked up"),
        ("https://*.example.org", "a host that cannot be looked up"),
        ("https://[zz]", "a host"),
        ("https://\u200b.org", "a"),
    ],
    ids=ascii,
)
def test_what_is_wrong_with_a_base_url(address: str, words: str) -> None:
    """The message says which of the mistakes it is."""
    with pytest.raises(ValueError, match=f"^base_url .*{words}"):
        Homeserver(address)


def test_a_path_that_only_sounds_like_it() -> None:
    """A path of one's own is part of an address."""
    with Homeserver("https://example.org/_matrix-behind-a-proxy/") as homeserver:
        assert homeserver.base_url == "https://example.org/_matrix-behind-a-proxy"


INSECURE = [
    *("http://matrix.example.org", "http://10.0.0.1", "http://0.0.0.0:8008", "http://[::]:8008", "http://[fe80::1]"),
    *("http://localhost.example.org", "http://127.0.0.1.example.org", "http://127.0.0.1.", "http://localhosts"),
    *("http://2130706433", "http://0x7f.1", "http://\uff4cocalhost"),
]


@pytest.mark.parametrize("address", INSECURE, ids=ascii)
def test_plain_http_is_refused(address: str) -> None:
    """Plain http to anything but this machine is a ValueError that names the way out."""
    with pytest.raises(ValueError, match=r"base_url is plain http to .* use https, or allow_insecure_http=True"):
        Homeserver(address)


def test_plain_http_can_be_allowed() -> None:
    """Plain http to another machine is allowed to who asks for it."""
    with Homeserver("http://matrix.example.org", allow_insecure_http=True) as homeserver:
        assert homeserver.base_url == "http://matrix.example.org"


WRONG_ARGUMENTS = {
    "base_url None": ({"base_url": None}, TypeError, "base_url must be a str"),
    "base_url bytes": ({"base_url": ADDRESS.encode()}, TypeError, "base_url must be a str"),
    "access_token bytes": ({"access_token": SECRET.encode()}, TypeError, "access_token must be a str or None"),
    "access_token list": ({"access_token": [SECRET]}, TypeError, "access_token must be a str or None"),
    "access_token line": ({"access_token": SECRET + "\n"}, ValueError, "access_token must be printable ASCII"),
    "access_token space": ({"access_token": SECRET + " x"}, ValueError, "access_token must be printable ASCII"),
    "access_token umlaut": ({"access_token": SECRET + "ü"}, ValueError, "access_token must be printable ASCII"),
    "session str": ({"session": SECRET}, TypeError, r"session must be a requests\.Session or None"),
    "session module": ({"session": requests}, TypeError, r"session must be a requests\.Session or None"),
    "timeout None": ({"timeout": None}, TypeError, "timeout must be a number of seconds"),
    "timeout str": ({"timeout": "30"}, TypeError, "timeout must be a number of seconds"),
    "timeout bool": ({"timeout": True}, TypeError, "timeout must be a number of seconds"),
    "timeout pair": ({"timeout": (3, 30)}, TypeError, "timeout must be a number of seconds"),
    "timeout zero": ({"timeout": 0}, ValueError, "timeout must be more than 0"),
    "timeout negative": ({"timeout": -1}, ValueError, "timeout must be"),
    "timeout NaN": ({"timeout": float("nan")}, ValueError, "timeout must be"),
    "timeout infinite": ({"timeout": float("inf")}, ValueError, "timeout must be"),
    "timeout too long": ({"timeout": 1e10}, ValueError, "timeout must be"),
    "allow_insecure_http str": ({"allow_insecure_http": "no"}, TypeError, "allow_insecure_http must be a bool"),
}


@pytest.mark.parametrize(("arguments", "kind", "words"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_wrong_argument(arguments: dict[str, Any], kind: type[Exception], words: str) -> None:
    """A wrong argument is named, with what was expected, and without its value."""
    with pytest.raises(kind, match=f"^{words}") as caught:
        Homeserver(**{"base_url": ADDRESS, **arguments})

    assert SECRET not in str(caught.value)


WRONG_CALLS: dict[str, tuple[Callable[[Homeserver], object], type[Exception], str]] = {
    "username": (lambda h: h.register(5), TypeError, "username must be a str or None"),
    "password": (lambda h: h.register("alice", SECRET.encode()), TypeError, "password must be a str or None"),
    "device_id": (lambda h: h.register(device_id=5), TypeError, "device_id must be"),
    "display name": (
        lambda h: h.register(initial_device_display_name=5),
        TypeError,
        "initial_device_display_name must",
    ),
    "username empty": (lambda h: h.register(""), ValueError, "username must not be empty"),
    "password empty": (lambda h: h.register("alice", ""), ValueError, "password must not be empty"),
    "inhibit_login": (lambda h: h.register(inhibit_login="yes"), TypeError, "inhibit_login must be a bool or None"),
    "refresh_token": (lambda h: h.register(refresh_token=object()), TypeError, "refresh_token must be a bool or None"),
    "kind": (lambda h: h.register(kind="admin"), ValueError, 'kind must be "user", "guest" or None'),
    "kind list": (lambda h: h.register(kind=["user"]), ValueError, "kind must be"),
    "devices str": (lambda h: h.delete_devices("D1"), TypeError, "device_ids must be a sequence of str, not str"),
    "devices bytes": (lambda h: h.delete_devices(b"D1"), TypeError, "device_ids must be a sequence of str"),
    "devices None": (lambda h: h.delete_devices(None), TypeError, "device_ids must be a sequence of str"),
    "device int": (lambda h: h.delete_devices(["D1", 2]), TypeError, "each of device_ids must be a str"),
    "device empty": (lambda h: h.delete_devices(["D1", ""]), ValueError, "each of device_ids must not be empty"),
    "method None": (lambda h: h.uia_request(None, "/x"), TypeError, "method must be a str"),
    "method empty": (lambda h: h.uia_request("", "/x"), ValueError, "method must not be empty"),
    "method no token": (lambda h: h.uia_request("POST /y HTTP/1.1\r\nX: y", "/x"), ValueError, "method must be"),
    "path None": (lambda h: h.uia_request("POST", None), TypeError, "path must be a str"),
    "path relative": (lambda h: h.uia_request("POST", "x"), ValueError, "path must start with a slash"),
    "path query": (lambda h: h.uia_request("POST", "/x?y=z"), ValueError, "path must .*no query"),
    "path fragment": (lambda h: h.uia_request("POST", "/x#y"), ValueError, "path must .*no query"),
    "path address": (lambda h: h.uia_request("POST", "https://evil.example.org/x"), ValueError, "path must start"),
    "body list": (lambda h: h.uia_request("POST", "/x", [SECRET]), TypeError, "body must be a mapping or None"),
    "params list": (lambda h: h.uia_request("POST", "/x", None, [SECRET]), TypeError, "params must be a mapping"),
    "params None in": (lambda h: h.uia_request("POST", "/x", None, {"a": None}), TypeError, "params"),
    "params key": (lambda h: h.uia_request("POST", "/x", None, {1: "a"}), TypeError, "params"),
    "fallback stage": (lambda h: h.fallback_url(None, "s"), TypeError, "stage_type must be a str"),
    "fallback no stage": (lambda h: h.fallback_url("", "s"), ValueError, "stage_type must not be empty"),
    "fallback session": (lambda h: h.fallback_url("m.login.sso", None), TypeError, "session must be a str"),
    "fallback no session": (lambda h: h.fallback_url("m.login.sso", ""), ValueError, "session must not be empty"),
    "fallback surrogate": (lambda h: h.fallback_url("m.login.sso", SECRET + "\ud800"), ValueError, "session must"),
    "name": (lambda h: h.username_available(None), TypeError, "name must be a str"),
    "no name": (lambda h: h.username_available(""), ValueError, "name must not be empty"),
    "name surrogate": (lambda h: h.username_available("\ud800"), ValueError, "name must"),
    "token": (lambda h: h.registration_token_validity(5), TypeError, "token must be a str"),
    "token bytes": (lambda h: h.registration_token_validity(SECRET.encode()), TypeError, "token must be a str"),
    "no token": (lambda h: h.registration_token_validity(""), ValueError, "token must not be empty"),
    "device that leads elsewhere": (lambda h: h.delete_device(".."), ValueError, "device_id must"),
    "device that leads nowhere": (lambda h: h.delete_device("."), ValueError, "device_id must"),
    "path that leads elsewhere": (lambda h: h.uia_request("POST", "/a/../b"), ValueError, "path must"),
    "path that leads there encoded": (lambda h: h.uia_request("POST", "/a/%2E%2e"), ValueError, "path must"),
    "path surrogate": (lambda h: h.uia_request("POST", "/\ud800"), ValueError, "path must"),
    "parameter surrogate": (
        lambda h: h.uia_request("POST", "/x", None, {"a": SECRET + "\ud800"}),
        ValueError,
        "params",
    ),
    "body surrogate": (lambda h: h.uia_request("POST", "/x", {"a": [SECRET + "\udfff"]}), ValueError, "body must"),
    "key surrogate": (lambda h: h.uia_request("POST", "/x", {"\ud800": 1}), ValueError, "body must"),
    "token surrogate": (lambda h: h.registration_token_validity(SECRET + "\ud800"), ValueError, "token must"),
    "no keys": (lambda h: h.upload_cross_signing_keys(), ValueError, "at least one of master_key"),
    "key": (lambda h: h.upload_cross_signing_keys(master_key="k"), TypeError, "master_key must be a mapping"),
    "purpose": (lambda h: h.request_email_token("login", "a@b", "c"), ValueError, "purpose must be one of register"),
    "attempt": (lambda h: h.request_email_token("register", "a@b", "c", "1"), TypeError, "send_attempt must be an int"),
    "new token": (lambda h: setattr(h, "access_token", SECRET.encode()), TypeError, "access_token must be a str"),
}


@pytest.mark.parametrize(("call", "kind", "words"), WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_wrong_call(
    homeserver: Homeserver, call: Callable[[Homeserver], object], kind: type[Exception], words: str
) -> None:
    """A wrong argument of a method is named, with what was expected and without its value; nothing is sent."""
    with pytest.raises(kind, match=f"^{words}") as caught:
        call(homeserver)

    assert SECRET not in f"{caught.value}{caught.value.args}{caught.value.__context__!r}"
