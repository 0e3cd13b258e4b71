"""Change the password of an account, and log out all its other devices.

python change_password.py                           on a Synapse started for this, as its user alice
python change_password.py --homeserver example.org  on any other homeserver, as yourself
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping

from _common import arguments, ask, logged_in, run, say, throwaway

from interactive_auth import Homeserver, StartAuthStage, console, handlers


def change_password(homeserver: Homeserver, new_password: str, stages: Mapping[str, StartAuthStage]) -> None:
    """Change the password of the account that the homeserver object is logged in to."""
    homeserver.change_password(new_password, logout_devices=True).authenticate(stages)


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Change the password of an account made for this."""
    with throwaway() as (synapse, _):
        old, new = secrets.token_urlsafe(), secrets.token_urlsafe()
        account = synapse.add_user("alice", old)
        with Homeserver(synapse.base_url, access_token=account["access_token"]) as homeserver:
            change_password(homeserver, new, {"m.login.password": handlers.password("alice", old)})
        for name, password in (("old", old), ("new", new)):
            say(f"The {name} password {'works' if synapse.can_log_in('alice', password) else 'does not work'}")
    return "The password was changed"


def on_homeserver(options: argparse.Namespace) -> str:
    """Change the person's password, who is asked for the old one again: that is what the authentication is for."""
    with logged_in(options.homeserver) as (homeserver, user_id):
        new = ask("New password: ", secret=True)
        if ask("The new password again: ", secret=True) != new:
            raise ValueError("the two new passwords differ, so the old one was kept")
        change_password(homeserver, new, console.handlers(homeserver, user=user_id))
    return "The password was changed, and all other devices were logged out"


if __name__ == "__main__":
    run(arguments(__doc__), on_throwaway_synapse, on_homeserver)
