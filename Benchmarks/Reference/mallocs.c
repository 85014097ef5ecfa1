/*
 * Counts the allocations of a program, for the claim that packets cost none.
 *
 * Preloaded; at the end it prints one line of JSON on standard error: calls of malloc, calloc, realloc and the aligned
 * ones, over all threads. What the loader allocates before the first line of the program is counted as well: compare two
 * runs that differ in packets only.
 *
 *     cc -O2 -shared -fPIC -o mallocs.so mallocs.c && LD_PRELOAD=./mallocs.so dftop bench FILE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_ulong calls;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static inline void count(void) { atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed); }

void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count();
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    count();
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

void *memalign(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    count();
    void *memory = __libc_memalign(alignment, size);
    if (!memory) return ENOMEM;
    *out = memory;
    return 0;
}

__attribute__((destructor)) static void report(void) {
    fprintf(stderr, "{\"allocations\":%lu}\n", atomic_load(&calls));
}
