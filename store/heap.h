/* What the database asks of the heap of the process that opens it. */
#pragma once

/*
 * RocksDB takes memory for rows by the megabyte and gives all of it back with each file that it writes. Left to itself malloc learns from the first
 * such piece to keep the next ones in its heap, between what stays, and gives each thread of the database a heap of its own: they only grow. Once, before
 * the first database is opened.
 */
void px_heap_steady(void);
