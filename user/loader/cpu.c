/* The states in which boot protocols start the BSP: flat segments, interrupts off, all else as small as allowed. */
#include "lib/bytes.h"
#include "user/loader/loader.h"

enum { PTE_P_W = 3, PTE_PS = 128, CR0_PE_ET = 0x11, CR0_PG = 1u << 31, CR4_PAE = 0x20, EFER_LME_LMA = 0x500 };
enum { ATTR_DATA = 0xc93, ATTR_CODE32 = 0xc9b, ATTR_CODE64 = 0xa9b, ATTR_TSS = 0x8b, ATTR_LDT = 0x82 };

/* Selectors 0x10 (code) and 0x18 (data), which the Linux boot protocol names and which suit the others. */
static void flat(const struct loader *l, uint64_t entry, uint64_t code_descriptor, uint16_t code, struct abi_regs *r)
{
    uint8_t *gdt = l->ram + l->area + AREA_GDT;

    put64(gdt, 0);
    put64(gdt + 8, 0);
    put64(gdt + 16, code_descriptor);
    put64(gdt + 24, 0x00cf93000000ffff);
    memset(r, 0, sizeof *r);
    for (unsigned i = 0; i < ABI_SEGS; i++)
        r->seg[i] = (struct abi_segment){.selector = 0x18, .attr = ATTR_DATA, .limit = UINT32_MAX};
    r->seg[ABI_CS] = (struct abi_segment){.selector = 0x10, .attr = code, .limit = UINT32_MAX};
    r->gdtr = (struct abi_segment){.base = l->area + AREA_GDT, .limit = 31};
    r->tr = (struct abi_segment){.attr = ATTR_TSS, .limit = 0x67};
    r->ldtr = (struct abi_segment){.attr = ATTR_LDT, .limit = 0xffff};
    r->cr0 = CR0_PE_ET;
    r->rflags = 2;
    r->rip = entry;
}

void cpu_protected_mode(const struct loader *l, uint64_t entry, struct abi_regs *r)
{
    flat(l, entry, 0x00cf9b000000ffff, ATTR_CODE32, r);
}

void cpu_long_mode(const struct loader *l, uint64_t entry, struct abi_regs *r)
{
    uint64_t pml4 = l->area + AREA_PML4;
    uint8_t *tables = l->ram + pml4;

    memset(tables, 0, 6 * PAGE_SIZE);
    put64(tables, (pml4 + PAGE_SIZE) | PTE_P_W);
    for (uint64_t i = 0; i < 4; i++)
        put64(tables + PAGE_SIZE + 8 * i, (pml4 + (2 + i) * PAGE_SIZE) | PTE_P_W);
    for (uint64_t i = 0; i < 2048; i++)
        put64(tables + 2 * PAGE_SIZE + 8 * i, i * LARGE_PAGE_SIZE | PTE_P_W | PTE_PS);
    flat(l, entry, 0x00af9b000000ffff, ATTR_CODE64, r);
    r->cr0 |= CR0_PG;
    r->cr3 = pml4;
    r->cr4 = CR4_PAE;
    r->efer = EFER_LME_LMA;
}
