#include "kernel/base/percpu.h"

#include "kernel/base/asm.h"

struct percpu *percpu_areas[ABI_MAX_CPUS];
static _Atomic uint32_t count;

uint32_t cpu_count(void)
{
    return count;
}

struct percpu *percpu_add(void *page, uint8_t *stacks, uint32_t apic_id)
{
    uint32_t index = count;
    struct percpu *p = page;

    if (index == ABI_MAX_CPUS)
        return NULL;

    static_assert(sizeof *p <= PAGE_SIZE, "an area is a page");
    p->self = p;
    p->index = index;
    p->apic_id = apic_id;

    for (unsigned i = 0; i < 3; i++)
        p->tss.ist[i] = (uint64_t)stacks + (i + 1) * PAGE_SIZE;
    p->tss.ist[PERCPU_IST_HANDLED] = (uint64_t)stacks + (PAGE_SIZE << PERCPU_STACKS_ORDER);
    p->tss.io_map_base = sizeof p->tss; /* there is no map, so ring 3 may use no port */

    uint64_t base = (uint64_t)&p->tss;
    p->gdt[1] = 0x00af9b000000ffff;
    p->gdt[2] = 0x00cf93000000ffff;
    p->gdt[3] = 0x00cff3000000ffff;
    p->gdt[4] = 0x00affb000000ffff;
    p->gdt[5] = (sizeof p->tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    p->gdt[6] = base >> 32;

    percpu_areas[index] = p;
    count = index + 1;
    return p;
}

void percpu_withdraw(void)
{
    count--;
}

void percpu_load(struct percpu *p)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdtr = {sizeof p->gdt - 1, (uint64_t)p->gdt};

    p->gdt[5] &= ~(2ull << 40); /* LTR requires a TSS that is not busy */
    __asm__ volatile("lgdt %0\n\t"
                     "push %1\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "lretq\n"
                     "1: mov %2, %%ds; mov %2, %%es; mov %2, %%ss; mov %3, %%fs; mov %3, %%gs\n\t"
                     "ltr %w4"
                     :
                     : "m"(gdtr), "i"(SEL_KERNEL_CS), "r"(SEL_KERNEL_DS), "r"(0), "r"(SEL_TSS)
                     : "rax", "memory");

    wrmsr(0xc0000101, (uint64_t)p); /* IA32_GS_BASE */
    wrmsr(0xc0000102, 0);           /* IA32_KERNEL_GS_BASE: ring 3's */
}
