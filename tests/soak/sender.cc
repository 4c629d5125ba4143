#include "tests/soak/sender.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/signed_webhook.h"

namespace hookgate {
namespace {

constexpr int kOneRepeatIn = 50;
constexpr size_t kRemembered = 1000;

// Of {"status":"...","sequence":"42"}; 0 if there is none.
int64_t SequenceOf(const std::string& body) {
  constexpr absl::string_view kKey = "\"sequence\":\"";
  const size_t begin = body.find(kKey.data());
  if (begin == std::string::npos) return 0;
  const size_t digits = begin + kKey.size();
  int64_t sequence = 0;
  return absl::SimpleAtoi(body.substr(digits, body.find('"', digits) - digits), &sequence)
             ? sequence
             : 0;
}

}  // namespace

Sender::Sender(Ledger& ledger, uint64_t seed, double per_second)
    : ledger_(ledger),
      interval_(per_second > 0 ? absl::Seconds(1 / per_second) : absl::ZeroDuration()),
      random_(seed) {}

void Sender::Run(const Life& life) {
  HttpClient client(life.http);
  absl::Time due = absl::Now();
  while (!life.quiet.HasBeenNotified()) {
    if (unanswered_ == 0) unanswered_ = Choose();
    if (!Send(client, life, unanswered_)) return;
    // Who was held up does not make up for it: the rate is a bound.
    due = std::max(due + interval_, absl::Now() - interval_);
    const absl::Duration wait = due - absl::Now();
    if (wait > absl::ZeroDuration()) life.quiet.WaitForNotificationWithTimeout(wait);
  }
}

int64_t Sender::Choose() {
  if (answered_.empty() || std::uniform_int_distribution<int>(1, kOneRepeatIn)(random_) > 1) {
    return ledger_.NewWebhook();
  }
  return answered_[std::uniform_int_distribution<size_t>(0, answered_.size() - 1)(random_)];
}

bool Sender::Send(HttpClient& client, const Life& life, int64_t webhook) {
  SignedWebhook request = {.webhook_id = Ledger::WebhookId(webhook),
                           .body = BatchFailedBody(absl::StrCat("batch_", webhook))};
  std::optional<HttpReply> reply;
  if (client.Send(request.Request())) reply = client.ReadReply();
  if (!reply.has_value()) {
    if (!life.ending.HasBeenNotified()) {
      ledger_.NoteFinding("a sender's connection ended while the gateway was up");
    }
    return false;
  }
  if (reply->status == 503) {
    ledger_.NoteUnavailable();
    return !life.ending.HasBeenNotified();
  }
  unanswered_ = 0;
  if (reply->status != 200) {
    ledger_.NoteFinding(absl::StrCat("a webhook was answered ", reply->status, ": ", reply->body));
    return true;
  }
  ledger_.NoteAnswer(webhook, SequenceOf(reply->body));
  answered_.push_back(webhook);
  if (answered_.size() > kRemembered) answered_.pop_front();
  return true;
}

}  // namespace hookgate
