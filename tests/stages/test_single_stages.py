"""The stages that are answered at once, each as a homeserver's only demand: a wrong answer, then the right one."""

from __future__ import annotations

import pytest
import requests
from support.accounts import Connect, Person, Watched, account_of, devices_of, exists, new_token, owner, uses_of
from throwaway_synapse import Synapse

from interactive_auth import (
    AuthCancelledError,
    InteractiveAuth,
    MatrixError,
    StageFailedError,
    handlers,
)


def test_dummy_registers_without_asking_anybody(open_server: Synapse, connect: Connect, new: Person) -> None:
    """A homeserver that demands only m.login.dummy makes the account, and no callback is called."""
    request = connect(open_server.base_url).register(new.name, new.password)

    account = request.authenticate(lambda stage: pytest.fail(stage.type))

    assert owner(open_server, account) == new.user_id
    assert connect(open_server.base_url).username_available(new.name) is False


def test_registration_token_is_asked_for_again_after_a_wrong_one(
    token_server: Synapse, connect: Connect, watched: Watched, new: Person
) -> None:
    """A wrong token brings the stage back with its error; the right one registers, and is counted as used."""
    token = new_token(token_server)
    guesses = iter(["no-such-token", token])
    callbacks = {"m.login.registration_token": handlers.registration_token(lambda: next(guesses))}

    account = connect(token_server.base_url).register(new.name, new.password).authenticate(watched(callbacks))

    assert owner(token_server, account) == new.user_id
    assert uses_of(token_server, token) == (1, 0)
    assert [(stage.type, stage.attempt) for stage in watched.seen] == [
        ("m.login.registration_token", 1),
        ("m.login.registration_token", 2),
    ]
    assert watched.errors == [None, ("M_UNAUTHORIZED", "Invalid registration token")]


def test_constant_registration_token_is_tried_once(token_server: Synapse, connect: Connect, new: Person) -> None:
    """A wrong token that cannot be asked for again ends the attempt with the server's reason as the cause."""
    homeserver = connect(token_server.base_url)
    callbacks = {"m.login.registration_token": handlers.registration_token("no-such-token")}

    with pytest.raises(StageFailedError) as caught:
        homeserver.register(new.name, new.password).authenticate(callbacks)

    assert (caught.value.stage, caught.value.attempts) == ("m.login.registration_token", 1)
    assert isinstance(caught.value.__cause__, MatrixError)
    assert caught.value.__cause__.errcode == "M_UNAUTHORIZED"
    assert not exists(token_server, new.user_id)


def test_terms_are_shown_and_their_acceptance_is_recorded(
    terms_server: Synapse, connect: Connect, web: requests.Session, new: Person
) -> None:
    """The person is given the policy with the address of its text, and the account has accepted that version."""
    shown: list[handlers.Policy] = []

    def accept(policies: list[handlers.Policy]) -> bool:
        shown.extend(policies)
        return True

    account = (
        connect(terms_server.base_url)
        .register(new.name, new.password)
        .authenticate({"m.login.terms": handlers.terms(accept)})
    )

    assert owner(terms_server, account) == new.user_id
    assert account_of(terms_server, new.user_id)["consent_version"] == "1.0"
    assert [(policy.id, policy.version, policy.name, policy.language) for policy in shown] == [
        ("privacy_policy", "1.0", "Privacy Policy", "en")
    ]
    assert "forgets everything" in web.get(shown[0].url, timeout=30).text


def test_declined_terms_register_nobody_and_can_be_accepted_later(
    terms_server: Synapse, connect: Connect, new: Person
) -> None:
    """Declining ends the attempt without an account; accepting in another attempt goes on in the same session."""
    homeserver = connect(terms_server.base_url)
    answers = iter([False, True])
    stages = {"m.login.terms": handlers.terms(lambda policies: next(answers))}
    auth = InteractiveAuth(homeserver.register(new.name, new.password), stages)

    with pytest.raises(AuthCancelledError):
        auth.attempt_auth()
    made, session = exists(terms_server, new.user_id), auth.get_session_id()
    account = auth.attempt_auth()

    assert made is False
    assert auth.get_session_id() == session
    assert owner(terms_server, account) == new.user_id


def test_recaptcha_is_solved_again_after_a_wrong_response(
    captcha_server: Synapse, captcha_response: str, connect: Connect, watched: Watched, new: Person
) -> None:
    """A response that the verifier refuses brings the stage back with its error; the right one registers."""
    homeserver = connect(captcha_server.base_url)
    responses = iter(["i-am-a-robot", captcha_response])
    given: list[tuple[str, str]] = []

    def solve(site_key: str, fallback_url: str) -> str:
        given.append((site_key, fallback_url))
        return next(responses)

    callbacks = {"m.login.recaptcha": handlers.recaptcha(solve, homeserver)}

    account = homeserver.register(new.name, new.password).authenticate(watched(callbacks))

    assert owner(captcha_server, account) == new.user_id
    assert [stage.attempt for stage in watched.seen] == [1, 2]
    assert watched.errors == [None, ("M_UNAUTHORIZED", "Captcha authentication failed")]
    page = homeserver.fallback_url("m.login.recaptcha", watched.seen[0].session or "")
    assert given == [("a-site-key", page)] * 2


def test_stage_fails_after_as_many_wrong_answers_as_are_allowed(
    captcha_server: Synapse, connect: Connect, watched: Watched, new: Person
) -> None:
    """The last wrong answer that max_attempts allows ends the attempt, and no account was made."""
    homeserver = connect(captcha_server.base_url)
    callbacks = {"m.login.recaptcha": handlers.recaptcha(lambda site_key: "i-am-a-robot")}

    with pytest.raises(StageFailedError) as caught:
        homeserver.register(new.name, new.password).authenticate(watched(callbacks), max_attempts=2)

    assert (caught.value.stage, caught.value.attempts) == ("m.login.recaptcha", 2)
    assert [stage.attempt for stage in watched.seen] == [1, 2]
    assert not exists(captcha_server, new.user_id)


def test_password_is_asked_for_again_after_a_wrong_one(
    open_server: Synapse, connect: Connect, watched: Watched, new: Person
) -> None:
    """A wrong password brings the stage back with its error; the right one does what it was asked for."""
    account = open_server.add_user(new.name, new.password)
    guesses = iter(["wrong", new.password])
    callbacks = {"m.login.password": handlers.password(new.name, lambda: next(guesses))}
    homeserver = connect(open_server.base_url, access_token=account["access_token"])

    homeserver.delete_device(account["device_id"]).authenticate(watched(callbacks))

    assert devices_of(open_server, account["user_id"]) == []
    assert [stage.attempt for stage in watched.seen] == [1, 2]
    assert watched.seen[1].error is not None
    assert watched.seen[1].error.errcode == "M_FORBIDDEN"
