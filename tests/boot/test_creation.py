"""Creating a guest: every allocation of root's fails in turn, and nothing is left behind (R0)."""

from harness import BOTH, Failure, boot_test
from root import Root, compare

ROUNDS = 10
FEWEST = 40  # allocations that a guest with two vCPUs needs at least


def fail_in_turn(session, root, name):
    """Start a guest with its first, second, ... allocation failing, until it starts; how many there were."""
    for n in range(1, 1000):
        root.fail_allocation(n)
        if session.command(f"start {name}", rf"{name}: (not )?started")[1] is None:
            root.fail_allocation(0)
            return n - 1
    raise Failure(f"{name} does not start")


def every_allocation(session, keys, memory="16M", ready=r"spin: \d CPUs spin", machine_memory="512M"):
    """ready: what the guest prints in the end; None: it is stopped at once."""
    session.boot(f"[lapwing]\non-end = stay\n[guest g]\nimage = spin.elf\nmemory = {memory}\n{keys}\n", debugger=True,
                 memory=machine_memory)
    session.expect("lapwing", r"keyboard: g")
    debugger = session.debugger()
    debugger.go()
    root = Root(debugger)
    session.command("stop g", r"g: stopped")
    before = root.snapshot()
    for _ in range(ROUNDS):
        count = fail_in_turn(session, root, "g")
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


@boot_test(limit=240, machines=BOTH)
def creation_fails(session):
    """A guest with two vCPUs."""
    every_allocation(session, "vcpus = 2")


@boot_test(limit=240, machines=BOTH)
def creation_fails_without_lapic(session):
    """A guest without LAPICs, and with a module beside its image."""
    every_allocation(session, "lapic = off\ninitrd = hello.elf")


@boot_test(limit=240, machines=BOTH)
def creation_fails_high(session):
    """A guest with RAM above 4 GiB."""
    every_allocation(session, "weight = 200", memory="3088M", ready=None, machine_memory="4G")
