#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int dft_enter_netns(int fd) { return setns(fd, CLONE_NEWNET) < 0 ? errno : 0; }

struct link_request {
    struct nlmsghdr header;
    struct ifinfomsg link;
};

static int ask_link(int fd, int index) {
    struct link_request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
        .link = {.ifi_family = AF_UNSPEC, .ifi_index = index},
    };
    return send(fd, &request, request.header.nlmsg_len, 0) < 0 ? errno : 0;
}

static int read_peer(const void *answer, size_t size, int *peer) {
    const struct nlmsghdr *header = answer;
    if (!NLMSG_OK(header, size)) return EPROTO;
    if (header->nlmsg_type != RTM_NEWLINK || header->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg))) return ENODEV;
    const struct ifinfomsg *link = NLMSG_DATA(header);
    int left = (int)IFLA_PAYLOAD(header);
    for (const struct rtattr *part = IFLA_RTA(link); RTA_OK(part, left); part = RTA_NEXT(part, left)) {
        if (part->rta_type == IFLA_LINK && RTA_PAYLOAD(part) >= sizeof *peer) memcpy(peer, RTA_DATA(part), sizeof *peer);
    }
    return 0;
}

int dft_link_peer(int index, int *peer) {
    *peer = 0;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) return errno;
    int code = ask_link(fd, index);
    _Alignas(struct nlmsghdr) unsigned char answer[32768];
    ssize_t size = code ? -1 : recv(fd, answer, sizeof answer, 0);
    if (!code) code = size < 0 ? errno : read_peer(answer, (size_t)size, peer);
    close(fd);
    return code;
}
