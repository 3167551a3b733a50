/*
 * shm/pool.h: a handle that a reader has kept from an earlier section, and the node's owner, who retires and frees it.
 *
 * A lookup inside a section compares the handle's generation with the node's. When it fits, the node must stay as it is until the section
 * ends, although no link led to it.
 *
 * Variant that must fail: LATE (the generation turns when the node is freed, not before the epoch of its retirement: a lookup slips in
 * between the scan and the reuse).
 */
#define SECTIONS 3

byte epoch = 1;
byte seen;
byte generation = 1; /* odd: live */
bit poison;

active proctype owner()
{
    byte due;

#ifndef LATE
    generation++;
#endif
    epoch++;
    due = epoch;
    do
    :: seen == 0 || seen >= due -> break
    :: else
    od;
#ifdef LATE
    generation++;
#endif
    poison = 1
}

active proctype reader()
{
    byte sections, g;

    do
    :: sections < SECTIONS ->
        sections++;
        g = epoch;
        seen = g;
        if
        :: generation == 1 ->
            assert(!poison);
            assert(!poison)
        :: else
        fi;
        seen = 0
    :: else -> break
    od
}
