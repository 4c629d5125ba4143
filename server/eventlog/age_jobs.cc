#include "server/eventlog/age_jobs.h"

#include <utility>

#include "absl/time/time.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

class StoreAgesJob final : public CommitJob {
 public:
  StoreAgesJob(AgeChanges changes, absl::AnyInvocable<void(absl::Status) &&> done)
      : changes_(std::move(changes)), done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }

  absl::Status Write(CommitStatements& statements, CommitState& state) override {
    state.try_checkpoint = true;
    for (const AgeMark& mark : changes_.marks) {
      Statement& insert = statements.insert_age_mark;
      insert.BindInt(1, absl::ToInt64Microseconds(mark.running));
      insert.BindInt(2, mark.ends.sequence);
      insert.BindInt(3, mark.ends.touch);
      insert.BindInt(4, absl::ToInt64Microseconds(mark.credit));
      RETURN_IF_ERROR(insert.Run());
    }
    if (changes_.first_mark.has_value()) {
      Statement& remove = statements.delete_age_marks;
      remove.BindInt(1, absl::ToInt64Microseconds(*changes_.first_mark));
      RETURN_IF_ERROR(remove.Run());
    }
    return changes_.clock.has_value() ? WriteClock(statements) : absl::OkStatus();
  }

  void Answer(const absl::Status& status) override { std::move(done_)(status); }

 private:
  absl::Status WriteClock(CommitStatements& statements) {
    const AgeClock& clock = *changes_.clock;
    const AgeClock::Trusted trusted = clock.trusted.value_or(AgeClock::Trusted());
    Statement& set = statements.set_age_clock;
    set.BindInt(1, absl::ToInt64Microseconds(clock.running));
    set.BindInt(2, clock.trusted.has_value() ? 1 : 0);
    set.BindInt(3, absl::ToUnixMicros(trusted.wall));
    set.BindInt(4, absl::ToInt64Microseconds(trusted.running));
    return set.Run();
  }

  const AgeChanges changes_;
  absl::AnyInvocable<void(absl::Status) &&> done_;
};

}  // namespace

std::unique_ptr<CommitJob> MakeStoreAgesJob(const AgeChanges& changes,
                                            absl::AnyInvocable<void(absl::Status) &&> done) {
  return std::make_unique<StoreAgesJob>(changes, std::move(done));
}

}  // namespace hookgate
