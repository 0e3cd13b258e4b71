"""Registering on a real Dendrite: with nothing, with a captcha, with a name in use, and where nobody may."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from support.accounts import WAITING, Account, Connect, Person, Watched, owner
from support.acts import devices
from support.dendrite import Dendrite

from interactive_auth import Homeserver, InteractiveAuth, MatrixError, Stage, StageFailedError, handlers

from .conftest import CAPTCHA_RESPONSE

CAPTCHA = "m.login.recaptcha"


def nobody(stage: Stage) -> Any:
    """Be asked for nothing."""
    pytest.fail(f"{stage.type} was asked for")


def is_free(server: Dendrite, name: str) -> bool:
    """Return whether nobody has a name."""
    url = f"{server.base_url}/_matrix/client/v3/register/available"
    answer = requests.get(url, {"username": name}, timeout=30)
    assert answer.ok or answer.json()["errcode"] == "M_USER_IN_USE", answer.text
    return answer.ok


def test_dummy(dendrite: Dendrite, anonymous: Homeserver, new: Person) -> None:
    """An account is made with its password, and logged in on the device that was asked for, without any question."""
    request = anonymous.register(new.name, new.password, device_id="MINE", initial_device_display_name="My lamp")

    response = request.authenticate(nobody)

    assert response["user_id"] == new.user_id == owner(dendrite, response)
    token, name = response["access_token"], "/_matrix/client/v3/devices/MINE"
    assert dendrite.call("GET", name, access_token=token)["display_name"] == "My lamp"
    assert dendrite.can_log_in(new.name, new.password)


def test_without_login(dendrite: Dendrite, anonymous: Homeserver, new: Person) -> None:
    """With inhibit_login the account is made, and no device is logged in."""
    response = anonymous.register(new.name, new.password, inhibit_login=True).authenticate({})

    assert response == {"user_id": new.user_id}
    assert dendrite.can_log_in(new.name, new.password)


def test_a_guest(dendrite: Dendrite, connect: Connect) -> None:
    """A guest wants no authentication."""
    response = connect(dendrite.base_url).register(kind="guest").authenticate(nobody)

    assert owner(dendrite, response) == response["user_id"]


def test_registration_disabled(closed_dendrite: Dendrite, connect: Connect, new: Person) -> None:
    """Where nobody may register it is the server's refusal, in its words, before anybody is asked."""
    with pytest.raises(MatrixError, match=r'Registration is disabled on "throwaway\.localhost"') as refused:
        connect(closed_dendrite.base_url).register(new.name, new.password).authenticate(nobody)

    assert (refused.value.http_status, refused.value.errcode) == (403, "M_FORBIDDEN")
    assert is_free(closed_dendrite, new.name)


def test_a_name_in_use(dendrite: Dendrite, anonymous: Homeserver, account: Account) -> None:
    """A name in use is refused, which Dendrite does only when all stages are done; its account stays as it was."""
    before = devices(account)

    with pytest.raises(MatrixError, match="already taken") as refused:
        anonymous.register(account.name, "another password").authenticate({})

    assert (refused.value.http_status, refused.value.errcode) == (400, "M_USER_IN_USE")
    assert anonymous.username_available(account.name) is False
    assert account.can_log_in()
    assert not account.can_log_in("another password")
    assert devices(account) == before


def test_a_free_name(anonymous: Homeserver, new: Person) -> None:
    """A name that nobody has is free, and one that nobody can have is an error of its own."""
    assert anonymous.username_available(new.name) is True
    with pytest.raises(MatrixError) as refused:
        anonymous.username_available("Not A Name")
    assert refused.value.errcode == "M_INVALID_USERNAME"


@pytest.mark.parametrize("guesses", [[CAPTCHA_RESPONSE], ["wrong", CAPTCHA_RESPONSE]], ids=["right", "wrong-right"])
def test_captcha(captcha_dendrite: Dendrite, connect: Connect, new: Person, guesses: list[str]) -> None:
    """A captcha that was not solved is asked for again, though Dendrite says so without flows; then there is one."""
    watched, keys = Watched(), []

    def solve(public_key: str) -> str:
        keys.append(public_key)
        return guesses[len(keys) - 1]

    response = (
        connect(captcha_dendrite.base_url)
        .register(new.name, new.password)
        .authenticate(watched({CAPTCHA: handlers.recaptcha(solve)}))
    )

    assert keys == ["a-site-key"] * len(guesses)
    assert watched.errors == [None, ("M_BAD_JSON", "invalid captcha response")][: len(guesses)]
    assert owner(captcha_dendrite, response) == new.user_id


def test_captcha_that_is_never_solved(captcha_dendrite: Dendrite, connect: Connect, new: Person) -> None:
    """After the last wrong response it is StageFailedError, and the name is still free."""
    request = connect(captcha_dendrite.base_url).register(new.name, new.password)

    with pytest.raises(StageFailedError, match="invalid captcha response") as failed:
        request.authenticate({CAPTCHA: handlers.recaptcha(lambda key: "wrong")}, max_attempts=2)

    assert (failed.value.stage, failed.value.attempts) == (CAPTCHA, 2)
    assert is_free(captcha_dendrite, new.name)


def test_captcha_on_its_page(captcha_dendrite: Dendrite, connect: Connect, new: Person) -> None:
    """A captcha that is solved on its fallback page is found done by a poll."""
    homeserver = connect(captcha_dendrite.base_url)

    def open_page(stage: Stage) -> None:
        page = homeserver.fallback_url(stage.type, stage.session or "")
        assert "a-site-key" in requests.get(page, timeout=30).text
        # Dendrite reads the field of the form here, whose name is that of Google's.
        requests.post(page, {"g-recaptcha-response": CAPTCHA_RESPONSE}, timeout=30).raise_for_status()

    auth = InteractiveAuth(homeserver.register(new.name, new.password), {CAPTCHA: open_page}, **WAITING)
    response = auth.attempt_auth()

    assert owner(captcha_dendrite, response) == new.user_id
