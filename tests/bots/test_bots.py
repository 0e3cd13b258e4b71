"""The bots on real client libraries, with a real Synapse, and an owner who is the test's own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

import bot_stage
import pytest
from _common import API
from cross_signing import cross_signing_keys
from support.accounts import Person

from interactive_auth import AuthCancelledError, StageFailedError

if TYPE_CHECKING:
    from conftest import Account, Owner, Wire
    from throwaway_synapse import Synapse

    Start = Callable[..., Future[None]]

#: Seconds; longer than anything takes that works.
PATIENCE = 60.0
WRONG = "this was never its password"


def test_the_owner_approves(start: Start, account: Account, owner: Owner) -> None:
    """After one approval each the stale device is gone, and the bot's own keys are those that others get."""
    before = account.stale_devices()

    bot = start()
    question = owner.wait_for("May I log out")
    owner.tell("!approve")
    owner.wait_for("May I set up cross-signing")
    owner.tell("!approve")
    bot.result(PATIENCE)

    uploaded = cross_signing_keys(account.user_id, account.file.with_name("bot.json.keys"))
    assert len(before) == 1
    assert before[0] in question
    assert account.stale_devices() == []
    assert {kind: key["keys"] for kind, key in account.keys().items()} == {
        kind: uploaded[kind]["keys"] for kind in ("master_key", "self_signing_key")
    }
    assert account.keys() != account.first_keys


def test_the_owner_denies(start: Start, account: Account, owner: Owner) -> None:
    """After !cancel nothing is deleted and nothing uploaded, and the bot ends with what its owner was told."""
    bot = start()
    owner.wait_for("May I log out")
    owner.tell("!cancel")

    with pytest.raises(AuthCancelledError):
        bot.result(PATIENCE)
    assert "cancelled" in owner.wait_for("I could not log out")
    assert len(account.stale_devices()) == 1
    assert account.keys() == account.first_keys


def test_a_wrong_password_is_mended(start: Start, account: Account, owner: Owner) -> None:
    """The owner hears what the homeserver, or the file, says of the password, mends the file, and approves again."""
    password = account.password()
    account.write(access_token=account.access_token, password=WRONG)

    bot = start()
    owner.wait_for("May I log out")
    owner.tell("!approve")
    refused = owner.wait_for("The homeserver refused my password")
    account.write(access_token=account.access_token)
    owner.tell("!approve")
    lacking = owner.wait_for("I have nothing to submit")
    account.write(access_token=account.access_token, password=password)
    owner.tell("!approve")
    owner.wait_for("Done: log out")
    owner.wait_for("May I set up cross-signing")
    owner.tell("!approve")
    bot.result(PATIENCE)

    assert "Invalid username or password" in refused
    assert "has no password" in lacking
    assert account.stale_devices() == []
    assert not any(WRONG in text or password in text for text in owner.heard)


def test_three_wrong_passwords_end_it(start: Start, account: Account, owner: Owner) -> None:
    """A bot whose password stays wrong gives up, and nothing has changed."""
    account.write(access_token=account.access_token, password=WRONG)

    bot = start()
    for _ in range(3):
        owner.wait_for("May I log out")
        owner.tell("!approve")

    with pytest.raises(StageFailedError):
        bot.result(PATIENCE)
    assert "rejected 3 times" in owner.wait_for("I could not log out")
    assert len(account.stale_devices()) == 1


def test_others_and_elsewhere_are_not_heard(
    start: Start, synapse: Synapse, new: Person, account: Account, owner: Owner
) -> None:
    """A stranger in the bot's room, and the owner in another one, say the right words in vain; the owner is answered.

    The bot reads its chats in order: what it answers to the owner's last words comes after all that it ignores.
    """
    stranger = bot_stage.Person(synapse, f"{new.name}stranger")
    other = stranger.make_room(account.user_id, owner.user_id)
    synapse.call("POST", f"{API}/rooms/{other}/join", {}, access_token=account.access_token)

    bot = start()
    owner.wait_for("May I log out")
    owner.invite(owner.room_id, stranger.user_id)
    stranger.join(owner.room_id)
    for command in ("!approve", "!cancel"):
        stranger.say(owner.room_id, command)
        owner.say(other, command)
    owner.heard.clear()
    for _ in range(2):
        owner.tell("Are you there?")
        owner.wait_for("only know !approve")

    assert not bot.done()
    assert [text for text in owner.heard if "only know !approve" not in text] == ["!approve", "!cancel"]
    assert len(account.stale_devices()) == 1


def test_faults_in_the_middle_are_survived(start: Start, account: Account, owner: Owner, wire: Wire) -> None:
    """A connection that breaks before the question, and a gateway that fails after the answer, are not noticed."""
    wire.faults.append(None)

    bot = start(wire.base_url)
    owner.wait_for("May I log out")
    wire.faults.append(502)
    owner.tell("!approve")
    owner.wait_for("May I set up cross-signing")
    owner.tell("!approve")
    bot.result(PATIENCE)

    assert wire.failed == [None, 502]
    assert sum("May I log out" in text for text in owner.heard) == 1
    assert account.stale_devices() == []
