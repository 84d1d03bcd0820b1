"""The machines that Lapwing can run on here: which emulator, and its command line.

    svm    QEMU 10 of build/emu, emulating an AMD CPU with SVM          svm72  the same with the system's QEMU (Debian 12: 7.2)
    vmx    Bochs 3 of build/emu, emulating an Intel CPU with VMX        kvm    QEMU 10 with KVM and nested virtualization
    auto   kvm where the host can do it, else svm
"""

import os

from . import kvm
from .base import BUILD, EXIT_USAGE, LapwingError, count

ROOT = os.path.join(BUILD, "emu", "root")
LIBRARIES = os.path.join(ROOT, "usr", "lib", "x86_64-linux-gnu")
LOADER = os.path.join(ROOT, "lib64", "ld-linux-x86-64.so.2")
MENDED_BOCHS = os.path.join(BUILD, "bochs", "bochs")
OVMF = os.path.join(ROOT, "usr", "share", "ovmf", "OVMF.fd")

KINDS = ("auto", "svm", "vmx", "kvm", "svm72")

# With more than one CPU, Bochs 3.0 loses the new RIP where a VM exit comes between an exception in the guest and its handler's
# first instruction: docs/debugging.md. Linux fails by that once in some twenty boots.
DEFAULT_CPUS = {"vmx": 1}
OTHER_CPUS = 2
MIN_MEMORY = 512 << 20
BOCHS_CPU = "corei7_skylake_x"
BOCHS_HOST_MEGABYTES = 2048  # most that it takes of the host's; it keeps what does not fit in a file


def default_cpus(kind):
    return DEFAULT_CPUS.get(kind, OTHER_CPUS)


class Machine:
    """What to run on. boot is "cdrom" (an ISO), "usb" (the ISO as a stick) or "kernel" (by PVH). firmware is "bios" or "uefi",
    for Bochs "bios" or "seabios" (which leaves IA32_FEATURE_CONTROL unlocked); cpu Bochs' CPU model; debugger: it can be
    stopped and looked into (Emulator.debugger); mended: Bochs is that of `make bochs` (tools/bochs)."""

    def __init__(self, kind="svm", cpus=None, memory=MIN_MEMORY, firmware="bios", boot="cdrom", extra=(),
                 cpu=BOCHS_CPU, host=None, debugger=False, mended=False):
        self._host = host or kvm.Host()
        self.kind = choose(kind, self._host)
        self.cpu = cpu
        self.cpus = cpus or default_cpus(kind)
        self.memory = memory
        self.firmware = firmware
        self.boot = boot
        self.extra = list(extra)
        self.debugger = debugger
        self.mended = mended

    def describe(self):
        emulator = "Bochs 3.0" if self.kind == "vmx" else "the system's QEMU" if self.kind == "svm72" else "QEMU 10"
        return f"{self.kind} on {emulator}, {count(self.cpus, 'CPU')}, {self.memory >> 20}M"

    def qemu(self, image, serial="stdio", modules=(), kernel_args="", debugger=None):
        """The command line of QEMU; image is the ISO, or for boot="kernel" the kernel (modules: its initrds). debugger: path of
        the socket for GDB's protocol, if the machine is to have a debugger."""
        if self.kind == "svm72":
            command = ["qemu-system-x86_64"]
        else:
            need_emulators()
            share = os.path.join(ROOT, "usr", "share")
            command = [LOADER, "--library-path", LIBRARIES, os.path.join(ROOT, "usr", "bin", "qemu-system-x86_64"),
                       "-L", os.path.join(share, "qemu"), "-L", os.path.join(share, "seabios")]
        accel = self._kvm() if self.kind == "kvm" else ["-accel", "tcg", "-cpu", "max"]
        command += ["-M", "q35", *accel, "-smp", str(self.cpus), "-m", f"{self.memory >> 20}M", "-nodefaults",
                    "-no-user-config", "-no-reboot", "-display", "none", "-serial", serial]
        if self.firmware == "uefi":
            command += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF}"]
        if self.boot == "kernel":
            command += ["-kernel", image]
            command += ["-initrd", ",".join(modules)] if modules else []
            command += ["-append", kernel_args] if kernel_args else []
        elif self.boot == "usb":
            command += ["-drive", f"if=none,id=stick,format=raw,readonly=on,file={image}", "-device", "qemu-xhci",
                        "-device", "usb-storage,drive=stick,bootindex=0"]
        else:
            command += ["-cdrom", image]
        if self.debugger:
            command += ["-gdb", f"unix:{debugger},server=on,wait=off"]
        return command + self.extra

    def _kvm(self):
        # KVM nests only with the LAPICs that it emulates itself. What could not migrate, the invariant TSC above all, is
        # there without migration only. QEMU warns, and Lapwing says so, if the flag is not to be had after all.
        return ["-accel", "kvm,kernel-irqchip=on", "-cpu", f"host,migratable=off,+{self._host.flag()}"]

    def bochs(self, image, folder, serial):
        """Write Bochs' config files into a folder; its command line. serial is a terminal device. With a debugger, Bochs waits
        for the first command."""
        need_emulators()
        if self.extra:
            raise LapwingError("--machine vmx takes no emulator arguments", EXIT_USAGE)
        if self.firmware not in ("bios", "seabios") or self.boot != "cdrom":
            raise LapwingError("--machine vmx boots from a CD with a BIOS only", EXIT_USAGE)
        if not 1 <= self.cpus <= 15:
            raise LapwingError(f"--machine vmx has 1 to 15 CPUs, not {self.cpus}", EXIT_USAGE)
        share = os.path.join(ROOT, "usr", "share", "bochs")
        rom = os.path.join(ROOT, "usr", "share", "seabios", "bios.bin") if self.firmware == "seabios" else \
            os.path.join(share, "BIOS-bochs-latest")
        with open(os.path.join(folder, "bochsrc"), "w", encoding="utf-8") as file:
            megabytes = self.memory >> 20
            file.write(BOCHSRC.format(megabytes=megabytes, host_megabytes=min(megabytes, BOCHS_HOST_MEGABYTES), cpu=self.cpu,
                                      cpus=self.cpus, share=share, rom=rom, image=image, serial=serial,
                                      display="nogui" if self.mended else "term", log=os.path.join(folder, "bochs.log")))
            if self.mended:
                file.write(BOCHSRC_LONG)
        with open(os.path.join(folder, "go"), "w", encoding="utf-8") as file:
            file.write("c\nquit\n")
        first = ["-debugger"] if self.debugger else ["-rc", os.path.join(folder, "go")]
        return [*self._bochs_program(), "-q", "-f", os.path.join(folder, "bochsrc"), *first]

    def _bochs_program(self):
        if not self.mended:
            return [LOADER, "--library-path", LIBRARIES + ":" + os.path.join(LIBRARIES, "pulseaudio"),
                    os.path.join(ROOT, "usr", "bin", "bochs-bin")]
        if not os.path.exists(MENDED_BOCHS):
            raise LapwingError("the mended Bochs is not in build/bochs; run make bochs")
        return [MENDED_BOCHS]


# What Bochs' libraries and its terminal front end look for in the environment.
BOCHS_ENVIRONMENT = {
    "TERM": "xterm",
    "BXSHARE": os.path.join(ROOT, "usr", "share", "bochs"),
    "LTDL_LIBRARY_PATH": os.path.join(LIBRARIES, "bochs", "plugins"),
}

# In quotes a path may have commas and blanks.
BOCHSRC = """\
config_interface: textconfig
display_library: {display}
plugin_ctrl: iodebug=true, e1000=false, es1370=false, sb16=false, gameport=false, voodoo=false, busmouse=false
memory: guest={megabytes}, host={host_megabytes}
cpu: model={cpu}, count={cpus}, ips=100000000, quantum=16, reset_on_triple_fault=0, ignore_bad_msrs=1
romimage: file="{rom}"
vgaromimage: file="{share}/VGABIOS-lgpl-latest"
boot: cdrom
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path="{image}", status=inserted
com1: enabled=1, mode=term, dev={serial}
clock: sync=none, time0=utc
panic: action=fatal
log: "{log}"
"""

# For hours, the display is not "term", with which Bochs stands still once the screen's changes have filled a terminal that nobody
# reads, as Linux's cursor does in minutes; Debian's binary has no other. And nothing is logged but a panic: "nogui" logs its speed
# each second from a signal's handler, which waits for ever if the signal came in the middle of another line.
BOCHSRC_LONG = """\
info: action=ignore
error: action=ignore
"""


def need_emulators():
    if not os.path.exists(LOADER):
        raise LapwingError("the emulators are not in build/emu; run tools/setup")


def choose(kind, host):
    """A kind that is not "auto"."""
    if kind not in ("auto", "kvm"):
        return kind
    problem = host.problem()
    if kind == "auto":
        return "svm" if problem else "kvm"
    if problem:
        raise LapwingError(f"--machine kvm: {problem}; or use --machine svm")
    return kind
