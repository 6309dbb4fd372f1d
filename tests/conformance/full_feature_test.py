#!/usr/bin/python3
"""Full feature phase (RFC 7143 §4, §11): data transfer, numbering, residuals, NOPs, text, logout, and nonsense."""

import os
import struct
import unittest

import pdu as wire
from initiator import Closed, Rejected, TimedOut, connect
from pdu import Pdu
from server import Server

READ_CAPACITY_10 = bytes([0x25]) + bytes(9)
NO_UNSOLICITED = {"InitialR2T": "Yes", "ImmediateData": "No"}
ABORTED_COMMAND, ILLEGAL_REQUEST = 0xB, 0x5


def write_16(lba, blocks):
    return struct.pack(">BBQIBB", 0x8A, 0, lba, blocks, 0, 0)


def read_16(lba, blocks):
    return struct.pack(">BBQIBB", 0x88, 0, lba, blocks, 0, 0)


class FullFeatureTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("ram:64M").start()
        cls.addClassCleanup(cls.server.stop)

    def session(self, **keys):
        session = connect(self.server, keys=keys)
        self.addCleanup(session.close)
        session.test_unit_ready()
        return session

    def still_healthy(self, session=None):
        """The server goes on, and the session too if it is given."""
        (session or self.session()).test_unit_ready()
        self.assertTrue(self.server.alive())

    def refused(self, session, step):
        """`step` must end in a Reject, in a command that fails, or in the end of the connection: in time."""
        try:
            result = step()
        except Rejected as rejected:
            self.assertIn(rejected.reason, range(0x02, 0x0D))
            return rejected.reason
        except Closed:
            return None
        self.assertNotEqual(0, result.status or result.response)
        return result


class DataTransferTest(FullFeatureTest):
    def test_every_way_of_sending_data(self):
        for initial_r2t in ("Yes", "No"):
            for immediate in ("Yes", "No"):
                for digests in ("None", "CRC32C"):
                    for length in (512, 8192, 65536 + 512, 300 * 1024):
                        with self.subTest(initial_r2t=initial_r2t, immediate=immediate, digests=digests, length=length):
                            session = self.session(InitialR2T=initial_r2t, ImmediateData=immediate,
                                                   HeaderDigest=digests, DataDigest=digests,
                                                   FirstBurstLength="65536", MaxBurstLength="131072")
                            data = os.urandom(length)
                            session.write(7, data)
                            self.assertEqual(data, session.read(7, length // 512))
                            session.close()

    def test_r2ts_keep_to_max_burst_length_and_cover_everything_once(self):
        session = self.session(**NO_UNSOLICITED, MaxBurstLength="65536")
        task = session.start(write_16(0, 1024), data=os.urandom(1024 * 512))
        self.assertEqual(0, session.wait(task).status)
        offset = 0
        for number, r2t in enumerate(task.r2ts):
            self.assertEqual(number, r2t.u32(36), "R2TSN")
            self.assertEqual(offset, r2t.u32(40))
            self.assertLessEqual(r2t.u32(44), 65536)
            self.assertNotEqual(wire.RESERVED_TAG, r2t.ttt)
            offset += r2t.u32(44)
        self.assertEqual(1024 * 512, offset)

    def test_several_outstanding_r2ts(self):
        session = self.session(**NO_UNSOLICITED, MaxBurstLength="8192", MaxOutstandingR2T="4")
        self.assertEqual(4, session.number("MaxOutstandingR2T"))
        session.answer_r2t = False
        data = os.urandom(64 * 1024)
        task = session.start(write_16(100, 128), data=data)
        session.step()
        answered = 0
        while task.result is None:
            waiting = task.r2ts[answered:]
            self.assertLessEqual(len(waiting), 4)
            for r2t in waiting:
                session.send_data(task, r2t.ttt, r2t.u32(40), r2t.u32(44))
                answered += 1
            session.step()
        self.assertEqual(0, task.result.status)
        self.assertEqual(data, session.read(100, 128))

    def test_many_commands_at_once(self):
        session = self.session()
        pieces = [os.urandom(4096) for _ in range(64)]
        tasks = [session.start(write_16(i * 8, 8), data=piece) for i, piece in enumerate(pieces)]
        self.assertEqual({0}, {session.wait(task).status for task in tasks})
        tasks = [session.start(read_16(i * 8, 8), read_length=4096) for i in range(64)]
        self.assertEqual(pieces, [session.wait(task).data for task in tasks])

    def test_data_in_sequences_keep_to_max_burst_length(self):
        session = self.session(MaxBurstLength="16384", MaxRecvDataSegmentLength="4096")
        task = session.start(read_16(0, 256), read_length=256 * 512)
        burst = 0
        while task.result is None:
            received = session.step()
            if received.opcode == wire.DATA_IN:
                self.assertLessEqual(received.data_length, 4096)
                burst += received.data_length
                self.assertLessEqual(burst, 16384)
                if received.final:
                    burst = 0
        self.assertEqual(256 * 512, len(task.result.data))

    def test_status_comes_with_the_last_data(self):
        """Phase collapse (RFC 7143 §11.7.3): GOOD status needs no PDU of its own."""
        session = self.session()
        task = session.start(read_16(0, 8), read_length=4096)
        received = session.step()
        self.assertEqual((wire.DATA_IN, True, 1), (received.opcode, received.final, received.flags & 1))
        self.assertIsNotNone(task.result)

    def test_zero_length_commands(self):
        session = self.session()
        self.assertEqual(0, session.execute(read_16(0, 0)).status)
        self.assertEqual(0, session.execute(write_16(0, 0)).status)

    def test_large_transfer(self):
        session = self.session()
        data = os.urandom(8 << 20)
        session.write(0, data)
        self.assertEqual(data, session.read(0, len(data) // 512))


class ResidualTest(FullFeatureTest):
    def test_reads(self):
        session = self.session()
        for expected, underflow, overflow, residual in ((4096, False, False, 0), (8192, True, False, 4096),
                                                        (1024, False, True, 3072)):
            with self.subTest(expected):
                result = session.execute(read_16(0, 8), read_length=expected)
                self.assertEqual(0, result.status)
                self.assertEqual((underflow, overflow, residual), (result.underflow, result.overflow, result.residual))
                self.assertEqual(min(expected, 4096), len(result.data))

    def test_writes(self):
        session = self.session()
        before, data = os.urandom(8192), os.urandom(8192)
        for length, underflow, overflow, residual in ((4096, False, False, 0), (8192, True, False, 4096),
                                                      (1024, False, True, 3072)):
            with self.subTest(length):
                session.write(0, before)
                result = session.execute(write_16(0, 8), data=data[:length])
                self.assertEqual((underflow, overflow, residual), (result.underflow, result.overflow, result.residual))
                written = min(length, 4096) if result.status == 0 else 0
                after = session.read(0, 16)
                self.assertEqual(data[:written], after[:written])
                self.assertEqual(before[4096:], after[4096:], "nothing beyond what the CDB names is written")

    def test_no_data_expected_at_all(self):
        session = self.session()
        result = session.execute(READ_CAPACITY_10)
        self.assertEqual((0, True, 8), (result.status, result.overflow, result.residual))

    def test_both_directions_are_refused(self):
        session = self.session()
        itt = session.new_itt()
        command = wire.scsi_command(read_16(0, 1), itt, session.take_cmd_sn(), session.exp_stat_sn, read=True,
                                    write=True, length=512)
        session.connection.send(command)
        try:
            answer = session.connection.receive()
            self.assertIn(answer.opcode, (wire.SCSI_RESPONSE, wire.REJECT))
            if answer.opcode == wire.SCSI_RESPONSE:
                self.assertTrue(answer.u8(2) != 0 or answer.u8(3) == 2)
        except Closed:
            pass
        self.still_healthy()


class NumberingTest(FullFeatureTest):
    def command(self, session, cmd_sn, itt=None, **arguments):
        itt = itt or session.new_itt()
        session.connection.send(wire.scsi_command(bytes(6), itt, cmd_sn, session.exp_stat_sn, **arguments))
        return itt

    def receive_nothing(self, session):
        with self.assertRaises(TimedOut):
            session.connection.receive(0.4)

    def answers(self, session, timeout=0.4):
        """The tags of the responses that come until nothing more does."""
        tags = []
        with self.assertRaises(TimedOut):
            while True:
                tags.append(session.connection.receive(timeout).itt)
        return tags

    def test_commands_never_run_before_those_with_lower_numbers(self):
        """An initiator must not leave a gap on one connection: what is behind it may be held, or ignored."""
        session = self.session()
        first = session.cmd_sn
        later = self.command(session, first + 1)
        self.receive_nothing(session)
        earlier = self.command(session, first)
        tags = self.answers(session)
        self.assertEqual(earlier, tags[0])
        self.assertIn(tags[1:], ([], [later]))

    def test_number_beyond_the_window_is_ignored(self):
        session = self.session()
        window = session.max_cmd_sn - session.cmd_sn + 1
        self.assertGreaterEqual(window, 32)
        self.command(session, session.max_cmd_sn + 1)
        self.command(session, session.max_cmd_sn + 0x10000)
        self.receive_nothing(session)
        self.assertEqual(self.command(session, session.cmd_sn), session.connection.receive().itt)

    def test_old_number_is_ignored(self):
        session = self.session()
        self.command(session, session.cmd_sn - 1)
        self.receive_nothing(session)
        self.assertEqual(self.command(session, session.cmd_sn), session.connection.receive().itt)

    def test_number_twice(self):
        session = self.session()
        first = self.command(session, session.cmd_sn)
        self.command(session, session.cmd_sn)  # the same number, another tag: ignored
        self.assertEqual([first], self.answers(session))

    def test_immediate_commands_overtake_and_do_not_count(self):
        session = self.session()
        number = session.cmd_sn
        self.command(session, number + 1)  # held: there is a gap before it
        itt = self.command(session, number, immediate=True)
        answer = session.connection.receive()
        self.assertEqual((itt, number), (answer.itt, answer.exp_cmd_sn))

    def test_window_never_closes_for_good(self):
        session = self.session()
        for _ in range(500):
            task = session.start(bytes(6))
            self.assertEqual(0, session.wait(task).status)
        self.assertGreaterEqual(session.max_cmd_sn - session.cmd_sn + 1, 32)

    def test_window_shrinks_while_commands_wait(self):
        session = self.session(**NO_UNSOLICITED)
        session.answer_r2t = False
        tasks = []
        for i in range(40):
            tasks.append(session.start(write_16(i, 1), data=bytes(512)))
        for _ in tasks:
            last = session.step()
        self.assertLessEqual(session.max_cmd_sn - last.exp_cmd_sn + 1, 128)
        for task in tasks:
            r2t = task.r2ts[0]
            session.send_data(task, r2t.ttt, 0, 512)
        self.assertEqual({0}, {session.wait(task).status for task in tasks})

    def test_flood_of_immediate_commands(self):
        """More than the target takes are rejected (RFC 7143 §4.2.2.1), and the session goes on."""
        session = self.session(**NO_UNSOLICITED)
        session.answer_r2t = False
        sent = 200
        for i in range(sent):
            session.connection.send(wire.scsi_command(write_16(i, 1), session.new_itt(), session.cmd_sn,
                                                      session.exp_stat_sn, write=True, length=512, immediate=True))
        answers = [session.connection.receive() for _ in range(sent)]
        self.assertEqual({wire.R2T, wire.REJECT}, {answer.opcode for answer in answers} | {wire.R2T, wire.REJECT})
        reasons = {answer.u8(2) for answer in answers if answer.opcode == wire.REJECT}
        self.assertLessEqual(reasons, {wire.REJECT_IMMEDIATE, wire.REJECT_OUT_OF_RESOURCES})
        session.close()
        self.still_healthy()


class DataOutErrorTest(FullFeatureTest):
    """What a target at error recovery level 0 does with wrong data: never writes it, never hangs, serves others."""

    def started(self, blocks=16):
        session = self.session(**NO_UNSOLICITED, MaxBurstLength="65536")
        session.write(1000, b"\x11" * blocks * 512)
        session.answer_r2t = False
        task = session.start(write_16(1000, blocks), data=b"\x22" * blocks * 512)
        session.step()
        return session, task, task.r2ts[0]

    def untouched(self):
        self.assertEqual(b"\x11" * 512, self.session().read(1000, 1))

    def finish(self, session, task):
        return self.refused(session, lambda: session.wait(task, 5))

    def test_offset_that_was_not_asked_for(self):
        session, task, r2t = self.started()
        session.connection.send(wire.data_out(bytes(512), task.itt, r2t.ttt, session.exp_stat_sn, offset=4096))
        self.finish(session, task)
        self.untouched()
        self.still_healthy()

    def test_wrong_data_sn(self):
        session, task, r2t = self.started()
        session.connection.send(wire.data_out(task.data_out, task.itt, r2t.ttt, session.exp_stat_sn, data_sn=3))
        self.finish(session, task)
        self.still_healthy()

    def test_more_than_asked_for(self):
        session, task, r2t = self.started(blocks=8)
        session.connection.send(wire.data_out(bytes(8192), task.itt, r2t.ttt, session.exp_stat_sn))
        self.finish(session, task)
        self.still_healthy()

    def test_final_too_early(self):
        session, task, r2t = self.started()
        session.connection.send(wire.data_out(b"\x22" * 512, task.itt, r2t.ttt, session.exp_stat_sn, final=True))
        self.finish(session, task)
        self.still_healthy()

    def test_target_transfer_tag_that_does_not_exist(self):
        session, task, r2t = self.started()
        session.connection.send(wire.data_out(task.data_out, task.itt, r2t.ttt ^ 0x5A5A5A, session.exp_stat_sn))
        try:
            answer = session.connection.receive(5)
            self.assertIn(answer.opcode, (wire.REJECT, wire.SCSI_RESPONSE))
        except Closed:
            pass
        self.untouched()
        self.still_healthy()

    def test_task_that_does_not_exist(self):
        session = self.session()
        session.connection.send(wire.data_out(bytes(512), 0x12345, 0x777, session.exp_stat_sn))
        try:
            # It may be ignored: the task may just have ended (RFC 7143 §11.7).
            self.assertEqual(wire.REJECT, session.connection.receive(0.5).opcode)
        except (Closed, TimedOut):
            pass
        self.still_healthy()

    def test_more_unsolicited_data_than_first_burst_length(self):
        session = self.session(FirstBurstLength="4096", ImmediateData="Yes", InitialR2T="No")
        session.connection.send(wire.scsi_command(write_16(1000, 64), session.new_itt(), session.take_cmd_sn(),
                                                  session.exp_stat_sn, write=True, length=64 * 512, data=bytes(8192)))
        try:
            answer = session.connection.receive(5)
            self.assertIn(answer.opcode, (wire.REJECT, wire.SCSI_RESPONSE))
        except Closed:
            pass
        self.still_healthy()

    def test_immediate_data_that_was_not_agreed(self):
        session = self.session(**NO_UNSOLICITED)
        session.write(1000, b"\x11" * 512)
        session.connection.send(wire.scsi_command(write_16(1000, 1), session.new_itt(), session.take_cmd_sn(),
                                                  session.exp_stat_sn, write=True, length=512, data=b"\x22" * 512))
        try:
            answer = session.connection.receive(5)
            self.assertIn(answer.opcode, (wire.REJECT, wire.SCSI_RESPONSE))
        except Closed:
            pass
        self.still_healthy()

    def test_tag_that_is_in_use(self):
        session, task, _ = self.started()
        session.connection.send(wire.scsi_command(bytes(6), task.itt, session.take_cmd_sn(), session.exp_stat_sn))
        try:
            answer = session.connection.receive(5)
            self.assertIn(answer.opcode, (wire.REJECT, wire.SCSI_RESPONSE))
            if answer.opcode == wire.REJECT:
                self.assertEqual(wire.REJECT_TASK_IN_PROGRESS, answer.u8(2))
        except Closed:
            pass
        self.still_healthy()


class DigestErrorTest(FullFeatureTest):
    def session(self, **keys):
        return super().session(HeaderDigest="CRC32C", DataDigest="CRC32C", **keys)

    def test_wrong_header_digest_ends_the_connection(self):
        session = self.session()
        data = bytearray(wire.nop_out(session.new_itt(), session.cmd_sn, session.exp_stat_sn).bytes(True, True))
        data[48] ^= 1
        session.connection.send_bytes(bytes(data))
        self.assertEqual([], session.connection.expect_close())
        self.still_healthy()

    def test_wrong_data_digest_is_rejected_and_nothing_is_written(self):
        session = self.session()
        session.write(500, b"\x11" * 4096)
        itt = session.new_itt()
        command = wire.scsi_command(write_16(500, 8), itt, session.take_cmd_sn(), session.exp_stat_sn, write=True,
                                    length=4096, data=b"\x22" * 4096)
        data = bytearray(command.bytes(True, True))
        data[-1] ^= 0x80
        session.connection.send_bytes(bytes(data))
        answers = {}
        try:
            while wire.REJECT not in answers:
                answer = session.connection.receive(5)
                answers[answer.opcode] = answer
            reject = answers[wire.REJECT]
            self.assertEqual(wire.REJECT_DATA_DIGEST, reject.u8(2))
            self.assertEqual(bytes(command.header), reject.data[:48], "the rejected header comes back")
            if wire.SCSI_RESPONSE in answers:
                self.assertEqual(2, answers[wire.SCSI_RESPONSE].u8(3))
                sense = answers[wire.SCSI_RESPONSE].data[2:]
                self.assertEqual((0x47, 0x05), (sense[12], sense[13]), "protocol service CRC error")
        except Closed:
            pass  # level 0 allows to end the session at once
        self.assertEqual(b"\x11" * 4096, self.session().read(500, 8))
        self.still_healthy()


class NopTest(FullFeatureTest):
    def test_ping_comes_back(self):
        session = self.session()
        for data in (b"", b"x", b"hello there", os.urandom(4096), os.urandom(session.target_segment)):
            with self.subTest(len(data)):
                self.assertEqual(data, session.ping(data).data)

    def test_ping_in_order(self):
        session = self.session()
        answer = session.ping(b"counted", immediate=False)
        self.assertEqual(session.cmd_sn, answer.exp_cmd_sn)
        self.assertEqual(wire.RESERVED_TAG, answer.ttt)

    def test_nop_that_asks_for_nothing(self):
        session = self.session()
        session.connection.send(wire.nop_out(wire.RESERVED_TAG, session.cmd_sn, session.exp_stat_sn))
        with self.assertRaises(TimedOut):
            session.connection.receive(0.3)
        self.still_healthy(session)

    def test_answer_to_a_question_that_was_not_asked(self):
        session = self.session()
        session.connection.send(wire.nop_out(wire.RESERVED_TAG, session.cmd_sn, session.exp_stat_sn, ttt=0x1234))
        try:
            self.assertEqual(wire.REJECT, session.connection.receive(0.5).opcode)
        except (TimedOut, Closed):
            pass
        self.still_healthy()


class TextTest(FullFeatureTest):
    def test_segment_length_may_change(self):
        session = self.session()
        session.write(0, os.urandom(65536))
        session.text([("MaxRecvDataSegmentLength", "2048")])
        task = session.start(read_16(0, 128), read_length=65536)
        while task.result is None:
            self.assertLessEqual(session.step().data_length, 2048)

    def test_keys_of_the_login_are_refused(self):
        session = self.session()
        try:
            answer = dict(session.text([("HeaderDigest", "CRC32C"), ("MaxConnections", "4")]))
            self.assertNotEqual("CRC32C", answer.get("HeaderDigest"))
        except (Rejected, Closed):
            pass
        self.still_healthy()

    def test_unknown_key(self):
        self.assertEqual([("X-com.example.a", "NotUnderstood")], self.session().text([("X-com.example.a", "1")]))

    def test_send_targets_all_is_for_discovery(self):
        session = self.session()
        try:
            answer = session.text([("SendTargets", "All")])
            self.assertIn(("SendTargets", "Reject"), answer + [("SendTargets", "Reject")])
        except (Rejected, Closed):
            pass
        self.still_healthy()

    def test_request_over_several_pdus(self):
        session = self.session()
        itt, text = session.new_itt(), b"X-com.example.first=1\0X-com.example.second=2\0"
        session.connection.send(wire.text_request(text[:17], itt, session.take_cmd_sn(), session.exp_stat_sn,
                                                  final=False, more=True))
        answer = session.collect(wire.TEXT_RESPONSE, itt)
        self.assertEqual(b"", answer.data)
        self.assertNotEqual(wire.RESERVED_TAG, answer.ttt)
        session.connection.send(wire.text_request(text[17:], itt, session.take_cmd_sn(), session.exp_stat_sn,
                                                  ttt=answer.ttt))
        pairs = wire.decode_keys(session.collect(wire.TEXT_RESPONSE, itt).data)
        self.assertEqual([("X-com.example.first", "NotUnderstood"), ("X-com.example.second", "NotUnderstood")], pairs)


class LogoutTest(FullFeatureTest):
    def test_session(self):
        session = self.session()
        self.assertEqual(0, session.logout(0))
        session.connection.expect_close()

    def test_own_connection(self):
        session = self.session()
        self.assertEqual(0, session.logout(1))
        session.connection.expect_close()

    def test_connection_that_does_not_exist(self):
        session = self.session()
        self.assertEqual(1, session.logout(1, cid=session.cid + 9))
        self.still_healthy(session)

    def test_recovery_is_not_supported(self):
        session = self.session()
        self.assertEqual(2, session.logout(2))
        self.still_healthy()

    def test_commands_before_the_logout_are_answered(self):
        session = self.session()
        data = os.urandom(4096)
        tasks = [session.start(write_16(i * 8, 8), data=data) for i in range(16)]
        itt = session.new_itt()
        session.connection.send(wire.logout(0, itt, session.take_cmd_sn(), session.exp_stat_sn, immediate=False))
        statuses = [session.wait(task).status for task in tasks]
        self.assertEqual([0] * 16, statuses)
        self.assertEqual(0, session.collect(wire.LOGOUT_RESPONSE, itt).u8(2))
        session.connection.expect_close()


class NonsenseTest(FullFeatureTest):
    def test_unknown_opcode(self):
        for opcode in (0x07, 0x1C, 0x1F, 0x20, 0x25, 0x31, 0x3F):
            with self.subTest(hex(opcode)):
                session = self.session()
                session.connection.send(Pdu().put8(0, opcode).put8(1, 0x80).put32(16, 0x99)
                                        .put32(24, session.cmd_sn).put32(28, session.exp_stat_sn))
                try:
                    answer = session.connection.receive(5)
                    self.assertEqual(wire.REJECT, answer.opcode)
                    self.assertIn(answer.u8(2), (wire.REJECT_NOT_SUPPORTED, wire.REJECT_PROTOCOL_ERROR,
                                                 wire.REJECT_INVALID_PDU_FIELD))
                    self.assertEqual(opcode, answer.data[0] & 0x3F)
                except Closed:
                    pass
                self.still_healthy()

    def test_snack_at_level_0(self):
        session = self.session()
        session.connection.send(Pdu().put8(0, wire.SNACK).put8(1, 0x80).put32(16, wire.RESERVED_TAG)
                                .put32(20, wire.RESERVED_TAG).put32(28, session.exp_stat_sn))
        answer = session.connection.receive(5)
        self.assertEqual(wire.REJECT, answer.opcode)
        self.assertIn(answer.u8(2), (wire.REJECT_SNACK, wire.REJECT_NOT_SUPPORTED, wire.REJECT_PROTOCOL_ERROR))
        self.still_healthy()

    def test_extended_cdb(self):
        """A 32-byte CDB comes in an additional header (RFC 7143 §11.2.2.3)."""
        session = self.session()
        for service_action, status in ((0x0009, 0), (0x7777, 2)):  # READ(32) of no blocks; none
            cdb = bytes([0x7F]) + bytes(6) + bytes([0x18]) + struct.pack(">H", service_action) + bytes(22)
            result = session.execute(cdb, read_length=512)
            self.assertEqual(status, result.status)
        self.assertEqual(ILLEGAL_REQUEST, result.sense_key)

    def test_extended_cdb_without_its_end(self):
        session = self.session()
        result = session.execute(bytes([0x7F]) + bytes(6) + bytes([0x18, 0x00, 0x09]) + bytes(6), read_length=512)
        self.assertEqual((2, ILLEGAL_REQUEST), (result.status, result.sense_key))

    def test_malformed_additional_headers(self):
        for ahs in (b"\xff\xff\x01\x00", b"\x00\x00\x01\x00", b"\x00\x05\x7f\x00" + bytes(4), bytes(1020),
                    b"\x00\x11\x01\x00" + bytes(4)):
            with self.subTest(ahs=ahs[:8]):
                session = self.session()
                session.connection.send(wire.scsi_command(bytes(6), session.new_itt(), session.take_cmd_sn(),
                                                          session.exp_stat_sn, ahs=ahs))
                try:
                    answer = session.connection.receive(5)
                    self.assertIn(answer.opcode, (wire.REJECT, wire.SCSI_RESPONSE))
                except Closed:
                    pass
                self.still_healthy()

    def test_lun_that_does_not_exist(self):
        session = self.session()
        result = session.execute(bytes(6), lun=7)
        self.assertEqual((2, ILLEGAL_REQUEST, 0x25), (result.status, result.sense_key, result.asc))
        inquiry = session.execute(bytes([0x12, 0, 0, 0, 36, 0]), lun=7, read_length=36)
        self.assertEqual((0, 0x7F), (inquiry.status, inquiry.data[0]))

    def test_lun_field_of_another_format(self):
        session = self.session()
        for field in (b"\x01\x00" + bytes(6), b"\x80" + bytes(7), b"\xff" * 8, b"\x00\x00\x00\x01" + bytes(4)):
            with self.subTest(field.hex()):
                command = wire.scsi_command(bytes(6), session.new_itt(), session.take_cmd_sn(), session.exp_stat_sn)
                command.header[8:16] = field
                session.connection.send(command)
                answer = session.connection.receive(5)
                session.exp_stat_sn = answer.stat_sn + 1
                self.assertEqual(wire.SCSI_RESPONSE, answer.opcode)

    def test_unknown_command(self):
        session = self.session()
        for opcode in (0x02, 0xC0, 0xFF):
            result = session.execute(bytes([opcode]) + bytes(15))
            self.assertEqual((2, ILLEGAL_REQUEST, 0x20), (result.status, result.sense_key, result.asc))

    def test_blocks_beyond_the_end(self):
        session = self.session()
        blocks, _ = session.capacity()
        for cdb in (read_16(blocks, 1), read_16(blocks - 1, 2), read_16(0xFFFFFFFFFFFFFFFF, 1), read_16(0, 0xFFFFFFFF)):
            result = session.execute(cdb, read_length=512)
            self.assertEqual((2, ILLEGAL_REQUEST), (result.status, result.sense_key))


if __name__ == "__main__":
    unittest.main()
