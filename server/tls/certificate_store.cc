#include "server/tls/certificate_store.h"

#include <sys/stat.h>

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/base/current_thread.h"
#include "server/base/logging.h"
#include "server/base/small_file.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

// How long the watcher waits for what has become a pipe: a reload waits for the watcher meanwhile.
constexpr absl::Duration kPipePatience = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::unique_ptr<CertificateStore>> CertificateStore::Open(
    const CertificateFiles& files, const Clock& clock, absl::Duration interval) {
  auto store = absl::WrapUnique(new CertificateStore(files, clock, interval));
  RETURN_IF_ERROR(store->Reload());
  store->watcher_ = std::thread([watched = store.get()] { watched->Watch(); });
  return store;
}

CertificateStore::~CertificateStore() {
  {
    MonotonicMutexLock lock(&mu_);
    ending_ = true;
  }
  if (watcher_.joinable()) watcher_.join();
}

std::shared_ptr<const Certificates> CertificateStore::Current() const {
  MonotonicMutexLock lock(&mu_);
  return current_;
}

absl::StatusOr<CertificateStore::Reading> CertificateStore::Read() {
  absl::MutexLock lock(&reload_mu_);
  return ReadLocked();
}

void CertificateStore::Take(Reading reading) {
  absl::MutexLock lock(&reload_mu_);
  TakeLocked(std::move(reading));
}

absl::Status CertificateStore::Reload() {
  absl::MutexLock lock(&reload_mu_);
  ASSIGN_OR_RETURN(Reading reading, ReadLocked());
  TakeLocked(std::move(reading));
  return absl::OkStatus();
}

absl::StatusOr<CertificateStore::Reading> CertificateStore::ReadLocked() {
  Reading reading;
  reading.generation_ = generation_;
  // Before reading: what is written meanwhile looks changed afterwards.
  reading.fingerprint_ = Fingerprint();
  ASSIGN_OR_RETURN(Certificates loaded, LoadCertificates(files_));
  reading.certificates_ = std::make_shared<const Certificates>(std::move(loaded));
  return reading;
}

void CertificateStore::TakeLocked(Reading reading) {
  if (reading.generation_ != generation_) return;  // The watcher has found a newer one.
  ++generation_;
  tried_ = std::move(reading.fingerprint_);
  const absl::Time not_after = reading.certificates_->not_after;
  const absl::Time now = clock_.WallNow();
  if (now >= reading.certificates_->warn_after()) {
    Log(Severity::kWarning,
        not_after <= now ? "certificate has expired: clients will refuse it"
                         : "certificate expires soon",
        {{"file", files_.certificate}, {"not_after", absl::FormatTime(not_after)}});
  }
  MonotonicMutexLock lock(&mu_);
  current_ = std::move(reading.certificates_);
}

std::string CertificateStore::Fingerprint() const {
  std::string fingerprint;
  for (const std::string* path : {&files_.certificate, &files_.key, &files_.client_ca}) {
    struct stat found = {};
    if (path->empty() || stat(path->c_str(), &found) != 0) {
      absl::StrAppend(&fingerprint, "-;");
      continue;
    }
    absl::StrAppend(&fingerprint, found.st_dev, ",", found.st_ino, ",", found.st_size, ",",
                    found.st_mtim.tv_sec, ".", found.st_mtim.tv_nsec, ";");
  }
  return fingerprint;
}

void CertificateStore::Watch() {
  NameThread("certificates");
  const auto ends = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return ending_; };
  const auto is_ending = [this] {
    MonotonicMutexLock lock(&mu_);
    return ending_;
  };
  while (true) {
    {
      MonotonicMutexLock lock(&mu_);
      if (mu_.AwaitWithTimeout(ends, interval_)) return;
    }
    absl::MutexLock lock(&reload_mu_);
    std::string found = Fingerprint();
    if (found == tried_) continue;
    tried_ = std::move(found);  // Told about once, if it is not taken.
    absl::StatusOr<Reading> reading = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(reload_mu_) {
      const PatienceForAll patience(kPipePatience, is_ending);
      return ReadLocked();
    }();
    if (absl::IsCancelled(reading.status())) return;
    if (reading.ok()) {
      TakeLocked(*std::move(reading));
      Log(Severity::kInfo, "certificate read again",
          {{"file", files_.certificate}, {"not_after", absl::FormatTime(Current()->not_after)}});
    } else {
      Log(Severity::kError, "certificate not taken; the one before stays in force",
          {{"error", std::string(reading.status().message())}});
    }
  }
}

}  // namespace hookgate
