#include "net/ws_private.h"

/* Bytes that must follow a lead byte, or -1 when it cannot lead. */
static int followers(unsigned char lead)
{
    if (lead >= 0xc2 && lead <= 0xdf)
        return 1;
    if (lead >= 0xe0 && lead <= 0xef)
        return 2;
    return lead >= 0xf0 && lead <= 0xf4 ? 3 : -1;
}

/* The second byte decides over-long forms, surrogates and what lies above U+10FFFF. */
static bool second_fits(unsigned char lead, unsigned char second)
{
    switch (lead) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

static const unsigned char *skip_ascii(const unsigned char *at, const unsigned char *end)
{
    uint64_t word;

    /* Eight bytes at a time: nearly all of the text that comes this way is JSON in ASCII. */
    for (; end - at >= 8; at += 8) {
        memcpy(&word, at, sizeof(word));
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    while (at < end && *at < 0x80)
        at++;
    return at;
}

bool pxi_utf8_valid(struct px_text text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    const unsigned char *end = at + text.len;

    while ((at = skip_ascii(at, end)) < end) {
        int count = followers(*at);

        if (count < 0 || end - at <= count || !second_fits(at[0], at[1]))
            return false;
        for (int i = 2; i <= count; i++)
            if ((at[i] & 0xc0) != 0x80)
                return false;
        at += count + 1;
    }
    return true;
}
