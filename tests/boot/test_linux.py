"""Debian's stock kernels, unpatched: the cloud one and the one for PCs."""

import re
import time

from harness import BOTH, IMAGES, Failure, boot_test

KERNELS = {"cloud": "vmlinuz-cloud", "pc": "vmlinuz"}


def guest(name, kernel="cloud", words="", keys="", vcpus=2, memory="256M"):
    """A section of a Linux guest; words go on its command line, keys are further lines."""
    return (f"[guest {name}]\nimage = {KERNELS[kernel]}\ninitrd = initramfs.cpio.gz\n"
            f"cmdline = console=ttyS0 quiet lapwing.name={name} {words}\nmemory = {memory}\nvcpus = {vcpus}\n{keys}\n")


def interrupts(text, row):
    """The counts of a row of /proc/interrupts, one for each CPU."""
    found = re.search(rf"^ *{row}:((?: +\d+)+)", text, re.MULTILINE)
    return [int(count) for count in found[1].split()] if found else []


@boot_test(limit=60)
def bare_linux(session):
    """No Lapwing: kernel, initramfs and this harness do what the other tests rely on."""
    session.boot_kernel(f"{IMAGES}/vmlinuz-cloud", [f"{IMAGES}/initramfs.cpio.gz"],
                        "console=ttyS0 quiet lapwing.name=bare lapwing.run=echo")
    session.expect("", r"guest bare up: 2 CPUs")
    session.expect("", r"echo ready")
    session.send("hello\r")
    session.expect("", r"got: hello")
    session.send("quit\r")
    session.expect("", r"script echo done")
    session.wait_off()


@boot_test(limit=150, machines=BOTH)
def two_shells(session):
    """Two guests of two vCPUs each come up to shells that answer, and power off."""
    session.boot(guest("web") + guest("db"), memory="1G")
    session.expect("web", r"guest web up: 2 CPUs")
    session.expect("db", r"guest db up: 2 CPUs")
    for number, name in ((1, "web"), (2, "db")):
        session.focus(number)
        session.send("\r")
        session.expect(name, rf"{name}# ")
        session.send("echo $((6 * 7))-$(hostname)-$(nproc)\r")
        session.expect(name, rf"^42-{name}-2")
    session.refuse("web", r"42-db")
    session.send("poweroff -f\r")
    session.expect("lapwing", r"db: powered off")
    session.focus(1)
    session.send("echo still $((20 + 3))\r")
    session.expect("web", r"^still 23")
    session.send("poweroff -f\r")
    session.ended(web=("POWEROFF", 0), db=("POWEROFF", 0))


def cpuinfo(session, kernel, vcpus):
    session.boot(guest("g", kernel, "lapwing.run=cpuinfo", vcpus=vcpus), memory="768M")
    session.expect("g", rf"guest g up: {vcpus} CPUs")
    session.expect("g", r"script cpuinfo done: ok")
    text = session.transcript.text("g")
    processors = re.findall(r"^processor\s*: (\d+)", text, re.MULTILINE)
    if processors != [str(n) for n in range(vcpus)]:
        raise Failure(f"/proc/cpuinfo lists the processors {processors}")
    # Each vCPU is a core of the one package, with one thread.
    topology = [("physical id", ["0"] * vcpus), ("core id", [str(n) for n in range(vcpus)]),
                ("siblings", [str(vcpus)] * vcpus), ("cpu cores", [str(vcpus)] * vcpus)]
    for key, right in topology:
        found = re.findall(rf"^{key}\s*: (\d+)", text, re.MULTILINE)
        if found != right:
            raise Failure(f"/proc/cpuinfo has {key}: {', '.join(found)}")
    # The machine-check architecture is there, without banks: Linux needs no more, and has a device for it.
    if not re.search(r"^flags\s*:(?=.* mce )(?=.* mca )", text, re.MULTILINE):
        raise Failure("mce and mca are not among the flags")
    session.refuse("g", r"mce: .*")
    amd = re.search(r"^vendor_id\s*: AuthenticAMD", text, re.MULTILINE)
    if amd and bool(re.search(r"^flags\s*:.* cmp_legacy ", text, re.MULTILINE)) != (vcpus > 1):  # HTT means cores
        raise Failure("cmp_legacy is not right among the flags")
    local = interrupts(text, "LOC")
    if len(local) != vcpus or min(local) < 10:
        raise Failure(f"local timer interrupts are {local}")
    if sum(interrupts(text, "4")) == 0:
        raise Failure("the serial port interrupted no CPU")
    if interrupts(text, "ERR") != [0]:
        raise Failure(f"APIC errors: {interrupts(text, 'ERR')}")
    session.expect("g", r"^clocksource: |reboot: Power down")
    if not re.search(r"^clocksource: (kvm-clock|tsc)$", text, re.MULTILINE):
        raise Failure("the clock source is neither kvm-clock nor the TSC")
    session.ended(g=("POWEROFF", 0))


# On Bochs each is minutes, and one of each kernel is enough for each run.
SLOW = (("cloud", 4), ("pc", 1), ("pc", 4))

for _kernel in KERNELS:
    for _vcpus in (1, 2, 4):

        def _test(session, kernel=_kernel, vcpus=_vcpus):
            """The kernel finds its CPUs, clocks and interrupts, complains about none, and powers off."""
            cpuinfo(session, kernel, vcpus)

        boot_test(limit=120, name=f"linux_{_kernel}_{_vcpus}", machines=BOTH,
                  slow=("vmx",) if (_kernel, _vcpus) in SLOW else ())(_test)


@boot_test(limit=90, machines=BOTH)
def linux_without_lapic(session):
    """With lapic = off the kernel lives on the two 8259s and the 8254."""
    session.boot(guest("g", words="lapwing.run=cpuinfo", vcpus=1, keys="lapic = off"))
    session.expect("g", r"script cpuinfo done: ok")
    text = session.transcript.text("g")
    if interrupts(text, "LOC") != [0] or not re.search(r"^ *0: +\d{2,} +XT-PIC +timer", text, re.MULTILINE):
        raise Failure("its timer interrupts do not come from the PIC")
    if re.search(r"^flags\s*:.* apic ", text, re.MULTILINE):
        raise Failure("its CPU offers a LAPIC")
    session.ended(g=("POWEROFF", 0))


@boot_test(limit=120)
def linux_pause(session):
    """A busy guest that was paused for longer than its watchdog waits finds no soft lockup in itself."""
    session.boot(guest("g"))
    session.expect("g", r"guest g up: 2 CPUs")
    session.focus(1)
    session.send("\r")
    session.expect("g", r"g# ")
    session.send("echo 1 >/proc/sys/kernel/watchdog_thresh; for n in 1 2; do sh -c 'while :; do :; done' & done; "
                 "echo alarm behind $((2 * $(cat /proc/sys/kernel/watchdog_thresh))) seconds\r")
    session.expect("g", r"^alarm behind 2 seconds")
    for _ in range(2):
        session.command("pause g", r"g: paused")
        session.sleep(5)
        session.command("resume g", r"g: resumed")
        session.sleep(2)
    session.focus(1)
    session.send("dmesg | tail -n 30; echo end of $((1 + 1)) pauses; poweroff -f\r")
    session.expect("g", r"^end of 2 pauses")
    session.refuse("g", r"soft lockup|rcu: INFO|self-detected stall")
    session.ended(g=("POWEROFF", 0))


# The kernel's options that take away ACPI's part in interrupts, or the LAPICs; CPUs that it then finds, whose interrupts.
WITHOUT = [("nolapic", "cloud", 1, "XT-PIC", "acpi"), ("acpi=off", "pc", 2, "IO-APIC", None),
           ("acpi=noirq", "pc", 2, "IO-APIC", "acpi")]

for _option, _kernel, _cpus, _chip, _sci in WITHOUT:

    def _test(session, option=_option, kernel=_kernel, cpus=_cpus, chip=_chip, sci=_sci):
        """As on a PC: the 8259s through LINT0, CPUs and wires by the MP table, off by a port."""
        session.boot(guest("g", kernel, f"lapwing.run=soft-off {option}"), memory="768M")
        session.expect("g", rf"guest g up: {cpus} CPU")
        session.expect("g", r"script soft-off done")
        text = session.transcript.text("g")
        if not re.search(rf"^ *4: .* {chip} .*ttyS0", text, re.MULTILINE) or sum(interrupts(text, "4")) == 0:
            raise Failure(f"the serial port does not interrupt through the {chip}")
        if bool(re.search(r"^ *9: .* acpi$", text, re.MULTILINE)) != bool(sci):
            raise Failure("the SCI is not where it should be")
        session.refuse("g", r"^complaint: ")
        session.ended(g=("POWEROFF", 0))

    boot_test(limit=90, name=f"linux_{re.sub('[^a-z]', '_', _option)}", machines=BOTH,
              slow=() if _option == "nolapic" else ("vmx",))(_test)


@boot_test(limit=90, machines=BOTH)
def linux_sleep(session):
    """`sleep 5` takes 5 seconds of the guest's time and of ours."""
    session.boot(guest("g", words="lapwing.run=sleep"))
    session.expect("g", r"sleep begins")
    begin = time.monotonic()
    session.expect("g", r"sleep ends", 30)
    ours = time.monotonic() - begin
    found = session.expect("g", r"slept: ([\d.]+) s by uptime, (\d+) s by date")
    if not 5 <= float(found[1]) < 5.5 or not 5 <= int(found[2]) <= 6:
        raise Failure(f"the guest says: {found[0]}")
    # Ours holds what the console adds, and what else this machine was doing; Bochs leaves idle time out.
    if session.machine == "svm" and not 4.9 <= ours < 7:
        raise Failure(f"it took {ours:.2f} s here; {found[0]}")
    session.ended(g=("POWEROFF", 0))


@boot_test(limit=90, machines=BOTH, slow=("vmx",))
def linux_exit_device(session):
    """A byte to port 0xf4 ends the guest, and its value is reported as the status. (The cloud kernel has no /dev/port.)"""
    session.boot(guest("g", "pc", "lapwing.run=exit lapwing.status=3", "exit-device = on"), memory="768M")
    session.expect("g", r"script exit: 3")
    session.ended(g=("EXIT", 3))
    if session.results.badly != 1:
        raise Failure("a guest with exit status 3 counts as well")


@boot_test(limit=90, machines=BOTH, slow=("vmx",))
def linux_halt(session):
    """A kernel that halts all its CPUs with interrupts off has ended; one that sleeps has not."""
    session.boot(guest("g") + guest("idle"), memory="1G")
    session.expect("idle", r"guest idle up")
    session.expect("g", r"g# ")
    session.send("halt -f\r")
    session.expect("g", r"System halted")
    session.expect("lapwing", r"^g: halted for good")
    session.command("guests", r"idle +running")
    session.command("stop idle", r"idle: stopped")
    session.command("poweroff")
    session.ended(g="HALTED", idle="STOPPED")


@boot_test(limit=120, machines=BOTH)
def linux_restart(session):
    """A guest that resets comes up again with on-exit = restart, until the operator stops it."""
    session.boot(guest("g", words="lapwing.run=reboot", keys="on-exit = restart"))
    for _ in range(3):
        session.expect("g", r"guest g up: 2 CPUs")
        session.expect("g", r"script reboot done")
    session.command("stop g")
    session.command("poweroff")
    session.ended(g="STOPPED")


@boot_test(limit=90, machines=BOTH)
def linux_console(session):
    """Much output loses no byte and keeps its order, and much input is not lost either."""
    session.boot(guest("g"))
    session.expect("g", r"g# ")
    session.send("seq 1 5000; echo end-of-$((40 + 2))\r")
    session.expect("g", r"^end-of-42")
    numbers = [int(n) for n in re.findall(r"^\d+$", session.transcript.text("g"), re.MULTILINE)]
    if numbers != list(range(1, 5001)):
        raise Failure("of the numbers up to 5000, some are missing or out of order")
    session.send("cat > /tmp/x\r")
    session.sleep(1)
    for n in range(100):
        session.send(f"line {n} of what is typed fast\r")
    session.send("\x04")
    session.send("echo typed-$(wc -l < /tmp/x)\r")
    session.expect("g", r"^typed-100$")
    session.send("poweroff -f\r")
    session.ended(g=("POWEROFF", 0))


@boot_test(limit=400, machines=BOTH, slow=("vmx",))
def eight_guests(session):
    """Eight guests of two vCPUs each on two CPUs: all boot, all get work done, all end."""
    names = [f"g{n}" for n in range(1, 9)]
    text = "".join(guest(name, words="lapwing.run=busy lapwing.seconds=5", memory="96M") for name in names)
    session.boot(text, memory="1536M")
    for name in names:
        session.expect(name, rf"guest {name} up: 2 CPUs")
    for name in names:
        session.expect(name, r"script busy done")
    session.ended(**{name: ("POWEROFF", 0) for name in names})
