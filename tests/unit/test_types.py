"""The public shapes: stage types that are strings, what a callback is told, and the retry policy."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import pickle
from typing import Any

import pytest

import interactive_auth
from interactive_auth import (
    AuthType,
    InteractiveAuth,
    InteractiveAuthOptions,
    MatrixError,
    ResumeState,
    RetryPolicy,
    Stage,
)


@pytest.mark.parametrize(
    ("member", "wire"),
    [
        (AuthType.PASSWORD, "m.login.password"),
        (AuthType.RECAPTCHA, "m.login.recaptcha"),
        (AuthType.TERMS, "m.login.terms"),
        (AuthType.EMAIL, "m.login.email.identity"),
        (AuthType.MSISDN, "m.login.msisdn"),
        (AuthType.SSO, "m.login.sso"),
        (AuthType.DUMMY, "m.login.dummy"),
        (AuthType.REGISTRATION_TOKEN, "m.login.registration_token"),
        (AuthType.OAUTH, "m.oauth"),
        (AuthType.UNSTABLE_SSO, "org.matrix.login.sso"),
        (AuthType.UNSTABLE_REGISTRATION_TOKEN, "org.matrix.msc3231.login.registration_token"),
        (AuthType.UNSTABLE_OAUTH, "org.matrix.cross_signing_reset"),
    ],
)
def test_auth_type_is_its_string(member: AuthType, wire: str) -> None:
    """A stage type stands wherever its string does: compared, hashed, printed, formatted, in JSON."""
    assert member == wire
    assert {wire: 1}[member] == 1
    assert str(member) == f"{member}" == f"{member:s}" == wire
    assert f"{member:>50}" == wire.rjust(50)
    assert json.dumps(member) == json.dumps(wire)


def test_stage_defaults() -> None:
    """A stage can be made from its type alone, for the tests of one's own callbacks."""
    stage = Stage("m.login.dummy")

    assert dataclasses.asdict(stage) == {
        "type": "m.login.dummy",
        "params": {},
        "flow": (),
        "completed": (),
        "attempt": 1,
        "error": None,
        "email_sid": None,
        "msisdn_sid": None,
        "submit_url": None,
        "session": None,
        "client_secret": "",
        "auth": None,
    }


def test_what_a_stage_hides() -> None:
    """The session, the client secret and the attempt that asks are left out of comparisons and of pickles."""
    auth: InteractiveAuth[str] = InteractiveAuth(lambda _auth: "done", {})
    error = MatrixError(401, {"errcode": "M_FORBIDDEN"})
    shown = Stage("x", {"a": 1}, ("x", "y"), ("y",), 2, error, "e", "m", "https://example.org/submit")
    stage = dataclasses.replace(shown, session="the-session", client_secret="the-secret", auth=auth)

    assert stage == shown
    assert dataclasses.asdict(stage)["auth"] is auth
    pickled = pickle.dumps(stage)
    assert b"the-se" not in pickled
    again = pickle.loads(pickled)
    assert (again.session, again.client_secret, again.auth) == (None, "", None)
    assert dataclasses.replace(again, error=error) == shown
    assert again.error.errcode == "M_FORBIDDEN"


def test_stage_is_frozen_and_slotted() -> None:
    """A callback can neither change a stage nor put anything into it."""
    stage = Stage("m.login.dummy")

    with pytest.raises(dataclasses.FrozenInstanceError):
        stage.attempt = 2  # type: ignore[misc]  # the mistake is what is tested
    assert not hasattr(stage, "__dict__")


def test_stage_repr_hides_the_secrets() -> None:
    """The session and the client secret do not stand in the repr, nor a submit_url, whose query may have them."""
    params = {"submit_url": "https://example.org/?client_secret=the-secret"}
    text = repr(Stage("m.login.password", params, session="the-session", client_secret="the-secret"))

    assert "m.login.password" in text
    assert "the-s" not in text


def test_retry_policy_defaults() -> None:
    """Three repetitions, and two minutes of waiting at most."""
    assert RetryPolicy() == RetryPolicy(retries=3, max_wait=120.0)


def test_retry_policy_is_frozen() -> None:
    """A policy that is shared cannot be changed."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        RetryPolicy().retries = 5  # type: ignore[misc]  # the mistake is what is tested


@pytest.mark.parametrize(
    ("options", "kind", "named"),
    [
        ({"retries": 1.5}, TypeError, "retries must be an int"),
        ({"retries": True}, TypeError, "retries must be an int"),
        ({"retries": "3"}, TypeError, "retries must be an int"),
        ({"retries": -1}, ValueError, "retries must be 0 or more"),
        ({"max_wait": "1"}, TypeError, "max_wait must be a number"),
        ({"max_wait": False}, TypeError, "max_wait must be a number"),
        ({"max_wait": -0.1}, ValueError, "max_wait must be a finite number"),
        ({"max_wait": math.inf}, ValueError, "max_wait must be a finite number"),
        ({"max_wait": math.nan}, ValueError, "max_wait must be a finite number"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_retry_policy_checks_its_arguments(options: dict[str, Any], kind: type[Exception], named: str) -> None:
    """A wrong number is named at once."""
    with pytest.raises(kind, match=named):
        RetryPolicy(**options)


@pytest.mark.parametrize("options", [{"retries": 0}, {"max_wait": 0}, {"max_wait": 3}], ids=str)
def test_retry_policy_borders(options: dict[str, Any]) -> None:
    """Nought and whole numbers are allowed."""
    assert RetryPolicy(**options) is not None


def test_options_are_the_constructors_keywords() -> None:
    """InteractiveAuthOptions names the keyword arguments of the constructor, all of them and no others."""
    parameters = inspect.signature(InteractiveAuth.__init__).parameters.values()
    keywords = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}

    assert keywords == set(InteractiveAuthOptions.__annotations__)


def test_resume_state_is_made_of_keywords() -> None:
    """Each key of a resume state is a keyword argument of the constructor."""
    assert set(ResumeState.__annotations__) <= set(InteractiveAuthOptions.__annotations__)


def test_public_names_are_sorted_and_there() -> None:
    """__all__ is sorted, and each of its names can be imported."""
    names = interactive_auth.__all__

    assert names == sorted(names)
    assert all(hasattr(interactive_auth, name) for name in names)
