"""The book of leases: what is written when, without a clock and a gateway."""

from __future__ import annotations

import unittest

import hookgate
from hookgate.leases import NEVER, Leases
from hookgate.v1 import subscription_service_pb2 as api


class LeasesTest(unittest.TestCase):

    def setUp(self) -> None:
        self.leases = Leases(longest_lease=100.0)
        self.leases.ack_deadline = 30.0

    def test_acks_that_wait_go_in_one_frame(self):
        for delivery_id in ("d1", "d2", "d3", "d4"):
            self.leases.add([delivery_id], 0.0)
        self.leases.ack("d1")
        self.leases.ack("d2")
        self.leases.settle("d3", hookgate.Nack("busy"))
        self.leases.ack("d4")
        self.assertEqual(self.leases.next_frame(),
                         api.ConsumeRequest(ack=api.Ack(delivery_ids=["d1", "d2"])))
        nack = api.Nack.Item(delivery_id="d3", reason="busy")
        self.assertEqual(self.leases.next_frame(),
                         api.ConsumeRequest(nack=api.Nack(items=[nack])))
        self.assertEqual(self.leases.next_frame(),
                         api.ConsumeRequest(ack=api.Ack(delivery_ids=["d4"])))
        self.assertIsNone(self.leases.next_frame())
        self.assertFalse(self.leases.settled)

    def test_a_nack_holds_what_the_gateway_takes(self):
        # A delay of a thousand years made no Duration, and the error of that ended the consumer.
        self.leases.settle("d1", hookgate.Nack("x" * 5000, delay=2.0 ** 70))
        (item,) = self.leases.next_frame().nack.items
        self.assertEqual(item.delay.seconds, 12 * 3600)
        self.assertEqual(len(item.reason), 1024)
        self.leases.settle("d2", hookgate.Nack(KeyError("batch")))
        (item,) = self.leases.next_frame().nack.items
        self.assertEqual(item.reason, "'batch'")

    def test_what_was_not_answered_is_written_again(self):
        self.leases.add(["d1"], 0.0)
        self.leases.ack("d1")
        first = self.leases.next_frame()
        self.leases.end_stream()
        self.assertEqual(self.leases.next_frame(), first)
        self.leases.answer([api.AckResult(delivery_id="d1")])
        self.assertTrue(self.leases.settled)

    def test_only_what_was_answered_is_not_written_again(self):
        for delivery_id in ("d1", "d2", "d3"):
            self.leases.ack(delivery_id)
        self.leases.next_frame()
        self.leases.answer(results("d1", "d2"))
        self.leases.ack("d4")
        self.leases.answer(results("d4"))  # It has not been written: it is about something else.
        self.assertFalse(self.leases.settled)
        self.leases.end_stream()
        self.assertEqual(self.leases.next_frame(),
                         api.ConsumeRequest(ack=api.Ack(delivery_ids=["d3", "d4"])))

    def test_answers_out_of_order_are_taken_by_their_ids(self):
        for delivery_id in ("d1", "d2", "d3"):
            self.leases.ack(delivery_id)
        self.leases.next_frame()
        self.leases.answer(results("d3", "d1", "of another stream"))
        self.leases.end_stream()
        self.assertEqual(self.leases.next_frame(),
                         api.ConsumeRequest(ack=api.Ack(delivery_ids=["d2"])))

    def test_an_answer_to_an_extension_is_none_to_the_ack_after_it(self):
        self.leases.add(["d1", "d2"], 0.0)
        self.leases.look(10.0, extends=True)
        self.leases.ack("d1")
        self.leases.next_frame()
        self.leases.next_frame()
        lost = api.AckResult.RESULT_LEASE_LOST
        self.assertEqual(self.leases.answer(results("d1", "d2", result=lost)), ["d2"])
        self.assertFalse(self.leases.settled)
        self.leases.answer(results("d1"))
        self.assertTrue(self.leases.settled)

    def test_extensions_are_asked_for_when_it_is_time_and_in_one_frame(self):
        # All leases were looked at whenever anything happened, so a thousand made each event slow.
        self.assertEqual(self.leases.next_time, NEVER)
        self.leases.add(["d1"], 0.0)
        self.leases.add(["d2"], 1.0)
        self.assertEqual(self.leases.next_time, 10.0)
        self.assertEqual(self.leases.look(12.0, extends=True), [])
        items = [api.Extend.Item(delivery_id=delivery_id) for delivery_id in ("d1", "d2")]
        self.assertEqual(self.leases.next_frame(),
                         api.ConsumeRequest(extend=api.Extend(items=items)))
        self.assertEqual(self.leases.next_time, 22.0)

    def test_a_lease_that_is_not_confirmed_runs_out(self):
        self.leases.add(["d1"], 0.0)
        self.leases.add(["d2"], 0.0)
        self.assertEqual(self.leases.look(10.0, extends=True), [])
        self.assertIsNotNone(self.leases.next_frame())
        self.leases.answer([api.AckResult(delivery_id="d2", result=api.AckResult.RESULT_OK)])
        self.assertEqual(self.leases.look(30.0, extends=True), ["d1"])
        self.leases.drop("d1")
        self.assertEqual(self.leases.look(40.0, extends=True), ["d2"])

    def test_none_is_extended_beyond_the_longest_lease(self):
        leases = Leases(longest_lease=5.0)
        leases.add(["d1"], 0.0)
        self.assertEqual(leases.look(10.0, extends=True), [])
        self.assertIsNone(leases.next_frame())
        self.assertEqual(leases.next_time, 30.0)  # When it ends: no reason to wake up before.


def results(*delivery_ids: str, result: api.AckResult.Result = api.AckResult.RESULT_OK) -> list:
    return [api.AckResult(delivery_id=delivery_id, result=result) for delivery_id in delivery_ids]


if __name__ == "__main__":
    unittest.main()
