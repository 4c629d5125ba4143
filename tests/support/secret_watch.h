// What tests know and nobody may read: the secrets of the gateways that they start, the tokens of
// their principals, the signatures that they send, the bodies of their webhooks. The support
// libraries register each of them here before it is used, and have everything that a real program
// prints or answers searched for them.
#ifndef HOOKGATE_TESTS_SUPPORT_SECRET_WATCH_H_
#define HOOKGATE_TESTS_SUPPORT_SECRET_WATCH_H_

#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace hookgate {

// Webhook secrets of tests: long enough that nothing else looks like them.
//   kTestSecret   the gateway's own
//   kNewSecret    what kTestSecret is rotated to
//   kOtherSecret  another source's
//   kWrongSecret  a stranger's
inline constexpr char kTestSecret[] = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=";
inline constexpr char kNewSecret[] = "whsec_8u6a2ZW0/L3kO1cT7dQvXyR5hUeG9sJpNf4iKwEoBMA=";
inline constexpr char kOtherSecret[] = "whsec_Qm1/ZtJ6rYcW+e0sHaVgLx8uNp2oKf5iDy7TbRw3XEk=";
inline constexpr char kWrongSecret[] = "whsec_pX4vUo9/sGdE7hRyKj2LwCmZb5Nt0aQf+iMu8cTxW1I=";

// In each body that SignedWebhook makes by itself.
inline constexpr char kBodyMarker[] = "evt_that_logs_never_show";

// Thread-safe.
class SecretWatch {
 public:
  // How much is not to be shown in what is searched.
  enum Place : uint8_t {
    // What the gateway logs and shows of itself to the machine: nothing.
    kLog,
    // What it answers, and what the command line prints: bodies are rightly there.
    kAnswer,
  };

  // That of this test program; it knows the secrets above and the marker from the start.
  static SecretWatch& OfThisProgram();

  // Each `name` is how a failure calls it; it must not itself hold what is kept. A text must have
  // at least kLeastBytes: a shorter one is found anywhere. Registering twice is harmless.
  // The text is a webhook secret, in the spelling of a config. Its bytes are kept, too, and each
  // way of writing them.
  void KeepSecret(absl::string_view name, absl::string_view text);
  void KeepToken(absl::string_view name, absl::string_view token);
  // The value of a webhook-signature field: the base64 of each of its entries.
  void KeepSignature(absl::string_view field);
  // Kept out of kLog only.
  void KeepBody(absl::string_view name, absl::string_view part);

  // What `bytes`, found at `place`, disclose: the names, with the spelling that was found.
  std::vector<std::string> Disclosures(Place place, absl::string_view bytes) const;

  static constexpr size_t kLeastBytes = 8;

 private:
  struct Kept {
    std::string text;
    std::string name;
    bool in_bodies;
  };
  void Keep(absl::string_view text, const std::string& name, bool in_bodies = false)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The same as it is and in the ways in which bytes are written.
  void KeepSpellings(absl::string_view text, absl::string_view name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  // By hashes of the first bytes of each text. Most places of what is searched begin
  // nothing that is kept, which this tells at once.
  std::bitset<1 << 16> starts_ ABSL_GUARDED_BY(mu_);
  // By their first kLeastBytes bytes: a search takes one pass, however many there are.
  absl::flat_hash_map<uint64_t, std::vector<Kept>> kept_ ABSL_GUARDED_BY(mu_);
};

// Fails the test if `bytes`, which are `what`, disclose something that this program keeps.
void ExpectNothingDisclosed(SecretWatch::Place place, absl::string_view what,
                            absl::string_view bytes);

// Registers the signatures of an HTTP request that a test sends.
void KeepSignaturesOf(absl::string_view request);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_SECRET_WATCH_H_
