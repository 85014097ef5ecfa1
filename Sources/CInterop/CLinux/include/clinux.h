// Small doors to Linux interfaces whose headers, macros or variadic calls do not import into Swift.
#pragma once
#include "dft_prefetch.h"
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// A classic BPF instruction, laid out as `struct sock_filter`.
struct dft_insn {
    uint16_t code;
    uint8_t jt;
    uint8_t jf;
    uint32_t k;
};

/// An AF_PACKET socket with a TPACKET_V3 receive ring.
struct dft_ring {
    int fd;
    uint8_t *map;
    size_t map_size;
    uint32_t block_size;
    uint32_t block_count;
};

/// One packet of a block.
struct dft_packet {
    const uint8_t *data;
    uint32_t captured;
    uint32_t wire;
    uint64_t time_ns;
    int32_t ifindex;
    uint16_t hatype;
    uint8_t pkttype;
};

/// Opens a ring on all interfaces (ifindex 0) or on one, with a filter that drops everything until `dft_ring_filter`.
/// Returns 0, or the errno of the step that failed; nothing stays open then.
int dft_ring_open(struct dft_ring *ring, int ifindex, uint32_t block_size, uint32_t block_count, uint32_t retire_ms);
void dft_ring_close(struct dft_ring *ring);
/// Attaches a filter program; 0 or errno.
int dft_ring_filter(int fd, const struct dft_insn *program, uint16_t count);
/// Waits until block `index` belongs to user space; 1 ready, 0 timeout, -1 error.
int dft_ring_wait(const struct dft_ring *ring, uint32_t index, int timeout_ms);
/// First packet of a ready block; returns the number of packets and sets `cursor` for `dft_ring_next`.
uint32_t dft_ring_block(const struct dft_ring *ring, uint32_t index, const uint8_t **cursor);
/// Reads the packet at `cursor` and moves it on.
void dft_ring_next(const uint8_t **cursor, struct dft_packet *packet);
/// Gives block `index` back to the kernel.
void dft_ring_release(const struct dft_ring *ring, uint32_t index);
/// Packets seen and dropped by the kernel since the last call.
int dft_ring_statistics(int fd, uint32_t *packets, uint32_t *drops);
int dft_ring_promiscuous(int fd, int ifindex, int on);

/// User and group of the peer of a UNIX socket; 0 or errno.
int dft_peer_credentials(int fd, uint32_t *uid, uint32_t *pid);
