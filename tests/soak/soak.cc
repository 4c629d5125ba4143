#include "tests/soak/soak.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <random>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "server/verify/verify_event_log.h"
#include "tests/bench/process_usage.h"
#include "tests/soak/consumer.h"
#include "tests/soak/life.h"
#include "tests/soak/reader.h"
#include "tests/soak/sender.h"
#include "tests/support/hookgated_process.h"

namespace hookgate {
namespace {

// What is kept of the newest events, and of their webhook-ids, comes and goes by less than that;
// and of all other webhook-ids the gateway holds 2 bytes each.
constexpr int64_t kAllowedGrowth = 32 << 20;
constexpr int64_t kAllowedBytesPerWebhook = 4;
// The write-ahead log is moved into the database from 16 MiB on, while commits add to it.
constexpr int64_t kWalBound = 64 << 20;

constexpr absl::Duration kSample = absl::Seconds(1);
constexpr absl::Duration kProgress = absl::Seconds(10);
// Without a single answer, or until readers have caught up.
constexpr absl::Duration kPatience = absl::Minutes(2);

class Soak {
 public:
  explicit Soak(const SoakPlan& plan);
  SoakReport Run();

 private:
  // False if it does not get ready.
  bool StartLife();
  // Everybody comes; Run of each ends with the life.
  void StartLoad();
  // By SIGKILL or SIGTERM. Everybody goes.
  void EndLife(int signal);
  // Waits until so many webhooks are answered in this life, or it is `end`.
  void WaitForAnswers(int64_t count, absl::Time end);
  // Notes what there is to see from outside.
  void Sample();

  void ShortLife(int signal, absl::Time end);
  // Its memory is watched; then webhooks stop, and readers catch up.
  void LongLife(absl::Time end);
  void CheckReadersHaveCaughtUp();
  // Reads all that is there, without load.
  void LastLook();
  void Verify();

  int64_t ResidentNow() const { return ResidentBytes(gateway_->pid()); }

  const SoakPlan& plan_;
  const absl::Time begin_ = absl::Now();
  // After so many answers in a life its memory is looked at.
  const int64_t phase_;
  std::mt19937_64 random_;
  SoakReport report_;
  Ledger ledger_;
  Consumer consumer_{ledger_};
  std::vector<std::unique_ptr<Sender>> senders_;
  std::vector<std::unique_ptr<Reader>> readers_;

  std::unique_ptr<HookgatedProcess> gateway_;
  std::unique_ptr<Life> life_;
  bool is_first_life_ = true;
  int64_t answered_before_ = 0;  // this life
  std::vector<std::thread> threads_;
  absl::Time next_progress_ = begin_ + kProgress;
};

Soak::Soak(const SoakPlan& plan)
    : plan_(plan), phase_(plan.answers_per_life / 2), random_(plan.seed) {
  const int64_t webhooks = plan.lives * plan.answers_per_life + plan.answers_of_last_life;
  report_.allowed_growth = kAllowedGrowth + kAllowedBytesPerWebhook * webhooks;
  report_.wal_bound = kWalBound;
  for (int i = 0; i < plan.senders; ++i) {
    senders_.push_back(
        std::make_unique<Sender>(ledger_, random_(), plan.per_second / plan.senders));
  }
  for (int i = 0; i < plan.readers + plan.churning; ++i) {
    const bool churns = i >= plan.readers;
    readers_.push_back(std::make_unique<Reader>(
        ledger_, absl::StrCat(churns ? "churning reader " : "reader ", i), churns, random_()));
  }
}

SoakReport Soak::Run() {
  const absl::Time half = begin_ + plan_.at_most / 2;
  for (int i = 0; i < plan_.lives && absl::Now() < half; ++i) {
    ShortLife(i % 2 == 0 ? SIGKILL : SIGTERM, half);
  }
  LongLife(begin_ + plan_.at_most);
  LastLook();
  ledger_.Settle();
  Verify();
  report_.counts = ledger_.counts();
  report_.examples = ledger_.examples();
  report_.elapsed = absl::Now() - begin_;
  return report_;
}

bool Soak::StartLife() {
  const absl::Time start = absl::Now();
  gateway_ = HookgatedProcess::Start(plan_.data_dir, {"--log_level=warning"});
  report_.slowest_start = std::max(report_.slowest_start, absl::Now() - start);
  life_ = std::make_unique<Life>();
  life_->http = gateway_->http();
  life_->grpc = gateway_->grpc();
  answered_before_ = ledger_.counts().answered;
  if (!life_->grpc.empty()) return true;
  ledger_.NoteFinding(absl::StrCat("the gateway did not start: ", gateway_->log()));
  return false;
}

void Soak::StartLoad() {
  for (auto& reader : readers_) {
    threads_.emplace_back([this, &reader] { reader->Run(*life_); });
  }
  for (int i = 0; i < plan_.stalled; ++i) threads_.emplace_back([this] { Stall(*life_); });
  threads_.emplace_back([this] { consumer_.Run(*life_); });
  for (auto& sender : senders_) {
    threads_.emplace_back([this, &sender] { sender->Run(*life_); });
  }
}

void Soak::EndLife(int signal) {
  Sample();
  life_->ending.Notify();
  const absl::Time start = absl::Now();
  gateway_->Signal(signal);
  const int exit_code = gateway_->WaitForExit();
  if (signal == SIGTERM) {
    ++report_.ended;
    report_.slowest_end = std::max(report_.slowest_end, absl::Now() - start);
    if (exit_code != 0) {
      ledger_.NoteFinding(absl::StrCat("SIGTERM ended in exit code ", exit_code));
    }
  } else {
    ++report_.killed;
    if (exit_code != 128 + signal) {
      ledger_.NoteFinding(absl::StrCat("the gateway ended by itself, with exit code ", exit_code,
                                       ": ", gateway_->log()));
    }
  }
  life_->over.Notify();
  if (!life_->quiet.HasBeenNotified()) life_->quiet.Notify();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Soak::WaitForAnswers(int64_t count, absl::Time end) {
  int64_t answered = ledger_.counts().answered;
  absl::Time last_answer = absl::Now();
  while (absl::Now() < end && !ledger_.WaitForAnswers(answered_before_ + count, kSample)) {
    Sample();
    const int64_t now_answered = ledger_.counts().answered;
    if (now_answered > answered) {
      answered = now_answered;
      last_answer = absl::Now();
    } else if (absl::Now() > last_answer + kPatience) {
      ledger_.NoteFinding(absl::StrCat("no webhook was answered for ",
                                       absl::FormatDuration(kPatience), ": ", gateway_->log()));
      return;
    }
  }
}

void Soak::Sample() {
  std::error_code error;
  const auto wal = std::filesystem::file_size(plan_.data_dir + "/events.db-wal", error);
  if (!error) {
    report_.largest_wal_bytes = std::max(report_.largest_wal_bytes, static_cast<int64_t>(wal));
  }
  if (absl::Now() < next_progress_) return;
  next_progress_ = absl::Now() + kProgress;
  const Ledger::Counts counts = ledger_.counts();
  plan_.progress(absl::StrFormat(
      "%4.0f s: %d answered, %d delivered, %d acked, %d restarts, %.1f MiB, %d found",
      absl::ToDoubleSeconds(absl::Now() - begin_), counts.answered, counts.delivered, counts.acked,
      report_.killed + report_.ended, static_cast<double>(ResidentNow()) / (1 << 20),
      counts.findings()));
}

void Soak::ShortLife(int signal, absl::Time end) {
  if (!StartLife()) return;
  if (is_first_life_) consumer_.Create(*life_);
  StartLoad();
  WaitForAnswers(phase_, end);
  if (is_first_life_) report_.first_life_bytes = ResidentNow();
  is_first_life_ = false;
  std::uniform_int_distribution<int64_t> answers(phase_, phase_ + plan_.answers_per_life);
  WaitForAnswers(answers(random_), end);
  EndLife(signal);
}

void Soak::LongLife(absl::Time end) {
  if (!StartLife()) return;
  StartLoad();
  WaitForAnswers(phase_, end);
  report_.last_life_bytes = ResidentNow();
  WaitForAnswers(plan_.answers_of_last_life / 2, end);
  report_.warm_bytes = ResidentNow();
  WaitForAnswers(plan_.answers_of_last_life, end);
  report_.end_bytes = ResidentNow();
  life_->quiet.Notify();
  CheckReadersHaveCaughtUp();
  EndLife(SIGTERM);
}

void Soak::CheckReadersHaveCaughtUp() {
  const int64_t head = ledger_.highest_answered();
  for (auto& reader : readers_) {
    if (reader->WaitFor(head, kPatience)) continue;
    ledger_.NoteFinding(absl::StrCat(reader->name(), " did not come to sequence ", head, " within ",
                                     absl::FormatDuration(kPatience)));
  }
}

void Soak::LastLook() {
  if (!StartLife()) return;
  for (auto& reader : readers_) reader->ReadToTheEnd(*life_);
  for (auto& reader : readers_) {
    if (reader->sequence() == readers_[0]->sequence()) continue;
    ledger_.NoteFinding(absl::StrCat(reader->name(), " ends at sequence ", reader->sequence(),
                                     ", and ", readers_[0]->name(), " at ",
                                     readers_[0]->sequence()));
  }
  threads_.emplace_back([this] { consumer_.Run(*life_); });
  if (!consumer_.WaitUntilAllIsAcked(*life_, kPatience)) {
    ledger_.NoteFinding(absl::StrCat("the durable subscription was not settled within ",
                                     absl::FormatDuration(kPatience)));
  }
  EndLife(SIGKILL);
}

void Soak::Verify() {
  const auto report = VerifyEventLog({.data_dir = plan_.data_dir});
  if (!report.ok()) {
    ledger_.NoteFinding(
        absl::StrCat("the log could not be verified: ", std::string(report.status().message())));
    return;
  }
  report_.verify_findings = report->total_findings;
  if (report->total_findings > 0) ledger_.NoteFinding(ReportText(*report));
}

}  // namespace

SoakReport RunSoak(const SoakPlan& plan) { return Soak(plan).Run(); }

}  // namespace hookgate
