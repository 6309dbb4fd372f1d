#!/usr/bin/python3
"""CHAP (RFC 1994, RFC 7143 §12.1.3): every algorithm, both directions, and what an attacker would try."""

import base64
import os
import unittest

from initiator import (CHAP_ALGORITHMS, Connection, LoginFailed, OPERATIONAL, SECURITY, Session, chap_bytes,
                       chap_response, discover)
from pdu import decode_keys
from server import Server

USER, SECRET = "alice", "alice's own secret"
TARGET_USER, TARGET_SECRET = "the-target", "the target's secret"
AUTHENTICATION_FAILURE = 0x0201


class ChapTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("ram:16M", env={"S": SECRET, "M": TARGET_SECRET},
                            options=("--chap-user", USER, "--chap-secret-env", "S", "--mutual-user", TARGET_USER,
                                     "--mutual-secret-env", "M")).start()
        cls.addClassCleanup(cls.server.stop)

    def session(self, **arguments):
        connection = Connection(self.server.address)
        self.addCleanup(connection.close)
        return Session(connection, self.server.target, **{"chap": (USER, SECRET), **arguments})

    def refused(self, session, step=None):
        with self.assertRaises(LoginFailed) as caught:
            (step or session.login)()
        self.assertEqual(f"{AUTHENTICATION_FAILURE:04x}", f"{caught.exception.status:04x}")
        session.connection.expect_close()

    def challenge(self, session, algorithms="7"):
        """Goes as far as the target's challenge; (digest, identifier, challenge)."""
        session.login_step(session.names() + [("AuthMethod", "CHAP")], SECURITY, transit=False)
        answer = dict(decode_keys(session.login_step([("CHAP_A", algorithms)], SECURITY, transit=False).data))
        return CHAP_ALGORITHMS[answer["CHAP_A"]], int(answer["CHAP_I"], 0), chap_bytes(answer["CHAP_C"])

    def test_every_algorithm(self):
        for algorithm in CHAP_ALGORITHMS:
            for mutual in (None, (TARGET_USER, TARGET_SECRET)):
                with self.subTest(algorithm=algorithm, mutual=mutual):
                    session = self.session(algorithms=algorithm, mutual=mutual).login()
                    self.assertEqual(algorithm, session.chap_algorithm)
                    session.test_unit_ready()

    def test_the_strongest_common_one_is_chosen(self):
        for offer, choice in (("5,6,7,8", "8"), ("5,7", "7"), ("5,6", "6"), ("5", "5"), ("99,5", "5")):
            with self.subTest(offer):
                session = self.session(algorithms=offer).login()
                self.assertEqual(choice, session.chap_algorithm)

    def test_no_common_algorithm(self):
        session = self.session()
        session.login_step(session.names() + [("AuthMethod", "CHAP")], SECURITY, transit=False)
        self.refused(session, lambda: session.login_step([("CHAP_A", "99,100")], SECURITY, transit=False))

    def test_challenges_are_long_and_differ(self):
        seen = set()
        for _ in range(8):
            _, _, challenge = self.challenge(self.session())
            self.assertGreaterEqual(len(challenge), 16)
            self.assertNotIn(challenge, seen)
            seen.add(challenge)

    def test_wrong_secret_and_wrong_name(self):
        self.refused(self.session(chap=(USER, "another secret")))
        self.refused(self.session(chap=("mallory", SECRET)))
        self.refused(self.session(chap=(USER.upper(), SECRET)))
        # A secret of the right beginning, or the mutual one, is as wrong as any other.
        self.refused(self.session(chap=(USER, SECRET[:-1])))
        self.refused(self.session(chap=(TARGET_USER, TARGET_SECRET)))

    def test_none_is_not_enough(self):
        session = self.session(chap=None)
        self.refused(session)

    def test_skipping_the_security_stage_is_not_enough(self):
        session = self.session(chap=None)
        self.refused(session, lambda: session.login_step(session.names(), OPERATIONAL, 3))

    def test_leaving_the_security_stage_early_is_not_enough(self):
        session = self.session()
        session.login_step(session.names() + [("AuthMethod", "CHAP")], SECURITY, transit=False)
        with self.assertRaises(LoginFailed):
            answer = session.login_step([], SECURITY, OPERATIONAL)
            self.assertFalse(answer.final, "the target let an unauthenticated initiator into the next stage")
            session.login_step([("HeaderDigest", "None")], OPERATIONAL, 3)

    def test_malformed_responses(self):
        for response in ("0x", "0x00", "0b", "zz", "0x" + "00" * 31, "0x" + "00" * 33, "0x" + "00" * 2000, "0xg0"):
            with self.subTest(response[:20]):
                session = self.session()
                self.challenge(session)
                with self.assertRaises(LoginFailed) as caught:
                    session.login_step([("CHAP_N", USER), ("CHAP_R", response)], SECURITY, OPERATIONAL)
                self.assertEqual(0x02, caught.exception.status >> 8)

    def test_base64_response(self):
        session = self.session()
        digest, identifier, challenge = self.challenge(session)
        response = base64.b64encode(chap_response(digest, identifier, SECRET, challenge)).decode()
        answer = session.login_step([("CHAP_N", USER), ("CHAP_R", "0b" + response)], SECURITY, OPERATIONAL)
        self.assertTrue(answer.final)

    def test_response_to_an_earlier_challenge(self):
        first = self.session()
        digest, identifier, challenge = self.challenge(first)
        response = chap_response(digest, identifier, SECRET, challenge)
        second = self.session()
        self.challenge(second)
        self.refused(second, lambda: second.login_step([("CHAP_N", USER), ("CHAP_R", "0x" + response.hex())],
                                                       SECURITY, OPERATIONAL))

    def test_reflected_challenge(self):
        """An initiator that knows no secret sends the target's own challenge back, to have it answered."""
        session = self.session()
        digest, identifier, challenge = self.challenge(session)
        response = chap_response(digest, identifier, SECRET, challenge)
        self.refused(session, lambda: session.login_step(
            [("CHAP_N", USER), ("CHAP_R", "0x" + response.hex()), ("CHAP_I", str(identifier)),
             ("CHAP_C", "0x" + challenge.hex())], SECURITY, OPERATIONAL))

    def test_target_proves_nothing_to_who_has_not_proved_himself(self):
        session = self.session()
        self.challenge(session)
        try:
            answer = session.login_step([("CHAP_N", USER), ("CHAP_R", "0x" + os.urandom(32).hex()), ("CHAP_I", "1"),
                                         ("CHAP_C", "0x" + os.urandom(32).hex())], SECURITY, OPERATIONAL)
        except LoginFailed as failure:
            self.assertEqual(AUTHENTICATION_FAILURE, failure.status)
        else:
            self.fail(f"the target answered {decode_keys(answer.data)}")

    def test_discovery_asks_too(self):
        with self.assertRaises(LoginFailed) as caught:
            discover(self.server.address)
        self.assertEqual(AUTHENTICATION_FAILURE, caught.exception.status)
        pairs = discover(self.server.address, chap=(USER, SECRET))
        self.assertIn(("TargetName", self.server.target), pairs)

    def test_secrets_never_appear_in_the_log(self):
        with Server("ram:16M", env={"S": SECRET}, options=("--chap-user", USER, "--chap-secret-env", "S", "--log-level",
                                                          "debug")) as server:
            with Connection(server.address) as connection:
                Session(connection, server.target, chap=(USER, SECRET)).login()
            with Connection(server.address) as connection, self.assertRaises(LoginFailed):
                Session(connection, server.target, chap=(USER, "a wrong secret")).login()
            server.wait_for_log(USER)
            self.assertNotIn(SECRET, server.log())

    def test_mutual_where_the_target_has_no_account(self):
        with Server("ram:16M", env={"S": SECRET}, options=("--chap-user", USER, "--chap-secret-env", "S")) as server:
            connection = Connection(server.address)
            self.addCleanup(connection.close)
            with self.assertRaises(LoginFailed):
                Session(connection, server.target, chap=(USER, SECRET), mutual=(TARGET_USER, TARGET_SECRET)).login()


if __name__ == "__main__":
    unittest.main()
