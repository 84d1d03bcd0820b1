"""Machines and files that Lapwing cannot do with: one line says what is missing and what to do, and what follows is orderly."""

import os
import re

from harness import GUESTS, HYPERVISOR, HYPERVISOR_LINES, Failure, boot_test, locate
from lapwing import iso, machine

GUEST = "[lapwing]\non-end = poweroff\n[guest g]\nimage = hello-mb.elf\nmemory = 16M\n"

# What Lapwing prints in any case.
ORDINARY = (r"Lapwing \S+ starts|time: .*|W\^X: .* 0 violations|\d+ CPUs, .*|keyboard: .*|NAME .*|g .*|result .*|g: not started: .*|"
            r"all guests ended: .*|stopped|>.*|p(o.*)?|")  # "power off", or what of it came before the end

NESTED_HINT = "use one that does, or, if this is a virtual machine, switch nested virtualization on"


def complains(session, *expected):
    """Of what is not ordinary, Lapwing has printed these lines, and each once."""
    lines = session.transcript.text(HYPERVISOR_LINES).splitlines()
    found = [line for line in lines if not re.fullmatch(ORDINARY, line)]
    if found != list(expected):
        raise Failure(f"Lapwing complains {found}, not {list(expected)}")


def without_guests(session, line):
    """No guest is started, each is reported, and then the machine is switched off, as on-end says."""
    session.expect(HYPERVISOR_LINES, r"^\d CPUs, \d+ MiB for guests, \d+ MiB for root, back end none$")
    session.expect(HYPERVISOR_LINES, r"^g: not started: not supported by this CPU or machine \(")
    session.ended(g="NOT_CREATED")
    complains(session, line)


def stops(session, line, last="stopped"):
    """Nothing follows, and the machine stays on, so that the line can be read."""
    session.expect(HYPERVISOR_LINES, rf"^{last or re.escape(line)}$")
    session.sleep(1)
    complains(session, line)


def without_config(session, what):
    """The prompt is there all the same."""
    session.expect(HYPERVISOR_LINES, r"^all guests ended: 0 well, 0 badly$")
    complains(session, f"no config file{what}: load it as a boot module named lapwing.conf "
                       "(in grub.cfg: module2 FILE lapwing.conf)")
    session.command("poweroff")
    session.wait_off()


def boot_module(session, name=None, content=b""):
    """Lapwing with one boot module, or none."""
    commands, files = ["multiboot2 /boot/lapwing.elf"], {"/boot/lapwing.elf": HYPERVISOR}
    if name:
        files["/boot/module"] = session.path("module")
        with open(files["/boot/module"], "wb") as file:
            file.write(content)
        commands.append(f"module2 --nounzip /boot/module {name}")
    session.boot_bare(commands, files)


# ---- CPUs without SVM's or VMX's parts -------------------------------------------------------------------------------


@boot_test(limit=60)
def no_svm(session):
    """A CPU without SVM."""
    session.boot(GUEST, kind="svm", extra=["-cpu", "max,svm=off"])
    without_guests(session, f"this CPU offers neither AMD SVM nor Intel VMX, and no guest runs without: {NESTED_HINT}")


@boot_test(limit=150)
def no_vmx(session):
    """An Intel CPU without VMX."""
    session.boot(GUEST, kind="vmx", cpu="p4_prescott_celeron_336")
    without_guests(session, f"this CPU offers neither AMD SVM nor Intel VMX, and no guest runs without: {NESTED_HINT}")


@boot_test(limit=60)
def no_nested_paging(session):
    """SVM without nested paging."""
    session.boot(GUEST, kind="svm", extra=["-cpu", "max,npt=off"])
    without_guests(session, "this CPU's SVM has no nested paging (CPUID 8000_000A EDX.NP), which Lapwing needs: "
                            "use a newer CPU")


def boot_after_wrmsr(session, host, msr, value):
    """Lapwing and a guest, after GRUB has written an MSR in the firmware's place."""
    files = {"/boot/lapwing.elf": HYPERVISOR, "/boot/lapwing.conf": session.path("lapwing.conf"),
             "/boot/guest": os.path.join(GUESTS, "hello-mb.elf")}
    with open(files["/boot/lapwing.conf"], "w", encoding="utf-8") as file:
        file.write(locate(GUEST))
    image = session.path("wrmsr.iso")
    iso.make(image, [f"wrmsr {msr:#x} {value:#x}", "multiboot2 /boot/lapwing.elf",
                     "module2 --nounzip /boot/lapwing.conf lapwing.conf",
                     "module2 --nounzip /boot/guest " + files["/boot/guest"]], files, "wrmsr")
    session.start(host, image)


@boot_test(limit=150)
def svm_switched_off(session):
    """VM_CR.SVMDIS is set; Bochs has it, QEMU has not (APM Vol. 2, 15.30.1)."""
    boot_after_wrmsr(session, machine.Machine("vmx", cpu="ryzen"), 0xc0010114, 0x10)
    without_guests(session, "SVM is switched off in VM_CR: enable virtualization (SVM) in the firmware's set-up")


@boot_test(limit=150)
def vmx_locked_off(session):
    """IA32_FEATURE_CONTROL is locked without VMX in it (SDM Vol. 3, 24.7)."""
    boot_after_wrmsr(session, machine.Machine("vmx", firmware="seabios"), 0x3a, 1)
    without_guests(session, "VMX is locked off in IA32_FEATURE_CONTROL: enable virtualization (VT-x) in the firmware's set-up")


@boot_test(limit=150)
def no_ept(session):
    """VMX without EPT."""
    session.boot(GUEST, kind="vmx", cpu="core2_penryn_t9600")
    without_guests(session, "this CPU's VMX has no EPT, which Lapwing needs: use a newer CPU")


@boot_test(limit=150)
def no_unrestricted_guest(session):
    """VMX with EPT, without unrestricted guests."""
    session.boot(GUEST, kind="vmx", cpu="corei5_lynnfield_750")
    without_guests(session, "this CPU's VMX has no unrestricted guest, which Lapwing needs: use a newer CPU")


# ---- Machines on which root itself cannot run ------------------------------------------------------------------------


@boot_test(limit=60)
def no_long_mode(session):
    """A CPU of 32 bits."""
    session.boot(GUEST, kind="svm", extra=["-cpu", "max,lm=off"])
    stops(session, "this CPU has no 64-bit mode: Lapwing needs an x86-64 CPU", last="")


@boot_test(limit=60)
def no_execute_disable(session):
    """NX is switched off."""
    session.boot(GUEST, kind="svm", extra=["-cpu", "max,nx=off"])
    stops(session, "this CPU has no-execute pages switched off: enable NX/XD in the firmware's set-up", last="")


@boot_test(limit=60)
def no_local_apic(session):
    """A CPU without local APIC."""
    session.boot(GUEST, kind="svm", extra=["-cpu", "max,apic=off"])
    stops(session, "this CPU has no local APIC, or the firmware switched it off: enable it in its set-up")


@boot_test(limit=60)
def little_memory(session):
    """24 MiB, of which the image, at 16 MiB, leaves too little."""
    session.boot(GUEST, kind="svm", memory="24M")
    stops(session, "memory: 23 MiB of RAM, but no 8 MiB in one piece below 4 GiB: give the machine more, "
                   "32 MiB beside modules and guests")


@boot_test(limit=60)
def least_memory(session):
    """32 MiB, which that line asks for: Lapwing runs, and says of the guest that there is no room for it."""
    session.boot(GUEST.replace("16M", "20M"), problems=True, kind="svm", memory="32M")
    session.check_memory()
    session.ended(g="BAD_CONFIG")
    session.transcript.rewind(HYPERVISOR_LINES)
    session.expect(HYPERVISOR_LINES, r"^lapwing\.conf:5:10: .*20M")


# ---- No config file --------------------------------------------------------------------------------------------------


@boot_test(limit=60)
def no_module(session):
    """No boot module at all."""
    boot_module(session)
    without_config(session, "")


@boot_test(limit=60)
def config_too_large(session):
    """The only module is too large for a config file."""
    boot_module(session, "vmlinuz", b"#" * ((1 << 20) + 1))
    without_config(session, ' (the boot module "vmlinuz" is larger than 1 MiB)')


@boot_test(limit=60)
def config_no_text(session):
    """The config file is a program."""
    boot_module(session, "lapwing.conf", b"\x7fELF" + bytes(range(255, -1, -1)) * 16)
    without_config(session, ' (the boot module "lapwing.conf" is no text)')


@boot_test(limit=60)
def config_empty(session):
    """The config file is of no size."""
    boot_module(session, "lapwing.conf")
    without_config(session, ' (the boot module "lapwing.conf" is empty)')


@boot_test(limit=60)
def config_utf16(session):
    """The config file is a text that an editor saved as UTF-16, with the mark at its beginning."""
    boot_module(session, "lapwing.conf", "[lapwing]\n".encode("utf-16"))
    session.expect(HYPERVISOR_LINES, r"^all guests ended: 0 well, 0 badly$")
    complains(session, "lapwing.conf:1:1: this file is UTF-16: save it as UTF-8 or ASCII",
              "no guest can be started: correct what is said above; `lapwing check FILE` does so before")
    session.wait_off()
