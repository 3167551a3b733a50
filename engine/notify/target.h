/* Which addresses a notification may reach. Pure; any process. */
#pragma once

#include <sys/socket.h>

#include "base/config.h"

/*
 * True for a public address: neither private, loopback, link-local, carrier-grade, documentation, multicast nor reserved, and for IPv6 not
 * one that carries such an IPv4 address inside (mapped, compatible, NAT64, 6to4, Teredo, ISATAP). Ranges in `allowed` are let through whatever they are; a carried
 * address counts as itself.
 */
bool px_target_allowed(const struct sockaddr *address, const struct px_cidr *allowed, unsigned count);
