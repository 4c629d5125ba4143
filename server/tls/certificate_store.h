// The certificates in force: read again when their files change, and when told to.
//
//   ASSIGN_OR_RETURN(auto store, CertificateStore::Open(files, SystemClock()));
//   std::shared_ptr<const Certificates> current = store->Current();  // for each handshake
//
// Whoever serves keeps the pointer that it last used; another one from Current() means new
// certificates. Connections that are open stay as they are. What cannot be used, such as a new
// certificate whose key is not there yet, is logged and not taken: those before stay in force.
#ifndef HOOKGATE_SERVER_TLS_CERTIFICATE_STORE_H_
#define HOOKGATE_SERVER_TLS_CERTIFICATE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/base/monotonic_mutex.h"
#include "server/tls/certificates.h"

namespace hookgate {

// Thread-safe.
class CertificateStore {
 public:
  // Reads the files, and looks every `interval` from then on whether they are others: changed in
  // place, renamed over, or behind a symbolic link that points elsewhere. `clock` outlives it.
  // Errors are those of LoadCertificates.
  static absl::StatusOr<std::unique_ptr<CertificateStore>> Open(
      const CertificateFiles& files, const Clock& clock,
      absl::Duration interval = absl::Seconds(1));
  ~CertificateStore();

  // Never null.
  std::shared_ptr<const Certificates> Current() const ABSL_LOCKS_EXCLUDED(mu_);

  // What Read has found. It is in force once it is given to Take.
  class Reading {
   private:
    friend class CertificateStore;
    std::shared_ptr<const Certificates> certificates_;
    std::string fingerprint_;
    int64_t generation_ = 0;
  };

  // Reads the files now, whether they look changed or not, and changes nothing: so that several
  // stores can be read before the first of them changes. Errors are those of LoadCertificates.
  absl::StatusOr<Reading> Read() ABSL_LOCKS_EXCLUDED(reload_mu_);
  // Puts in force what this store has read, unless a newer state has been put in force since.
  void Take(Reading reading) ABSL_LOCKS_EXCLUDED(reload_mu_, mu_);

  // Read and Take. With an error nothing changes.
  absl::Status Reload() ABSL_LOCKS_EXCLUDED(reload_mu_, mu_);

 private:
  CertificateStore(const CertificateFiles& files, const Clock& clock, absl::Duration interval)
      : files_(files), clock_(clock), interval_(interval) {}

  // Tells states of the files apart without reading them.
  std::string Fingerprint() const;
  void Watch() ABSL_LOCKS_EXCLUDED(reload_mu_, mu_);
  absl::StatusOr<Reading> ReadLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(reload_mu_);
  void TakeLocked(Reading reading) ABSL_EXCLUSIVE_LOCKS_REQUIRED(reload_mu_)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const CertificateFiles files_;
  const Clock& clock_;
  const absl::Duration interval_;

  // Taken before mu_; held while files are read, so that an older state never replaces a newer one.
  absl::Mutex reload_mu_;
  std::string tried_ ABSL_GUARDED_BY(reload_mu_);  // the fingerprint that was last read, or refused
  int64_t generation_ ABSL_GUARDED_BY(reload_mu_) = 0;  // how often something was put in force

  mutable MonotonicMutex mu_;
  std::shared_ptr<const Certificates> current_ ABSL_GUARDED_BY(mu_);
  bool ending_ ABSL_GUARDED_BY(mu_) = false;

  std::thread watcher_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_TLS_CERTIFICATE_STORE_H_
