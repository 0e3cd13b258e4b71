"""The request itself is refused while a stage is awaited elsewhere: the wait ends at once, and a corrected one goes on.

"In the same session" is what the homeserver is asked for afterwards: no second session, no second mail where the first
one still serves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import requests
from support.accounts import (
    WAITING,
    Account,
    Connect,
    Person,
    account_of,
    addresses_of,
    give_address,
    new_account,
    owner,
    owner_of_address,
)
from support.keys import Keys, make_keys
from support.sso import Browser, cas_provider
from throwaway_services import MailServer
from throwaway_synapse import Synapse, throwaway_synapse

from interactive_auth import AuthCancelledError, InteractiveAuth, MatrixError, Stage, UIARequest, Wait, handlers

EMAIL, TERMS, SSO, PASSWORD = "m.login.email.identity", "m.login.terms", "m.login.sso", "m.login.password"


class Recorded:
    """A ``UIARequest`` that keeps the errcodes of its answers.

    Attributes:
        answers: of each request so far, None where a challenge has none.
    """

    def __init__(self, request: UIARequest[Any]) -> None:
        self.answers: list[str | None] = []
        self.request_email_token = request.request_email_token
        self._request = request

    def __call__(self, auth: dict[str, Any] | None) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = self._request(auth)
        except MatrixError as error:
            self.answers.append(error.errcode)
            raise
        return answer


def refused(auth: InteractiveAuth[Any]) -> tuple[int, str | None, dict[str, Any]]:
    """Run an attempt that is to be refused; returns status, errcode, and the state as another process reads it."""
    with pytest.raises(MatrixError) as caught:
        auth.attempt_auth()
    return caught.value.http_status, caught.value.errcode, json.loads(json.dumps(auth.get_resume_state()))


# A registration


@pytest.mark.parametrize("opened_before", [False, True], ids=["link not opened", "link opened"])
def test_the_name_is_taken_while_the_mail_is_awaited(
    email_server: Synapse,
    connect: Connect,
    mails: MailServer,
    open_link: Callable[..., None],
    new: Person,
    opened_before: bool,
) -> None:
    """The first poll afterwards ends the wait; another name is registered with the same session and the same mail."""
    homeserver = connect(email_server.base_url)

    def lose_the_name(stage: Stage) -> None:
        if opened_before:
            open_link()
        email_server.add_user(new.name, "the password of somebody else")

    request = Recorded(homeserver.register(new.name, new.password))
    auth = InteractiveAuth(request, {EMAIL: lose_the_name}, inputs={"email_address": new.address}, **WAITING)

    status, errcode, state = refused(auth)

    assert (status, errcode) == (400, "M_USER_IN_USE")
    assert request.answers == [None, "M_USER_IN_USE"]
    if not opened_before:
        open_link()
    other = Person()
    corrected = homeserver.register(other.name, other.password)
    second = InteractiveAuth(corrected, {EMAIL: handlers.email()}, **state, **WAITING)
    account = second.attempt_auth()
    assert second.get_session_id() == auth.get_session_id()
    assert owner(email_server, account) == other.user_id
    assert addresses_of(email_server, other.user_id) == {("email", new.address)}
    assert email_server.can_log_in(new.name, "the password of somebody else")
    assert mails.count(new.address) == 1


def test_the_name_is_taken_while_a_page_is_awaited(
    terms_server: Synapse, connect: Connect, web: requests.Session, new: Person
) -> None:
    """The first poll afterwards ends the wait; the page that was opened for it accepts the terms for another name."""
    homeserver = connect(terms_server.base_url)
    pages: list[str] = []

    def lose_the_name(url: str) -> None:
        pages.append(url)
        terms_server.add_user(new.name, "the password of somebody else")

    request = Recorded(homeserver.register(new.name, new.password))
    auth = InteractiveAuth(request, {TERMS: handlers.fallback(homeserver, lose_the_name)}, **WAITING)

    status, errcode, state = refused(auth)

    assert (status, errcode) == (400, "M_USER_IN_USE")
    assert request.answers == [None, "M_USER_IN_USE"]
    web.post(pages[0].partition("?")[0], data={"session": auth.get_session_id()}, timeout=30).raise_for_status()
    other = Person()
    corrected = homeserver.register(other.name, other.password)
    second = InteractiveAuth(corrected, {TERMS: handlers.fallback(homeserver, pages.append)}, **state, **WAITING)
    account = second.attempt_auth()
    assert pages == [pages[0], pages[0]]
    assert second.get_session_id() == auth.get_session_id()
    assert owner(terms_server, account) == other.user_id
    assert account_of(terms_server, other.user_id)["consent_version"] == "1.0"
    assert terms_server.can_log_in(new.name, "the password of somebody else")


def test_the_address_is_taken_while_its_mail_is_awaited(
    email_server: Synapse, connect: Connect, mails: MailServer, open_link: Callable[..., None], new: Person
) -> None:
    """The first poll that finds the link opened ends the wait; another address gets a mail, in the same session.

    Until its link was opened Synapse goes by the first address, whose stage it has completed, and refuses each poll; so
    the callback has to return after that.
    """
    other = Person()
    their_id = email_server.add_user(f"{new.name}-other", new.password)["user_id"]
    registration = connect(email_server.base_url).register(new.name, new.password)

    def lose_the_address() -> None:
        open_link()
        give_address(email_server, their_id, new.address)

    def open_the_other_link() -> None:
        requests.get(mails.wait_for_link(other.address), timeout=30).raise_for_status()

    request = Recorded(registration)
    stages = {EMAIL: handlers.email(lose_the_address)}
    auth = InteractiveAuth(request, stages, inputs={"email_address": new.address}, **WAITING)

    status, errcode, state = refused(auth)

    assert (status, errcode) == (400, "M_THREEPID_IN_USE")
    assert request.answers == [None, "M_THREEPID_IN_USE"]
    state["inputs"]["email_address"] = other.address
    too_early = InteractiveAuth(registration, {EMAIL: handlers.email()}, **state, **WAITING)
    status, errcode, state = refused(too_early)
    assert (status, errcode) == (400, "M_THREEPID_IN_USE")
    second = InteractiveAuth(registration, {EMAIL: handlers.email(open_the_other_link)}, **state, **WAITING)
    account = second.attempt_auth()
    assert second.get_session_id() == auth.get_session_id()
    assert owner(email_server, account) == new.user_id
    assert addresses_of(email_server, new.user_id) == {("email", other.address)}
    assert owner_of_address(email_server, new.address) == their_id
    assert (mails.count(new.address), mails.count(other.address)) == (1, 1)


# What an account does


@pytest.fixture(scope="module")
def sso_server() -> Iterator[Synapse]:
    """A homeserver on which people sign on by CAS."""
    with cas_provider() as cas, throwaway_synapse(cas) as running:
        yield running


@pytest.fixture
def signed_on(sso_server: Synapse) -> Iterator[Account]:
    """Make an account that signs on by its own name, with cross-signing keys and a device "OLD"."""
    with new_account(sso_server) as account:
        external = [{"auth_provider": "cas", "external_id": account.name}]
        sso_server.admin("PUT", f"/_synapse/admin/v2/users/{account.user_id}", {"external_ids": external})
        account.add_device("OLD")
        account.homeserver.upload_cross_signing_keys(**make_keys(account.user_id)).authenticate({})
        yield account


def master_key(account: Account) -> dict[str, str]:
    """Return the master key that the homeserver hands out."""
    answer = account.call("POST", "keys/query", {"device_keys": {account.user_id: []}})
    keys: dict[str, str] = answer["master_keys"][account.user_id]["keys"]
    return keys


@pytest.fixture
def badly_signed(signed_on: Account) -> Keys:
    """Make keys that another master key has signed."""
    return make_keys(signed_on.user_id) | {"master_key": make_keys(signed_on.user_id)["master_key"]}


def test_somebody_else_signs_on(signed_on: Account) -> None:
    """The first poll after the sign-on of another account ends the wait, and the right one goes on in the session."""
    browser = Browser()
    homeserver = signed_on.homeserver
    request = Recorded(homeserver.delete_devices(["OLD"]))
    auth = InteractiveAuth(
        request, {SSO: handlers.sso(homeserver, lambda url: browser.sign_on(url, "mallory"))}, **WAITING
    )

    status, errcode, state = refused(auth)

    assert (status, errcode) == (403, "M_FORBIDDEN")
    assert request.answers == [None, "M_FORBIDDEN"]
    assert "OLD" in signed_on.devices()
    stages = {SSO: handlers.sso(homeserver, lambda url: browser.sign_on(url, signed_on.name))}
    second = InteractiveAuth(homeserver.delete_devices(["OLD"]), stages, **state, **WAITING)
    assert second.attempt_auth() == {}
    assert second.get_session_id() == auth.get_session_id()
    assert browser.titles == ["Authentication failed", "Authentication successful"]
    assert signed_on.devices() == {signed_on.device_id}


def test_the_right_person_takes_a_while(signed_on: Account) -> None:
    """Synapse refuses the session until the right person has signed on; a new one waits for as long as it takes."""
    homeserver = signed_on.homeserver
    as_mallory = handlers.sso(homeserver, lambda url: Browser().sign_on(url, "mallory"))
    first = InteractiveAuth(homeserver.delete_devices(["OLD"]), {SSO: as_mallory}, **WAITING)
    *_, state = refused(first)
    request = Recorded(homeserver.delete_devices(["OLD"]))
    again = InteractiveAuth(request, {SSO: handlers.sso(homeserver, lambda url: None)}, **state, **WAITING)
    assert refused(again)[:2] == (403, "M_FORBIDDEN")
    assert request.answers == ["M_FORBIDDEN"]

    urls: list[str] = []
    request = Recorded(homeserver.delete_devices(["OLD"]))

    def hear(wait: Wait | None) -> None:
        if len(request.answers) >= 3 and urls:
            Browser().sign_on(urls.pop(), signed_on.name)

    new_session = InteractiveAuth(request, {SSO: handlers.sso(homeserver, urls.append)}, wait_changed=hear, **WAITING)
    assert new_session.attempt_auth() == {}
    assert new_session.get_session_id() != first.get_session_id()
    assert request.answers == [None] * len(request.answers)
    assert signed_on.devices() == {signed_on.device_id}


def test_keys_are_badly_signed_while_a_page_is_awaited(signed_on: Account, badly_signed: Keys) -> None:
    """The first poll after the sign-on ends the wait; well signed keys need no other sign-on, and are published."""
    homeserver, before = signed_on.homeserver, master_key(signed_on)
    request = Recorded(homeserver.upload_cross_signing_keys(**badly_signed))
    sign_on = handlers.sso(homeserver, lambda url: Browser().sign_on(url, signed_on.name))
    auth = InteractiveAuth(request, {SSO: sign_on}, **WAITING)

    status, errcode, state = refused(auth)

    assert (status, errcode) == (400, "M_INVALID_SIGNATURE")
    assert request.answers == [None, "M_INVALID_SIGNATURE"]
    assert master_key(signed_on) == before
    keys = make_keys(signed_on.user_id)
    stages = {SSO: handlers.sso(homeserver, lambda url: None)}
    second = InteractiveAuth(homeserver.upload_cross_signing_keys(**keys), stages, **state, **WAITING)
    assert second.attempt_auth() == {}
    assert second.get_session_id() == auth.get_session_id()
    assert master_key(signed_on) == keys["master_key"]["keys"]


def test_keys_are_badly_signed_while_a_password_is_awaited(signed_on: Account, badly_signed: Keys) -> None:
    """The first poll after the password was given elsewhere ends the wait; well signed keys need it no second time."""
    homeserver, before = signed_on.homeserver, master_key(signed_on)
    request = Recorded(homeserver.upload_cross_signing_keys(**badly_signed))

    def give_it_elsewhere(stage: Stage) -> None:
        answer = handlers.password(signed_on.name, signed_on.password)(stage)
        with pytest.raises(MatrixError, match="M_INVALID_SIGNATURE"):  # told to whoever has given the password, too
            homeserver.upload_cross_signing_keys(**badly_signed)({**(answer or {}), "session": stage.session})

    auth = InteractiveAuth(request, {PASSWORD: give_it_elsewhere}, **WAITING)

    status, errcode, state = refused(auth)

    assert (status, errcode) == (400, "M_INVALID_SIGNATURE")
    assert request.answers == [None, "M_INVALID_SIGNATURE"]
    assert master_key(signed_on) == before
    keys = make_keys(signed_on.user_id)
    second = InteractiveAuth(
        homeserver.upload_cross_signing_keys(**keys), {PASSWORD: lambda stage: None}, **state, **WAITING
    )
    assert second.attempt_auth() == {}
    assert second.get_session_id() == auth.get_session_id()
    assert master_key(signed_on) == keys["master_key"]["keys"]


def test_the_device_is_logged_out_while_a_page_is_awaited(signed_on: Account) -> None:
    """The first poll with a dead access token ends the wait; a fresh login goes on in the session."""
    homeserver = signed_on.homeserver
    request = Recorded(homeserver.delete_devices(["OLD"]))
    auth = InteractiveAuth(
        request, {SSO: handlers.sso(homeserver, lambda url: signed_on.call("POST", "logout", {}))}, **WAITING
    )

    status, errcode, state = refused(auth)

    assert (status, errcode) == (401, "M_UNKNOWN_TOKEN")
    assert request.answers == [None, "M_UNKNOWN_TOKEN"]
    homeserver.access_token = signed_on.add_device("FRESH")
    stages = {SSO: handlers.sso(homeserver, lambda url: Browser().sign_on(url, signed_on.name))}
    second = InteractiveAuth(homeserver.delete_devices(["OLD"]), stages, **state, **WAITING)
    assert second.attempt_auth() == {}
    assert second.get_session_id() == auth.get_session_id()
    assert signed_on.devices() == {"FRESH"}


def test_a_state_of_another_request(signed_on: Account) -> None:
    """The state of one request does not serve another, whose first poll is refused; the one that it is of goes on."""
    homeserver = signed_on.homeserver
    stages = {SSO: handlers.sso(homeserver, lambda url: Browser().sign_on(url, signed_on.name))}
    first = InteractiveAuth(
        homeserver.delete_devices(["OLD"]), {SSO: lambda stage: stage.auth.cancel()}, poll_interval=0.1
    )
    with pytest.raises(AuthCancelledError):
        first.attempt_auth()
    state: Any = first.get_resume_state()
    request = Recorded(homeserver.uia_request("POST", "/_matrix/client/v3/account/deactivate", {"erase": False}))

    status, errcode, _ = refused(InteractiveAuth(request, stages, **state, **WAITING))

    assert (status, errcode) == (403, "M_UNKNOWN")
    assert request.answers == ["M_UNKNOWN"]
    assert signed_on.is_valid(homeserver.access_token)
    assert InteractiveAuth(homeserver.delete_devices(["OLD"]), stages, **state, **WAITING).attempt_auth() == {}
    assert signed_on.devices() == {signed_on.device_id}
