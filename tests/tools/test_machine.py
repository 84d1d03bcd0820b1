"""Which machine a run takes, why it does not take KVM, and the emulators' command lines; /dev, /proc and /sys are made up."""

import getpass
import grp
import os
import tempfile
import unittest
from unittest import mock

from lapwing import kvm, machine
from lapwing.base import EXIT_MACHINE, LapwingError

INTEL = {"nested": "Y", "ept": "Y", "unrestricted_guest": "Y"}
AMD = {"nested": "1", "npt": "Y"}


class HostCase(unittest.TestCase):
    """A made-up host: module and its parameters, CPU flags, whether there is a /dev/kvm."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)

    def host(self, module=None, parameters=None, flags="fpu vmx", device=True, refusal=None):
        os.makedirs(os.path.join(self.root, "sys/module/kvm"), exist_ok=True)
        for name, value in (parameters or {}).items():
            self.write(f"sys/module/{module}/parameters/{name}", value + "\n")
        self.write("proc/cpuinfo", f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: svm\n")
        if device:
            self.write("dev/kvm", "")
        if refusal:
            return kvm.Host(self.root, mock.Mock(side_effect=refusal))
        return kvm.Host(self.root)


class Usable(HostCase):
    def test_intel(self):
        host = self.host("kvm_intel", INTEL)
        self.assertIsNone(host.problem())
        self.assertEqual(host.flag(), "vmx")
        self.assertEqual(machine.Machine("kvm", host=host).kind, "kvm")
        self.assertEqual(machine.Machine("auto", host=host).kind, "kvm")

    def test_amd(self):
        host = self.host("kvm_amd", AMD, flags="svm")
        self.assertIsNone(host.problem())
        self.assertEqual(host.flag(), "svm")
        self.assertEqual(machine.Machine("auto", host=host).kind, "kvm")

    def test_parameters_that_cannot_be_read(self):
        """Older kernels, and containers, do not show all; then the hypervisor finds out."""
        self.assertIsNone(self.host("kvm_amd", {"nested": "1"}).problem())


class Refused(HostCase):
    def check(self, host, *words):
        """--machine kvm says all these words in one line, and auto takes svm."""
        with self.assertRaises(LapwingError) as caught:
            machine.Machine("kvm", host=host)
        line = str(caught.exception)
        self.assertEqual(caught.exception.status, EXIT_MACHINE)
        self.assertTrue(line.startswith("--machine kvm: "), line)
        self.assertNotIn("\n", line)
        for word in (*words, "or use --machine svm"):
            self.assertIn(word, line)
        self.assertEqual(machine.Machine("auto", host=host).kind, "svm")

    def test_cpu_without(self):
        self.check(self.host(flags="fpu lm"), "neither VMX nor SVM", "firmware")

    def test_intel_module_not_loaded(self):
        self.check(self.host(flags="fpu vmx"), "kvm_intel is not loaded: sudo modprobe kvm_intel")

    def test_amd_module_not_loaded(self):
        self.check(self.host(flags="fpu svm", device=False), "kvm_amd is not loaded: sudo modprobe kvm_amd")

    def test_intel_switches(self):
        for name, what in (("nested", "nested virtualization"), ("ept", "EPT"),
                           ("unrestricted_guest", "unrestricted guests")):
            for off in ("N", "0"):
                with self.subTest(name=name, off=off):
                    self.check(self.host("kvm_intel", {**INTEL, name: off}), f"kvm_intel has no {what}",
                               f"/sys/module/kvm_intel/parameters/{name}",
                               f"sudo modprobe -r kvm_intel && sudo modprobe kvm_intel {name}=1")

    def test_amd_switches(self):
        for name, what in (("nested", "nested virtualization"), ("npt", "nested paging")):
            with self.subTest(name=name):
                self.check(self.host("kvm_amd", {**AMD, name: "0"}), f"kvm_amd has no {what}",
                           f"sudo modprobe -r kvm_amd && sudo modprobe kvm_amd {name}=1")

    def test_no_device(self):
        self.check(self.host("kvm_intel", INTEL, device=False), "there is no /dev/kvm", "--device /dev/kvm")

    def test_no_permission(self):
        host = self.host("kvm_intel", INTEL, refusal=PermissionError(13, "Permission denied"))
        os.chmod(os.path.join(self.root, "dev/kvm"), 0o660)
        group = grp.getgrgid(os.stat(os.path.join(self.root, "dev/kvm")).st_gid)[0]
        self.check(host, f"the group {group} may", f"sudo usermod -aG {group} {getpass.getuser()}")

    def test_no_permission_for_any_group(self):
        host = self.host("kvm_intel", INTEL, refusal=PermissionError(13, "Permission denied"))
        os.chmod(os.path.join(self.root, "dev/kvm"), 0o600)
        self.check(host, "you may not open /dev/kvm", "sudo chmod 660 /dev/kvm")

    def test_device_of_nobody(self):
        self.check(self.host("kvm_intel", INTEL, refusal=OSError(19, "No such device")),
                   "/dev/kvm cannot be opened: No such device")


class CommandLine(HostCase):
    def setUp(self):
        super().setUp()
        patch = mock.patch.object(machine, "need_emulators")
        patch.start()
        self.addCleanup(patch.stop)

    def pairs(self, command):
        return set(zip(command, command[1:]))

    def test_kvm_intel(self):
        host = self.host("kvm_intel", INTEL)
        command = machine.Machine("kvm", cpus=3, memory=1 << 30, host=host, extra=["-s"]).qemu("x.iso")
        self.assertEqual(command[:3], [machine.LOADER, "--library-path", machine.LIBRARIES])
        self.assertEqual(command[3], os.path.join(machine.ROOT, "usr/bin/qemu-system-x86_64"))
        self.assertLessEqual({("-accel", "kvm,kernel-irqchip=on"), ("-cpu", "host,migratable=off,+vmx"), ("-smp", "3"),
                              ("-m", "1024M"), ("-M", "q35"), ("-cdrom", "x.iso")}, self.pairs(command))
        self.assertEqual(command[-1], "-s")
        self.assertNotIn("tcg", " ".join(command))

    def test_kvm_amd(self):
        command = machine.Machine("kvm", host=self.host("kvm_amd", AMD)).qemu("x.iso")
        self.assertIn(("-cpu", "host,migratable=off,+svm"), self.pairs(command))

    def test_svm(self):
        for kind in ("svm", "svm72"):
            command = machine.Machine(kind, host=self.host()).qemu("x.iso")
            self.assertLessEqual({("-accel", "tcg"), ("-cpu", "max")}, self.pairs(command))
        self.assertEqual(command[0], "qemu-system-x86_64")

    def test_bochs_cpu(self):
        for given, model in (({}, "corei7_skylake_x"), ({"cpu": "ryzen"}, "ryzen")):
            machine.Machine("vmx", cpus=4, **given).bochs("x.iso", self.root, "/dev/pts/9")
            with open(os.path.join(self.root, "bochsrc"), encoding="utf-8") as file:
                self.assertIn(f"\ncpu: model={model}, count=4, ", file.read())

    def test_bochs_paths(self):
        """A folder for temporary files may have commas and blanks in its name, as the checkout's may."""
        folder = os.path.join(self.root, "a,b c")
        os.mkdir(folder)
        machine.Machine("vmx").bochs(os.path.join(folder, "run.iso"), folder, "/dev/pts/9")
        with open(os.path.join(folder, "bochsrc"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn(f', path="{folder}/run.iso", ', text)
        self.assertIn(f'\nlog: "{folder}/bochs.log"\n', text)
        self.assertIn(f'\nromimage: file="{machine.ROOT}/usr/share/bochs/BIOS-bochs-latest"\n', text)

    def test_mended_bochs(self):
        with mock.patch.object(machine, "MENDED_BOCHS", os.path.join(self.root, "bochs")):
            with self.assertRaisesRegex(LapwingError, "^the mended Bochs is not in build/bochs; run make bochs$"):
                machine.Machine("vmx", mended=True).bochs("x.iso", self.root, "/dev/pts/9")
            self.write("bochs", "")
            command = machine.Machine("vmx", mended=True).bochs("x.iso", self.root, "/dev/pts/9")
        self.assertEqual(command[:2], [os.path.join(self.root, "bochs"), "-q"])
        with open(os.path.join(self.root, "bochsrc"), encoding="utf-8") as file:
            self.assertIn("\ndisplay_library: nogui\n", file.read())


if __name__ == "__main__":
    unittest.main()
