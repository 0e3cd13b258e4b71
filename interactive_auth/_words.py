"""What a stage is called before a person, and why it was refused, in a terminal and in a browser alike.

What must not be here: prompts, and anything that knows an attempt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ._errors import MatrixError
from ._text import printable
from ._types import AuthType

#: What matters of a validator's report that Synapse passes on.
_PYDANTIC = re.compile(r"Value error, (.+?) \[type=")
#: What a stage is called before a person.
_NAMES: Mapping[str, str] = {
    AuthType.PASSWORD: "password",
    AuthType.RECAPTCHA: "captcha",
    AuthType.TERMS: "terms of service",
    AuthType.EMAIL: "email address",
    AuthType.MSISDN: "phone number",
    AuthType.SSO: "single sign-on",
    AuthType.UNSTABLE_SSO: "single sign-on",
    AuthType.REGISTRATION_TOKEN: "registration token",
    AuthType.UNSTABLE_REGISTRATION_TOKEN: "registration token",
    AuthType.OAUTH: "approval",
    AuthType.UNSTABLE_OAUTH: "approval",
}


def stage_name(stage: str) -> str:
    """Return a stage's name; a type that nobody knows is its own, fit to be shown."""
    return _NAMES.get(stage, printable(stage, 100))


def refusal_words(error: MatrixError) -> str:
    """Return a server's own words, fit to be shown; what was secret in them is not, since a notebook keeps it."""
    words = error._clean(error.error or error.errcode or str(error))
    inner = _PYDANTIC.search(words)
    return printable(inner[1] if inner else words)


def tries_in_words(left: int) -> str:
    """Return how many tries are left."""
    return "last try" if left == 1 else f"{left} tries left"
