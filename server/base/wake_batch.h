// Wakes other threads once for many things that are theirs: a thread that is woken for the first of
// them may run at once, on the same core, and would find that one alone; then again for the second.
//
//   WakeBatch batch;
//   for (const auto& stream : streams) stream->Wake();
//   // Here, at the end of the scope, each thread that has streams is woken.
#ifndef HOOKGATE_SERVER_BASE_WAKE_BATCH_H_
#define HOOKGATE_SERVER_BASE_WAKE_BATCH_H_

#include <memory>
#include <vector>

namespace hookgate {

// On the stack. Within another batch of the same thread it does nothing: the outer one's end
// counts.
class WakeBatch {
 public:
  // Something that wakes a thread.
  class Target {
   public:
    virtual ~Target() = default;
    // Any thread; must not block.
    virtual void WakeNow() = 0;
  };

  WakeBatch();
  ~WakeBatch();
  WakeBatch(const WakeBatch&) = delete;
  WakeBatch& operator=(const WakeBatch&) = delete;

  // Has `target` woken once at the end of this thread's batch. False: it has none.
  static bool Add(const std::shared_ptr<Target>& target);

 private:
  std::vector<std::shared_ptr<Target>> targets_;  // few: one for each thread that is woken
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_WAKE_BATCH_H_
