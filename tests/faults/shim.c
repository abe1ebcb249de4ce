/* Preloaded into a process: syncs that take long or fail, and a wall clock that jumps, as told while it runs.
 *
 * $FAULTS names a file of five 64-bit numbers that somebody else writes (faults.py); it is mapped, so that a change
 * holds from the next call on. Syncs are counted from 0; those from fail_from up to, not including, fail_until give
 * EIO and sync nothing. Without the file all is as ever.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct faults {
    volatile int64_t sync_ms, fail_from, fail_until, wall_ns;
    _Atomic int64_t syncs;
};

static struct faults none, *told = &none;
static int (*real_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("FAULTS");
    int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    if (fd >= 0) {
        void *map = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED)
            told = map;
        close(fd);
    }
}

static int sync_as_told(long call, int fd)
{
    int64_t ms = told->sync_ms, number = told->syncs++;
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000L };
    if (ms)
        nanosleep(&pause, NULL);
    if (told->fail_from <= number && number < told->fail_until) {
        errno = EIO;
        return -1;
    }
    return syscall(call, fd);
}

int fsync(int fd) { return sync_as_told(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_as_told(SYS_fdatasync, fd); }

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int status = real_clock ? real_clock(clock, at) : (int)syscall(SYS_clock_gettime, clock, at);
    if (status == 0 && clock == CLOCK_REALTIME && told->wall_ns) {
        int64_t ns = at->tv_sec * 1000000000LL + at->tv_nsec + told->wall_ns;
        at->tv_sec = ns / 1000000000LL;
        at->tv_nsec = ns % 1000000000LL;
    }
    return status;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
