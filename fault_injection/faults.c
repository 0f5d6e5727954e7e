/* Errors at the n-th write below this folder's data/, results/ and logs/, and a wall clock that jumps.
 *
 * Loaded before the C library (LD_PRELOAD), so that Python's, Arrow's and safetensors' own calls meet it alike.
 * chaos_arm() is called by the process that is to suffer. CHAOS_CLOCK in the environment makes each process's clock
 * jump by itself; CHAOS_MACHINE_CLOCK names a file whose eight bytes are how many seconds the clock of all processes
 * that see it is wrong now, the times of the files that they write included.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name) __typeof__(name) *next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define MOST_FILES 4096

static _Atomic long calls, nth = -1;
static int injected, lasting, reading;
static _Atomic unsigned char watched[MOST_FILES], written[MOST_FILES];

/* From call `at` (1, 2, ...) on, or at it alone, calls fail with `error`; 0 only counts. `reads`: openings to read. */
void chaos_arm(long at, int error, int lasts, int reads) {
    calls = 0; injected = error; lasting = lasts; reading = reads; nth = at;
}
long chaos_calls(void) { return calls; }

static int below(const char *path) {
    static const char *const tops[] = {"data", "results", "logs"};
    char folder[4096];
    if (nth < 0 || path == NULL) return 0;
    if (path[0] == '/') {
        if (getcwd(folder, sizeof folder) == NULL) return 0;
        size_t length = strlen(folder);
        if (strncmp(path, folder, length) != 0 || path[length] != '/') return 0;
        path += length + 1;
    }
    for (int i = 0; i < 3; i++) {
        size_t length = strlen(tops[i]);
        if (strncmp(path, tops[i], length) == 0 && (path[length] == '/' || path[length] == 0)) return 1;
    }
    return 0;
}

static int strikes(void) {
    long call = ++calls;
    if (nth <= 0 || (lasting ? call < nth : call != nth)) return 0;
    errno = injected;
    return 1;
}

static void date(int file);
static int opened(int file, int is_watched, int flags) {
    if (file < 0 || file >= MOST_FILES) return file;
    watched[file] = is_watched;
    written[file] = (flags & O_ACCMODE) != O_RDONLY;
    if (flags & (O_CREAT | O_TRUNC) || (flags & O_TMPFILE) == O_TMPFILE) date(file);
    return file;
}
static int is_watched(int file) { return nth >= 0 && file >= 0 && file < MOST_FILES && watched[file]; }

static int is_file(const char *path) { struct stat found; return stat(path, &found) == 0 && S_ISREG(found.st_mode); }
static int concerns(const char *path, int flags) {
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
    return below(path) && (reading ? !writes && is_file(path) : writes);
}

#define MODE int mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, int); va_end(rest); }
#define OPENING(name) \
    int name(const char *path, int flags, ...) { \
        MODE NEXT(name); int ours = concerns(path, flags); \
        if (ours && strikes()) return -1; \
        return opened(next(path, flags, mode), ours && !reading, flags); }
#define OPENING_AT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        MODE NEXT(name); int ours = concerns(path, flags); \
        if (ours && strikes()) return -1; \
        return opened(next(folder, path, flags, mode), ours && !reading, flags); }
OPENING(open)
OPENING(open64)
OPENING_AT(openat)
OPENING_AT(openat64)

int close(int file) { NEXT(close); date(file); opened(file, 0, O_RDONLY); return next(file); }

#define WRITING(name, arguments, values) \
    ssize_t name arguments { NEXT(name); if (is_watched(file) && strikes()) return -1; return next values; }
WRITING(write, (int file, const void *bytes, size_t size), (file, bytes, size))
WRITING(pwrite, (int file, const void *bytes, size_t size, off_t at), (file, bytes, size, at))
WRITING(pwrite64, (int file, const void *bytes, size_t size, off64_t at), (file, bytes, size, at))
WRITING(writev, (int file, const struct iovec *parts, int count), (file, parts, count))

int fsync(int file) { NEXT(fsync); if (is_watched(file) && strikes()) return -1; return next(file); }
int fdatasync(int file) { NEXT(fdatasync); if (is_watched(file) && strikes()) return -1; return next(file); }
int ftruncate(int file, off_t size) { NEXT(ftruncate); if (is_watched(file) && strikes()) return -1; return next(file, size); }
int ftruncate64(int file, off64_t size) { NEXT(ftruncate64); if (is_watched(file) && strikes()) return -1; return next(file, size); }

#define CHANGING(name, arguments, path, values) \
    int name arguments { NEXT(name); if (!reading && below(path) && strikes()) return -1; return next values; }
CHANGING(rename, (const char *from, const char *to), to, (from, to))
CHANGING(renameat, (int a, const char *from, int b, const char *to), to, (a, from, b, to))
CHANGING(link, (const char *from, const char *to), to, (from, to))
CHANGING(linkat, (int a, const char *from, int b, const char *to, int flags), to, (a, from, b, to, flags))

/* A folder that is there already is told first, on every file system. */
static int is_there(int folder, const char *path) { struct stat found; return fstatat(folder, path, &found, 0) == 0; }
int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir);
    if (!reading && below(path) && !is_there(AT_FDCWD, path) && strikes()) return -1;
    return next(path, mode);
}
int mkdirat(int folder, const char *path, mode_t mode) {
    NEXT(mkdirat);
    if (!reading && below(path) && !is_there(folder, path) && strikes()) return -1;
    return next(folder, path, mode);
}

/* --- the clock ------------------------------------------------------------------------------------------------- */

/* How wrong the machine's clock is: a page shared with whoever turns it; none where no file is named. */
static const _Atomic long *machine(void) {
    static const _Atomic long *_Atomic shared;
    const char *path = getenv("CHAOS_MACHINE_CLOCK");
    if (shared != NULL || path == NULL) return shared;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return NULL;
    void *page = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    syscall(SYS_close, file);
    if (page != MAP_FAILED) shared = page;
    return shared;
}

static long offset(void) {
    static _Thread_local unsigned state;
    static _Atomic long now;
    const _Atomic long *turned = machine();
    if (turned != NULL) return *turned;
    const char *seed = getenv("CHAOS_CLOCK");
    if (seed == NULL) return 0;
    if (state == 0) state = (unsigned)atoi(seed) * 2654435761u + (unsigned)getpid() * 40503u + 1;
    if (rand_r(&state) % 16 == 0) {
        static const long jumps[] = {0, 3600, -3600, 86400, -86400, 31536000, -315360000, 315360000};
        now = jumps[rand_r(&state) % 8];
    }
    return now;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    NEXT(clock_gettime);
    int code = next(clock, at);
    if (code == 0 && clock == CLOCK_REALTIME) at->tv_sec += offset();
    return code;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    NEXT(gettimeofday);
    int code = next(at, zone);
    if (code == 0) at->tv_sec += offset();
    return code;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

/* A file gets the time of that clock where a program writes it or gives it the present time. */
static struct timespec present(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now;
}
static void date(int file) {
    struct stat found;
    if (file < 0 || file >= MOST_FILES || !written[file] || machine() == NULL) return;
    int before = errno;
    if (fstat(file, &found) == 0 && S_ISREG(found.st_mode)) {
        const struct timespec times[2] = {{0, UTIME_OMIT}, present()};
        syscall(SYS_utimensat, file, NULL, times, 0);
    }
    errno = before;
}
int utimensat(int folder, const char *path, const struct timespec asked[2], int flags) {
    NEXT(utimensat);
    if (machine() == NULL) return next(folder, path, asked, flags);
    struct timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    for (int i = 0; i < 2; i++) {
        if (asked) times[i] = asked[i];
        if (times[i].tv_nsec == UTIME_NOW) times[i] = present();
    }
    return next(folder, path, times, flags);
}
int futimens(int file, const struct timespec asked[2]) {
    NEXT(futimens);
    if (machine() == NULL || asked) return next(file, asked);
    const struct timespec times[2] = {present(), present()};
    return next(file, times);
}
