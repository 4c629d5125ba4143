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

    def test_what_was_not_answered_is_written_again(self):
        self.leases.add(["d1"], 0.0)
        self.leases.ack("d1")
        first = self.leases.next_frame()
        self.leases.end_stream()
        self.assertEqual(self.leases.next_frame(), first)
        self.leases.answer([api.AckResult(delivery_id="d1")])
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


if __name__ == "__main__":
    unittest.main()
