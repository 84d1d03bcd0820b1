#include "user/control/machine/acpi.h"

#include "lib/string.h"

#define TABLE_MAX   (16u << 20) /* longer ones are broken */
#define ENTRIES_MAX 1024
#define HEADER_SIZE 36 /* System Description Table Header, 5.2.6 */

/* The FADT's fields (5.2.9). */
#define FADT_DSDT            40
#define FADT_SMI_CMD         48
#define FADT_ACPI_ENABLE     52
#define FADT_PM1A_CNT_BLK    64
#define FADT_PM1B_CNT_BLK    68
#define FADT_FLAGS           112
#define FADT_RESET_REG       116
#define FADT_RESET_VALUE     128
#define FADT_X_DSDT          140
#define FADT_X_PM1A_CNT_BLK  172
#define FADT_X_PM1B_CNT_BLK  184
#define FADT_SIZE_MAX        276
#define FADT_SIZE_MIN        116 /* ACPI 1.0 */
#define FLAG_RESET_REG_SUP   BIT(10)
#define FLAG_HW_REDUCED_ACPI BIT(20)
#define GAS_SYSTEM_IO        1 /* address space of a Generic Address Structure, 5.2.3.2 */
#define GAS_ADDRESS          4

/* AML (20.2). */
#define AML_ZERO_OP      0x00
#define AML_ONE_OP       0x01
#define AML_NAME_OP      0x08
#define AML_BYTE_PREFIX  0x0a
#define AML_WORD_PREFIX  0x0b
#define AML_DWORD_PREFIX 0x0c
#define AML_PACKAGE_OP   0x12

struct table {
    uint64_t base;
    uint32_t length; /* HEADER_SIZE..TABLE_MAX */
};

static uint64_t get(const uint8_t *bytes, size_t at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, bytes + at, size); /* little-endian, as the host */
    return value;
}

static bool read(const struct acpi_memory *memory, uint64_t paddr, void *out, size_t length)
{
    return memory->read(memory->context, paddr, out, length);
}

/* The table at base, if it has that signature and a sane length. */
static bool open_table(const struct acpi_memory *memory, uint64_t base, const char *signature, struct table *table)
{
    uint8_t header[HEADER_SIZE];

    if (base == 0 || !read(memory, base, header, sizeof(header)) || memcmp(header, signature, 4) != 0)
        return false;
    table->base = base;
    table->length = (uint32_t)get(header, 4, 4);
    return table->length >= HEADER_SIZE && table->length <= TABLE_MAX && base + table->length > base;
}

/* The RSDT or XSDT (5.2.5.3): the size of its entries, 0: there is none. */
static unsigned open_root(const struct acpi_memory *memory, uint64_t rsdp, struct table *root)
{
    uint8_t bytes[36] = {0};
    uint8_t sum = 0;

    if (rsdp == 0 || !read(memory, rsdp, bytes, 20) || memcmp(bytes, "RSD PTR ", 8) != 0)
        return 0;
    for (unsigned i = 0; i < 20; i++)
        sum = (uint8_t)(sum + bytes[i]);
    if (sum != 0)
        return 0;
    if (bytes[15] >= 2 && read(memory, rsdp, bytes, 36) && open_table(memory, get(bytes, 24, 8), "XSDT", root))
        return 8;
    return open_table(memory, get(bytes, 16, 4), "RSDT", root) ? 4 : 0;
}

/* The n-th table of that signature that the root table names, counted from 0. */
static bool find_table(const struct acpi_memory *memory, const struct table *root, unsigned entry_size,
                       const char *signature, unsigned n, struct table *table)
{
    uint32_t count = MIN((root->length - HEADER_SIZE) / entry_size, (uint32_t)ENTRIES_MAX);

    for (uint32_t i = 0; i < count; i++) {
        uint8_t entry[8] = {0};

        if (!read(memory, root->base + HEADER_SIZE + i * entry_size, entry, entry_size))
            return false;
        if (open_table(memory, get(entry, 0, 8), signature, table) && n-- == 0)
            return true;
    }
    return false;
}

/* A byte of a table, through a window that is read at once. */
struct reader {
    const struct acpi_memory *memory;
    struct table table;
    uint32_t start, end; /* what of the table is in the window */
    uint8_t window[ACPI_READ_MAX];
};

/* The byte at that offset, -1: behind the table's end, or not readable. */
static int reader_byte(struct reader *reader, uint32_t at)
{
    if (at >= reader->table.length)
        return -1;
    if (at < reader->start || at >= reader->end) {
        reader->start = at & ~(ACPI_READ_MAX - 1u);
        reader->end = MIN(reader->start + ACPI_READ_MAX, reader->table.length);
        if (!read(reader->memory, reader->table.base + reader->start, reader->window, reader->end - reader->start)) {
            reader->end = reader->start;
            return -1;
        }
    }
    return reader->window[at - reader->start];
}

/* An integer constant at *at, which moves behind it; -1: it is something else. */
static int64_t read_integer(struct reader *reader, uint32_t *at)
{
    int op = reader_byte(reader, (*at)++);
    unsigned size = op == AML_BYTE_PREFIX ? 1 : op == AML_WORD_PREFIX ? 2 : op == AML_DWORD_PREFIX ? 4 : 0;
    int64_t value = 0;

    if (op == AML_ZERO_OP || op == AML_ONE_OP)
        return op;
    if (size == 0)
        return -1;
    for (unsigned i = 0; i < size; i++) {
        int byte = reader_byte(reader, (*at)++);

        if (byte < 0)
            return -1;
        value |= (int64_t)byte << (8 * i);
    }
    return value;
}

/* Name(_S5, Package(){a, b, ...}) with its name at that offset: 20.2.5.1, 20.2.5.4. */
static bool read_s5(struct reader *reader, uint32_t name, struct acpi_power *power)
{
    uint32_t at = name + 4;
    int before = name > 0 ? reader_byte(reader, name - 1) : -1;
    int length_bytes, elements;
    int64_t a, b;

    if (before == '\\' && name > 1)
        before = reader_byte(reader, name - 2);
    if (before != AML_NAME_OP || reader_byte(reader, at++) != AML_PACKAGE_OP)
        return false;
    length_bytes = reader_byte(reader, at);
    if (length_bytes < 0)
        return false;
    at += 1u + (unsigned)(length_bytes >> 6); /* PkgLength, 20.2.4: the lead byte says how many follow */
    elements = reader_byte(reader, at++);
    if (elements < 1)
        return false;
    a = read_integer(reader, &at);
    b = elements > 1 ? read_integer(reader, &at) : a; /* one element holds both, 7.4.2 leaves that to old firmware */
    if (a < 0 || a > 7 || b < 0 || b > 7)
        return false;
    power->sleep_type_a = (uint8_t)a;
    power->sleep_type_b = (uint8_t)b;
    return true;
}

static bool find_s5(const struct acpi_memory *memory, const struct table *table, struct acpi_power *power)
{
    struct reader reader = {.memory = memory, .table = *table};

    for (uint32_t at = HEADER_SIZE; at < table->length; at++) {
        static const char name[] = "_S5_";
        uint32_t n = 0;

        while (n < 4 && reader_byte(&reader, at + n) == name[n])
            n++;
        if (n == 4 && read_s5(&reader, at, power))
            return true;
    }
    return false;
}

/* A register that the FADT gives as a port and, if it is long enough, as a Generic Address Structure: 0: no I/O
 * port. */
static uint16_t io_register(const uint8_t *fadt, size_t length, size_t port_at, size_t gas_at)
{
    uint64_t port = get(fadt, port_at, 4);

    if (length >= gas_at + 12 && get(fadt, gas_at + GAS_ADDRESS, 8) != 0 && fadt[gas_at] == GAS_SYSTEM_IO)
        port = get(fadt, gas_at + GAS_ADDRESS, 8);
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static void read_reset(const uint8_t *fadt, size_t length, struct acpi_power *power)
{
    uint64_t port = get(fadt, FADT_RESET_REG + GAS_ADDRESS, 8);

    if (length <= FADT_RESET_VALUE || !(get(fadt, FADT_FLAGS, 4) & FLAG_RESET_REG_SUP))
        return;
    power->reset = fadt[FADT_RESET_REG] == GAS_SYSTEM_IO && port != 0 && port <= UINT16_MAX;
    power->reset_port = power->reset ? (uint16_t)port : 0;
    power->reset_value = fadt[FADT_RESET_VALUE];
}

void acpi_read_power(const struct acpi_memory *memory, uint64_t rsdp, struct acpi_power *power)
{
    struct table root, table;
    uint8_t fadt[FADT_SIZE_MAX] = {0};
    unsigned entry_size = open_root(memory, rsdp, &root);
    uint64_t dsdt;
    bool found;
    size_t length;

    *power = (struct acpi_power){.why_no_s5 = "the firmware has no valid ACPI root table"};
    if (entry_size == 0)
        return;
    power->why_no_s5 = "the firmware has no valid FADT";
    if (!find_table(memory, &root, entry_size, "FACP", 0, &table) || table.length < FADT_SIZE_MIN)
        return;
    length = MIN(table.length, (uint32_t)sizeof(fadt));
    if (!read(memory, table.base, fadt, length))
        return;
    read_reset(fadt, length, power);
    power->why_no_s5 = "this is a hardware-reduced ACPI machine, without PM1 registers";
    if (get(fadt, FADT_FLAGS, 4) & FLAG_HW_REDUCED_ACPI)
        return;
    power->why_no_s5 = "the FADT names no PM1a control port";
    power->pm1a_control = io_register(fadt, length, FADT_PM1A_CNT_BLK, FADT_X_PM1A_CNT_BLK);
    power->pm1b_control = io_register(fadt, length, FADT_PM1B_CNT_BLK, FADT_X_PM1B_CNT_BLK);
    if (power->pm1a_control == 0)
        return;
    power->smi_command = get(fadt, FADT_SMI_CMD, 4) <= UINT16_MAX ? (uint16_t)get(fadt, FADT_SMI_CMD, 4) : 0;
    power->acpi_enable = fadt[FADT_ACPI_ENABLE];

    power->why_no_s5 = "neither the DSDT nor an SSDT has an \\_S5 package of constants";
    dsdt = get(fadt, FADT_X_DSDT, 8) ? get(fadt, FADT_X_DSDT, 8) : get(fadt, FADT_DSDT, 4);
    found = open_table(memory, dsdt, "DSDT", &table) && find_s5(memory, &table, power);
    for (unsigned n = 0; !found && find_table(memory, &root, entry_size, "SSDT", n, &table); n++)
        found = find_s5(memory, &table, power);
    power->s5 = found;
    if (found)
        power->why_no_s5 = NULL;
}
