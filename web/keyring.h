/*
 * The keys that this process knows. The table is reloaded when <data>/keys changes and published under liburcu (memb
 * flavour): who verifies a key never waits for a reload, and the old table goes once nobody reads it. Threads that
 * verify are registered with liburcu; everything here happens after the fork.
 */
#pragma once

#include "base/keys.h"

struct px_keyring;

/* Reads the keys for the first time; a file that is no key file leaves nobody with access, and is logged. PX_E_MEMORY.
 */
int px_keyring_open(const char *data, struct px_keyring **ringp);

/* Waits for pending frees. No thread may verify any more. */
void px_keyring_close(struct px_keyring **ringp);

/*
 * Reloads if the file has changed since the last look, by its inode, size and time. A file that cannot be read leaves
 * the table as it is: a half-written edit must not lock everybody out. One thread, about once a second. Blocks on the
 * disk.
 */
void px_keyring_poll(struct px_keyring *ring);

/* Copies the key that `text` proves, or PX_E_FORBIDDEN. Wait-free; any registered thread. */
int px_keyring_verify(struct px_keyring *ring, struct px_text text, struct px_key *keyp);
