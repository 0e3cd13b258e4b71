"""Accounts that live elsewhere: the metadata, the page for an action, and the error in place of a 404."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import BaseAdapter
from support.handmade import answered

from interactive_auth import DelegatedAuthError, Homeserver, MatrixError, ServerProtocolError

ADDRESS = "https://matrix.example.org"
STABLE, DRAFT = "/_matrix/client/v1/auth_metadata", "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata"
LOGIN = "/_matrix/client/v3/login"
PAGE = "https://account.example.org/me"
METADATA = {"issuer": "https://account.example.org/", "account_management_uri": PAGE}
ACTIONS = [
    "org.matrix.profile",
    "org.matrix.devices_list",
    "org.matrix.device_view",
    "org.matrix.device_delete",
    "org.matrix.account_deactivate",
    "org.matrix.cross_signing_reset",
]
UNRECOGNIZED = (404, {"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"})
CONTINUWUITY = (403, {"errcode": "M_FORBIDDEN", "error": "Clients authorized with OAuth cannot use this route."})
CLOSED = (403, {"errcode": "M_FORBIDDEN", "error": "Registration has been disabled"})


class Paths(BaseAdapter):
    """Answers by path, all others as endpoints that do not exist; a status of 0 is a connection that broke."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []
        self.answers: dict[str, tuple[int, Any]] = {}
        self.other = UNRECOGNIZED

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [urlsplit(sent.url or "").path for sent in self.sent]

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.sent.append(request)
        status, body = self.answers.get(urlsplit(request.url or "").path, self.other)
        if not status:
            raise requests.ConnectionError("cut")
        return answered(request, status, body)

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def paths() -> Paths:
    """Return what takes the place of the network: a homeserver that leaves its accounts to a service."""
    made = Paths()
    made.answers[STABLE] = (200, METADATA)
    return made


@pytest.fixture
def homeserver(paths: Paths) -> Iterator[Homeserver]:
    """Return a homeserver behind it."""
    with requests.Session() as session:
        session.mount("https://", paths)
        session.mount("http://", paths)
        yield Homeserver(ADDRESS, session=session, access_token="a-token", retry=None)


# The metadata


def test_metadata(paths: Paths, homeserver: Homeserver) -> None:
    """They are asked for without the access token, and given as they are."""
    lists = {"account_management_actions_supported": ACTIONS, "prompt_values_supported": ["create"]}
    paths.answers[STABLE] = (200, {**METADATA, **lists})

    assert homeserver.auth_metadata() == {**METADATA, **lists}

    (sent,) = paths.sent
    assert (sent.method, sent.url) == ("GET", ADDRESS + STABLE)
    assert "Authorization" not in sent.headers


def test_metadata_of_an_older_server(paths: Paths, homeserver: Homeserver) -> None:
    """Before they had their name they had another one."""
    paths.answers = {DRAFT: (200, METADATA)}

    assert homeserver.auth_metadata() == METADATA
    assert paths.paths == [STABLE, DRAFT]


def test_no_metadata(paths: Paths, homeserver: Homeserver) -> None:
    """A homeserver that keeps its accounts has none, which is no error."""
    paths.answers = {}

    assert homeserver.auth_metadata() is None
    assert homeserver.account_management_url("org.matrix.profile") is None


def test_metadata_that_are_refused(paths: Paths, homeserver: Homeserver) -> None:
    """A refusal is no word about accounts."""
    paths.answers[STABLE] = (500, {"errcode": "M_UNKNOWN"})

    with pytest.raises(MatrixError, match="500 M_UNKNOWN"):
        homeserver.auth_metadata()


@pytest.mark.parametrize("body", [{}, {"issuer": 5}, {"issuer": "account"}, {"other": PAGE}], ids=str)
def test_what_are_no_metadata(paths: Paths, homeserver: Homeserver, body: Any) -> None:
    """An answer that names no service is the server's fault."""
    paths.answers[STABLE] = (200, body)

    with pytest.raises(ServerProtocolError, match="describes no OAuth service"):
        homeserver.auth_metadata()


BAD_PAGES = [
    *(None, 5, "", "account", "/account", "javascript:alert(1)", "file:///etc/passwd", "ftp://example.org"),
    *("https://", "https://[::1", "https://example.org/\x1b[2J", "https://example.org/a b", "https://example.org/\n"),
    *("https://example.org/\ud800", "http://127.0.0.1:8080/", "https://localhost/", "http://0/", ["https://h"]),
    f"https://example.org/{'a' * 1000}",
]


@pytest.mark.parametrize("page", BAD_PAGES, ids=ascii)
def test_a_page_that_must_not_be_opened(paths: Paths, homeserver: Homeserver, page: Any) -> None:
    """An address that is none of the web's, or that of this machine, or unfit to be shown, is left out."""
    paths.answers[STABLE] = (200, {"issuer": "https://account.example.org/", "account_management_uri": page})

    assert homeserver.auth_metadata() == {"issuer": "https://account.example.org/"}
    assert homeserver.account_management_url() is None


def test_a_page_on_this_machine(paths: Paths) -> None:
    """Where the homeserver is on this machine, the page may be."""
    local = {"issuer": "http://127.0.0.1:1/", "account_management_uri": "http://localhost:1/account/"}
    paths.answers[STABLE] = (200, local)
    with requests.Session() as session:
        session.mount("http://", paths)
        homeserver = Homeserver("http://127.0.0.1:8008", session=session)

        assert homeserver.account_management_url() == "http://localhost:1/account/"


@pytest.mark.parametrize(
    ("listed", "kept"),
    [("all", None), ([5, None, "", "a", ["b"], "\ud800", "x" * 1001], ["a"]), (["a"] * 1000, ["a"] * 100)],
    ids=["text", "junk", "many"],
)
def test_lists_that_are_none(paths: Paths, homeserver: Homeserver, listed: Any, kept: Any) -> None:
    """Of a list what is text is kept, and not more than anybody needs."""
    paths.answers[STABLE] = (200, {**METADATA, "account_management_actions_supported": listed})

    assert (homeserver.auth_metadata() or {}).get("account_management_actions_supported") == kept


# The page


VIEW, END = f"{PAGE}?action=org.matrix.device_view&device_id=", f"{PAGE}?action=org.matrix.session_end&device_id="


@pytest.mark.parametrize(
    ("page", "listed", "arguments", "url"),
    [
        (PAGE, None, (), PAGE),
        (PAGE, ACTIONS, ("org.matrix.profile",), f"{PAGE}?action=org.matrix.profile"),
        (PAGE, None, ("org.matrix.profile",), f"{PAGE}?action=org.matrix.profile"),
        (PAGE, [], ("org.matrix.profile",), PAGE),
        (PAGE, ["org.matrix.profile"], ("org.example.other",), PAGE),
        (PAGE, ACTIONS, ("org.matrix.device_view", "A B/&"), f"{VIEW}A+B%2F%26"),
        (PAGE, ["org.matrix.session_end"], ("org.matrix.device_delete", "D"), f"{END}D"),
        (f"{PAGE}?a=b&c=#top", ACTIONS, ("org.matrix.profile",), f"{PAGE}?a=b&c=&action=org.matrix.profile#top"),
    ],
)
def test_account_management_url(
    paths: Paths, homeserver: Homeserver, page: str, listed: Any, arguments: tuple[str, ...], url: str
) -> None:
    """An action that the service lists, under its name or that of a draft, and the device are in the query."""
    lists = {} if listed is None else {"account_management_actions_supported": listed}
    paths.answers[STABLE] = (200, {**METADATA, "account_management_uri": page, **lists})

    assert homeserver.account_management_url(*arguments) == url


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"action": ""}, ValueError), ({"action": 5}, TypeError), ({"device_id": "D"}, ValueError)],
    ids=str,
)
def test_wrong_arguments(paths: Paths, homeserver: Homeserver, arguments: Any, error: type[Exception]) -> None:
    """A wrong argument is named before anything is asked."""
    with pytest.raises(error, match=r"^(action|device_id) "):
        homeserver.account_management_url(**arguments)

    assert paths.sent == []


# The error


CALLS: dict[str, tuple[Callable[[Homeserver], object], str | None]] = {
    "change_password": (lambda h: h.change_password("another one")(), "action=org.matrix.profile"),
    "deactivate_account": (lambda h: h.deactivate_account()(), "action=org.matrix.account_deactivate"),
    "add_threepid": (lambda h: h.add_threepid("secret", "sid")(), "action=org.matrix.profile"),
    "delete_device": (lambda h: h.delete_device("A/B")(), "action=org.matrix.device_delete&device_id=A%2FB"),
    "delete_devices": (lambda h: h.delete_devices(["A", "B"])(), "action=org.matrix.devices_list"),
    "delete_devices one": (lambda h: h.delete_devices(["A"])(), "action=org.matrix.device_delete&device_id=A"),
    "delete_devices none": (lambda h: h.delete_devices([])(), "action=org.matrix.devices_list"),
    "upload keys": (lambda h: h.upload_cross_signing_keys(master_key={})(), "action=org.matrix.cross_signing_reset"),
    "get_login_token": (lambda h: h.get_login_token()(), "action=org.matrix.devices_list"),
    "register": (lambda h: h.register("alice")(), None),
    "other": (lambda h: h.uia_request("POST", "/_matrix/client/v3/other")(), None),
    "login": (lambda h: h.login("alice", "password"), None),
    "refresh": (lambda h: h.refresh("a-refresh-token"), None),
    "logout": (lambda h: h.logout(), "action=org.matrix.devices_list"),
    "username_available": (lambda h: h.username_available("alice"), None),
    "token register": (lambda h: h.request_email_token("register", "a@example.org", "secret"), None),
    "token password": (
        lambda h: h.request_email_token("account/password", "a@example.org", "secret"),
        "action=org.matrix.profile",
    ),
    "token 3pid": (
        lambda h: h.request_msisdn_token("account/3pid", "GB", "07700900001", "secret"),
        "action=org.matrix.profile",
    ),
}


@pytest.mark.parametrize(("call", "query"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("refusal", [UNRECOGNIZED, CONTINUWUITY], ids=["unrecognized", "continuwuity"])
def test_where_the_person_does_it(
    paths: Paths, homeserver: Homeserver, call: Any, query: str | None, refusal: tuple[int, Any]
) -> None:
    """A refusal of what lives elsewhere says so, and where, with the action that belongs to the endpoint."""
    paths.other = refusal

    with pytest.raises(DelegatedAuthError) as caught:
        call(homeserver)

    error, url = caught.value, PAGE if query is None else f"{PAGE}?{query}"
    assert (error.http_status, error.errcode) == (refusal[0], refusal[1]["errcode"])
    assert error.account_management_url == url
    assert str(error).endswith(
        f"this homeserver leaves its accounts to an OAuth service, where the person does it: {url}"
    )
    assert f"{ADDRESS}/_matrix/client/" in str(error)
    assert str(error).isprintable()
    assert len(paths.sent) == 2  # the request, and one more


def test_a_service_without_a_page(paths: Paths, homeserver: Homeserver) -> None:
    """A service that names no page is one all the same."""
    paths.answers[STABLE] = (200, {"issuer": "https://account.example.org/"})

    with pytest.raises(
        DelegatedAuthError, match="leaves its accounts to an OAuth service, and names no page"
    ) as caught:
        homeserver.delete_device("D")()

    assert caught.value.account_management_url is None


@pytest.mark.parametrize(
    "metadata",
    [UNRECOGNIZED, (500, {}), (200, {}), (0, {}), (404, {})],
    ids=["none", "crash", "no-metadata", "cut", "bare-404"],
)
def test_a_refusal_that_is_one(paths: Paths, homeserver: Homeserver, metadata: tuple[int, Any]) -> None:
    """Without metadata the refusal is what it was."""
    paths.answers = {STABLE: metadata}

    with pytest.raises(MatrixError, match="404 M_UNRECOGNIZED") as caught:
        homeserver.delete_device("D")()

    assert type(caught.value) is MatrixError


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"errcode": "M_UNRECOGNIZED"}),
        (403, {"errcode": "M_FORBIDDEN", "error": "Invalid password"}),
        (404, {"errcode": "M_NOT_FOUND"}),
        (404, {"errcode": "M_UNRECOGNIZED", "error": "Identifier type not recognized."}),
        (404, {}),
        (401, {"errcode": "M_UNKNOWN_TOKEN"}),
        (403, {"errcode": "M_FORBIDDEN", "error": CONTINUWUITY[1]["error"], "flows": []}),
    ],
    ids=str,
)
def test_other_refusals(paths: Paths, homeserver: Homeserver, answer: tuple[int, Any]) -> None:
    """After any other refusal nothing more is asked."""
    paths.other = answer

    with pytest.raises(MatrixError) as caught:
        homeserver.delete_device("D")()

    assert type(caught.value) is MatrixError
    assert len(paths.sent) == 1


def test_no_secret_is_in_it(paths: Paths, homeserver: Homeserver) -> None:
    """What was sent stays out of its text and its pickle, and the address is in both."""
    paths.other = (404, {"errcode": "M_UNRECOGNIZED", "error": "No /password for hunter2-hunter2"})

    with pytest.raises(DelegatedAuthError) as caught:
        homeserver.change_password("hunter2-hunter2")()

    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.account_management_url) == (
        DelegatedAuthError,
        str(caught.value),
        caught.value.account_management_url,
    )
    assert "hunter2" not in f"{caught.value}{caught.value!r}{caught.value.args}{pickle.dumps(caught.value)!r}"


# Registrations that single sign-on has taken over (v1.18, "oauth_aware_preferred")


@pytest.mark.parametrize("name", ["oauth_aware_preferred", "org.matrix.msc3824.delegated_oidc_compatibility"])
def test_registrations_by_single_sign_on(paths: Paths, homeserver: Homeserver, name: str) -> None:
    """Where a registration is refused, and single sign-on is what is preferred, the error says so."""
    flows = [5, {"type": "m.login.password"}, {"type": "m.login.sso", name: True}]
    paths.answers = {LOGIN: (200, {"flows": flows}), "/_matrix/client/v3/register": CLOSED}

    with pytest.raises(MatrixError, match="accounts are made by single sign-on here") as caught:
        homeserver.register("alice")()

    assert type(caught.value) is MatrixError
    assert paths.paths[1:] == [STABLE, DRAFT, LOGIN]


@pytest.mark.parametrize(
    "answer",
    [
        UNRECOGNIZED,
        (200, {}),
        (200, {"flows": "m.login.sso"}),
        (200, {"flows": [{"type": "m.login.sso", "oauth_aware_preferred": "yes"}]}),
    ],
    ids=str,
)
def test_registrations_that_are_closed(paths: Paths, homeserver: Homeserver, answer: tuple[int, Any]) -> None:
    """Where nothing of that kind is said, the refusal is what it was."""
    paths.answers = {LOGIN: answer, "/_matrix/client/v3/register": CLOSED}

    with pytest.raises(MatrixError) as caught:
        homeserver.register("alice")()

    assert "single sign-on" not in str(caught.value)


# Limits of an account (v1.18, MSC4335)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"info_uri": PAGE, "can_upgrade": True}, f"; the limit can be raised; what it is: {PAGE}"),
        ({"info_uri": PAGE, "can_upgrade": False}, f"; the limit cannot be raised; what it is: {PAGE}"),
        ({"info_uri": PAGE}, f"; what it is: {PAGE}"),
        ({"info_uri": "javascript:alert(1)", "can_upgrade": "yes"}, ""),
        ({"info_uri": 5, "can_upgrade": None}, ""),
    ],
    ids=["raised", "hard", "page", "junk", "types"],
)
def test_limits_of_an_account(body: Any, words: str) -> None:
    """What the server says about a limit is in the text."""
    error = MatrixError(403, {"errcode": "M_USER_LIMIT_EXCEEDED", "error": "Too many devices", **body})

    assert str(error) == f"403 M_USER_LIMIT_EXCEEDED: Too many devices{words}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_limits_under_the_draft_s_names() -> None:
    """The names that servers used before are read, too."""
    draft = "org.matrix.msc4335."
    body = {f"{draft}info_uri": PAGE, f"{draft}soft_limit": True}

    text = str(MatrixError(403, {"errcode": "ORG.MATRIX.MSC4335_USER_LIMIT_EXCEEDED", **body}))

    assert text.endswith(f"; the limit can be raised; what it is: {PAGE}")
