// SPDX-License-Identifier: Apache-2.0
#include "os/probe.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "os/clock.h"
#include "os/file.h"

namespace quorate::os {
namespace {

constexpr size_t kProbeFileBytes = 1024 * 1024;
constexpr size_t kProbeWriteBytes = 4096;

Result<std::vector<Duration>> time_syncs(int descriptor, int samples) {
  RETURN_IF_ERROR(write_all(descriptor, 0, {std::string(kProbeFileBytes, 'p')}));
  if (::fsync(descriptor) != 0) {
    return failure_of("sync the probe", errno);
  }
  const Clock clock;
  const std::string block(kProbeWriteBytes, 'q');
  std::vector<Duration> times;
  for (int i = 0; i < samples; ++i) {
    const uint64_t offset = static_cast<size_t>(i) * kProbeWriteBytes % kProbeFileBytes;
    const Instant begin = clock.now();
    RETURN_IF_ERROR(write_all(descriptor, offset, {block}));
    if (::fdatasync(descriptor) != 0) {
      return failure_of("sync the probe", errno);
    }
    times.push_back(clock.now() - begin);
  }
  return times;
}

uint64_t resident_bytes() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "r"),
                                                             &std::fclose);
  unsigned long total = 0;
  unsigned long resident = 0;
  if (file == nullptr || std::fscanf(file.get(), "%lu %lu", &total, &resident) != 2) {
    return 0;
  }
  return uint64_t{resident} * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

uint64_t open_descriptors() {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) {
    return 0;
  }
  uint64_t count = 0;
  while (::readdir(directory) != nullptr) {
    ++count;
  }
  ::closedir(directory);
  return count - std::min<uint64_t>(count, 3);  // ".", ".." and the directory itself
}

Duration duration_of(const timeval& time) {
  return Duration::seconds(time.tv_sec) + Duration::micros(time.tv_usec);
}

}  // namespace

Result<SyncProbe> measure_sync(const std::string& directory, int samples) {
  ASSERT(samples > 0);
  std::string path = directory + "/sync-probe-XXXXXX";
  const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
  if (descriptor < 0) {
    return failure_of("make a probe file in " + directory, errno);
  }
  Result<std::vector<Duration>> times = time_syncs(descriptor, samples);
  ::close(descriptor);
  ::unlink(path.c_str());
  RETURN_IF_ERROR(times);
  std::sort(times->begin(), times->end());
  const auto at = [&](size_t per_mille) { return (*times)[times->size() * per_mille / 1000]; };
  return SyncProbe{samples, at(500), at(900), at(990)};
}

ProcessUsage process_usage() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return ProcessUsage{::getpid(), resident_bytes(), duration_of(usage.ru_utime),
                      duration_of(usage.ru_stime), open_descriptors()};
}

}  // namespace quorate::os
