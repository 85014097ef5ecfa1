/*
 * The yardstick of the benchmarks: the least work that still deserves the name flow metering, in plain C.
 *
 * Maps a classic pcap file (Ethernet), and for each packet parses Ethernet, up to two VLAN tags, IPv4 or IPv6 with its
 * extension headers, TCP or UDP; finds the flow by its canonical 5-tuple in an open-addressing table; keeps packets,
 * bytes, payload bytes, flags, a retransmission count and the SYN round trip. At each full second of packet time it walks
 * over the flows, counts one record for each that was active, and drops those that are over or idle. It exports nothing.
 *
 * Prints one line of JSON: packets, flows, second_records, bytes, retransmissions, cpu_ns (of the metering loop; reading
 * the file into memory comes before and is told as load_ns), ns_per_packet.
 *
 *     cc -O2 -o metering metering.c && ./metering FILE
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { IDLE_SECONDS = 60, CLOSED_SECONDS = 1 };

struct key {
    uint8_t low[16], high[16]; /* the smaller end first */
    uint16_t low_port, high_port;
    uint8_t protocol, version;
    uint16_t pad;
};

struct side {
    uint64_t packets, bytes, payload;
    uint32_t next_sequence, retransmissions;
    uint8_t flags, has_sequence;
};

struct flow {
    struct key key;
    uint64_t hash, first_us, last_us, syn_us;
    struct side side[2];
    uint32_t rtt_us;
    bool active, closed;
};

/* Dense flows plus slots of (hash tag, index): what a product would do. */
static struct flow *flows;
static uint32_t flow_count, flow_capacity;
static uint64_t *slots; /* high 32 bits: hash tag; low 32 bits: index + 1; 0 is empty */
static uint64_t slot_mask;

static uint64_t total_flows, total_records, total_bytes, total_retransmissions;

static inline uint16_t be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t be32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

static inline uint64_t mix(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd6e8feb86659fd93u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_of(const struct key *key) {
    uint64_t w[5];
    memcpy(w, key, sizeof w);
    return mix(mix(w[0], w[1]) ^ w[4], mix(w[2], w[3]));
}

static void place(uint64_t hash, uint32_t index) {
    uint64_t i = hash & slot_mask;
    while (slots[i]) i = (i + 1) & slot_mask;
    slots[i] = (hash & 0xffffffff00000000u) | (index + 1);
}

static void grow(void) {
    flow_capacity = flow_capacity ? flow_capacity * 2 : 1 << 16;
    flows = realloc(flows, (size_t)flow_capacity * sizeof *flows);
    free(slots);
    slot_mask = (uint64_t)flow_capacity * 2 - 1;
    slots = calloc(slot_mask + 1, sizeof *slots);
    if (!flows || !slots) {
        perror("metering: memory");
        exit(1);
    }
    for (uint32_t i = 0; i < flow_count; i++) place(flows[i].hash, i);
}

static inline struct flow *find(const struct key *key, uint64_t now_us) {
    uint64_t hash = hash_of(key), tag = hash & 0xffffffff00000000u;
    for (uint64_t i = hash & slot_mask; slots[i]; i = (i + 1) & slot_mask) {
        if ((slots[i] & 0xffffffff00000000u) != tag) continue;
        struct flow *flow = &flows[(uint32_t)slots[i] - 1];
        if (memcmp(&flow->key, key, sizeof *key) == 0) return flow;
    }
    if (flow_count == flow_capacity) grow();
    struct flow *flow = &flows[flow_count];
    memset(flow, 0, sizeof *flow);
    flow->key = *key;
    flow->hash = hash;
    flow->first_us = now_us;
    place(hash, flow_count++);
    total_flows++;
    return flow;
}

static uint64_t slot_of(uint64_t hash, uint32_t index) {
    uint64_t i = hash & slot_mask;
    while ((uint32_t)slots[i] != index + 1) i = (i + 1) & slot_mask;
    return i;
}

/* Removes by shifting the run behind the slot back, and fills the gap in the dense array with the last flow. */
static void drop(uint32_t index) {
    uint64_t hole = slot_of(flows[index].hash, index);
    for (uint64_t i = (hole + 1) & slot_mask; slots[i]; i = (i + 1) & slot_mask) {
        uint64_t home = flows[(uint32_t)slots[i] - 1].hash & slot_mask;
        if (((i - home) & slot_mask) >= ((i - hole) & slot_mask)) {
            slots[hole] = slots[i];
            hole = i;
        }
    }
    slots[hole] = 0;
    uint32_t last = --flow_count;
    if (index != last) {
        uint64_t slot = slot_of(flows[last].hash, last);
        slots[slot] = (slots[slot] & 0xffffffff00000000u) | (index + 1);
        flows[index] = flows[last];
    }
}

static void close_second(uint64_t now_us) {
    for (uint32_t i = 0; i < flow_count;) {
        struct flow *flow = &flows[i];
        total_records += flow->active;
        flow->active = false;
        uint64_t idle = (now_us - flow->last_us) / 1000000;
        if (idle >= (uint64_t)(flow->closed ? CLOSED_SECONDS : IDLE_SECONDS)) {
            total_retransmissions += flow->side[0].retransmissions + flow->side[1].retransmissions;
            drop(i);
        } else {
            i++;
        }
    }
}

static inline void packet(const uint8_t *p, uint32_t length, uint64_t now_us) {
    if (length < 14) return;
    uint32_t offset = 12;
    uint16_t type = be16(p + offset);
    for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8) && length >= offset + 6; tags++) {
        offset += 4;
        type = be16(p + offset);
    }
    offset += 2;

    struct key key;
    memset(&key, 0, sizeof key);
    const uint8_t *source, *destination;
    uint32_t address_size, bytes, ip_end;
    uint8_t protocol;
    if (type == 0x0800) {
        if (length < offset + 20) return;
        const uint8_t *ip = p + offset;
        uint32_t header = (ip[0] & 15) * 4u;
        if (header < 20 || length < offset + header) return;
        bytes = offset + be16(ip + 2);
        ip_end = bytes;
        source = ip + 12, destination = ip + 16, address_size = 4;
        protocol = ip[9];
        key.version = 4;
        if (be16(ip + 6) & 0x1fff) return;
        offset += header;
    } else if (type == 0x86dd) {
        if (length < offset + 40) return;
        const uint8_t *ip = p + offset;
        bytes = offset + 40 + be16(ip + 4);
        ip_end = bytes;
        source = ip + 8, destination = ip + 24, address_size = 16;
        protocol = ip[6];
        key.version = 6;
        offset += 40;
        for (int headers = 0; headers < 8; headers++) {
            if (protocol != 0 && protocol != 43 && protocol != 44 && protocol != 60) break;
            if (length < offset + 8) return;
            uint32_t size = protocol == 44 ? 8 : (p[offset + 1] + 1u) * 8;
            protocol = p[offset];
            offset += size;
        }
    } else {
        return;
    }
    if (length < offset) return;

    uint16_t from = 0, to = 0;
    uint8_t flags = 0;
    uint32_t sequence = 0, payload = 0;
    if (protocol == 6) {
        if (length < offset + 20) return;
        const uint8_t *tcp = p + offset;
        from = be16(tcp), to = be16(tcp + 2), sequence = be32(tcp + 4), flags = tcp[13] & 63;
        uint32_t data = offset + (tcp[12] >> 4) * 4u;
        payload = ip_end > data ? ip_end - data : 0;
    } else if (protocol == 17) {
        if (length < offset + 8) return;
        from = be16(p + offset), to = be16(p + offset + 2);
        payload = ip_end > offset + 8 ? ip_end - offset - 8 : 0;
    }

    int order = memcmp(source, destination, address_size);
    int direction = order > 0 || (order == 0 && from > to);
    memcpy(direction ? key.high : key.low, source, address_size);
    memcpy(direction ? key.low : key.high, destination, address_size);
    key.low_port = direction ? to : from;
    key.high_port = direction ? from : to;
    key.protocol = protocol;

    struct flow *flow = find(&key, now_us);
    struct side *side = &flow->side[direction];
    flow->active = true;
    flow->last_us = now_us;
    side->packets++;
    side->bytes += bytes;
    side->payload += payload;
    total_bytes += bytes;
    if (protocol == 6) {
        side->flags |= flags;
        if (flags == 2) flow->syn_us = now_us;
        if (flags == 18 && flow->syn_us && !flow->rtt_us) flow->rtt_us = (uint32_t)(now_us - flow->syn_us);
        if (flags & 5) flow->closed = true;
        if (payload) {
            if (side->has_sequence && (int32_t)(sequence - side->next_sequence) < 0)
                side->retransmissions++;
            else
                side->next_sequence = sequence + payload, side->has_sequence = 1;
        }
    }
}

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: metering FILE\n");
        return 2;
    }
    int file = open(argv[1], O_RDONLY);
    struct stat about;
    if (file < 0 || fstat(file, &about) < 0) {
        perror(argv[1]);
        return 3;
    }
    size_t size = (size_t)about.st_size;
    uint64_t start = cpu_ns();
    const uint8_t *map = mmap(NULL, size ? size : 1, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (map == MAP_FAILED || size < 24) {
        fprintf(stderr, "metering: %s: cannot be mapped or is too short\n", argv[1]);
        return 5;
    }
    uint32_t magic, link;
    memcpy(&magic, map, 4);
    memcpy(&link, map + 20, 4);
    if (magic != 0xa1b2c3d4 || link != 1) {
        fprintf(stderr, "metering: %s: not a classic microsecond pcap of Ethernet frames\n", argv[1]);
        return 5;
    }
    grow();
    uint64_t loaded = cpu_ns(), packets = 0, second = 0, now_us = 0;
    for (size_t at = 24; at + 16 <= size;) {
        uint32_t record[4];
        memcpy(record, map + at, sizeof record);
        if (record[2] > size - at - 16) break;
        now_us = (uint64_t)record[0] * 1000000 + record[1];
        if (record[0] > second) {
            if (second) close_second(now_us);
            second = record[0];
        }
        packet(map + at + 16, record[2], now_us);
        packets++;
        at += 16 + (size_t)record[2];
    }
    close_second(now_us + 1000000ull * (IDLE_SECONDS + 1));
    uint64_t done = cpu_ns();
    printf("{\"packets\":%llu,\"flows\":%llu,\"second_records\":%llu,\"bytes\":%llu,\"retransmissions\":%llu,"
           "\"load_ns\":%llu,\"cpu_ns\":%llu,\"ns_per_packet\":%.1f}\n",
           (unsigned long long)packets, (unsigned long long)total_flows, (unsigned long long)total_records,
           (unsigned long long)total_bytes, (unsigned long long)total_retransmissions,
           (unsigned long long)(loaded - start), (unsigned long long)(done - loaded),
           packets ? (double)(done - loaded) / (double)packets : 0.0);
    return 0;
}
