"""Creating a guest: every allocation of root's fails in turn, and nothing is left behind."""

from harness import BOTH, Failure, boot_test
from root import Root, compare

ROUNDS = 10
FEWEST = 40  # allocations that a guest with two vCPUs needs at least


def fail_in_turn(session, root, name):
    """Start a guest with its first, second, ... allocation failing, until it starts; how many there were."""
    before = root.snapshot()
    for n in range(1, 1000):
        if n == FEWEST:
            compare(before, root.snapshot())
        root.fail_allocation(n)
        if session.command(f"start {name}", rf"{name}: (not )?started")[1] is None:
            root.fail_allocation(0)
            return n - 1
    raise Failure(f"{name} does not start")


def every_allocation(session, keys, memory="16M", ready=r"spin: \d CPUs spin", machine_memory="512M"):
    """ready: what the guest prints in the end; None: it is stopped at once."""
    session.boot(f"[lapwing]\non-end = stay\n[guest g]\nimage = spin.elf\nmemory = {memory}\n{keys}\n", debugger=True,
                 memory=machine_memory)
    session.expect("lapwing", r"keyboard: g", limit=60)
    debugger = session.debugger()
    debugger.go()
    root = Root(debugger)
    session.command("stop g", r"g: stopped")
    before = root.snapshot()
    for _ in range(ROUNDS):
        count = fail_in_turn(session, root, "g")
        if root.vms() != 1:
            raise Failure(f"{root.vms()} VMs after one was created")
        if ready:
            session.expect("g", ready)
        session.command("stop g", r"g: stopped")
        # The vCPUs that ran took ASIDs, which are never given back but handed out anew all together.
        compare(before, root.snapshot(), but=("ASIDs",))
        if count < FEWEST:
            raise Failure(f"only {count} allocations failed")
    debugger.halt()
    debugger.close()
    session.command("start g", r"g: started")
    session.command("poweroff")
    session.ended(g="STOPPED")
    return count


# What control's parser would never let through: field of struct abi_vm_config, its size, what control may ask of root.
REFUSED = [
    ("vcpus", 4, (0, 256, 257, 0x7fffffff, 0xffffffff)),
    ("weight", 4, (0, 10001, 0xffffffff)),
    ("memory", 8, (0, (2 << 20) - 4096, (2 << 20) + 1, (512 << 30) + 4096, 1 << 63, (1 << 64) - 4096)),
    ("module_count", 4, (17, 0xffffffff)),
    ("image", 4, (64, 0x7fffffff)),
    ("initrd", 4, (64,)),
]


@boot_test(limit=60, machines=BOTH)
def creation_refused(session):
    """Root refuses what no config may say, and nothing is left behind; what it then creates is one VM."""
    session.boot("[lapwing]\non-end = stay\n[guest g]\nimage = spin.elf\nmemory = 16M\n", debugger=True)
    session.expect("g", r"spin: 1 CPUs spin")
    debugger = session.debugger()
    debugger.go()
    root = Root(debugger)
    session.command("stop g", r"g: stopped")
    before = root.snapshot()
    for field, size, values in REFUSED:
        for value in values:
            debugger.halt()
            session.command("start g")
            session.sleep(0.1)  # it is in the serial port now, and root stands still
            root.stop_at("vm_create")
            root.change("config", f"abi_vm_config.{field}", value, size)
            found = session.expect("lapwing", r"g: (not started: .*\(|started)", limit=20)
            if found[1] != "not started: invalid argument (":
                raise Failure(f"with {field} = {value}: {found[0]}")
            compare(before, root.snapshot())
    session.command("start g", r"g: started")
    if root.vms() != 1:
        raise Failure(f"{root.vms()} VMs after one was created")
    session.command("poweroff")
    session.ended(g="STOPPED")


@boot_test(limit=60, machines=BOTH)
def most_vcpus(session):
    """A guest with as many vCPUs as there can be is created, and again; memory is the same afterwards."""
    session.boot("[lapwing]\non-end = stay\n[guest g]\nimage = spin.elf\nmemory = 16M\nvcpus = 255\n", memory="1G",
                 debugger=True)
    session.expect("lapwing", r"keyboard: g", limit=30)
    debugger = session.debugger()
    debugger.go()
    root = Root(debugger)
    session.command("stop g", r"g: stopped")
    before = root.snapshot()
    for _ in range(2):
        session.command("start g", r"g: started")
        session.command("vcpus g", r"g/254: .*, APIC id 254,", limit=90)
        session.command("stop g", r"g: stopped")
        compare(before, root.snapshot(), but=("ASIDs",))
    session.command("poweroff")
    session.ended(g="STOPPED")


@boot_test(limit=240, machines=BOTH)
def creation_fails(session):
    """A guest with two vCPUs."""
    every_allocation(session, "vcpus = 2")


@boot_test(limit=240, machines=BOTH)
def creation_fails_without_lapic(session):
    """A guest without LAPICs, and with a module beside its image."""
    every_allocation(session, "lapic = off\ninitrd = hello.elf")


@boot_test(limit=240, machines=BOTH, slow=("vmx",))
def creation_fails_high(session):
    """A guest with RAM above 4 GiB."""
    every_allocation(session, "weight = 200", memory="3088M", ready=None, machine_memory="4608M")


@boot_test(limit=60, machines=("vmx",))
def creation_without_field(session):
    """A CPU that lacks a field of the VMCS refuses the guest with a line, and nothing is left behind."""
    session.boot("[lapwing]\non-end = stay\n[guest g]\nimage = spin.elf\nmemory = 16M\nvcpus = 2\n", debugger=True)
    session.expect("g", r"spin: 2 CPUs spin")
    debugger = session.debugger()
    debugger.go()
    root = Root(debugger)
    session.command("stop g", r"g: stopped")
    before = root.snapshot()
    for entry in (0, 15):  # of vmcs_zeros in vmx/vmx.c; no CPU has a field of that number
        field = root.replace("vmcs_zeros", entry, 0x7ffe, 2)
        session.command("start g", r"g: vcpu 0: VMWRITE of 0x7ffe failed, instruction error 12: this CPU's VMX")
        session.expect("lapwing", r"g: not started: not supported by this CPU or machine \(", limit=20)
        compare(before, root.snapshot(), but=("ASIDs",))
        root.replace("vmcs_zeros", entry, field, 2)
    session.command("start g", r"g: started")
    session.expect("g", r"spin: 2 CPUs spin")
    session.command("poweroff")
    session.ended(g="STOPPED")
