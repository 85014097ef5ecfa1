/*
 * Sends the packets of a classic pcap file (Ethernet) through a raw packet socket, as fast as the kernel takes them.
 *
 * Prints one line of JSON: packets and bytes that were sent, packets that the interface refused (too long), seconds,
 * packets_per_second.
 *
 *     cc -O2 -o sender sender.c && ./sender INTERFACE FILE PACKETS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, FILE_HEADER = 24, RECORD_HEADER = 16 };

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int count, char **words) {
    if (count != 4) {
        fprintf(stderr, "usage: sender INTERFACE FILE PACKETS\n");
        return 2;
    }
    int file = open(words[2], O_RDONLY);
    struct stat size;
    if (file < 0 || fstat(file, &size) != 0) fail(words[2]);
    uint8_t *bytes = mmap(NULL, (size_t)size.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (bytes == MAP_FAILED) fail(words[2]);

    int out = socket(AF_PACKET, SOCK_RAW, 0);
    if (out < 0) fail("packet socket");
    struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(words[1])};
    if (place.sll_ifindex == 0 || bind(out, (struct sockaddr *)&place, sizeof place) != 0) fail(words[1]);
    int yes = 1;
    setsockopt(out, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes);

    uint64_t wanted = strtoull(words[3], NULL, 10), packets = 0, sent_bytes = 0, refused = 0;
    size_t at = FILE_HEADER, end = (size_t)size.st_size;
    double began = now();
    while (packets + refused < wanted) {
        struct mmsghdr messages[BATCH] = {0};
        struct iovec parts[BATCH];
        unsigned filled = 0;
        while (filled < BATCH && packets + refused + filled < wanted) {
            uint32_t length;
            if (at + RECORD_HEADER > end) at = FILE_HEADER;
            memcpy(&length, bytes + at + 8, 4);
            if (at + RECORD_HEADER + length > end) {
                fprintf(stderr, "sender: the file is cut\n");
                return 1;
            }
            parts[filled] = (struct iovec){bytes + at + RECORD_HEADER, length};
            messages[filled].msg_hdr.msg_iov = &parts[filled];
            messages[filled].msg_hdr.msg_iovlen = 1;
            at += RECORD_HEADER + length;
            filled++;
        }
        for (unsigned first = 0; first < filled;) {
            int sent = sendmmsg(out, messages + first, filled - first, 0);
            if (sent > 0) {
                for (int i = 0; i < sent; i++) sent_bytes += messages[first + (unsigned)i].msg_len;
                packets += (unsigned)sent;
                first += (unsigned)sent;
            } else if (errno == EMSGSIZE) {
                refused++;
                first++;
            } else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) {
                fail("send");
            }
        }
    }
    double seconds = now() - began;
    printf("{\"packets\":%llu,\"bytes\":%llu,\"refused\":%llu,\"seconds\":%.3f,\"packets_per_second\":%.0f}\n",
           (unsigned long long)packets, (unsigned long long)sent_bytes, (unsigned long long)refused, seconds,
           (double)packets / seconds);
    return 0;
}
