#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <sys/socket.h>

int dft_peer_credentials(int fd, uint32_t *uid, uint32_t *pid) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return errno;
    *uid = peer.uid;
    *pid = (uint32_t)peer.pid;
    return 0;
}
