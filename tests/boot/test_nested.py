"""Lapwing in KVM: nested virtualization by kvm_amd and kvm_intel, on emulated CPUs."""

import nested
from harness import BOTH, Failure, boot_test
from test_linux import guest
from test_own import own


def ended(session, **expected):
    """All guests ended so, Lapwing switched its machine off, and the host's kernel saw nothing odd."""
    session.guests_ended(**expected)
    status = session.expect("", r"HOST inner status (\d+)")[1]
    if status != "0":
        raise Failure(f"the inner QEMU ended with status {status}")
    session.expect("", r"HOST done")
    session.refuse("", r"^\[ *[\d.]+\] .*(BUG:|WARNING: CPU|Call Trace)")


@boot_test(limit=900, machines=BOTH, slow=BOTH)
def nested_linux(session):
    """Two Linux guests of two vCPUs each come up in Lapwing in KVM, and power off."""
    names = ("web", "db")
    nested.boot(session, "".join(guest(name, words="lapwing.run=poweroff", memory="96M") for name in names))
    for name in names:
        session.expect(name, rf"guest {name} up: 2 CPUs")
        session.transcript.rewind(name)
    ended(session, **{name: ("POWEROFF", 0) for name in names})


@boot_test(limit=900, machines=BOTH, slow=BOTH)
def nested_lapic(session):
    """The guest that tries its LAPICs finds no fault in them in Lapwing in KVM. On Bochs without the timer's cases: the first one did
    not end in half an hour."""
    nested.boot(session, own("lapic", 4, "timers=0" if session.machine == "vmx" else ""))
    session.expect("lapic", r"^lapic: (ok|FAILED.*)$")
    ended(session, lapic=("EXIT", 0))
