#!/usr/bin/python3
"""`peerlane topology` in guests whose hierarchies are known, since they were built here: the tree, the buffers, and for
each pair of disks the way and its reason. Linux itself is asked as well: each disk reads a block into each buffer, and
that must end as the verdict says."""

import json
import os
import unittest
import xml.etree.ElementTree

from pci_lab import MIB, PASS_THROUGH, SHARED, STANDARD, TRANSLATE, Disk, Lab

USER = os.environ.get("PEERLANE_PEER_MEMORY_USER", "build/release/tests/vm/peer_memory/peer_memory_user")

# Two more below one root port, which unlike QEMU's switches can redirect what goes from one to the other.
DISKS = (*STANDARD, Disk("E", SHARED, buffer=8), Disk("F", SHARED, buffer=8, namespaces=(64, 32)))
SWITCH = {"A", "B", "D"}

# What Linux says to a request that it does not map (7.x; 6.x said EREMOTEIO).
NOT_MAPPED = "Invalid argument"


class TopologyTest(unittest.TestCase):
    def setUp(self):
        self.guest = None

    def boot(self, **options):
        self.guest = self.enterContext(Lab(DISKS, programs=(USER,), **options))
        # Refusals of requests that a test makes on purpose.
        self.guest.expect_in_kernel_log("do not share an upstream bridge or whitelisted host bridge",
                                        "ACS redirect is set between the client and provider",
                                        "to disable ACS redirect for this path, add the kernel parameter",
                                        "Host bridge not in P2PDMA whitelist",
                                        r"invalid error, dev nvme\w+, sector 0 op 0x0:\(READ\)")
        self.names = {found.path.removeprefix("/dev/"): name if namespace == 1 else f"{name}/{namespace}"
                      for (name, namespace), found in self.guest.found.items()}
        self.addresses = {found.address: name for (name, _), found in self.guest.found.items()}

    def view(self, *options):
        return json.loads(self.guest.run(f"peerlane topology --json {' '.join(options)}"))

    def ways(self, policy):
        """For each pair its way and mapping, and the whole of what was said."""
        view = self.view("--policy", policy)
        return {(self.names[copy["source"]], self.names[copy["destination"]]): copy for copy in view["copies"]}

    def assert_ways(self, ways, expected):
        """`expected` gives (way, mapping) for a pair of two disks' names."""
        self.assertEqual(7 * 6, len(ways))
        for (source, destination), copy in ways.items():
            wanted = expected({source[0], destination[0]})
            self.assertEqual(wanted, (copy["way"], copy["mapping"]), f"{source} to {destination}: {copy['reason']}")

    def assert_linux_agrees(self, ways):
        """Each provider's mapping for a source is what the kernel does with a read into its memory."""
        for name, disk in ((name, self.guest.disk(name)) for name in "ABCDEF"):
            verdicts = {}
            for (source, _), copy in ways.items():
                for provider in copy["providers"] if source == name else ():
                    verdicts.setdefault(self.addresses[provider["provider"]], set()).add(provider["mapping"])
            self.assertEqual(set("ABEF"), set(verdicts))
            for provider, mappings in verdicts.items():
                said = self.guest.run(f"peer_memory_user reach {self.guest.disk(provider).address} {disk.path}").strip()
                # A triple's verdict is that of its worse half, so that its best one is that of this half. Only for a
                # disk's own memory both halves may be bad, and this one never is.
                mapped = mappings != {"not supported"} or provider == name
                self.assertEqual("reached" if mapped else NOT_MAPPED, said, f"{name} into {provider}: {mappings}")

    def assert_tree(self):
        functions = {function["address"]: function for function in self.view("--all")["functions"]}
        by_name = {name: functions[address] for address, name in self.addresses.items()}

        def above(name, steps):
            function = by_name[name]
            for _ in range(steps):
                function = functions[function["parent"]]
            return function

        self.assertEqual(set("ABCDEF"), set(by_name))
        for name in SWITCH:
            self.assertEqual(["downstream port", "upstream port", "root port"],
                             [above(name, steps)["role"] for steps in (1, 2, 3)])
            self.assertEqual(above("A", 2), above(name, 2))
            self.assertIsNone(above(name, 3)["parent"])
        self.assertEqual(3, len({above(name, 1)["address"] for name in SWITCH}))
        for name in "CEF":
            self.assertEqual("root port", above(name, 1)["role"])
        self.assertEqual(above("E", 1), above("F", 1))
        self.assertEqual(3, len({above(*where)["address"] for where in (("A", 3), ("C", 1), ("E", 1))}))
        sizes = {name: (function["peer_memory"] or {}).get("size", 0) for name, function in by_name.items()}
        self.assertEqual({disk.name: disk.buffer * MIB for disk in DISKS}, sizes)
        for disk in DISKS:
            memory = by_name[disk.name]["peer_memory"]
            if memory is not None:
                # The driver's submission queues lie in it as well.
                self.assertGreater(memory["available"], memory["size"] - MIB)
                self.assertTrue(memory["allocatable"])

    def acs(self, name):
        """Access Control Services of the port above a disk."""
        functions = {function["address"]: function for function in self.view()["functions"]}
        return functions[functions[self.guest.disk(name).address]["parent"]]["acs"]

    def assert_probes(self, right):
        """Tries the ways. `right` says for a disk and a provider, by their names, whether the right bytes come."""
        view = self.view("--policy kernel --probe")
        for tried in view["probes"]:
            pair = self.names[tried["disk"]], self.addresses[tried["provider"]]
            self.assertEqual(right(*pair), tried["error"] is None, f"{pair}: {tried['error']}")
        before, after = self.ways("kernel"), {}
        for copy in view["copies"]:
            after[self.names[copy["source"]], self.names[copy["destination"]]] = copy
        for (source, destination), copy in before.items():
            expected = copy["way"]
            if copy["provider"] and not all(right(disk, self.addresses[copy["provider"]])
                                            for disk in (source, destination)):
                expected = "host memory"
            self.assertEqual(expected, after[source, destination]["way"], f"{source} to {destination}")
        self.assertEqual({copy["provider"] for copy in before.values() if copy["provider"]},
                         {tried["provider"] for tried in view["probes"]})
        return view

    # --- Machines ----------------------------------------------------------------------------------------------------

    def test_a_switch_and_a_port_that_redirects(self):
        self.boot(redirect=True)
        self.assert_tree()
        ways = self.ways("kernel")

        def expected(pair):
            near = pair <= SWITCH or pair == {"F"}
            return ("peer-to-peer", "bus address") if near else ("host memory", "not supported")

        self.assert_ways(ways, expected)
        self.assert_linux_agrees(ways)
        switch = next(function["address"] for function in self.view()["functions"]
                      if function["role"] == "upstream port")
        self.assertEqual(f"both are behind the switch at {switch}, and no ACS redirect is on between them",
                         ways["A", "B"]["reason"])
        self.assertIn("there is no switch above both, and Linux does not have host bridge pci0000:00 (8086:29c0) on",
                      ways["A", "C"]["reason"])
        self.assertIn("behind one PCIe switch", ways["A", "C"]["remedy"])
        self.assertIn("ACS redirect is on at", ways["E", "F"]["reason"])
        self.assertRegex(ways["E", "F"]["remedy"], r"pci=disable_acs_redir=0000:00:0\d\.0 .* without the IOMMU's check")
        # Linux says the same when a request is refused.
        parameter = self.guest.run("dmesg | grep -o 'pci=disable_acs_redir=.*' | sort -u").strip()
        self.assertIn(parameter + " would let", ways["E", "F"]["remedy"])
        self.assertTrue(self.acs("E")["redirects"])
        self.assertFalse(self.acs("A")["present"])  # QEMU's switches have none
        # Each disk's own buffer is nearest to it; D has none.
        self.assertEqual("A", self.addresses[ways["D", "A"]["provider"]])
        self.assertIn(self.addresses[ways["A", "B"]["provider"]], "AB")
        self.check_policies()
        self.check_drawing()

    def check_policies(self):
        self.assert_ways(self.ways("off"), lambda pair: (
            "host memory", "bus address" if pair <= SWITCH or pair == {"F"} else "not supported"))
        self.assertIn("policy off does not allow it", self.ways("off")["A", "B"]["reason"])
        self.assertEqual(self.ways("kernel"), self.ways("same-switch"))  # nothing here is forwarded by the host bridge

    def check_drawing(self):
        text = self.guest.run("peerlane topology --svg /run/machine.svg")
        for disk in DISKS:
            self.assertIn(f"serial LAB-{disk.name}", text)
        root = xml.etree.ElementTree.fromstring(self.guest.run("cat /run/machine.svg"))
        drawn = "".join(root.itertext())
        for disk in DISKS:
            self.assertIn(f"LAB-{disk.name}", drawn)

    def test_a_host_bridge_that_forwards(self):
        self.boot(cpu="EPYC")
        near = [SWITCH, {"E", "F"}]

        def expected(allowed):
            def of_pair(pair):
                if any(pair <= group for group in near):
                    return "peer-to-peer", "bus address"
                return ("peer-to-peer" if allowed else "host memory"), "through host bridge"
            return of_pair

        kernel = self.ways("kernel")
        self.assert_ways(kernel, expected(True))
        self.assert_linux_agrees(kernel)
        self.assert_probes(lambda disk, provider: True)
        switch_only = self.ways("same-switch")
        self.assert_ways(switch_only, expected(False))
        self.assertIn("policy same-switch does not allow it: there is no switch above both, and this processor "
                      "(AMD Zen", switch_only["A", "C"]["reason"])

    def test_an_iommu_that_translates(self):
        self.boot(iommu=TRANSLATE)
        self.check_iommu(True)
        self.guest.expect_in_kernel_log("DMAR: DRHD: handling fault status", r"DMAR: \[DMA Write")
        # What a disk has itself it reaches without the bus.
        view = self.assert_probes(lambda disk, provider: disk[0] == provider)
        self.assertIn("other bytes are there; an IOMMU that translates does that",
                      str([tried["error"] for tried in view["probes"]]))

    def test_an_iommu_that_passes_through(self):
        self.boot(iommu=PASS_THROUGH)
        self.check_iommu(False)
        self.assert_probes(lambda disk, provider: True)

    def check_iommu(self, translates):
        """Linux switches redirection on where it finds an IOMMU. Whether that translates is said of each way, since
        what Linux says then need not be what happens."""
        self.assert_tree()
        ways = self.ways("kernel")
        self.assert_ways(ways, lambda pair: ("peer-to-peer", "bus address") if pair <= SWITCH or pair == {"F"} else
                         ("host memory", "not supported"))
        self.assertIn("ACS redirect is on at", ways["E", "F"]["reason"])
        self.assertTrue(self.acs("E")["redirects"])
        self.assertEqual({translates}, {provider["translated"] for provider in ways["A", "B"]["providers"]})
        text = " ".join(self.guest.run("peerlane topology").split())
        self.assertEqual(translates, "an IOMMU translates: the first transfer is to be checked" in text)
        types = {function["iommu_type"] for function in self.view()["functions"]
                 if function["address"] in self.addresses}
        self.assertEqual({"DMA-FQ"} if translates else {"identity"}, types)


if __name__ == "__main__":
    unittest.main()
