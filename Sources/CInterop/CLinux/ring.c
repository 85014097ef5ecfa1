#include "clinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(sizeof(struct dft_insn) == sizeof(struct sock_filter), "instruction layout");

static int fail(struct dft_ring *ring) {
    int code = errno;
    dft_ring_close(ring);
    return code;
}

// The kernel fills a part of the structure in version 2 and all of it in version 3.
static int request_ring(struct dft_ring *ring, const struct dft_ring_options *options) {
    struct tpacket_req3 request = {
        .tp_block_size = options->block_size,
        .tp_block_nr = options->block_count,
        .tp_frame_size = options->frame_size,
        .tp_frame_nr = options->block_size / options->frame_size * options->block_count,
        .tp_retire_blk_tov = options->retire_ms,
    };
    socklen_t size = options->version == 3 ? sizeof(struct tpacket_req3) : sizeof(struct tpacket_req);
    return setsockopt(ring->fd, SOL_PACKET, PACKET_RX_RING, &request, size);
}

static int map_ring(struct dft_ring *ring, const struct dft_ring_options *options) {
    size_t size = (size_t)options->block_size * options->block_count;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_LOCKED | MAP_NORESERVE, ring->fd, 0);
    if (map == MAP_FAILED) map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    if (map == MAP_FAILED) return -1;
    ring->map = map;
    ring->map_size = size;
    ring->version = options->version;
    ring->block_size = options->block_size;
    ring->block_count = options->block_count;
    ring->frame_size = options->frame_size;
    ring->frame_count = options->block_size / options->frame_size * options->block_count;
    return 0;
}

int dft_ring_open(struct dft_ring *ring, const struct dft_ring_options *options) {
    memset(ring, 0, sizeof *ring);
    // Protocol 0: nothing arrives before the filter and the ring stand.
    ring->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (ring->fd < 0) return errno;
    struct dft_insn drop = {BPF_RET | BPF_K, 0, 0, 0};
    int code = dft_ring_filter(ring->fd, &drop, 1);
    if (code) {
        errno = code;
        return fail(ring);
    }
    int version = options->version == 3 ? TPACKET_V3 : TPACKET_V2;
    if (setsockopt(ring->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0) return fail(ring);
    if (request_ring(ring, options) < 0) return fail(ring);
    if (map_ring(ring, options) < 0) return fail(ring);
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = options->ifindex};
    if (bind(ring->fd, (struct sockaddr *)&address, sizeof address) < 0) return fail(ring);
    return 0;
}

void dft_ring_close(struct dft_ring *ring) {
    if (ring->map) munmap(ring->map, ring->map_size);
    if (ring->fd >= 0) close(ring->fd);
    memset(ring, 0, sizeof *ring);
    ring->fd = -1;
}

int dft_ring_fanout(int fd, uint32_t argument) {
    return setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &argument, sizeof argument) < 0 ? errno : 0;
}

int dft_ring_filter(int fd, const struct dft_insn *program, uint16_t count) {
    struct sock_fprog filter = {.len = count, .filter = (struct sock_filter *)program};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0 ? errno : 0;
}

static struct tpacket_block_desc *block_at(const struct dft_ring *ring, uint32_t index) {
    return (struct tpacket_block_desc *)(ring->map + (size_t)index * ring->block_size);
}

static struct tpacket2_hdr *frame_at(const struct dft_ring *ring, uint32_t index) {
    uint32_t per_block = ring->block_size / ring->frame_size;
    return (struct tpacket2_hdr *)(ring->map + (size_t)(index / per_block) * ring->block_size +
                                   (size_t)(index % per_block) * ring->frame_size);
}

static uint32_t *status_of(const struct dft_ring *ring, uint32_t index) {
    return ring->version == 3 ? &block_at(ring, index)->hdr.bh1.block_status : &frame_at(ring, index)->tp_status;
}

int dft_ring_wait(const struct dft_ring *ring, uint32_t index, int timeout_ms) {
    uint32_t *status = status_of(ring, index);
    if (__atomic_load_n(status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) return 1;
    if (timeout_ms == 0) return 0;
    struct pollfd waiting = {.fd = ring->fd, .events = POLLIN | POLLERR};
    int count = poll(&waiting, 1, timeout_ms);
    if (count < 0) return errno == EINTR ? 0 : -1;
    if (count > 0 && (waiting.revents & POLLERR)) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(ring->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0 && error != ENETDOWN) {
            errno = error;
            return -1;
        }
    }
    return __atomic_load_n(status, __ATOMIC_ACQUIRE) & TP_STATUS_USER ? 1 : 0;
}

void dft_ring_release(const struct dft_ring *ring, uint32_t index) {
    __atomic_store_n(status_of(ring, index), TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

uint32_t dft_ring_block(const struct dft_ring *ring, uint32_t index, const uint8_t **cursor) {
    struct tpacket_block_desc *block = block_at(ring, index);
    *cursor = (const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
    return block->hdr.bh1.num_pkts;
}

void dft_ring_next(const uint8_t **cursor, struct dft_packet *packet) {
    const struct tpacket3_hdr *header = (const struct tpacket3_hdr *)*cursor;
    const struct sockaddr_ll *address =
        (const struct sockaddr_ll *)(*cursor + TPACKET_ALIGN(sizeof(struct tpacket3_hdr)));
    packet->data = *cursor + header->tp_mac;
    packet->captured = header->tp_snaplen;
    packet->wire = header->tp_len;
    packet->time_ns = (uint64_t)header->tp_sec * 1000000000u + header->tp_nsec;
    packet->ifindex = address->sll_ifindex;
    packet->hatype = address->sll_hatype;
    packet->pkttype = address->sll_pkttype;
    uint32_t step = header->tp_next_offset;
    *cursor += step ? step : TPACKET_ALIGN(header->tp_snaplen + header->tp_mac);
}

int dft_ring_frame(const struct dft_ring *ring, uint32_t index, struct dft_packet *packet) {
    const struct tpacket2_hdr *header = frame_at(ring, index);
    if (!(__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) return 0;
    const uint8_t *start = (const uint8_t *)header;
    const struct sockaddr_ll *address = (const struct sockaddr_ll *)(start + TPACKET_ALIGN(sizeof *header));
    packet->data = start + header->tp_mac;
    packet->captured = header->tp_snaplen;
    packet->wire = header->tp_len;
    packet->time_ns = (uint64_t)header->tp_sec * 1000000000u + header->tp_nsec;
    packet->ifindex = address->sll_ifindex;
    packet->hatype = address->sll_hatype;
    packet->pkttype = address->sll_pkttype;
    return 1;
}

int dft_ring_statistics(const struct dft_ring *ring, struct dft_ring_counters *counters) {
    struct tpacket_stats_v3 stats;
    socklen_t size = ring->version == 3 ? sizeof stats : sizeof(struct tpacket_stats);
    memset(&stats, 0, sizeof stats);
    if (getsockopt(ring->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0) return errno;
    counters->packets = stats.tp_packets;
    counters->drops = stats.tp_drops;
    counters->freezes = stats.tp_freeze_q_cnt;
    return 0;
}

int dft_ring_promiscuous(int fd, int ifindex, int on) {
    struct packet_mreq request = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};
    int option = on ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP;
    return setsockopt(fd, SOL_PACKET, option, &request, sizeof request) < 0 ? errno : 0;
}
