"""Register an account on a Matrix homeserver, and show each stage of the authentication.

python register.py                           on a Synapse started for this, which is gone afterwards
python register.py --homeserver example.org  on any other homeserver, which asks you for what it wants

A registration token may be in the variable MATRIX_REGISTRATION_TOKEN; whatever is an argument, others can see.
"""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Mapping

from _common import accept, announced, arguments, ask, check_offered, run, say
from throwaway_synapse import TERMS, TOKEN, throwaway_synapse

from interactive_auth import Homeserver, Inputs, StartAuthStage, console, handlers


def given_token() -> str | None:
    """Return the registration token that a script was given."""
    return os.environ.get("MATRIX_REGISTRATION_TOKEN")


def register(
    homeserver: Homeserver, username: str, password: str, stages: Mapping[str, StartAuthStage], email: str | None
) -> str:
    """Register an account, and return whom its access token belongs to."""
    request = homeserver.register(username, password, initial_device_display_name="register.py")
    inputs: Inputs = {"email_address": email or ""}  # an empty one is none
    account = request.authenticate(stages, inputs=inputs)
    homeserver.access_token = account.get("access_token")
    return homeserver.whoami()["user_id"]


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Register on a Synapse that wants a registration token, which is made here, and the terms to be accepted."""
    say("Starting a homeserver for this: Synapse, on this machine. It takes a few seconds.")
    with throwaway_synapse(TOKEN, TERMS, port=options.port) as synapse, Homeserver(synapse.base_url) as homeserver:
        token = secrets.token_hex(8)
        synapse.add_registration_token(token, uses_allowed=1)
        say(f"Synapse listens at {synapse.base_url}; it wants the token {token}, and its terms accepted")
        stages = {
            "m.login.registration_token": handlers.registration_token(given_token() or token),
            "m.login.terms": handlers.terms(accept),
        }
        username, password = options.username or "alice", secrets.token_urlsafe()
        return f"{register(homeserver, username, password, announced(stages), options.email)} is registered"


def on_homeserver(options: argparse.Namespace) -> str:
    """Register on a homeserver of the person's choice, who is asked for whatever it wants."""
    with Homeserver(options.homeserver) as homeserver:
        check_offered(homeserver, "register")
        username = options.username or ask("User name: ")
        password = ask("Password: ", secret=True)
        stages = console.handlers(homeserver)
        if token := given_token():
            stages |= {"m.login.registration_token": handlers.registration_token(token)}
        return f"{register(homeserver, username, password, stages, options.email)} is registered"


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--port", type=int, help="the port that a Synapse of its own listens on; a free one by default")
    parser.add_argument("--username", metavar="NAME", help="the part of the user id before the colon")
    parser.add_argument("--email", metavar="ADDRESS", help="an address to register with; it gets a mail")
    run(parser, on_throwaway_synapse, on_homeserver)
