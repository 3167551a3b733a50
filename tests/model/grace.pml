/*
 * shm/rcu.h with shm/pool.h: readers in other processes, the one writer with its private queue, the supervisor that reaps.
 *
 * One root names one of NODES nodes. A reader goes online, follows the root, and looks at the node as long as it likes; it may die
 * anywhere. The writer swaps the root, retires the old node, reclaims, and may die anywhere; its successor has neither queue nor free
 * list. Freed nodes are poisoned, which no reader may see inside a section.
 *
 * Claims: no poison inside a section; every node is reclaimed in the end (else the writer waits for ever: an invalid end state).
 * Variants that must fail: NO_GRACE (freed at once), EARLY_EPOCH (the epoch is taken before the unlink), HEARTBEAT (the supervisor
 * clears the slot of a reader that is merely slow), NEVER_CLEARED (the slot of a dead reader stays), NO_TAKEOVER_GRACE (a successor
 * frees what is unmarked at once), PLAIN_ONLINE (online without a full barrier: the store waits in the processor while the root is
 * read).
 */
#ifndef READERS
#define READERS 2
#endif
#define NODES   3
#ifndef SWAPS
#define SWAPS   3
#endif
#ifndef READER_DEATHS
#define READER_DEATHS 1
#endif
#ifndef WRITER_DEATHS
#define WRITER_DEATHS 1
#endif

byte epoch = 1;
byte root;
byte seen[READERS];
bit gone[READERS]; /* dead and not yet reaped */
bit poison[NODES];
byte reader_deaths, writer_deaths, swaps;
bit all_done;
#ifdef PLAIN_ONLINE
bit pending[READERS];
byte stored[READERS];
#endif

#define FREE 255 /* in `due`: not in use; 0: live; else the epoch of its retirement */

inline reader_may_die() {
    if
    :: reader_deaths < READER_DEATHS -> reader_deaths++; goto dead
    :: skip
    fi
}

inline writer_may_die() {
    if
    :: writer_deaths < WRITER_DEATHS -> writer_deaths++; goto dead
    :: skip
    fi
}

/* px_rcu_reclaimable: the slots one by one, while readers come and go. */
inline scan() {
    oldest = epoch;
    i = 0;
    do
    :: i < READERS ->
        g = seen[i];
        if
        :: g != 0 && g < oldest -> oldest = g
        :: else
        fi;
        i++
    :: else -> break
    od;
    g = 0;
    i = 0
}

/* Stores leave a processor in order, and before its process is reaped. */
inline drain() {
#ifdef PLAIN_ONLINE
    !pending[_pid]
#else
    skip
#endif
}

active [READERS] proctype reader()
{
    byte g, node;

offline:
    do
    :: all_done -> goto end_of_reader
    :: !all_done ->
        g = epoch;
        reader_may_die();
#ifdef PLAIN_ONLINE
        atomic { stored[_pid] = g; pending[_pid] = 1 };
#else
        seen[_pid] = g;
#endif
        do
        :: reader_may_die();
            node = root;
            assert(!poison[node]);
            reader_may_die();
            assert(!poison[node]); /* it dwelt here for any time */
            if
            :: g = epoch; drain(); seen[_pid] = g /* quiesce: the node is given up */
            :: break
            fi
        od;
        reader_may_die();
        drain();
        seen[_pid] = 0;
        d_step { g = 0; node = 0 }
    od;
dead:
    drain();
    d_step { g = 0; node = 0; gone[_pid] = 1 };
    !gone[_pid]; /* reaped; its successor gets the slot */
    goto offline;
end_of_reader:
    skip
}

#ifdef PLAIN_ONLINE
active proctype store_buffer()
{
end_buffer:
    do
    :: atomic { pending[0] -> seen[0] = stored[0]; pending[0] = 0 }
#if READERS > 1
    :: atomic { pending[1] -> seen[1] = stored[1]; pending[1] = 0 }
#endif
    od
}
#endif

active proctype supervisor()
{
end_supervisor:
    do
#ifdef NEVER_CLEARED
    :: d_step { gone[0] -> gone[0] = 0 }
#if READERS > 1
    :: d_step { gone[1] -> gone[1] = 0 }
#endif
#else
    :: gone[0] -> seen[0] = 0; gone[0] = 0
#if READERS > 1
    :: gone[1] -> seen[1] = 0; gone[1] = 0
#endif
#endif
#ifdef HEARTBEAT
    :: seen[0] != 0 -> seen[0] = 0
#endif
    od
}

active proctype writer()
{
    byte due[NODES], fresh, old, oldest, i, g;

    d_step { due[0] = 0; due[1] = FREE; due[2] = FREE; poison[1] = 1; poison[2] = 1 };
    goto work;

dead: /* the successor: marks what the root names, waits one grace period, and takes the rest as free */
    skip;
    d_step { fresh = 0; old = 0; oldest = 0; i = 0; g = 0; due[0] = 0; due[1] = 0; due[2] = 0 };
#ifndef NO_TAKEOVER_GRACE
    epoch++;
    fresh = epoch;
    do
    :: scan();
        writer_may_die();
        if
        :: oldest >= fresh -> break
        :: else
        fi
    od;
#endif
    fresh = 0;
    oldest = 0;
    do
    :: i < NODES ->
        if
        :: i != root -> due[i] = FREE; poison[i] = 1
        :: else -> due[i] = 0
        fi;
        i++
    :: else -> break
    od;
    i = 0;

work:
    do
    :: swaps < SWAPS ->
        /* a free node, or a round of reclaiming */
        if
        :: d_step { due[0] == FREE -> fresh = 0 }
        :: d_step { due[0] != FREE && due[1] == FREE -> fresh = 1 }
        :: d_step { due[0] != FREE && due[1] != FREE && due[2] == FREE -> fresh = 2 }
        :: else -> goto reclaim
        fi;
        writer_may_die();
        poison[fresh] = 0;
        due[fresh] = 0;
        writer_may_die();
#ifdef EARLY_EPOCH
        epoch++;
        g = epoch;
#endif
        d_step { old = root; root = fresh; swaps++ };
        writer_may_die();
#ifdef NO_GRACE
        g = 1;
#elif !defined(EARLY_EPOCH)
        epoch++;
        g = epoch;
#endif
        due[old] = g;
        d_step { g = 0; fresh = 0; old = 0 };
        writer_may_die();
reclaim:
        scan();
        do
        :: i < NODES ->
            if
            :: due[i] != 0 && due[i] != FREE && due[i] <= oldest -> poison[i] = 1; due[i] = FREE
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0;
        oldest = 0
    :: else -> break
    od;
    all_done = 1;
    /* readers end now or have died; what is still retired must become free */
    do
    :: scan();
        if
        :: oldest == epoch -> break
        :: else -> seen[0] == 0 || seen[0] == epoch;
            seen[READERS - 1] == 0 || seen[READERS - 1] == epoch
        fi
    od
}
