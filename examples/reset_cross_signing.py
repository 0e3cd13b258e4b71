"""Replace the cross-signing keys of an account whose old ones are lost.

python reset_cross_signing.py                           on a Synapse started for this, as its user alice
python reset_cross_signing.py --homeserver example.org  on any other homeserver, as yourself

People who have verified the account have to do so again. The new private keys are only in the file named by --keys.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
from pathlib import Path

from _common import NotDoneError, agrees, arguments, call, logged_in, run, say, throwaway
from cross_signing import cross_signing_keys

from interactive_auth import Homeserver, console, handlers


def master_key(homeserver: Homeserver, user_id: str) -> str:
    """Return the public master key that the homeserver tells everybody."""
    answer = call(homeserver, "POST", "keys/query", {"device_keys": {user_id: []}})
    return ", ".join(answer.get("master_keys", {}).get(user_id, {}).get("keys", {"": "none"}).values())


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Reset the keys of an account made for this."""
    with throwaway() as (synapse, _), tempfile.TemporaryDirectory() as folder:
        password = secrets.token_urlsafe()
        account = synapse.add_user("alice", password)
        user_id = account["user_id"]
        with Homeserver(synapse.base_url, access_token=account["access_token"]) as homeserver:
            first = cross_signing_keys(user_id, Path(folder, "first"))
            homeserver.upload_cross_signing_keys(**first).authenticate({})  # the first ones take no authentication
            say(f"The master key was {master_key(homeserver, user_id)}")
            second = cross_signing_keys(user_id, Path(folder, "second"))
            stages = {"m.login.password": handlers.password("alice", password)}
            homeserver.upload_cross_signing_keys(**second).authenticate(stages)
            return f"The master key is now {master_key(homeserver, user_id)}"


def on_homeserver(options: argparse.Namespace) -> str:
    """Reset the person's keys; a server that leaves its accounts to an OAuth service wants it approved there."""
    with logged_in(options.homeserver) as (homeserver, user_id):
        say(f"The master key of {user_id} is {master_key(homeserver, user_id)}")
        if not agrees(f"Replace it by the one in {options.keys} (which is made if it does not exist)?"):
            raise NotDoneError("the keys were left as they are")
        keys = cross_signing_keys(user_id, options.keys)
        homeserver.upload_cross_signing_keys(**keys).authenticate(console.handlers(homeserver, user=user_id))
        return f"The master key is now {master_key(homeserver, user_id)}"


if __name__ == "__main__":
    parser = arguments(__doc__)
    default = Path("cross_signing.keys")
    parser.add_argument("--keys", type=Path, default=default, help="file of the private keys (default: %(default)s)")
    run(parser, on_throwaway_synapse, on_homeserver)
