"""A machine in which KVM runs Lapwing, without hardware for it: an emulator, Debian's cloud kernel with KVM as the host
in it, and in that host QEMU of build/emu with `-accel kvm`, which boots Lapwing's ISO as `--machine kvm` does.

    machine  outer emulator                               KVM's module
    svm      QEMU, which emulates an AMD CPU with SVM     kvm-amd
    vmx      the mended Bochs (tools/bochs) with VMX      kvm-intel

The inner machine's serial port is the outer one's, so a Session sees Lapwing's lines as ever. Behind them the host says
`HOST inner status N`, what the inner QEMU ended with, and what its kernel complained about.
"""

import glob
import os
import re
import subprocess

from harness import IMAGES, Failure, config, iso, locate
from lapwing import cpio
from lapwing.machine import LIBRARIES, LOADER, ROOT

PACKAGES = os.path.join(IMAGES, "deb", "root")
QEMU = os.path.join(ROOT, "usr", "bin", "qemu-system-x86_64")

# kvm-intel without APICv: so it has run to its end. With it, and the mended delivery of virtual interrupts, guests came up to their
# kernels' first lines, and no vector 0 came any more (tools/bochs/README.md).
# Machine: the CPU's flag, KVM's module and its parameters, memory of the host and, in MiB, of the machine in it.
HOSTS = {
    "svm": ("svm", "arch/x86/kvm/kvm-amd.ko", "nested=1", "3G", 900),
    "vmx": ("vmx", "arch/x86/kvm/kvm-intel.ko", "nested=1 enable_apicv=0", "1536M", 500),
}

# The inner QEMU ends by itself when Lapwing switches off; the limit is for a host that would idle for ever.
INIT = """\
#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
stty -opost </dev/console
insmod /modules/irqbypass.ko
insmod /modules/kvm.ko
insmod /modules/{module} {parameters}
timeout {seconds} /qemu/ld.so --library-path /qemu/lib /qemu/qemu -L /qemu/share -M q35 \\
    -accel kvm,kernel-irqchip=on -cpu host,migratable=off,+{flag} -smp 2 -m {memory}M \\
    -nodefaults -no-user-config -no-reboot -display none -serial stdio -cdrom /lapwing.iso </dev/null
echo "HOST inner status $?"
dmesg | grep -E 'kvm|BUG|WARN|Call Trace' | head -n 20
echo "HOST done"
sleep 1
poweroff -f
"""


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _libraries():
    """The shared libraries that QEMU loads."""
    listed = subprocess.run([LOADER, "--library-path", LIBRARIES, "--list", QEMU], check=True, stdout=subprocess.PIPE, text=True)
    return sorted(set(re.findall(r"(/\S+) \(0x", listed.stdout)))


def _modules(own):
    found = glob.glob(os.path.join(PACKAGES, "lib", "modules", "*cloud*", "kernel", "virt", "lib", "irqbypass.ko"))
    if len(found) != 1:
        raise Failure(f"{len(found)} cloud kernels have KVM's modules in build/images; make images")
    top = found[0].partition("/virt/")[0]
    return [os.path.join(top, name) for name in ("virt/lib/irqbypass.ko", "arch/x86/kvm/kvm.ko", own)]


def _firmware():
    """{name: path} of what QEMU takes from its -L folder: its small files, for no UEFI image is needed."""
    files = {}
    for folder in ("seabios", "qemu"):
        for name in os.listdir(os.path.join(ROOT, "usr", "share", folder)):
            path = os.path.join(ROOT, "usr", "share", folder, name)
            if os.path.isfile(path) and not name.endswith(".fd") and not name.startswith("edk2"):
                files.setdefault(name, path)
    return files


def _initramfs(image, module, init):
    archive = cpio.Archive()
    for name in ("bin", "dev", "proc", "sys", "modules", "qemu", "qemu/lib", "qemu/share"):
        archive.directory(name)
    archive.character_device("dev/console", 5, 1)
    archive.file("bin/busybox", _read(os.path.join(PACKAGES, "bin", "busybox")), 0o755)
    for applet in ("dmesg", "echo", "grep", "head", "insmod", "mount", "poweroff", "sh", "sleep", "stty", "timeout"):
        archive.symlink(f"bin/{applet}", "busybox")
    for path in _modules(module):
        archive.file("modules/" + os.path.basename(path), _read(path))
    for path in _libraries():
        archive.file("qemu/lib/" + os.path.basename(path), _read(path), 0o755)
    for name, path in _firmware().items():
        archive.file("qemu/share/" + name, _read(path))
    archive.file("qemu/ld.so", _read(LOADER), 0o755)
    archive.file("qemu/qemu", _read(QEMU), 0o755)
    archive.file("lapwing.iso", _read(image))
    archive.file("init", init.encode(), 0o755)
    return archive.image(level=1)


def boot(session, text, parameters="", seconds=1500):
    """Boot a config in KVM in an emulator. parameters: more of KVM's module's; seconds: what the inner machine may take."""
    conf, image, initrd = session.path("lapwing.conf"), session.path("inner.iso"), session.path("host.cpio.gz")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(locate(text))
    found = config.check(conf)
    if found.problems:
        raise Failure("the test's config is wrong: " + found.problems.strip().splitlines()[0])
    iso.for_config(image, found)
    flag, module, own, memory, inner = HOSTS[session.machine]
    init = INIT.format(module=os.path.basename(module), parameters=f"{own} {parameters}", flag=flag, memory=inner,
                       seconds=seconds)
    with open(initrd, "wb") as file:
        file.write(_initramfs(image, module, init))
    kernel, words = os.path.join(IMAGES, "vmlinuz-cloud"), "console=ttyS0 quiet nowatchdog"
    if session.machine == "svm":
        session.boot_kernel(kernel, [initrd], words, memory=memory, cpus=2)
        return
    # Bochs skips idle time, which a clock watchdog would take for a fault of the TSC.
    session.boot_bare([f"linux /boot/kernel {words} tsc=reliable", "initrd /boot/initrd"],
                      {"/boot/kernel": kernel, "/boot/initrd": initrd}, grub_modules="linux", memory=memory, cpus=2, mended=True)
