#include "user/devices/upcall.h"

#include "user/devices/bus.h"
#include "user/devices/guest_memory.h"
#include "user/devices/machine.h"
#include "user/devices/pc/ioapic.h"
#include "user/devices/pc/pic.h"
#include "user/emul/emul.h"
#include "user/lib/env.h"
#include "user/lib/log.h"
#include "user/refused/check.h"

#include "lib/string.h"

#define VECTOR_DB 1
#define VECTOR_UD 6
#define CPL_USER  3

#define DR6_BS 0x4000u
#define DR6_BT 0x8000u

/* If a fetch fails because another CPU changes the page tables meanwhile, it is tried again, so many times in all. More
 * failures are no accident. */
#define LENGTH_TRIES 64

static inline void serve_io(struct abi_page *page, unsigned slot)
{
    const struct abi_upcall *upcall = &page->upcall;

    page->reply.flags = 0;
    machine_enter(slot);
    if (upcall->u.io.access.write)
        bus_port_write(upcall->u.io.access.port, upcall->u.io.access.size, upcall->u.io.value);
    else
        page->reply.value = bus_port_read(upcall->u.io.access.port, upcall->u.io.access.size);
    machine_leave();
}

/* INTR may have gone away since root saw it. Then nothing is injected, not even a spurious IRQ 7. */
static void serve_inta(struct abi_page *page, unsigned slot)
{
    machine_enter(slot);
    if (pic_intr())
        page->reply.vector = pic_acknowledge();
    else
        page->reply.flags = ABI_REPLY_SPURIOUS;
    machine_leave();
}

static void serve_eoi(struct abi_page *page, unsigned slot)
{
    machine_enter(slot);
    ioapic_eoi(page->upcall.u.eoi.vector);
    machine_leave();
}

/* A vCPU that halts with interrupts off waits for an NMI or INIT. Once all vCPUs do, only a device can send one. */
static void serve_halted(unsigned slot)
{
    bool over;

    machine_enter(slot);
    over = !ioapic_may_wake();
    machine_leave();
    if (over)
        env_vm_end(ABI_END_HALTED, 0);
}

/* The instruction can't be emulated. A user program of the guest must not be able to end the guest: it gets #UD. For
 * the guest's kernel, the guest ends. */
static void reply_unhandled(struct abi_page *page, unsigned slot, const struct emul_result *result)
{
    struct abi_reply *reply = &page->reply;
    char text[128];

    if (page->regs.cpl == CPL_USER) {
        reply->flags = ABI_REPLY_EXCEPTION;
        reply->vector = VECTOR_UD;
        return;
    }

    emul_describe(result, text, sizeof(text));
    world_log("vcpu %u: cannot emulate an access to %#llx: %s; the guest ends here", slot - ABI_SLOT_VCPU(0),
              (unsigned long long)page->upcall.u.emulate.gpa, text);
    reply->flags = ABI_REPLY_END;
}

static void reply_fault(struct abi_reply *reply, const struct emul_result *result)
{
    reply->flags = ABI_REPLY_REGS | ABI_REPLY_EXCEPTION | (result->has_error_code ? ABI_REPLY_ERROR_CODE : 0);
    reply->vector = result->vector;
    reply->error_code = result->error_code;
}

static void serve_emulate(struct abi_page *page, unsigned slot)
{
    const struct abi_upcall *upcall = &page->upcall;
    struct abi_reply *reply = &page->reply;
    unsigned count = MIN(upcall->u.emulate.bytes_count, (unsigned)EMUL_MAX_LENGTH);
    void *ctx = (void *)(uintptr_t)slot;
    struct emul_result result;

    if (upcall->u.emulate.fetch) {
        memset(&result, 0, sizeof(result));
        result.status = EMUL_UNHANDLED;
        result.rip = page->regs.rip;
        result.reason = "instruction fetch";
    } else if (upcall->u.emulate.gpa_valid && !upcall->u.emulate.write) {
        emul_step_read(guest_memory_ops(), ctx, &page->regs, upcall->u.emulate.bytes, count, upcall->u.emulate.gpa,
                       &result);
    } else {
        emul_step(guest_memory_ops(), ctx, &page->regs, upcall->u.emulate.bytes, count, &result);
    }

    switch (result.status) {
    case EMUL_DONE:
    case EMUL_AGAIN:
        reply->flags = ABI_REPLY_REGS;
        if (result.system)
            reply->flags |= ABI_REPLY_SYSTEM | (result.shadow ? ABI_REPLY_SHADOW : 0);
        if (result.single_step | result.breakpoints) {
            reply->flags |= ABI_REPLY_EXCEPTION;
            reply->vector = VECTOR_DB;
            reply->value = result.breakpoints | (uint32_t)(result.single_step ? DR6_BS : 0);
        }
        break;
    case EMUL_FAULT:
        reply_fault(reply, &result);
        break;
    case EMUL_UNHANDLED:
        reply_unhandled(page, slot, &result);
        break;
    }
}

/* A fault in the new task is delivered in the new task. */
static void serve_task_switch(struct abi_page *page, unsigned slot)
{
    struct abi_reply *reply = &page->reply;
    struct emul_result result;
    char text[128];

    emul_task_switch(guest_memory_ops(), (void *)(uintptr_t)slot, &page->regs, &page->upcall.u.task, &result);
    if (result.status == EMUL_UNHANDLED) {
        emul_describe(&result, text, sizeof(text));
        world_log("vcpu %u: cannot switch tasks: %s; the guest ends here", slot - ABI_SLOT_VCPU(0), text);
        reply->flags = ABI_REPLY_END;
        return;
    }

    if (result.shutdown)
        env_vm_end(ABI_END_TRIPLE_FAULT, 0);

    reply->flags = ABI_REPLY_REGS;
    if (result.status == EMUL_FAULT) {
        reply_fault(reply, &result);
    } else if (result.new_task_trap) {
        reply->flags |= ABI_REPLY_EXCEPTION;
        reply->vector = VECTOR_DB;
        reply->value = DR6_BT;
    }
    reply->flags |= result.switched ? ABI_REPLY_TASK : 0;
    memcpy(reply->pdpte, result.pdpte, sizeof(reply->pdpte));
}

static void serve_length(struct abi_page *page, unsigned slot)
{
    struct abi_reply *reply = &page->reply;
    struct emul_result result;
    int length = 0;

    for (unsigned i = 0; i < LENGTH_TRIES; i++) {
        length = emul_length(guest_memory_ops(), (void *)(uintptr_t)slot, &page->regs, &result);
        if (length > 0 || result.status != EMUL_AGAIN)
            break;
    }

    if (length > 0) {
        reply->length = (uint32_t)length;
        reply->value = result.rm;
    } else if (result.status == EMUL_FAULT) {
        reply_fault(reply, &result);
    } else {
        reply_unhandled(page, slot, &result);
    }
}

/* Only VMX does this upcall: it does not say why it refused the state. The fields are read before the log's line is
 * written, for the line goes through the same buffer. */
static void serve_refused(const struct abi_page *page, unsigned slot)
{
    struct vmx_guest_state state;
    const char *rule;

    vmx_guest_state(page->fields, MIN(page->upcall.u.refused.count, (uint32_t)ABI_MAX_FIELDS), env_physical_bits(),
                    &state);
    rule = vmx_check_guest(&state);
    world_log("vcpu %u: VM entry failed, SDM Vol. 3, %s", slot - ABI_SLOT_VCPU(0),
              rule ? rule : "27.3.1: by a rule that Lapwing does not know");
}

__attribute__((noinline)) static void serve_other(struct abi_page *page, unsigned slot)
{
    struct abi_reply *reply = &page->reply;

    reply->flags = reply->value = reply->length = reply->vector = reply->error_code = 0;
    guest_memory_set_lapic(slot, page->upcall.lapic_base);

    switch (page->upcall.kind) {
    case ABI_UPCALL_EMULATE:
        serve_emulate(page, slot);
        break;
    case ABI_UPCALL_LENGTH:
        serve_length(page, slot);
        break;
    case ABI_UPCALL_TASK_SWITCH:
        serve_task_switch(page, slot);
        break;
    case ABI_UPCALL_INTA:
        serve_inta(page, slot);
        break;
    case ABI_UPCALL_EOI:
        serve_eoi(page, slot);
        break;
    case ABI_UPCALL_HALTED:
        serve_halted(slot);
        break;
    case ABI_UPCALL_REFUSED:
        serve_refused(page, slot);
        break;
    }
}

void upcall_serve(struct abi_page *page, unsigned slot)
{
    if (page->upcall.kind == ABI_UPCALL_IO)
        serve_io(page, slot);
    else
        serve_other(page, slot);
}
