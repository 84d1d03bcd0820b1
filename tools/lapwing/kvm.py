"""What the host's KVM can do for Lapwing, which needs virtualization inside a virtual machine: usable, or what to change."""

import getpass
import grp
import os
import pwd
import stat

# KVM's modules that Lapwing has a back end for: the CPU's flag, and the parameters that have to be on, as N says they
# are not. The nested CPU has EPT, unrestricted guests or nested paging only where KVM uses them itself.
MODULES = {
    "kvm_intel": ("vmx", {"nested": "nested virtualization", "ept": "EPT", "unrestricted_guest": "unrestricted guests"}),
    "kvm_amd": ("svm", {"nested": "nested virtualization", "npt": "nested paging"}),
}


class Host:
    """The machine that QEMU would run on. root is where its /dev, /proc and /sys are, open_device what opens a device."""

    def __init__(self, root="/", open_device=os.open):
        self._root = root
        self._open = open_device

    def flag(self):
        """The CPU's flag for what is nested: "vmx", "svm", or None if neither module is loaded."""
        module = self._module()
        return MODULES[module][0] if module else None

    def problem(self):
        """Why Lapwing cannot run under KVM here, and what to do about it, in one line; None if it can."""
        module = self._module()
        if not module:
            return self._no_module()
        for parameter, what in MODULES[module][1].items():
            if self._read(f"sys/module/{module}/parameters/{parameter}") in ("N", "0"):
                without = "" if parameter == "nested" else "this CPU has none, or it is switched off: "
                return (f"{module} has no {what} (/sys/module/{module}/parameters/{parameter}): {without}end all virtual "
                        f"machines, then: sudo modprobe -r {module} && sudo modprobe {module} {parameter}=1")
        return self._device()

    def _module(self):
        for module in MODULES:
            if os.path.isdir(os.path.join(self._root, "sys/module", module)):
                return module
        return None

    def _no_module(self):
        flags = set()
        for line in self._read("proc/cpuinfo").splitlines():
            if line.startswith("flags"):
                flags.update(line.partition(":")[2].split())
        for module, (flag, _) in MODULES.items():
            if flag in flags:
                return f"{module} is not loaded: sudo modprobe {module}"
        return ("this CPU shows neither VMX nor SVM (/proc/cpuinfo): switch it on in the firmware's set-up or, if this is a "
                "virtual machine, on its host as nested virtualization")

    def _device(self):
        path = os.path.join(self._root, "dev/kvm")
        try:
            os.close(self._open(path, os.O_RDWR))
            return None
        except FileNotFoundError:
            return "there is no /dev/kvm: load KVM's modules or, if this is a container, start it with --device /dev/kvm"
        except PermissionError:
            return self._permission(os.stat(path))
        except OSError as error:
            return f"/dev/kvm cannot be opened: {error.strerror}"

    @staticmethod
    def _permission(status):
        if status.st_mode & (stat.S_IRGRP | stat.S_IWGRP) != stat.S_IRGRP | stat.S_IWGRP:
            return (f"you may not open /dev/kvm, only {_name(pwd.getpwuid, status.st_uid)} may: "
                    "sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm, and be in the group kvm")
        group = _name(grp.getgrgid, status.st_gid)
        return (f"you may not open /dev/kvm, the group {group} may: sudo usermod -aG {group} {getpass.getuser()}, "
                "and log in again")

    def _read(self, path):
        try:
            with open(os.path.join(self._root, path), encoding="ascii", errors="replace") as file:
                return file.read().strip()
        except OSError:
            return ""


def _name(find, number):
    try:
        return find(number)[0]
    except KeyError:
        return str(number)
