"""Register an account, or log in if the name is already yours, and go on when the access token has expired.

python register_or_log_in.py                           on a Synapse started for this, as alice, twice
python register_or_log_in.py --homeserver example.org  on any other homeserver, as yourself
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping

from _common import arguments, ask, check_offered, run, say, throwaway
from throwaway_synapse import OPEN

from interactive_auth import Homeserver, MatrixError, StartAuthStage, console

#: One device for all runs: a program that is started every day must not leave a new one behind each time.
DEVICE = "REGISTER_OR_LOG_IN"


def register_or_log_in(
    homeserver: Homeserver, name: str, password: str, stages: Mapping[str, StartAuthStage]
) -> str | None:
    """Have an account of that name and a fresh access token for it, and return the refresh token, if there is one.

    Raises:
        MatrixError: the name is somebody else's: then the password is wrong.
    """
    try:
        request = homeserver.register(name, password, device_id=DEVICE, refresh_token=True)
        made = request.authenticate(stages)
    except MatrixError as error:
        if error.errcode not in ("M_USER_IN_USE", "M_EXCLUSIVE"):
            raise
    else:
        homeserver.access_token = made.get("access_token")
        return made.get("refresh_token")
    return homeserver.login(name, password, device_id=DEVICE, refresh_token=True).get("refresh_token")


def who_am_i(homeserver: Homeserver, refresh_token: str | None) -> str:
    """Return the user id, with a fresh access token if that has expired."""
    try:
        return homeserver.whoami()["user_id"]
    except MatrixError as error:
        if error.errcode != "M_UNKNOWN_TOKEN" or refresh_token is None:
            raise
    homeserver.refresh(refresh_token)
    return homeserver.whoami()["user_id"]


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Be alice, who is new the first time; her access token has expired by the time it is used for the second time."""
    password, user_id = secrets.token_urlsafe(), ""
    with (
        throwaway(OPEN, {"refreshable_access_token_lifetime": "1s"}) as (synapse, _),
        Homeserver(synapse.base_url) as homeserver,
    ):
        for time in ("first", "second"):
            refresh_token = register_or_log_in(homeserver, "alice", password, {})
            expired = homeserver.access_token
            user_id = who_am_i(homeserver, refresh_token)
            while user_id and homeserver.access_token == expired:  # which takes a second
                user_id = who_am_i(homeserver, refresh_token)
            say(f"The {time} time: {user_id}, on {homeserver.whoami().get('device_id')}")
        homeserver.logout()
    return f"{user_id} has registered, has logged in, and has logged out again"


def on_homeserver(options: argparse.Namespace) -> str:
    """Be who the person wants to be, who goes through the stages of a registration if there is one."""
    with Homeserver(options.homeserver) as homeserver:
        check_offered(homeserver, "register")
        name, password = ask("User name: "), ask("Password: ", secret=True)
        refresh_token = register_or_log_in(homeserver, name, password, console.handlers(homeserver))
        user_id = who_am_i(homeserver, refresh_token)
        homeserver.logout()
    return f"{user_id} was logged in, and is logged out again"


if __name__ == "__main__":
    run(arguments(__doc__), on_throwaway_synapse, on_homeserver)
