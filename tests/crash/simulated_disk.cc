#include "tests/crash/simulated_disk.h"

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "absl/strings/match.h"

namespace hookgate {
namespace {

constexpr size_t kSector = 512;

bool Chance(std::mt19937_64& random, double probability) {
  return std::bernoulli_distribution(probability)(random);
}

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "simulated disk: %s\n", what);
  std::abort();
}

}  // namespace

// One open handle. SQLite owns its memory.
struct SimulatedFile : sqlite3_file {
  SimulatedDisk* disk;
  std::shared_ptr<SimulatedDisk::Node> node;
  std::string name;  // "": a temporary file, which no crash has to keep
  int lock = SQLITE_LOCK_NONE;
  bool delete_on_close = false;

  static SimulatedFile& Of(sqlite3_file* file) { return *static_cast<SimulatedFile*>(file); }

  static const sqlite3_io_methods* Methods();
  static int Close(sqlite3_file* file);
  static int Read(sqlite3_file* file, void* to, int size, sqlite3_int64 offset);
  static int Write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset);
  static int Truncate(sqlite3_file* file, sqlite3_int64 size);
  static int Sync(sqlite3_file* file, int flags);
  static int FileSize(sqlite3_file* file, sqlite3_int64* size);
  static int Lock(sqlite3_file* file, int level);
  static int Unlock(sqlite3_file* file, int level);
  static int CheckReserved(sqlite3_file* file, int* reserved);
  static int Control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int SectorSize(sqlite3_file*) { return 4096; }
  // As the real one says: a write changes no byte beside it.
  static int Characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }
  static int MapMemory(sqlite3_file* file, int region, int size, int extend, void volatile** out);
  static int LockMemory(sqlite3_file* file, int offset, int count, int flags);
  static void Barrier(sqlite3_file*) { std::atomic_thread_fence(std::memory_order_seq_cst); }
  static int UnmapMemory(sqlite3_file* file, int delete_it);
};

const sqlite3_io_methods* SimulatedFile::Methods() {
  static const sqlite3_io_methods methods = {
      .iVersion = 2,
      .xClose = &Close,
      .xRead = &Read,
      .xWrite = &Write,
      .xTruncate = &Truncate,
      .xSync = &Sync,
      .xFileSize = &FileSize,
      .xLock = &Lock,
      .xUnlock = &Unlock,
      .xCheckReservedLock = &CheckReserved,
      .xFileControl = &Control,
      .xSectorSize = &SectorSize,
      .xDeviceCharacteristics = &Characteristics,
      .xShmMap = &MapMemory,
      .xShmLock = &LockMemory,
      .xShmBarrier = &Barrier,
      .xShmUnmap = &UnmapMemory,
      .xFetch = nullptr,
      .xUnfetch = nullptr,
  };
  return &methods;
}

int SimulatedFile::Close(sqlite3_file* file) {
  SimulatedFile& self = Of(file);
  Unlock(file, SQLITE_LOCK_NONE);
  {
    absl::MutexLock lock(&self.disk->mu_);
    --self.disk->open_files_;
  }
  if (self.delete_on_close && !self.name.empty()) self.disk->Delete(self.name, false);
  self.~SimulatedFile();
  return SQLITE_OK;
}

int SimulatedFile::Read(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
  SimulatedFile& self = Of(file);
  absl::MutexLock lock(&self.disk->mu_);
  if (!self.disk->powered_) return SQLITE_IOERR_READ;
  const int fault = self.disk->Fault(SimulatedDisk::Operation::kRead, self.name);
  if (fault != SQLITE_OK) return fault;
  const std::string& content = self.node->content;
  const size_t wanted = static_cast<size_t>(size);
  const size_t begin = std::min(content.size(), static_cast<size_t>(offset));
  const size_t got = std::min(wanted, content.size() - begin);
  std::memcpy(to, content.data() + begin, got);
  if (got == wanted) return SQLITE_OK;
  std::memset(static_cast<char*>(to) + got, 0, wanted - got);
  return SQLITE_IOERR_SHORT_READ;
}

int SimulatedFile::Write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  SimulatedFile& self = Of(file);
  absl::MutexLock lock(&self.disk->mu_);
  if (!self.disk->powered_) return SQLITE_IOERR_WRITE;
  const int fault = self.disk->Fault(SimulatedDisk::Operation::kWrite, self.name);
  std::string bytes(static_cast<const char*>(from), static_cast<size_t>(size));
  if (fault != SQLITE_OK) {
    if (bytes.size() <= kSector) return fault;
    bytes.resize(bytes.size() / 2);
  }
  SimulatedDisk::Change change = {.offset = static_cast<size_t>(offset), .bytes = std::move(bytes)};
  SimulatedDisk::Apply(change, self.node->content);
  self.node->pending.push_back(std::move(change));
  if (fault != SQLITE_OK) return fault;
  return self.disk->Spend() ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

int SimulatedFile::Truncate(sqlite3_file* file, sqlite3_int64 size) {
  SimulatedFile& self = Of(file);
  absl::MutexLock lock(&self.disk->mu_);
  if (!self.disk->powered_) return SQLITE_IOERR_TRUNCATE;
  SimulatedDisk::Change change = {.truncation = true, .offset = static_cast<size_t>(size)};
  SimulatedDisk::Apply(change, self.node->content);
  self.node->pending.push_back(std::move(change));
  return self.disk->Spend() ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

int SimulatedFile::Sync(sqlite3_file* file, int) {
  SimulatedFile& self = Of(file);
  absl::MutexLock lock(&self.disk->mu_);
  if (!self.disk->powered_ || !self.disk->Spend()) return SQLITE_IOERR_FSYNC;
  const int fault = self.disk->Fault(SimulatedDisk::Operation::kSync, self.name);
  if (fault == SQLITE_OK) {
    for (const auto& change : self.node->pending) SimulatedDisk::Apply(change, self.node->durable);
  }
  self.node->pending.clear();  // After a failure too: nobody will write them any more.
  if (fault != SQLITE_OK) return fault;
  if (std::exchange(self.node->sync_names, false)) self.disk->durable_names_ = self.disk->names_;
  return SQLITE_OK;
}

int SimulatedFile::FileSize(sqlite3_file* file, sqlite3_int64* size) {
  SimulatedFile& self = Of(file);
  absl::MutexLock lock(&self.disk->mu_);
  if (!self.disk->powered_) return SQLITE_IOERR_FSTAT;
  *size = static_cast<sqlite3_int64>(self.node->content.size());
  return SQLITE_OK;
}

// sqlite.org/lockingv3.html: any number share; one may be about to write; to write it must be
// alone.
int SimulatedFile::Lock(sqlite3_file* file, int level) {
  SimulatedFile& self = Of(file);
  absl::MutexLock lock(&self.disk->mu_);
  if (level <= self.lock) return SQLITE_OK;
  SimulatedDisk::Node& node = *self.node;
  const auto others = [&](const void* owner) { return owner != nullptr && owner != &self; };
  if (others(node.exclusive)) return SQLITE_BUSY;
  if (level == SQLITE_LOCK_SHARED) {
    node.shared.insert(&self);
  } else if (level == SQLITE_LOCK_RESERVED) {
    if (others(node.reserved)) return SQLITE_BUSY;
    node.reserved = &self;
  } else {
    if (others(node.reserved)) return SQLITE_BUSY;
    node.exclusive = &self;
    if (node.shared.size() > 1) {
      self.lock = SQLITE_LOCK_PENDING;
      return SQLITE_BUSY;
    }
  }
  self.lock = level;
  return SQLITE_OK;
}

int SimulatedFile::Unlock(sqlite3_file* file, int level) {
  SimulatedFile& self = Of(file);
  absl::MutexLock lock(&self.disk->mu_);
  if (level >= self.lock) return SQLITE_OK;
  SimulatedDisk::Node& node = *self.node;
  if (node.exclusive == &self) node.exclusive = nullptr;
  if (node.reserved == &self) node.reserved = nullptr;
  if (level == SQLITE_LOCK_NONE) node.shared.erase(&self);
  self.lock = level;
  return SQLITE_OK;
}

int SimulatedFile::CheckReserved(sqlite3_file* file, int* reserved) {
  SimulatedFile& self = Of(file);
  absl::MutexLock lock(&self.disk->mu_);
  *reserved = self.node->reserved != nullptr || self.node->exclusive != nullptr;
  return SQLITE_OK;
}

int SimulatedFile::MapMemory(sqlite3_file* file, int region, int size, int extend,
                             void volatile** out) {
  SimulatedFile& self = Of(file);
  absl::MutexLock lock(&self.disk->mu_);
  self.node->memory_users.insert(&self);
  auto& memory = self.node->memory;
  const size_t wanted = static_cast<size_t>(region) + 1;
  while (extend != 0 && memory.size() < wanted) {
    memory.push_back(std::make_unique<char[]>(static_cast<size_t>(size)));
  }
  *out = memory.size() < wanted ? nullptr : memory[static_cast<size_t>(region)].get();
  return SQLITE_OK;
}

int SimulatedFile::LockMemory(sqlite3_file* file, int offset, int count, int flags) {
  SimulatedFile& self = Of(file);
  absl::MutexLock lock(&self.disk->mu_);
  SimulatedDisk::Node& node = *self.node;
  const auto held_by_others = [&](int slot) {
    const void* const owner = node.memory_exclusive[slot];
    if (owner != nullptr && owner != &self) return true;
    const auto& sharers = node.memory_shared[slot];
    return (flags & SQLITE_SHM_EXCLUSIVE) != 0 && sharers.size() > sharers.count(&self);
  };
  for (int slot = offset; slot < offset + count; ++slot) {
    if ((flags & SQLITE_SHM_LOCK) != 0 && held_by_others(slot)) return SQLITE_BUSY;
  }
  for (int slot = offset; slot < offset + count; ++slot) {
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
      node.memory_shared[slot].erase(&self);
      if (node.memory_exclusive[slot] == &self) node.memory_exclusive[slot] = nullptr;
    } else if ((flags & SQLITE_SHM_EXCLUSIVE) != 0) {
      node.memory_exclusive[slot] = &self;
    } else {
      node.memory_shared[slot].insert(&self);
    }
  }
  return SQLITE_OK;
}

int SimulatedFile::UnmapMemory(sqlite3_file* file, int) {
  SimulatedFile& self = Of(file);
  absl::MutexLock lock(&self.disk->mu_);
  SimulatedDisk::Node& node = *self.node;
  for (int slot = 0; slot < 8; ++slot) {
    node.memory_shared[slot].erase(&self);
    if (node.memory_exclusive[slot] == &self) node.memory_exclusive[slot] = nullptr;
  }
  node.memory_users.erase(&self);
  if (node.memory_users.empty()) node.memory.clear();
  return SQLITE_OK;
}

SimulatedDisk::SimulatedDisk()
    : vfs_(std::make_unique<sqlite3_vfs>()), previous_(sqlite3_vfs_find(nullptr)) {
  *vfs_ = *previous_;  // Time, randomness and waiting are the real one's.
  vfs_->iVersion = 2;
  vfs_->szOsFile = sizeof(SimulatedFile);
  vfs_->pNext = nullptr;
  vfs_->zName = "simulated";
  vfs_->pAppData = this;
  vfs_->xOpen = [](sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    file->pMethods = nullptr;  // Nothing to close, should it fail.
    const int result = static_cast<SimulatedDisk*>(vfs->pAppData)->Open(name, file, flags);
    if (out != nullptr) *out = flags;
    return result;
  };
  vfs_->xDelete = [](sqlite3_vfs* vfs, const char* name, int sync_names) {
    return static_cast<SimulatedDisk*>(vfs->pAppData)->Delete(name, sync_names != 0);
  };
  vfs_->xAccess = [](sqlite3_vfs* vfs, const char* name, int, int* out) {
    *out = static_cast<SimulatedDisk*>(vfs->pAppData)->Exists(name) ? 1 : 0;
    return SQLITE_OK;
  };
  vfs_->xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) {
    return std::snprintf(out, static_cast<size_t>(size), "%s", name) < size ? SQLITE_OK
                                                                            : SQLITE_CANTOPEN;
  };
  sqlite3_vfs_register(vfs_.get(), 1);
}

SimulatedDisk::~SimulatedDisk() {
  sqlite3_vfs_unregister(vfs_.get());
  sqlite3_vfs_register(previous_, 1);
  absl::MutexLock lock(&mu_);
  Require(open_files_ == 0, "destroyed with files open");
}

void SimulatedDisk::CutPowerAt(int64_t operations) {
  absl::MutexLock lock(&mu_);
  cut_at_ = operations_ + operations;
}

void SimulatedDisk::CutPower() {
  absl::MutexLock lock(&mu_);
  powered_ = false;
}

int64_t SimulatedDisk::operations() const {
  absl::MutexLock lock(&mu_);
  return operations_;
}

void SimulatedDisk::Restart(std::mt19937_64& random) {
  absl::MutexLock lock(&mu_);
  Require(open_files_ == 0, "restarted with files open");
  powered_ = true;
  cut_at_ = 0;
  // What is under a name that is pending may be the old or the new.
  Names all = durable_names_;
  all.insert(names_.begin(), names_.end());
  Names kept;
  for (const auto& [name, node] : all) {
    const auto now = names_.find(name);
    const auto before = durable_names_.find(name);
    const bool same =
        now != names_.end() && before != durable_names_.end() && now->second == before->second;
    const bool take_new = same || Chance(random, 0.5);
    const auto chosen = take_new ? now : before;
    if (chosen != (take_new ? names_.end() : durable_names_.end())) kept.insert(*chosen);
  }
  for (const auto& [name, node] : kept) {
    Survive(*node, !absl::EndsWith(name, "-wal"), random);
  }
  names_ = kept;
  durable_names_ = std::move(kept);
}

void SimulatedDisk::Break(Operation operation, absl::string_view suffix, int result, int64_t good) {
  absl::MutexLock lock(&mu_);
  fault_ = result;
  fault_operation_ = operation;
  fault_suffix_ = std::string(suffix);
  fault_good_ = good;
  broken_operations_ = 0;
}

void SimulatedDisk::Repair() {
  absl::MutexLock lock(&mu_);
  fault_ = SQLITE_OK;
}

int64_t SimulatedDisk::broken_operations() const {
  absl::MutexLock lock(&mu_);
  return broken_operations_;
}

bool SimulatedDisk::Damage(absl::string_view suffix, size_t offset) {
  absl::MutexLock lock(&mu_);
  for (auto& [name, node] : names_) {
    if (!absl::EndsWith(name, suffix) || node->durable.size() <= offset) continue;
    node->content[offset] = static_cast<char>(node->content[offset] ^ 0xff);
    node->durable[offset] = static_cast<char>(node->durable[offset] ^ 0xff);
    return true;
  }
  return false;
}

std::string SimulatedDisk::Content(absl::string_view suffix) const {
  absl::MutexLock lock(&mu_);
  for (const auto& [name, node] : names_) {
    if (absl::EndsWith(name, suffix)) return node->durable;
  }
  return "";
}

void SimulatedDisk::Apply(const Change& change, std::string& content) {
  if (change.truncation) {
    content.resize(change.offset);
    return;
  }
  if (content.size() < change.offset + change.bytes.size()) {
    content.resize(change.offset + change.bytes.size());
  }
  content.replace(change.offset, change.bytes.size(), change.bytes);
}

// Each cut keeps nothing, all, or some share of what was pending: the extremes are the likeliest in
// life.
void SimulatedDisk::Survive(Node& node, bool may_tear, std::mt19937_64& random) {
  const double shares[] = {0, 0.1, 0.5, 0.9, 1};
  const double share = shares[std::uniform_int_distribution<int>(0, 4)(random)];
  for (const Change& change : node.pending) {
    if (change.truncation) {
      if (Chance(random, share)) Apply(change, node.durable);
      continue;
    }
    for (size_t begin = 0; begin < change.bytes.size();) {
      const size_t to_sector_end = kSector - (change.offset + begin) % kSector;
      const size_t size = std::min(to_sector_end, change.bytes.size() - begin);
      Change sector = {.offset = change.offset + begin, .bytes = change.bytes.substr(begin, size)};
      begin += size;
      if (!Chance(random, share)) {
        const bool grows = sector.offset >= node.durable.size();
        if (!grows || !Chance(random, 0.1)) continue;
        for (char& byte : sector.bytes) byte = static_cast<char>(random());
      } else if (may_tear && share < 1 && Chance(random, 0.1)) {
        sector.bytes.resize(std::uniform_int_distribution<size_t>(0, size)(random));
      }
      Apply(sector, node.durable);
    }
  }
  node.pending.clear();
  node.content = node.durable;
}

bool SimulatedDisk::Spend() {
  ++operations_;
  if (cut_at_ != 0 && operations_ >= cut_at_) powered_ = false;
  return powered_;
}

int SimulatedDisk::Fault(Operation operation, const std::string& name) {
  if (fault_ == SQLITE_OK || operation != fault_operation_ ||
      !absl::EndsWith(name, fault_suffix_)) {
    return SQLITE_OK;
  }
  if (fault_good_ > 0) {
    --fault_good_;
    return SQLITE_OK;
  }
  ++broken_operations_;
  return fault_;
}

int SimulatedDisk::Open(const char* name, sqlite3_file* file, int flags) {
  absl::MutexLock lock(&mu_);
  if (!powered_) return SQLITE_CANTOPEN;
  std::shared_ptr<Node> node;
  if (name != nullptr) {
    const auto found = names_.find(name);
    if (found != names_.end()) node = found->second;
  }
  if (node == nullptr) {
    if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
    node = std::make_shared<Node>();
    node->sync_names = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    if (name != nullptr) names_[name] = node;
  }
  auto* const opened = new (file) SimulatedFile;
  opened->pMethods = SimulatedFile::Methods();
  opened->disk = this;
  opened->node = std::move(node);
  opened->name = name == nullptr ? "" : name;
  opened->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  ++open_files_;
  return SQLITE_OK;
}

int SimulatedDisk::Delete(const std::string& name, bool sync_names) {
  absl::MutexLock lock(&mu_);
  if (!powered_) return SQLITE_IOERR_DELETE;
  if (names_.erase(name) == 0) return SQLITE_IOERR_DELETE_NOENT;
  if (!Spend()) return SQLITE_IOERR_DELETE;
  if (sync_names) durable_names_ = names_;
  return SQLITE_OK;
}

// An empty file counts as none, as in SQLite's own.
bool SimulatedDisk::Exists(const std::string& name) {
  absl::MutexLock lock(&mu_);
  const auto found = names_.find(name);
  return found != names_.end() && !found->second->content.empty();
}

}  // namespace hookgate
