/*
 * shm/ring.h: a producer that publishes batches and may die before any store, its successors, and a consumer of any speed.
 *
 * The word of an event is position * LIVES + the life that wrote it, so that another position shows, and so does a mixture of what two
 * lives wrote at the same position. Deaths are possible before every store. Memory is sequentially consistent here.
 *
 * Claims: a read that counts as valid yields the event of that very position, whole; tail <= intent; neither decreases; a consumer that
 * was overtaken goes on at a position that exists; a batch that a successor finds staged is whole.
 * Variants that must fail: LOWER_INTENT (a successor starts with intent = tail), NO_INTENT (the read is validated by tail), UNCLAMPED
 * (going on at intent minus a part of the ring, which lies beyond tail when a batch is larger than that part), STALE_STAGED (`staged`
 * is not taken back before a batch that was given up is written over).
 */
#ifndef CAPACITY
#define CAPACITY 4
#endif
#ifndef BATCH
#define BATCH 2
#endif
#ifndef MARGIN
#define MARGIN 1
#endif
#define LAST  (CAPACITY + 2) /* positions 0 .. LAST-1 are published */
#define LIVES 3

byte intent, tail, staged;
byte words[2 * CAPACITY];
byte life; /* of the producer: 0, 1, ... */

inline may_die() {
    if
    :: life + 1 < LIVES -> life++; goto dead
    :: skip
    fi
}

active proctype producer()
{
    byte end, at;

    goto work;
dead:
    skip;
    d_step { end = 0; at = 0 };
#ifdef LOWER_INTENT
    intent = tail;
#endif
    if
    :: staged > tail -> /* a whole batch of a predecessor: looked at, and finished or given up */
        at = tail;
        do
        :: at < staged ->
            assert(words[2 * (at % CAPACITY)] == words[2 * (at % CAPACITY) + 1]);
            assert(words[2 * (at % CAPACITY)] / LIVES == at);
            at++
        :: else -> break
        od;
        at = 0;
        if
        :: may_die(); tail = staged
        :: skip
        fi
    :: else
    fi;
work:
    do
    :: tail >= LAST -> break
    :: tail < LAST ->
        end = tail + 1;
        do
        :: end < tail + BATCH && end < LAST -> end++
        :: break
        od;
#ifndef STALE_STAGED
        if
        :: staged != tail -> may_die(); staged = tail
        :: else
        fi;
#endif
        may_die();
        if
        :: end > intent -> intent = end
        :: else
        fi;
        assert(tail <= intent);
        at = tail;
        do
        :: at < end ->
            may_die();
            words[2 * (at % CAPACITY)] = at * LIVES + life;
            may_die();
            words[2 * (at % CAPACITY) + 1] = at * LIVES + life;
            at++
        :: else -> break
        od;
        may_die();
        staged = end;
        may_die();
        assert(end > tail && end <= intent);
        tail = staged
    od
}

active proctype consumer()
{
    byte position, t, n, i, w[2 * BATCH];

    do
    :: position < LAST ->
        t = tail;
        n = (t - position < BATCH -> t - position : BATCH);
        if
        :: t == position -> goto next
        :: t - position > CAPACITY -> goto overrun
        :: else
        fi;
        i = 0;
        do
        :: i < n ->
            w[2 * i] = words[2 * ((position + i) % CAPACITY)];
            w[2 * i + 1] = words[2 * ((position + i) % CAPACITY) + 1];
            i++
        :: else -> break
        od;
#ifdef NO_INTENT
        if
        :: tail - position > CAPACITY -> goto overrun
        :: else
        fi;
#else
        if
        :: intent - position > CAPACITY -> goto overrun
        :: else
        fi;
#endif
        d_step {
            i = 0;
            do
            :: i < n ->
                assert(w[2 * i] == w[2 * i + 1]);
                assert(w[2 * i] / LIVES == position + i);
                i++
            :: else -> break
            od;
            position = position + n
        };
        goto next;
overrun:
        t = intent - (CAPACITY - MARGIN); /* px_ring_oldest */
#ifndef UNCLAMPED
        if
        :: t > tail -> t = tail
        :: else
        fi;
#endif
        assert(t <= tail);
        position = t;
next:
        skip;
        d_step {
            t = 0;
            n = 0;
            i = 0;
            do
            :: i < 2 * BATCH -> w[i] = 0; i++
            :: else -> break
            od;
            i = 0
        }
    :: else -> break
    od
}
