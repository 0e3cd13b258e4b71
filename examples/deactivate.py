"""Deactivate an account for good, and hide its messages from people who join later.

python deactivate.py                           on a Synapse started for this, its user alice
python deactivate.py --homeserver example.org  on any other homeserver, your own account
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping

from _common import NotDoneError, arguments, ask, logged_in, run, say, throwaway

from interactive_auth import Homeserver, StartAuthStage, console, handlers


def deactivate(homeserver: Homeserver, stages: Mapping[str, StartAuthStage]) -> None:
    """Deactivate the account that the homeserver object is logged in to; its access token is void afterwards."""
    homeserver.deactivate_account(erase=True).authenticate(stages)


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Deactivate an account made for this."""
    with throwaway() as (synapse, _):
        password = secrets.token_urlsafe()
        account = synapse.add_user("alice", password)
        with Homeserver(synapse.base_url, access_token=account["access_token"]) as homeserver:
            deactivate(homeserver, {"m.login.password": handlers.password("alice", password)})
        say(f"The password {'still works' if synapse.can_log_in('alice', password) else 'does not work any more'}")
        found = synapse.admin("GET", f"/_synapse/admin/v2/users/{account['user_id']}")
        say(f"For Synapse the account is {'deactivated' if found['deactivated'] else 'in use'}")
    return f"{account['user_id']} is deactivated"


def on_homeserver(options: argparse.Namespace) -> str:
    """Deactivate the person's account, if that is really meant."""
    with logged_in(options.homeserver) as (homeserver, user_id):
        say("This cannot be undone, and nobody can ever register this user id again.")
        if ask(f"Type {user_id} to deactivate it: ") != user_id:
            raise NotDoneError(f"{user_id} was left as it is")
        deactivate(homeserver, console.handlers(homeserver, user=user_id))
    return f"{user_id} is deactivated"


if __name__ == "__main__":
    run(arguments(__doc__), on_throwaway_synapse, on_homeserver)
