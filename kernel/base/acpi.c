#include "kernel/base/acpi.h"

#include "lib/bytes.h"

typedef bool reader(uint64_t address, void *out, uint32_t size);

enum { HEADER = 36, MADT_ENTRIES = 44, MAX_TABLE = 1 << 20 };
enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_X2APIC = 9 };

static uint8_t sum(const uint8_t *p, uint32_t size)
{
    uint8_t s = 0;
    while (size--)
        s = (uint8_t)(s + *p++);
    return s;
}

/* Is the sum of the table's bytes 0? The table may be larger than one buffer. */
static bool checksum_good(uint64_t at, uint32_t size, reader *read)
{
    uint8_t part[64], s = 0;

    for (uint32_t done = 0; done < size;) {
        uint32_t n = MIN(size - done, (uint32_t)sizeof part);
        if (!read(at + done, part, n))
            return false;
        s = (uint8_t)(s + sum(part, n));
        done += n;
    }

    return s == 0;
}

static void note(struct acpi_info *out, uint64_t base, uint64_t size)
{
    if (base + size > base && out->table_count < ACPI_MAX_TABLES) {
        out->tables[out->table_count].base = base;
        out->tables[out->table_count++].size = size;
    }
}

/*
 * Firmware fills unused entries with the broadcast id, which names no CPU. A CPU may have an entry of each sort, LAPIC
 * and x2APIC.
 */
static void add_cpu(struct acpi_info *out, uint32_t id, uint32_t broadcast, uint32_t flags)
{
    if (!(flags & 1) || id == broadcast)
        return;

    for (uint32_t i = 0; i < out->cpu_count; i++)
        if (out->apic_ids[i] == id)
            return;

    if (out->cpu_count == ABI_MAX_CPUS)
        out->cpus_lost++;
    else
        out->apic_ids[out->cpu_count++] = id;
}

static void add_ioapic(struct acpi_info *out, uint32_t address, uint32_t gsi_base)
{
    for (uint32_t i = 0; i < out->ioapic_count; i++)
        if (out->ioapics[i].address == address)
            return;
    if (out->ioapic_count < ACPI_MAX_IOAPICS)
        out->ioapics[out->ioapic_count++] = (struct acpi_ioapic){.address = address, .gsi_base = gsi_base};
}

static void madt_entry(struct acpi_info *out, const uint8_t *e, uint8_t size)
{
    if (e[0] == MADT_LAPIC && size >= 8)
        add_cpu(out, e[3], 0xff, get32(e + 4));
    else if (e[0] == MADT_X2APIC && size >= 16)
        add_cpu(out, get32(e + 4), UINT32_MAX, get32(e + 8));
    else if (e[0] == MADT_IOAPIC && size >= 12)
        add_ioapic(out, get32(e + 4), get32(e + 8));
    else if (e[0] == MADT_OVERRIDE && size >= 10 && e[3] < 16)
        out->isa[e[3]] =
            (struct acpi_isa_irq){.gsi = get32(e + 4), .level = (e[8] >> 2 & 3) == 3, .active_low = (e[8] & 3) == 3};
}

static void madt(struct acpi_info *out, uint64_t at, uint32_t size, reader *read)
{
    uint8_t e[255];
    for (uint64_t offset = MADT_ENTRIES; offset + 2 <= size; offset += e[1]) {
        if (!read(at + offset, e, 2) || e[1] < 2 || offset + e[1] > size || !read(at + offset, e, e[1]))
            return;
        madt_entry(out, e, e[1]);
    }
}

static void fadt(struct acpi_info *out, uint64_t at, uint32_t size, reader *read)
{
    uint8_t f[148] = {0}, h[HEADER];

    if (!read(at, f, MIN(size, (uint32_t)sizeof f)))
        return;

    if (f[91] == 4 && get32(f + 76) <= UINT16_MAX) /* PM_TMR_LEN, PM_TMR_BLK */
        out->pm_timer = (uint16_t)get32(f + 76);

    uint64_t dsdt = size >= 148 && get64(f + 140) ? get64(f + 140) : get32(f + 40);
    uint64_t facs = size >= 140 && get64(f + 132) ? get64(f + 132) : get32(f + 36);

    if (dsdt && read(dsdt, h, HEADER) && get32(h + 4) <= MAX_TABLE)
        note(out, dsdt, get32(h + 4));
    if (facs && read(facs, h, 8) && get32(h + 4) <= MAX_TABLE)
        note(out, facs, get32(h + 4));
}

/* Handles one table of the RSDT or XSDT. True: it was the MADT. */
static bool table(struct acpi_info *out, uint64_t at, reader *read)
{
    uint8_t h[HEADER];

    if (!at || !read(at, h, HEADER))
        return false;

    uint32_t size = get32(h + 4);
    if (size < HEADER || size > MAX_TABLE || !checksum_good(at, size, read))
        return false;

    note(out, at, size);
    if (memcmp(h, "FACP", 4) == 0)
        fadt(out, at, size, read);

    if (memcmp(h, "APIC", 4) != 0)
        return false;
    madt(out, at, size, read);
    return true;
}

/* From revision 2 on the RSDP has a second checksum, over all of it (ACPI 6.4, 5.2.5.3). */
static bool rsdp_good(const uint8_t *p, uint32_t size)
{
    return size >= 20 && memcmp(p, "RSD PTR ", 8) == 0 && sum(p, 20) == 0 &&
           (p[15] < 2 || (size >= 36 && sum(p, 36) == 0));
}

/* Searches the EBDA's first KiB and the BIOS area, on 16-byte boundaries (ACPI 6.4, 5.2.5.1). */
static uint64_t search(reader *read)
{
    uint8_t p[36];
    uint16_t ebda = 0;

    if (!read(0x40e, &ebda, sizeof ebda))
        return 0;

    for (uint64_t at = (uint64_t)ebda << 4, n = 0; at >= 0x80000 && n < 64; at += 16, n++)
        if (read(at, p, sizeof p) && rsdp_good(p, sizeof p))
            return at;

    for (uint64_t at = 0xe0000; at <= 0xfffe0; at += 16)
        if (read(at, p, 8) && memcmp(p, "RSD PTR ", 8) == 0 && read(at, p, sizeof p) && rsdp_good(p, sizeof p))
            return at;

    return 0;
}

int acpi_parse(struct acpi_info *out, uint64_t rsdp, const void *rsdp_copy, uint32_t rsdp_size, reader *read)
{
    uint8_t p[36] = {0};

    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < 16; i++)
        out->isa[i].gsi = i;

    if (!rsdp && rsdp_size >= 20) {
        memcpy(p, rsdp_copy, MIN(rsdp_size, (uint32_t)sizeof p));
    } else {
        rsdp = rsdp ? rsdp : search(read);
        if (!rsdp || !read(rsdp, p, sizeof p))
            return E_NOENT;
        rsdp_size = sizeof p;
        note(out, rsdp, sizeof p);
    }

    if (!rsdp_good(p, rsdp_size))
        return E_FORMAT;
    out->rsdp = rsdp;

    uint8_t h[HEADER], entry[8];
    bool wide = p[15] >= 2 && get64(p + 24), found = false;
    uint64_t root = wide ? get64(p + 24) : get32(p + 16);

    if (!read(root, h, HEADER) || get32(h + 4) < HEADER || get32(h + 4) > MAX_TABLE ||
        !checksum_good(root, get32(h + 4), read))
        return E_FORMAT;
    note(out, root, get32(h + 4));

    uint32_t step = wide ? 8 : 4;
    for (uint64_t offset = HEADER; offset + step <= get32(h + 4); offset += step) {
        if (!read(root + offset, entry, step))
            return E_FORMAT;
        found |= table(out, wide ? get64(entry) : get32(entry), read);
    }

    return found ? OK : E_NOENT;
}
