#include "store/column_private.h"

#define PACK_GROUP  32
#define RICE_GROUP  128
#define RICE_GROUPS ((PXI_COLUMN_MAX + RICE_GROUP - 1) / RICE_GROUP)
#define RICE_ESCAPE 24 /* a quotient this large is followed by the number itself */

/* Loops over a column go several numbers at a time; where the machine has wider registers than all have, with these. */
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PXI_WIDE_VECTORS __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define PXI_WIDE_VECTORS
#endif

enum coding { CODING_NONE, CODING_PACK, CODING_RICE };

static const uint64_t scales[] = {1, 1000, 1000000, 1000000000};

static unsigned width_of(uint64_t value)
{
    return value ? 64 - (unsigned)__builtin_clzll(value) : 0;
}

/* ---- bits, the lowest first ---- */

/* Writes whole words, up to 8 bytes behind what counts: PXI_COLUMN_BYTES_MAX has room for them. */
struct bit_writer {
    uint8_t *to;
    uint64_t held;
    unsigned bits; /* in `held`, < 8 */
};

#define PUT_MOST 56

/* At most PUT_MOST bits, the others of `value` 0. */
static inline void put_bits(struct bit_writer *writer, uint64_t value, unsigned width)
{
    writer->held |= value << writer->bits;
    writer->bits += width;
    memcpy(writer->to, &writer->held, 8);
    writer->to += writer->bits / 8;
    writer->held >>= writer->bits / 8 * 8;
    writer->bits %= 8;
}

static inline void put_wide(struct bit_writer *writer, uint64_t value, unsigned width)
{
    put_bits(writer, value & UINT32_MAX, 32);
    put_bits(writer, value >> 32, width - 32);
}

static uint8_t *end_bits(const struct bit_writer *writer)
{
    return writer->to + (writer->bits > 0);
}

/* ---- the codings ---- */

/* *anyp: all of them, or'd. */
static inline size_t pack_cost(const uint64_t *numbers, unsigned n, uint64_t *anyp)
{
    size_t cost = 0;

    *anyp = 0;
    for (unsigned at = 0; at < n; at += PACK_GROUP) {
        unsigned count = PX_MIN(n - at, PACK_GROUP);
        uint64_t any = 0;

        for (unsigned i = 0; i < count; i++)
            any |= numbers[at + i];
        cost += 1 + (count * width_of(any) + 7) / 8;
        *anyp |= any;
    }
    return cost;
}

static uint8_t *pack(uint8_t *to, const uint64_t *numbers, unsigned n)
{
    for (unsigned at = 0; at < n; at += PACK_GROUP) {
        unsigned count = PX_MIN(n - at, PACK_GROUP);
        uint64_t any = 0;

        for (unsigned i = 0; i < count; i++)
            any |= numbers[at + i];
        unsigned width = width_of(any);
        *to++ = (uint8_t)width;
        if (width == 0)
            continue;
        struct bit_writer writer = {to, 0, 0};
        for (unsigned i = 0; i < count && width <= PUT_MOST; i++)
            put_bits(&writer, numbers[at + i], width);
        for (unsigned i = 0; i < count && width > PUT_MOST; i++)
            put_wide(&writer, numbers[at + i], width);
        to = end_bits(&writer);
    }
    return to;
}

#define RICE_TRIES 3

/* With quotients that may be too large: bytes do to tell, since what matters is below RICE_ESCAPE, and the larger k's are halves. */
static inline void rice_bits_escaped(const uint64_t *numbers, unsigned count, unsigned k, size_t bits[RICE_TRIES])
{
    uint8_t quotient[RICE_GROUP];

    for (unsigned i = 0; i < count; i++)
        quotient[i] = (uint8_t)PX_MIN(numbers[i] >> (k - 2), UINT8_MAX);
    for (unsigned try = 0; try < RICE_TRIES; try++) {
        uint16_t sum = 0, escapes = 0;

        for (unsigned i = 0; i < count; i++) {
            uint8_t one = (uint8_t)(quotient[i] >> (2 - try));

            sum = (uint16_t)(sum + PX_MIN(one, RICE_ESCAPE));
            escapes = (uint16_t)(escapes + (one >= RICE_ESCAPE));
        }
        bits[try] += sum + (size_t)escapes * (64 - (k - try) - 1);
    }
}

/* What a group takes with k, k - 1 and k - 2: of all of them at once, since reading the numbers is most of it. `any`: all of them, or'd. */
static inline void rice_bits(const uint64_t *numbers, unsigned count, uint64_t any, unsigned k, size_t bits[RICE_TRIES])
{
    unsigned tries = PX_MIN(k + 1, RICE_TRIES);

    for (unsigned try = 0; try < RICE_TRIES; try++)
        bits[try] = try < tries ? (size_t)count * (k - try + 1) : SIZE_MAX / 2;
    if (tries == RICE_TRIES && any >> (k - 2) < RICE_ESCAPE) { /* no escapes to look for */
        for (unsigned i = 0; i < count; i++) {
            bits[0] += numbers[i] >> k;
            bits[1] += numbers[i] >> (k - 1);
            bits[2] += numbers[i] >> (k - 2);
        }
        return;
    }
    if (tries == RICE_TRIES) {
        rice_bits_escaped(numbers, count, k, bits);
        return;
    }
    for (unsigned try = 0; try < tries; try++) {
        for (unsigned i = 0; i < count; i++) {
            uint64_t quotient = numbers[i] >> (k - try);

            bits[try] += quotient < RICE_ESCAPE ? quotient : RICE_ESCAPE + 64 - (k - try) - 1;
        }
    }
}

static uint64_t wide_mean(const uint64_t *numbers, unsigned count)
{
    unsigned __int128 sum = 0;

    for (unsigned i = 0; i < count; i++)
        sum += numbers[i];
    return (uint64_t)(sum / count);
}

/* The best k lies at or just below the width of the mean. */
static inline unsigned rice_k(const uint64_t *numbers, unsigned count, size_t *bitsp)
{
    size_t bits[RICE_TRIES];
    uint64_t sum = 0, any = 0;

    for (unsigned i = 0; i < count; i++) {
        any |= numbers[i];
        sum += numbers[i];
    }
    uint64_t mean = any >> 56 ? wide_mean(numbers, count) : sum / count; /* 128 of them cannot wrap below that */
    unsigned most = PX_MIN(width_of(mean), 56), best = 0;
    rice_bits(numbers, count, any, most, bits);
    for (unsigned try = 1; try < RICE_TRIES; try++)
        if (bits[try] < bits[best])
            best = try;
    *bitsp = bits[best];
    return most - best;
}

static inline size_t rice_cost(const uint64_t *numbers, unsigned n, uint8_t ks[RICE_GROUPS])
{
    size_t cost = 0, bits;

    for (unsigned at = 0; at < n; at += RICE_GROUP) {
        ks[at / RICE_GROUP] = (uint8_t)rice_k(numbers + at, PX_MIN(n - at, RICE_GROUP), &bits);
        cost += 1 + (bits + 7) / 8;
    }
    return cost;
}

/* Ones, a zero, the rest. */
static inline void put_rice(struct bit_writer *writer, uint64_t value, unsigned k)
{
    uint64_t quotient = value >> k;

    if (quotient >= RICE_ESCAPE) {
        put_bits(writer, (UINT64_C(1) << RICE_ESCAPE) - 1, RICE_ESCAPE);
        put_wide(writer, value, 64);
        return;
    }
    uint64_t ones = (UINT64_C(1) << quotient) - 1, rest = value & ((UINT64_C(1) << k) - 1);
    if (k < PUT_MOST - RICE_ESCAPE) {
        put_bits(writer, ones | rest << (quotient + 1), (unsigned)quotient + 1 + k);
        return;
    }
    put_bits(writer, ones, (unsigned)quotient + 1);
    put_bits(writer, rest, k);
}

static uint8_t *rice(uint8_t *to, const uint64_t *numbers, unsigned n, const uint8_t ks[RICE_GROUPS])
{
    for (unsigned at = 0; at < n; at += RICE_GROUP) {
        unsigned count = PX_MIN(n - at, RICE_GROUP), k = ks[at / RICE_GROUP];

        *to++ = (uint8_t)k;
        struct bit_writer writer = {to, 0, 0};
        for (unsigned i = 0; i < count; i++)
            put_rice(&writer, numbers[at + i], k);
        to = end_bits(&writer);
    }
    return to;
}

/* ---- shapes ---- */

struct shaped {
    unsigned shape, scale, count;
    int64_t base, slope;
    enum coding coding;
    size_t cost;
    uint8_t ks[RICE_GROUPS];
    uint64_t numbers[PXI_COLUMN_MAX];
};

/* Divisors are constants where these are used: a division takes ten times as long as what the compiler makes of one by a constant. */
#define WITH_SCALE(scale, use)                                                                                         \
    do {                                                                                                               \
        switch (scale) {                                                                                               \
        case 1:                                                                                                        \
            use(INT64_C(1000));                                                                                        \
            break;                                                                                                     \
        case 2:                                                                                                        \
            use(INT64_C(1000000));                                                                                     \
            break;                                                                                                     \
        case 3:                                                                                                        \
            use(INT64_C(1000000000));                                                                                  \
            break;                                                                                                     \
        default:                                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
    } while (0)

static inline bool all_divisible(const int64_t *differences, unsigned n, unsigned scale)
{
#define CHECK(by)                                                                                                      \
    for (unsigned i = 0; i < n; i++)                                                                                   \
        if (differences[i] % (by) != 0)                                                                                \
            return false;
    WITH_SCALE(scale, CHECK);
#undef CHECK
    return true;
}

static inline void divide(int64_t *differences, unsigned n, unsigned scale)
{
#define DIVIDE(by)                                                                                                     \
    for (unsigned i = 0; i < n; i++)                                                                                   \
        differences[i] /= (by);
    WITH_SCALE(scale, DIVIDE);
#undef DIVIDE
}

static inline unsigned common_scale(const int64_t *differences, unsigned n)
{
    unsigned scale = 0;

    while (scale + 1 < PX_COUNT_OF(scales) && all_divisible(differences, n, scale + 1))
        scale++;
    return scale;
}

static inline void choose_coding(struct shaped *to)
{
    uint64_t any;
    size_t packed = pack_cost(to->numbers, to->count, &any), riced;

    to->coding = CODING_NONE;
    to->cost = 0;
    if (!any)
        return;
    riced = rice_cost(to->numbers, to->count, to->ks);
    to->coding = riced < packed ? CODING_RICE : CODING_PACK;
    to->cost = PX_MIN(riced, packed);
}

static inline void shape_plain(struct shaped *to, const int64_t *values, unsigned n)
{
    to->base = values[0];
    to->count = n;
    for (unsigned i = 1; i < n; i++)
        to->base = PX_MIN(to->base, values[i]);
    for (unsigned i = 0; i < n; i++)
        to->numbers[i] = (uint64_t)values[i] - (uint64_t)to->base;
    if (to->scale == 0)
        return;
    for (unsigned i = 0; i < n; i++)
        if (to->numbers[i] % scales[to->scale] != 0) /* differences that wrapped have another divisor */
            to->scale = 0;
    for (unsigned i = 0; i < n; i++)
        to->numbers[i] /= scales[to->scale];
}

/* Of differences that have been divided. */
static inline void shape_differences(struct shaped *to, const int64_t *differences, unsigned n, int64_t first)
{
    to->base = first;
    to->slope = 0;
    to->count = n;
    if (to->shape == PXI_RISE) {
        memcpy(to->numbers, differences, n * sizeof *differences);
        return;
    }
    if (to->shape == PXI_DELTA) {
        for (unsigned i = 0; i < n; i++)
            to->numbers[i] = pxi_fold(differences[i]);
        return;
    }
    to->slope = differences[0];
    to->count = n - 1;
    for (unsigned i = 1; i < n; i++)
        to->numbers[i - 1] = pxi_fold(pxi_minus(differences[i], differences[i - 1]));
}

/* ---- the column ---- */

static uint8_t *write_head(uint8_t *to, unsigned shape, enum coding coding, unsigned scale, int64_t base, int64_t slope)
{
    *to++ = (uint8_t)(__builtin_ctz(shape) | coding << 2 | scale << 4);
    to = pxi_put_signed(to, base);
    return shape == PXI_SLOPE ? pxi_put_signed(to, slope) : to;
}

static uint8_t *write_shaped(uint8_t *to, const struct shaped *shaped)
{
    to = write_head(to, shaped->shape, shaped->coding, shaped->scale, shaped->base, shaped->slope);
    if (shaped->coding == CODING_PACK)
        return pack(to, shaped->numbers, shaped->count);
    return shaped->coding == CODING_RICE ? rice(to, shaped->numbers, shaped->count, shaped->ks) : to;
}

/* What one look at all differences says. */
struct look {
    int64_t any;   /* all of them, or'd */
    int64_t other; /* what is not as in the first, or'd */
};

static inline struct look difference(const int64_t *values, unsigned n, int64_t *differences)
{
    struct look look = {0, 0};
    int64_t first = n > 1 ? pxi_minus(values[1], values[0]) : 0;

    for (unsigned i = 1; i < n; i++) {
        int64_t one = pxi_minus(values[i], values[i - 1]);

        differences[i - 1] = one;
        look.any |= one;
        look.other |= one ^ first;
    }
    return look;
}

/* Short columns take any shape that they can have. */
static bool may_be(unsigned shape, unsigned shapes, unsigned n)
{
    bool fits = shape == PXI_PLAIN || n > (shape == PXI_SLOPE ? 2 : 1);

    return fits && (shapes & shape || n <= 2);
}

/* Whether base and slope, or base alone, say everything. */
static bool is_line(const struct look *look, int64_t difference, unsigned n, unsigned shapes)
{
    return n > 2 && look->other == 0 && (shapes & PXI_SLOPE || (difference == 0 && shapes & PXI_DELTA));
}

static uint8_t *write_line(uint8_t *to, int64_t base, int64_t difference, unsigned shapes)
{
    unsigned scale = shapes & PXI_SCALED ? common_scale(&difference, 1) : 0;

    return write_head(to, shapes & PXI_SLOPE ? PXI_SLOPE : PXI_RISE, CODING_NONE, scale, base, difference / (int64_t)scales[scale]);
}

PXI_WIDE_VECTORS uint8_t *pxi_column_encode(uint8_t *to, const int64_t *values, unsigned n, unsigned shapes)
{
    struct shaped shaped[2], *best = NULL, *next = &shaped[0];
    int64_t differences[PXI_COLUMN_MAX];
    unsigned scale = 0;

    PX_CHECK(n > 0 && n <= PXI_COLUMN_MAX);
    differences[0] = 0; /* of a column of one */
    struct look look = difference(values, n, differences);
    if (is_line(&look, differences[0], n, shapes))
        return write_line(to, values[0], differences[0], shapes);
    if (shapes & PXI_SCALED)
        scale = common_scale(differences, n - 1);
    divide(differences, n - 1, scale);
    /* From the one that leaves nothing of what is regular: then there is nothing better to look for. */
    for (unsigned shape = PXI_SLOPE; shape >= PXI_PLAIN && !(best && best->cost == 0); shape >>= 1) {
        if (!may_be(shape, shapes, n))
            continue;
        next->shape = shape == PXI_DELTA && look.any >= 0 ? PXI_RISE : shape;
        next->scale = scale;
        if (shape == PXI_PLAIN)
            shape_plain(next, values, n);
        else
            shape_differences(next, differences, n - 1, values[0]);
        choose_coding(next);
        if (!best || next->cost < best->cost) {
            best = next;
            next = best == &shaped[0] ? &shaped[1] : &shaped[0];
        }
    }
    return write_shaped(to, best);
}

/* ---- reading ---- */

/* Eight bytes from `bit` on; what lies behind the end reads as zero. */
static inline uint64_t peek_bits(const struct pxi_bytes *from, size_t bit)
{
    const uint8_t *at = from->at + bit / 8;
    uint64_t word = 0;

    if (at + 8 <= from->end)
        memcpy(&word, at, 8);
    else if (at < from->end)
        memcpy(&word, at, (size_t)(from->end - at));
    return word >> bit % 8;
}

static inline uint64_t read_bits(const struct pxi_bytes *from, size_t bit, unsigned width)
{
    uint64_t low = peek_bits(from, bit);

    if (width > 56)
        return (low & ((UINT64_C(1) << 32) - 1)) | read_bits(from, bit + 32, width - 32) << 32;
    return low & ((UINT64_C(1) << width) - 1);
}

static void unpack(struct pxi_bytes *from, uint64_t *numbers, unsigned n)
{
    for (unsigned at = 0; at < n && !from->bad; at += PACK_GROUP) {
        unsigned count = PX_MIN(n - at, PACK_GROUP), width = pxi_take_byte(from);
        size_t bytes = (count * width + 7) / 8;

        from->bad |= width > 64 || bytes > (size_t)(from->end - from->at);
        if (from->bad)
            return;
        for (unsigned i = 0; i < count; i++)
            numbers[at + i] = width ? read_bits(from, (size_t)i * width, width) : 0;
        from->at += bytes;
    }
}

static uint64_t read_rice(const struct pxi_bytes *from, size_t *bit, unsigned k)
{
    unsigned ones = (unsigned)__builtin_ctzll(~peek_bits(from, *bit) | UINT64_C(1) << RICE_ESCAPE);

    if (ones >= RICE_ESCAPE) {
        uint64_t value = read_bits(from, *bit + RICE_ESCAPE, 64);

        *bit += RICE_ESCAPE + 64;
        return value;
    }
    uint64_t value = (uint64_t)ones << k | (k ? read_bits(from, *bit + ones + 1, k) : 0);
    *bit += ones + 1 + k;
    return value;
}

static void unrice(struct pxi_bytes *from, uint64_t *numbers, unsigned n)
{
    for (unsigned at = 0; at < n && !from->bad; at += RICE_GROUP) {
        unsigned count = PX_MIN(n - at, RICE_GROUP), k = pxi_take_byte(from);
        size_t bit = 0, bits = (size_t)(from->end - from->at) * 8;

        from->bad |= k > 56;
        for (unsigned i = 0; i < count && !from->bad; i++) {
            numbers[at + i] = read_rice(from, &bit, k);
            from->bad |= bit > bits;
        }
        if (!from->bad)
            from->at += (bit + 7) / 8;
    }
}

static void unshape(unsigned shape, uint64_t by, int64_t base, int64_t slope, const uint64_t *numbers, unsigned n,
                    int64_t *values)
{
    if (shape == PXI_PLAIN) {
        for (unsigned i = 0; i < n; i++)
            values[i] = pxi_plus(base, (int64_t)(numbers[i] * by));
        return;
    }
    values[0] = base;
    if (shape == PXI_RISE) {
        for (unsigned i = 1; i < n; i++)
            values[i] = pxi_plus(values[i - 1], (int64_t)(numbers[i - 1] * by));
        return;
    }
    if (shape == PXI_DELTA) {
        for (unsigned i = 1; i < n; i++)
            values[i] = pxi_plus(values[i - 1], (int64_t)((uint64_t)pxi_unfold(numbers[i - 1]) * by));
        return;
    }
    for (unsigned i = 1; i < n; i++) {
        slope = i > 1 ? pxi_plus(slope, pxi_unfold(numbers[i - 2])) : slope;
        values[i] = pxi_plus(values[i - 1], (int64_t)((uint64_t)slope * by));
    }
}

void pxi_column_decode(struct pxi_bytes *from, unsigned n, int64_t *values)
{
    uint64_t numbers[PXI_COLUMN_MAX];
    uint8_t tag = pxi_take_byte(from);
    unsigned shape = 1u << (tag & 3), coding = tag >> 2 & 3, scale = tag >> 4;
    unsigned first = shape == PXI_PLAIN ? 0 : shape == PXI_SLOPE ? 2 : 1; /* numbers that the base and the slope stand for */
    int64_t base = pxi_take_signed(from), slope = shape == PXI_SLOPE ? pxi_take_signed(from) : 0;

    from->bad |= coding > CODING_RICE || scale >= PX_COUNT_OF(scales) || n < first || n > PXI_COLUMN_MAX;
    if (from->bad)
        return;
    unsigned count = n - first;
    if (coding == CODING_PACK)
        unpack(from, numbers, count);
    else if (coding == CODING_RICE)
        unrice(from, numbers, count);
    else
        memset(numbers, 0, count * sizeof *numbers);
    if (!from->bad)
        unshape(shape, scales[scale], base, slope, numbers, n, values);
}
