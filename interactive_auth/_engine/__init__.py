"""The loop: how a 401 becomes the next callback, and a callback's answer the next request.

::

    auth.attempt_auth()                                        the caller's thread, all the way down
      handover.run(loop.Attempt.run)                           one attempt at a time
        conversation.send(auth) -> do_request(auth)            the one place that sends
          raises MatrixError -> session.receive(error)         merged, and told apart:

            SUCCESS ------------> the response is returned
            SESSION_LOST -------> dropped, and begun anew, once
            RATE_LIMITED,
            TRANSIENT ----------> handover.pause(...), and the same again (retry)
            LOGGED_OUT, FAILURE > raised
            CHALLENGE, REJECTION: the loop goes on:

        flows.choose_flow(...), flows.next_stage(...)          which stage is next
        conversation.request_token(...)                        the mail or the SMS of the flow, if it is due
        context.ask(...) -> callback(Stage)                    returns an auth dict, or None: then the loop waits
        waiting.Waiting.run(...)                               polls, until the stage is done, or something comes:
          handover.wait(...)                                     submit_auth_dict(), poll(), cancel(), the clock
        conversation.to_submit(answer) -> conversation.send    with the session, and kept secret from then on

Where a password travels: from the callback's dict to ``conversation.to_submit``, which notes it as a secret, into
``do_request``. No attribute keeps it but the conversation's list of secrets, which hides it in what is answered; the
frames that it went through are taken out of every error (``forget_frames``).

What ``cancel()`` wakes: every wait, since all of them are made in ``handover``, on bells that it rings: the wait for a
stage, the pause before a repetition, and the pause of a token request that somebody makes by hand in another thread.

The five things that an attempt is made of: ``options`` (what never changes), ``session`` (what the server has said),
``conversation`` (what is sent, and what of it was secret), ``handover`` (who waits and who wakes) and ``context`` (what
a callback may ask). What must not be here: HTTP, printing, prompting.
"""
