/* Preloaded into a process: a card whose syncs take SYNC_MS, and of which number SYNC_FAIL fails with EIO. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

static atomic_int count;

static int slowly(long call, int fd)
{
    const char *ms = getenv("SYNC_MS"), *fail = getenv("SYNC_FAIL");
    long wait = ms ? atol(ms) : 0;
    struct timespec pause = { wait / 1000, wait % 1000 * 1000000L };
    nanosleep(&pause, NULL);
    if (fail && atomic_fetch_add(&count, 1) + 1 == atoi(fail)) {
        errno = EIO;
        return -1;
    }
    return syscall(call, fd);
}

int fsync(int fd) { return slowly(SYS_fsync, fd); }
int fdatasync(int fd) { return slowly(SYS_fdatasync, fd); }
