// A disk whose power can be cut and whose operations can be made to fail: a SQLite VFS, all in
// memory.
//
// It tells what was written from what was synced. A write, a truncation, a new or a removed name is
// seen by every reader at once, but is only pending until a sync covers it. When the power is cut,
// each pending sector is, by chance, kept, lost, torn (a first part of it is written) or, where the
// file grew, garbage; pending truncations and names happened or did not. Sectors of a write-ahead
// log are not torn: SQLite bears it, but what looks for damage in one (store/wal_check.h) could not
// tell, and disks do not do it. Promised is only what
// POSIX promises:
//   - syncing a file keeps its content, not its name;
//   - names are kept by syncing the folder, which SQLite does with the first sync of a new journal
//   or
//     write-ahead log, and when it removes a journal.
// After a sync that failed, what was pending stays visible and is never written, though later syncs
// succeed: that is what Linux does with pages whose write-back failed.
//
// Names are whole paths; nothing touches the real disk. Shared memory and locks work between the
// connections of this process.
#ifndef HOOKGATE_TESTS_CRASH_SIMULATED_DISK_H_
#define HOOKGATE_TESTS_CRASH_SIMULATED_DISK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

struct sqlite3_file;
struct sqlite3_vfs;

namespace hookgate {

// SQLite's default VFS of this process while it lives; at most one at a time. Thread-safe.
class SimulatedDisk {
 public:
  enum class Operation { kRead, kWrite, kSync };

  SimulatedDisk();
  // All of its files must be closed.
  ~SimulatedDisk();
  SimulatedDisk(const SimulatedDisk&) = delete;
  SimulatedDisk& operator=(const SimulatedDisk&) = delete;

  // Cuts the power in the middle of the `operations`-th change from now on, from 1: a write,
  // truncation, sync or removal. From then on everything fails.
  void CutPowerAt(int64_t operations);
  void CutPower();
  // Changes so far.
  int64_t operations() const;

  // Decides what the disk holds after a power cut, and gives it power again. All files must be
  // closed.
  void Restart(std::mt19937_64& random);

  // Makes `operation` on files whose name ends in `suffix` fail with the SQLite code `result`,
  // after `good` that succeed, until Repair. A failing write of more than one sector writes a first
  // part of it.
  void Break(Operation operation, absl::string_view suffix, int result, int64_t good = 0);
  void Repair();
  // Operations that failed since Break.
  int64_t broken_operations() const;

  // Overwrites one byte of a file, durably. False if there is no such file, or it is shorter.
  bool Damage(absl::string_view suffix, size_t offset);
  // What would be found after a power cut of a file with that ending; "" if there is none.
  std::string Content(absl::string_view suffix) const;

 private:
  friend struct SimulatedFile;

  struct Change {
    bool truncation = false;
    size_t offset = 0;  // or the new size
    std::string bytes;
  };
  // A file, whatever its name.
  struct Node {
    std::string content;  // what readers see
    std::string durable;
    std::vector<Change> pending;  // from durable to content
    bool sync_names = false;      // its next sync is the folder's as well
    // Locks, by the handle that holds them.
    std::set<const void*> shared;
    const void* reserved = nullptr;
    const void* exclusive = nullptr;              // or about to be: no new sharers
    std::vector<std::unique_ptr<char[]>> memory;  // shared between connections, gone with the last
    std::set<const void*> memory_users;
    std::set<const void*> memory_shared[8];
    const void* memory_exclusive[8] = {};
  };
  using Names = std::map<std::string, std::shared_ptr<Node>>;

  static void Apply(const Change& change, std::string& content);
  static void Survive(Node& node, bool may_tear, std::mt19937_64& random);

  // Whether a change may happen; false from the power cut on.
  bool Spend() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The code with which `operation` on `name` has to fail, or SQLITE_OK.
  int Fault(Operation operation, const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int Open(const char* name, sqlite3_file* file, int flags);
  int Delete(const std::string& name, bool sync_names);
  bool Exists(const std::string& name);

  const std::unique_ptr<sqlite3_vfs> vfs_;
  sqlite3_vfs* const previous_;

  mutable absl::Mutex mu_;
  Names names_ ABSL_GUARDED_BY(mu_);
  Names durable_names_ ABSL_GUARDED_BY(mu_);
  int open_files_ ABSL_GUARDED_BY(mu_) = 0;
  bool powered_ ABSL_GUARDED_BY(mu_) = true;
  int64_t operations_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t cut_at_ ABSL_GUARDED_BY(mu_) = 0;  // 0: never
  int fault_ ABSL_GUARDED_BY(mu_) = 0;       // SQLITE_OK: none
  Operation fault_operation_ ABSL_GUARDED_BY(mu_) = Operation::kRead;
  std::string fault_suffix_ ABSL_GUARDED_BY(mu_);
  int64_t fault_good_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t broken_operations_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CRASH_SIMULATED_DISK_H_
