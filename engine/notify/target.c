#include "engine/notify/target.h"

#include <netinet/in.h>

/* IPv4 that is nobody's on the internet: address, bits. From the special-purpose registry of IANA. */
static const struct {
    uint8_t address[4];
    uint8_t bits;
} closed4[] = {
    {{0, 0, 0, 0}, 8},       {{10, 0, 0, 0}, 8},      {{100, 64, 0, 0}, 10},  {{127, 0, 0, 0}, 8},     {{169, 254, 0, 0}, 16},
    {{172, 16, 0, 0}, 12},   {{192, 0, 0, 0}, 24},    {{192, 0, 2, 0}, 24},   {{192, 88, 99, 0}, 24},  {{192, 168, 0, 0}, 16},
    {{198, 18, 0, 0}, 15},   {{198, 51, 100, 0}, 24}, {{203, 0, 113, 0}, 24}, {{224, 0, 0, 0}, 4},     {{240, 0, 0, 0}, 4},
    {{168, 63, 129, 16}, 32}, /* the metadata service of a cloud, on a public address */
};

/* Inside 2000::/3, all that is open of IPv6. */
static const struct {
    uint8_t address[16];
    uint8_t bits;
} closed6[] = {
    {{0x20, 0x01, 0x00}, 23},             /* protocol assignments, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},       /* documentation */
    {{0x3f, 0xff}, 20},                   /* documentation */
};

static bool in_range(const uint8_t *address, const uint8_t *range, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(address, range, whole) != 0)
        return false;
    return rest == 0 || ((address[whole] ^ range[whole]) >> (8 - rest)) == 0;
}

static bool is_allowed(const uint8_t *address, bool v6, const struct px_cidr *allowed, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (allowed[i].v6 == v6 && in_range(address, allowed[i].address, allowed[i].bits))
            return true;
    return false;
}

static bool open4(const uint8_t *address, const struct px_cidr *allowed, unsigned count)
{
    if (is_allowed(address, false, allowed, count))
        return true;
    for (size_t i = 0; i < PX_COUNT_OF(closed4); i++)
        if (in_range(address, closed4[i].address, closed4[i].bits))
            return false;
    return true;
}

/* The IPv4 address that an IPv6 one carries, or NULL. */
static const uint8_t *carried(const uint8_t *address)
{
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t nat64[16] = {0x00, 0x64, 0xff, 0x9b};
    static const uint8_t nat64_local[16] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};
    static const uint8_t isatap[4] = {0x00, 0x00, 0x5e, 0xfe}, isatap_public[4] = {0x02, 0x00, 0x5e, 0xfe};
    static const uint8_t six_to_four[2] = {0x20, 0x02};

    if (in_range(address, mapped, 96) || in_range(address, nat64, 96) || in_range(address, nat64_local, 48))
        return address + 12;
    if (in_range(address, six_to_four, 16))
        return address + 2;
    if (memcmp(address + 8, isatap, 4) == 0 || memcmp(address + 8, isatap_public, 4) == 0)
        return address + 12;
    return NULL;
}

static bool open6(const uint8_t *address, const struct px_cidr *allowed, unsigned count)
{
    const uint8_t *inside = carried(address);

    if (is_allowed(address, true, allowed, count))
        return true;
    if (inside && !open4(inside, allowed, count))
        return false;
    if (inside && address[0] == 0) /* mapped and NAT64: as open as what they carry */
        return true;
    if ((address[0] & 0xe0) != 0x20)
        return false;
    for (size_t i = 0; i < PX_COUNT_OF(closed6); i++)
        if (in_range(address, closed6[i].address, closed6[i].bits))
            return false;
    return true;
}

bool px_target_allowed(const struct sockaddr *address, const struct px_cidr *allowed, unsigned count)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof in);
        return open4((const uint8_t *)&in.sin_addr, allowed, count);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof in6);
        return open6(in6.sin6_addr.s6_addr, allowed, count);
    }
    return false;
}
