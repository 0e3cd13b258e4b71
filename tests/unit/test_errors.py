"""The exceptions: what they carry, what they say, and that pickling keeps the one and loses the secrets."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest

from interactive_auth import (
    AuthCancelledError,
    AuthDeferredError,
    AuthTimeoutError,
    DelegatedAuthError,
    HomeserverConnectionError,
    InteractiveAuthError,
    MatrixError,
    NoAuthFlowFoundError,
    ServerProtocolError,
    StageFailedError,
)

ALL_ERRORS = [
    InteractiveAuthError("something"),
    MatrixError(403, {"errcode": "M_FORBIDDEN", "error": "No", "extra": [1, {"a": None}]}, 2.5),
    DelegatedAuthError(404, {"errcode": "M_UNRECOGNIZED"}),
    NoAuthFlowFoundError("none fits", ["m.login.msisdn"], [{"stages": ["m.login.dummy"]}]),
    StageFailedError("m.login.password", 3, MatrixError(401, {"errcode": "M_FORBIDDEN"})),
    AuthTimeoutError("m.login.sso", 300.0, MatrixError(401, {})),
    AuthCancelledError("cancelled"),
    AuthDeferredError("m.login.terms"),
    ServerProtocolError("broken"),
    HomeserverConnectionError("not reached"),
]


class LocalError(MatrixError):
    """An error whose constructor takes other arguments than its base's."""

    def __init__(self, colour: str) -> None:
        super().__init__(418, {"errcode": "TEAPOT"})
        self.colour = colour


@pytest.mark.parametrize("error", ALL_ERRORS, ids=lambda error: type(error).__name__)
def test_one_base_catches_all(error: InteractiveAuthError) -> None:
    """Every exception of the library is an InteractiveAuthError."""
    assert isinstance(error, InteractiveAuthError)


def test_builtin_relatives() -> None:
    """A timeout is a TimeoutError, and an unreachable server a ConnectionError, also to code that knows no Matrix."""
    assert issubclass(AuthTimeoutError, TimeoutError)
    assert issubclass(HomeserverConnectionError, ConnectionError)


@pytest.mark.parametrize("error", [*ALL_ERRORS, LocalError("red")], ids=lambda error: type(error).__name__)
def test_pickle_round_trip(error: InteractiveAuthError) -> None:
    """A pickled copy has the type, the arguments, the attributes and the text of the original."""
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert copy.args == error.args
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


@pytest.mark.parametrize(
    ("data", "errcode", "text"),
    [
        ({}, None, None),
        ({"errcode": "M_FORBIDDEN"}, "M_FORBIDDEN", None),
        ({"error": "No"}, None, "No"),
        ({"errcode": "M_FORBIDDEN", "error": "No"}, "M_FORBIDDEN", "No"),
        ({"errcode": 5, "error": ["No"]}, None, None),
        ({"errcode": None, "error": None}, None, None),
        ([], None, None),
        (None, None, None),
        ("<html>", None, None),
    ],
    ids=["empty", "errcode only", "error only", "both", "wrong types", "null", "list", "none", "text"],
)
def test_matrix_error_reads_the_body(data: Any, errcode: str | None, text: str | None) -> None:
    """errcode and error are the body's if they are strings, else None; a body that is no object counts as empty."""
    error = MatrixError(400, data)

    assert error.http_status == 400
    assert (error.errcode, error.error) == (errcode, text)
    assert error.data == (data if isinstance(data, dict) else {})


def test_matrix_error_copies_its_data() -> None:
    """Changing the body afterwards does not change the error."""
    body = {"errcode": "M_FORBIDDEN"}
    error = MatrixError(403, body)

    body["errcode"] = "M_OTHER"

    assert error.data == {"errcode": "M_FORBIDDEN"}


@pytest.mark.parametrize("status", ["401", 401.0, None, True], ids=repr)
def test_matrix_error_wants_an_int_status(status: Any) -> None:
    """An http_status that is no int is named in a TypeError."""
    with pytest.raises(TypeError, match="http_status must be an int"):
        MatrixError(status, {})


@pytest.mark.parametrize(
    ("header", "body", "stated", "from_body"),
    [
        (None, {}, None, None),
        (7.0, {}, 7.0, None),
        (0.0, {"retry_after_ms": 1500}, 0.0, 1.5),
        (None, {"retry_after_ms": 1500}, 1.5, 1.5),
        (None, {"retry_after_ms": 0}, 0.0, 0.0),
        (None, {"retry_after_ms": -1}, None, None),
        (None, {"retry_after_ms": "1500"}, None, None),
        (None, {"retry_after_ms": True}, None, None),
        (None, {"retry_after_ms": math.nan}, None, None),
        (None, {"retry_after_ms": math.inf}, None, None),
        (None, {"retry_after_ms": 10**400}, None, None),
        (-3.0, {"retry_after_ms": 2000}, 2.0, 2.0),
        (math.inf, {}, None, None),
    ],
    ids=[
        *("neither", "header", "header and body", "body", "zero", "negative", "text", "bool", "nan", "infinite"),
        *("overflowing", "useless header, body", "useless header"),
    ],
)
def test_matrix_error_retry_after(
    header: float | None, body: dict[str, Any], stated: float | None, from_body: float | None
) -> None:
    """retry_after is the argument, else the body's retry_after_ms in seconds; a delay of no use counts as none."""
    error = MatrixError(429, body, header)

    assert error.retry_after == stated
    assert error.body_retry_after == from_body


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({}, "403"),
        ({"errcode": "M_FORBIDDEN"}, "403 M_FORBIDDEN"),
        ({"error": "No"}, "403: No"),
        ({"errcode": "M_FORBIDDEN", "error": "No"}, "403 M_FORBIDDEN: No"),
        ({"error": "a\x1b[31m\nb\ud800"}, r"403: a\x1b[31m\nb\ud800"),
        ({"error": "é☃ ok"}, "403: é☃ ok"),
        ({"errcode": "M" * 101}, "403 " + "M" * 100 + "..."),
        ({"error": "x" * 300}, "403: " + "x" * 300),
        ({"error": "x" * 301}, "403: " + "x" * 300 + "..."),
    ],
    ids=["empty", "errcode", "error", "both", "control", "unicode", "long errcode", "full error", "long error"],
)
def test_matrix_error_text(data: dict[str, Any], text: str) -> None:
    """The text is the status and what the server said, bounded, and fit to be printed."""
    error = MatrixError(403, data)

    assert str(error) == text
    assert repr(error) == f"<MatrixError {text}>"


def test_matrix_error_context() -> None:
    """What the transport knows about the request stands behind the server's words."""
    error = MatrixError(404, {"errcode": "M_UNRECOGNIZED"})
    error._context = "GET /versions"

    assert str(error) == "404 M_UNRECOGNIZED (GET /versions)"


def test_secrets_are_cut_out_of_the_text() -> None:
    """A server's quotation of what it was sent is hidden in str and repr, the longest secret first."""
    error = MatrixError(401, {"errcode": "M_hunter22", "error": "hunter22-long and hunter22 are wrong"})

    error._conceal("hunter22", "hunter22-long")

    assert str(error) == "401 M_[hidden]: [hidden] and [hidden] are wrong"
    assert "hunter22" not in repr(error)


def test_a_session_that_cannot_be_sent() -> None:
    """Half of a surrogate pair as the session's id does not keep an error from being shown."""
    error = MatrixError(401, {"session": "http://\ud800/", "error": "It is http://\ud800/"})

    assert str(error) == "401: It is [hidden]"


def test_a_text_that_is_escaped_stays_the_same() -> None:
    """What is kept of an error is kept unchanged when it is saved once more, however much had to be escaped."""
    error = MatrixError(400, {"error": "\U000e0001" * 200})

    assert MatrixError(*error.args).args == error.args


def test_secrets_are_cut_before_the_text_is() -> None:
    """A secret that the bound of the text would halve is hidden all the same."""
    error = MatrixError(401, {"error": "x" * 295 + "hunter22"})

    error._conceal("hunter22")

    assert "hun" not in str(error)


def test_concealing_adds_up() -> None:
    """A second set of secrets does not bring the first to light."""
    error = MatrixError(401, {"error": "first-secret second-secret"})

    error._conceal("first-secret")
    error._conceal("second-secret")

    assert str(error) == "401: [hidden] [hidden]"


@pytest.mark.parametrize("value", [None, 5, [None], {"hunter22": 1}], ids=repr)
def test_what_holds_no_string_is_no_secret(value: object) -> None:
    """A value without a string in it is nothing that could be cut out of a text."""
    error = MatrixError(401, {"error": "5 hunter22", "session": value})

    error._conceal(value)

    assert str(error) == "401: 5 hunter22"


def test_short_strings_are_no_secrets() -> None:
    """Strings of fewer than six characters are left alone, since cutting them out would garble the text."""
    error = MatrixError(401, {"error": "a bad login of abcdef"})

    error._conceal("a", "login", "abcdef")

    assert str(error) == "401: a bad login of [hidden]"


def test_pickle_holds_no_secret() -> None:
    """A pickled copy lacks the session, and every quotation of a secret at any depth, keys included."""
    body = {
        "errcode": "M_hunter22",
        "error": "bad hunter22",
        "session": "the-session",
        "params": {"a": ["hunter22", {"hunter22": 1}], "n": 5, "t": True},
    }
    error = MatrixError(401, body)
    error._conceal("hunter22", "the-session")

    pickled = pickle.dumps(error)
    copy = pickle.loads(pickled)

    assert b"hunter22" not in pickled
    assert b"the-session" not in pickled
    assert copy.errcode == "M_[hidden]"
    assert copy.error == "bad [hidden]"
    assert copy.data["params"] == {"a": ["[hidden]", {"[hidden]": 1}], "n": 5, "t": True}
    assert error.data["session"] == "the-session"


def test_pickle_of_nesting_without_end() -> None:
    """A body nested deeper than the stack allows is pickled all the same, cut off."""
    nested: list[Any] = []
    for _ in range(10_000):
        nested = [nested]
    error = MatrixError(400, {"deep": nested, "errcode": "M_DEEP"})

    copy = pickle.loads(pickle.dumps(error))

    assert copy.errcode == "M_DEEP"
    assert copy.data["deep"] != []


def test_no_flow_found_copies_what_was_offered() -> None:
    """The error's lists are its own."""
    required, stages = ["m.login.msisdn"], ["m.login.dummy"]
    error = NoAuthFlowFoundError("none", required, [{"stages": stages}])

    required.clear()
    stages.clear()

    assert error.required_stages == ["m.login.msisdn"]
    assert error.flows == [{"stages": ["m.login.dummy"]}]
    assert str(error) == "none"


@pytest.mark.parametrize(
    ("attempts", "cause", "text"),
    [
        (1, None, "m.login.password was rejected once. "),
        (3, None, "m.login.password was rejected 3 times. "),
        (2, MatrixError(401, {"error": "No"}), "m.login.password was rejected 2 times; the server said 401: No. "),
    ],
    ids=["once", "often", "with words"],
)
def test_stage_failed_text(attempts: int, cause: MatrixError | None, text: str) -> None:
    """The text names the stage, how often it failed, what the server said, and how to go on."""
    error = StageFailedError("m.login.password", attempts, cause)

    assert (error.stage, error.attempts) == ("m.login.password", attempts)
    assert str(error).startswith(text)
    assert "attempt_auth() goes on in the same session" in str(error)


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (None, "m.login.sso was not completed within 0.5 seconds. "),
        (
            MatrixError(401, {"error": "No"}),
            "m.login.sso was not completed within 0.5 seconds; the last poll was answered 401: No. ",
        ),
        (ConnectionError("password=hunter22"), "m.login.sso was not completed within 0.5 seconds. "),
    ],
    ids=["no poll", "answered", "a stranger's error"],
)
def test_timeout_text(cause: BaseException | None, text: str) -> None:
    """The text names the stage, the seconds and the server's answer, but no text that is not the library's own."""
    error = AuthTimeoutError("m.login.sso", 0.5, cause)

    assert error.stage == "m.login.sso"
    assert str(error).startswith(text)


@pytest.mark.parametrize(
    "error",
    [StageFailedError("a\x1bb" * 99, 1), AuthTimeoutError("a\x1bb" * 99, 1.0)],
    ids=["StageFailedError", "AuthTimeoutError"],
)
def test_a_stage_name_is_made_printable(error: InteractiveAuthError) -> None:
    """A stage type that a server invented can neither steer a terminal nor fill it."""
    assert str(error).startswith(r"a\x1bb")
    assert "\x1b" not in str(error)
    assert len(str(error)) < 500


# What those keep of an error that keep nothing else


@pytest.mark.parametrize(
    ("error", "args"),
    [
        (MatrixError(403, {"errcode": "M_FORBIDDEN", "error": "No"}), (403, {"errcode": "M_FORBIDDEN", "error": "No"})),
        (MatrixError(502, {}), (502, {})),
        (MatrixError(400, {"errcode": 5, "error": None, "flows": [], "session": "the-session"}), (400, {})),
    ],
    ids=["both", "neither", "of wrong types"],
)
def test_args_of_a_matrix_error(error: MatrixError, args: tuple[Any, ...]) -> None:
    """They are plain and short, and make the same error again."""
    assert error.args == args
    assert json.loads(json.dumps(error.args)) == list(args)
    again = MatrixError(*error.args)
    assert (again.http_status, again.errcode, again.error) == (error.http_status, error.errcode, error.error)


def test_args_are_short_and_without_secrets() -> None:
    """A server's words are cut, shown in a form that can be printed, and quote nothing that was sent."""
    error = MatrixError(400, {"errcode": "M_\x1b", "error": "the-secret and " + "x" * 10_000})
    error._conceal("the-secret")

    status, words = error.args

    assert status == 400
    assert words["errcode"] == "M_\\x1b"
    assert words["error"].startswith("[hidden] and xxx")
    assert len(words["error"]) < 400


@pytest.mark.parametrize(
    "error",
    [
        StageFailedError("m.login.password", 3, MatrixError(401, {"errcode": "M_FORBIDDEN"})),
        AuthTimeoutError("m.login.sso", 3.0, MatrixError(401, {})),
        NoAuthFlowFoundError("none fits", ["a"], [{"stages": ["b"]}]),
        AuthCancelledError("cancelled"),
        AuthDeferredError("m.login.terms"),
        ServerProtocolError("broken"),
        HomeserverConnectionError("no answer"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_args_of_the_others(error: Exception) -> None:
    """They are the message, which has no secret, and survive a pickle."""
    assert error.args == (str(error),)
    assert pickle.loads(pickle.dumps(error)).args == error.args


def test_what_fits_both_ways_to_authenticate() -> None:
    """The advice of a failed stage is of use to whoever called attempt_auth() or authenticate()."""
    error = StageFailedError("m.login.password", 1, MatrixError(401, {"error": "Wrong."}))

    assert str(error) == (
        "m.login.password was rejected once; the server said 401: Wrong. Try again with another answer: "
        "request.authenticate() begins anew, an InteractiveAuth's attempt_auth() goes on in the same session."
    )
