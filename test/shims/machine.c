/* SPDX-License-Identifier: Apache-2.0
 * A machine that misbehaves, for one process: loaded before the C library, it adds to the wall clock
 * and makes each sync of a file take longer, by what the control file says at that moment: two
 * 64-bit numbers, microseconds. The file is SHIM_CONTROL.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct control {
  volatile int64_t wall_ahead_us;
  volatile int64_t sync_takes_us;
};

static struct control none;
static struct control* control = &none;

__attribute__((constructor)) static void open_control(void) {
  const char* path = getenv("SHIM_CONTROL");
  const int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return;
  }
  void* mapped = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) {
    control = mapped;
  }
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  static int (*real)(clockid_t, struct timespec*);
  if (real == NULL) {
    real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  }
  const int result = real(clock, time);
  if (clock == CLOCK_REALTIME && result == 0) {
    const int64_t micros = time->tv_sec * 1000000LL + time->tv_nsec / 1000 + control->wall_ahead_us;
    time->tv_sec = micros / 1000000;
    time->tv_nsec = micros % 1000000 * 1000 + time->tv_nsec % 1000;
  }
  return result;
}

int fdatasync(int file) {
  static int (*real)(int);
  if (real == NULL) {
    real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  }
  const int64_t micros = control->sync_takes_us;
  if (micros > 0) {
    const struct timespec pause = {micros / 1000000, micros % 1000000 * 1000};
    nanosleep(&pause, NULL);
  }
  return real(file);
}
