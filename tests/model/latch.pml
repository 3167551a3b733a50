/*
 * shm/latch.h: one writer that may die before any store, its successors, and one reader that never rests.
 *
 * A value has two words, both carrying its number; a mixture shows as two different numbers. Every store is one step, so the
 * search tries a death at each of them, also inside a takeover. Memory is sequentially consistent here: which barriers make it so is
 * written beside the code.
 *
 * Claims: a value is whole; values do not go backward; the reader does not wait for anybody (no cycle without progress).
 * Variants that must fail: NO_TAKEOVER (writes at once), BUMP (odd becomes even, nothing is copied), SEQLOCK (the reader waits for
 * an even sequence: a dead writer stops it).
 */
#define VALUES 5
#define DEATHS 3

byte seq;
byte v[4]; /* two sides of two words */
byte number;   /* of the newest value that somebody began to write */
byte deaths;

inline may_die() {
    if
    :: deaths < DEATHS -> deaths++; goto dead
    :: skip
    fi
}

inline put(at, what) {
    may_die();
    v[at] = what
}

inline put_seq(what) {
    may_die();
    seq = what
}

active proctype writer()
{
    byte other, n;

life:
#if defined(BUMP)
    if
    :: seq % 2 == 1 -> put_seq(seq + 1)
    :: else
    fi;
#elif !defined(NO_TAKEOVER)
    other = (1 - seq % 2) * 2;
    put(other, v[2 - other]);
    put(other + 1, v[3 - other]);
    if
    :: seq % 2 == 1 -> put_seq(seq + 1)
    :: else
    fi;
#endif
    do
    :: number < VALUES ->
        d_step { number++; n = number; other = seq };
        put_seq(other + 1);
        put(0, n);
        put(1, n);
        put_seq(other + 2);
        put(2, n);
        put(3, n)
    :: break
    od;
    goto end_of_writer;
dead:
    skip;
    d_step { other = 0; n = 0 }; /* a successor knows nothing but what is in the region */
    goto life;
end_of_writer:
    skip
}

active proctype reader()
{
    byte s, w0, w1, last;

again:
    s = seq;
#ifdef SEQLOCK
    if
    :: s % 2 == 1 -> goto again
    :: else
    fi;
#endif
    w0 = v[(s % 2) * 2];
    w1 = v[(s % 2) * 2 + 1];
    if
    :: seq != s -> goto again
    :: else
    fi;
progress_value:
    skip;
    d_step {
        assert(w0 == w1);   /* whole */
        assert(w0 >= last); /* not backward */
        last = w0;
        w0 = 0;
        w1 = 0;
        s = 0
    };
    goto again
}
