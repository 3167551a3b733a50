/*
 * shm/wait.h: a consumer that sleeps on a flag, a producer that may die before any step, and the supervisor that wakes for the dead.
 *
 * The futex is one word and one wake: sleeping looks at the word and falls asleep in one step, as the kernel does. There is no time-out
 * here, so that a lost wake shows as a consumer that sleeps for ever beside news: an invalid end state.
 *
 * Variants that must fail: NO_SECOND_LOOK (asleep without looking at the inputs again), NO_SUPERVISOR (nobody wakes for a dead producer),
 * WAKE_FIRST (the producer looks at the flag before it publishes).
 */
#define EVENTS 3
#define DEATHS 2

byte tail, position, deaths;
bit need_wake, asleep, died;

inline may_die() {
    if
    :: deaths < DEATHS -> deaths++; goto dead
    :: skip
    fi
}

active proctype producer()
{
life:
    do
    :: tail < EVENTS ->
#ifdef WAKE_FIRST
        may_die();
        if
        :: need_wake -> need_wake = 0; may_die(); asleep = 0
        :: else
        fi;
        may_die();
        tail++
#else
        may_die();
        tail++;
        may_die();
        if
        :: need_wake ->
            may_die();
            need_wake = 0;
            may_die();
            asleep = 0
        :: else
        fi
#endif
    :: else -> break
    od;
    goto end_of_producer;
dead:
    died = 1;
    !died; /* reaped: the successor starts after the supervisor's wake */
    goto life;
end_of_producer:
    skip
}

active proctype supervisor()
{
end_supervisor:
    do
    :: died ->
#ifndef NO_SUPERVISOR
        need_wake = 0;
        asleep = 0;
#endif
        died = 0
    od
}

active proctype consumer()
{
    byte t;

    do
    :: position == EVENTS -> break
    :: else ->
        t = tail;
        if
        :: t != position -> position = t
        :: else ->
            need_wake = 1;
#ifndef NO_SECOND_LOOK
            if
            :: tail != position -> goto again
            :: else
            fi;
#endif
            if
            :: atomic { need_wake -> asleep = 1 }
            :: else -> goto again
            fi;
            !asleep
        fi;
again:
        t = 0
    od
}
