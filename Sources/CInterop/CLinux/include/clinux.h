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

/// An AF_PACKET socket with a receive ring: blocks of packets (TPACKET_V3) or frames of one packet (TPACKET_V2).
struct dft_ring {
    int fd;
    uint8_t *map;
    size_t map_size;
    uint32_t version;
    uint32_t block_size;
    uint32_t block_count;
    uint32_t frame_size;
    uint32_t frame_count;
};

struct dft_ring_options {
    /// 2 or 3.
    uint32_t version;
    /// 0 = all interfaces of the namespace.
    int ifindex;
    /// Bytes; blocks hold a whole number of frames.
    uint32_t block_size;
    uint32_t block_count;
    uint32_t frame_size;
    /// Of version 3: how long a block that is not full is kept back.
    uint32_t retire_ms;
};

/// One packet of a ring.
struct dft_packet {
    const uint8_t *data;
    uint32_t captured;
    uint32_t wire;
    uint64_t time_ns;
    int32_t ifindex;
    uint16_t hatype;
    uint8_t pkttype;
};

/// Opens a ring with a filter that drops everything until `dft_ring_filter`.
/// Returns 0, or the errno of the step that failed; nothing stays open then.
int dft_ring_open(struct dft_ring *ring, const struct dft_ring_options *options);
void dft_ring_close(struct dft_ring *ring);
/// Makes the ring one of a group among whose members the kernel deals packets out. `argument`: group in the low 16 bits,
/// mode above. 0 or errno.
int dft_ring_fanout(int fd, uint32_t argument);
/// Attaches a filter program; 0 or errno.
int dft_ring_filter(int fd, const struct dft_insn *program, uint16_t count);
/// Waits until block (version 3) or frame (version 2) `index` belongs to user space; 1 ready, 0 timeout, -1 error.
int dft_ring_wait(const struct dft_ring *ring, uint32_t index, int timeout_ms);
/// Gives block or frame `index` back to the kernel.
void dft_ring_release(const struct dft_ring *ring, uint32_t index);

/// Version 3: first packet of a ready block; returns the number of packets and sets `cursor` for `dft_ring_next`.
uint32_t dft_ring_block(const struct dft_ring *ring, uint32_t index, const uint8_t **cursor);
/// Version 3: reads the packet at `cursor` and moves it on.
void dft_ring_next(const uint8_t **cursor, struct dft_packet *packet);

/// Version 2: reads the packet of frame `index`. 0 when the kernel still has the frame.
int dft_ring_frame(const struct dft_ring *ring, uint32_t index, struct dft_packet *packet);

/// What the kernel counted since the last call.
struct dft_ring_counters {
    /// Packets that passed the filter, the dropped ones with them.
    uint32_t packets;
    uint32_t drops;
    /// Version 3: how often the ring was full.
    uint32_t freezes;
};

/// 0 or errno.
int dft_ring_statistics(const struct dft_ring *ring, struct dft_ring_counters *counters);
/// The interface receives what is for others, too, as long as the socket lives. 0 or errno.
int dft_ring_promiscuous(int fd, int ifindex, int on);

/// Moves the calling thread into the network namespace that `fd` is of. 0 or errno.
int dft_enter_netns(int fd);
/// Index of the interface at the other end of a virtual cable, in the namespace of that end; 0 = no such thing. 0 or errno.
int dft_link_peer(int index, int *peer);

/// User and group of the peer of a UNIX socket; 0 or errno.
int dft_peer_credentials(int fd, uint32_t *uid, uint32_t *pid);
