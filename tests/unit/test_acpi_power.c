// links: user/control/machine/acpi.c
#include "tests/unit/test.h"
#include "user/control/machine/acpi.h"

/* Physical memory [BASE, BASE + size of memory); what is read outside fails. */
#define BASE 0x100000u
static uint8_t memory[65536];
static unsigned bad_reads;

static bool read_memory(void *context, uint64_t paddr, void *out, size_t length)
{
    (void)context;
    CHECK(length <= ACPI_READ_MAX);
    if (paddr < BASE || paddr - BASE > sizeof(memory) || length > sizeof(memory) - (paddr - BASE)) {
        bad_reads++;
        return false;
    }
    memcpy(out, memory + (paddr - BASE), length);
    return true;
}

static const struct acpi_memory access = {read_memory, NULL};
static struct acpi_power power;

static void put(unsigned at, uint64_t value, unsigned size)
{
    memcpy(memory + at, &value, size);
}

static void put_header(unsigned at, const char *signature, unsigned length)
{
    memcpy(memory + at, signature, 4);
    put(at + 4, length, 4);
}

#define RSDP 0x0
#define RSDT 0x100
#define XSDT 0x200
#define FADT 0x400
#define DSDT 0x800
#define SSDT 0x1800

static const uint8_t s5_package[] = {0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05, 0x0a, 0x05, 0x00, 0x00};

static void fix_rsdp(void)
{
    uint8_t sum = 0;

    memory[RSDP + 8] = 0;
    for (unsigned i = 0; i < 20; i++)
        sum = (uint8_t)(sum + memory[RSDP + i]);
    memory[RSDP + 8] = (uint8_t)-sum;
}

/* An ACPI 1.0 machine as QEMU's i440fx: RSDT, short FADT, S5 = 5 in the DSDT. */
static void build(void)
{
    memset(memory, 0, sizeof(memory));
    bad_reads = 0;
    memcpy(memory + RSDP, "RSD PTR ", 8);
    put(RSDP + 16, BASE + RSDT, 4);
    fix_rsdp();
    put_header(RSDT, "RSDT", 36 + 8);
    put(RSDT + 36, BASE + SSDT, 4);
    put(RSDT + 40, BASE + FADT, 4);
    put_header(FADT, "FACP", 116);
    put(FADT + 40, BASE + DSDT, 4);
    put(FADT + 48, 0xb2, 4);
    put(FADT + 52, 0xf1, 1);
    put(FADT + 64, 0x604, 4);
    put_header(DSDT, "DSDT", 0x1000);
    memcpy(memory + DSDT + 600, s5_package, sizeof(s5_package));
    put_header(SSDT, "SSDT", 36);
}

static bool read_power(void)
{
    memset(&power, 0xa5, sizeof(power));
    acpi_read_power(&access, BASE + RSDP, &power);
    CHECK(power.s5 ? !power.why_no_s5 : power.why_no_s5 && power.why_no_s5[0]);
    return power.s5;
}

TEST(rsdt_and_short_fadt)
{
    build();
    CHECK(read_power());
    CHECK_EQ(power.pm1a_control, 0x604);
    CHECK_EQ(power.pm1b_control, 0);
    CHECK_EQ(power.sleep_type_a, 5);
    CHECK_EQ(power.sleep_type_b, 5);
    CHECK_EQ(power.smi_command, 0xb2);
    CHECK_EQ(power.acpi_enable, 0xf1);
    CHECK(!power.reset);
    CHECK_EQ(bad_reads, 0);
}

TEST(xsdt_and_long_fadt)
{
    build();
    memory[RSDP + 15] = 2;
    put(RSDP + 24, BASE + XSDT, 8);
    fix_rsdp();
    put_header(XSDT, "XSDT", 36 + 8);
    put(XSDT + 36, BASE + FADT, 8);
    put_header(FADT, "FACP", 276);
    put(FADT + 40, 0xdead0000, 4); /* X_DSDT counts */
    put(FADT + 140, BASE + DSDT, 8);
    put(FADT + 68, 0x700, 4);
    put(FADT + 172, 1, 1);
    put(FADT + 176, 0x1804, 8); /* X_PM1a_CNT_BLK counts */
    put(FADT + 184, 0, 1);
    put(FADT + 188, 0xfed00000, 8); /* X_PM1b is no I/O port: the old field counts */
    put(FADT + 112, 1 << 10, 4);
    put(FADT + 116, 1, 1);
    put(FADT + 120, 0xcf9, 8);
    put(FADT + 128, 0x0f, 1);
    CHECK(read_power());
    CHECK_EQ(power.pm1a_control, 0x1804);
    CHECK_EQ(power.pm1b_control, 0x700);
    CHECK(power.reset);
    CHECK_EQ(power.reset_port, 0xcf9);
    CHECK_EQ(power.reset_value, 0x0f);

    put(FADT + 116, 0, 1); /* in memory space: not ours to write */
    read_power();
    CHECK(!power.reset);
    put(FADT + 116, 1, 1);
    put(FADT + 120, 0x10cf9, 8);
    read_power();
    CHECK(!power.reset);
    put(FADT + 120, 0xcf9, 8);
    put(FADT + 112, 0, 4);
    read_power();
    CHECK(!power.reset);
}

/* Every form of the package; NULL-like first byte 0xff: not one. */
static const struct {
    uint8_t bytes[20];
    unsigned length;
    int a, b; /* -1: no S5 */
} forms[] = {
    {{0x08, '\\', '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x07, 0x01, 0x00, 0x00}, 14, 7, 1},
    {{0x08, '_', 'S', '5', '_', 0x12, 0x46, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00}, 13, 0, 0},
    {{0x08, '_', 'S', '5', '_', 0x12, 0x86, 0x00, 0x00, 0x02, 0x0b, 0x05, 0x00, 0x0a, 0x06}, 15, 5, 6},
    {{0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x02, 0x0c, 0x07, 0x00, 0x00, 0x00, 0x01}, 14, 7, 1},
    {{0x08, '_', 'S', '5', '_', 0x12, 0x04, 0x01, 0x0a, 0x05}, 10, 5, 5},
    {{0x08, '_', 'S', '5', '_', 0x12, 0x02, 0x00}, 8, -1, -1},                      /* empty package */
    {{0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x08, 0x00}, 11, -1, -1},   /* more than 3 bits */
    {{0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 'S', 'L', 'P', 'T'}, 12, -1, -1}, /* a name, no constant */
    {{0x14, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x00, 0x00}, 10, -1, -1},         /* a method */
    {{0x08, '_', 'S', '5', '_', 0x0a, 0x05}, 7, -1, -1},                            /* a number */
    {{0x08, '_', 'S', '4', '_', 0x12, 0x06, 0x04, 0x00, 0x00}, 10, -1, -1},
};

TEST(package_forms)
{
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        /* 1000..1040: across the border of the window of 512 bytes as well */
        for (unsigned at = 36; at < 1040; at += at == 36 ? 964 : 1) {
            build();
            memset(memory + DSDT + 600, 0, sizeof(s5_package));
            memcpy(memory + DSDT + at, forms[i].bytes, forms[i].length);
            CHECK_EQ(read_power(), forms[i].a >= 0);
            if (forms[i].a >= 0) {
                CHECK_EQ(power.sleep_type_a, forms[i].a);
                CHECK_EQ(power.sleep_type_b, forms[i].b);
            }
        }
    }
}

TEST(in_an_ssdt)
{
    build();
    memset(memory + DSDT + 600, 0, sizeof(s5_package));
    CHECK(!read_power());
    CHECK(strstr(power.why_no_s5, "_S5") != NULL);
    put_header(SSDT, "SSDT", 100);
    memcpy(memory + SSDT + 50, s5_package, sizeof(s5_package));
    CHECK(read_power());
}

TEST(cut_at_the_end_of_the_table)
{
    for (unsigned keep = 1; keep <= sizeof(s5_package); keep++) {
        build();
        put_header(DSDT, "DSDT", 600 + keep);
        CHECK_EQ(read_power(), keep >= 12); /* both constants are inside */
        CHECK_EQ(bad_reads, 0);
    }
}

TEST(broken_tables)
{
    acpi_read_power(&access, 0, &power);
    CHECK(!power.s5);
    acpi_read_power(&access, UINT64_MAX, &power);
    CHECK(!power.s5);

    build();
    memory[RSDP + 9] ^= 1; /* checksum */
    CHECK(!read_power());
    build();
    put_header(RSDT, "RSDT", 35);
    CHECK(!read_power());
    build();
    put_header(RSDT, "RSDT", 0xffffffff);
    CHECK(!read_power());
    build();
    put_header(RSDT, "RSDT", 36 + 7); /* the second entry is not whole */
    CHECK(!read_power());
    build();
    put(RSDT + 40, 0, 4);
    CHECK(!read_power());
    build();
    put(RSDT + 36, 0xfffffff0, 4); /* a bad entry does not hide the next */
    CHECK(read_power());
    build();
    put_header(FADT, "FACP", 115);
    CHECK(!read_power());
    build();
    put(FADT + 64, 0x10604, 4); /* no I/O port */
    CHECK(!read_power());
    build();
    put(FADT + 112, 1 << 20, 4);
    CHECK(!read_power());
    CHECK(strstr(power.why_no_s5, "hardware-reduced") != NULL);
    build();
    put(FADT + 40, BASE + SSDT, 4); /* not a DSDT */
    CHECK(!read_power());
    build();
    put_header(DSDT, "DSDT", 15u << 20); /* longer than memory: what can be read counts, and it ends */
    CHECK(read_power());
    memset(memory + DSDT + 600, 0, sizeof(s5_package));
    CHECK(!read_power());
}

/* Random damage: it ends, and the sanitizers see nothing. */
TEST(damage)
{
    uint64_t seed = 7;
    unsigned found = 0;

    for (unsigned i = 0; i < 3000; i++) {
        build();
        for (unsigned n = 0; n < 4; n++) {
            uint64_t r = test_random(&seed);

            memory[r % 3 == 0 ? r / 3 % 0x1000 : 600 + DSDT + r / 3 % 16] = (uint8_t)(r >> 40);
        }
        found += read_power();
        if (power.s5)
            CHECK(power.pm1a_control != 0 && power.sleep_type_a <= 7 && power.sleep_type_b <= 7);
    }
    CHECK(found > 100 && found < 2900);
}
