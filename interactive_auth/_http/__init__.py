"""Requests to a homeserver, and what travels by them. What must not be here: the loop.

Of requests, urllib3 and http.client the rooms here use documented names, but for these. What each of them is trusted
to do is held by ``tests/wire/test_dependencies.py``.

==============================================  ================================================================
``requests.Response._content``                  the only way to tell a body that was read already, or made by
                                                hand, from one that is still to be read (``answers``)
``urllib3.PoolManager.pool_classes_by_scheme``  the pools that a manager opens; a comment of urllib3's says that
                                                other managers may replace it (``adapter``)
``urllib3.HTTPConnectionPool.ConnectionCls``    the connections that a pool opens; vcrpy relies on it as well
                                                (``pools``)
``urllib3.HTTPConnectionPool.QueueCls,``        where a pool keeps the idle ones, and the list in which a queue
``queue.LifoQueue.queue``                       does (``pools``)
``http.client.HTTPConnection.response_class``   the answers that a connection reads (``pools``)
``http.client.HTTPResponse.begin``              reads an answer's head; it reads another one once ``headers`` is
                                                None again (``deadline``); what it notes of a plain one is noted
                                                without it (``plain``)
``http.client.HTTPMessage.set_raw, raw_items``  a head's fields, as the parser for mail leaves them (``plain``)
``http.client.parse_headers``                   reads the fields of a head that is not plain; what it raises by
                                                itself is no mistake of a caller's (``transport``)
``urllib3.connection.HTTPConnection.request,``  how a pool sends and reads; they are public, but what a pool tells
``getresponse``                                 the one, and wants of the other, is not written down (``plain``)
``putrequest, putheader, endheaders``           only compared with what they were: who wraps one is called (``plain``)
==============================================  ================================================================
"""
