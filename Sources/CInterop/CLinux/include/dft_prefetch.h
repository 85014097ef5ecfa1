#pragma once

/* Asks for the cache line at `address`; any address is allowed. */
static inline void dft_prefetch(const void *address) { __builtin_prefetch(address, 1, 3); }
