#include "server/replication/jetstream_stream.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/status.h"
#include "server/replication/log_errors.h"
#include "server/replication/nats_server_settings.h"

namespace hookgate {
namespace {

// The header of a record, of which the server's max_payload is to leave room.
constexpr int64_t kHeaderBytes = 4096;
// A server's monitoring port that hangs takes no longer from the others.
constexpr absl::Duration kEachServer = absl::Seconds(1);
constexpr char kDescription[] = "hookgate log, genesis ";
constexpr size_t kGenesisDigits = 16;
constexpr int kLeastReplicas = 3;
constexpr char kSyncRemedy[] = "it has to be always on every server, or say trust_fsync";

}  // namespace

absl::Status CheckSyncSeen(const SyncSeen& seen, const std::set<std::string>& peers) {
  if (seen.unseen > 0 && seen.synced.size() <= seen.unseen) return seen.last_error;
  // Each that was not seen may be one of the peers, but no two of them.
  size_t unknown = 0;
  for (const std::string& peer : peers) {
    if (seen.synced.count(peer) != 0 || ++unknown <= seen.unseen) continue;
    return UnsafeSetting("sync_interval", absl::StrCat("server ", peer, " is not at any of the ",
                                                       "monitoring_urls; ", kSyncRemedy));
  }
  return absl::OkStatus();
}

JetStreamStream::JetStreamStream(const JetStreamLogOptions& options, const std::string& cluster,
                                 int64_t max_record_bytes)
    : options_(options),
      name_(absl::StrCat("HOOKGATE_", cluster)),
      subject_(absl::StrCat("hookgate.", cluster, ".log")),
      max_message_bytes_(max_record_bytes + kHeaderBytes) {}

absl::Status JetStreamStream::Make(const LibNats& nats, const NatsSessionPtr& session,
                                   SteadyTime deadline) const {
  const std::string description = absl::StrCat(kDescription, NewGenesis());
  const char* subjects[] = {subject_.c_str()};
  jsStreamConfig config;
  nats.jsStreamConfig_Init(&config);
  config.Name = name_.c_str();
  config.Description = description.c_str();
  config.Subjects = subjects;
  config.SubjectsLen = 1;
  config.Retention = js_LimitsPolicy;
  config.Discard = js_DiscardNew;
  config.Storage = js_FileStorage;
  config.Replicas = options_.replicas;
  config.Duplicates = 100'000'000;  // the least there is; no message has an id
  config.DenyDelete = true;
  config.AllowDirect = true;
  jsOptions call;
  nats.jsOptions_Init(&call);
  call.Wait = NatsMilliseconds(TimeLeft(deadline));
  jsStreamInfo* info = nullptr;
  jsErrCode code = static_cast<jsErrCode>(0);
  const natsStatus status = nats.js_AddStream(&info, session->js(), &config, &call, &code);
  if (info != nullptr) nats.jsStreamInfo_Destroy(info);
  // Another replica was quicker.
  if (status == NATS_OK || code == JSStreamNameExistErr) return absl::OkStatus();
  return NatsError(nats, status, code, absl::StrCat("making the stream ", name_));
}

std::string JetStreamStream::GenesisOf(const jsStreamInfo& info) const {
  absl::string_view genesis = info.Config->Description == nullptr ? "" : info.Config->Description;
  const bool is_ours =
      absl::ConsumePrefix(&genesis, kDescription) && genesis.size() == kGenesisDigits;
  return is_ours ? std::string(genesis) : "";
}

StreamSettings JetStreamStream::Check(const jsStreamInfo& info) const {
  StreamSettings settings;
  const jsStreamConfig& config = *info.Config;
  const auto require = [&settings](bool holds, absl::string_view setting,
                                   absl::string_view remedy) {
    if (settings.problem.ok() && !holds) settings.problem = UnsafeSetting(setting, remedy);
  };
  require(config.SubjectsLen == 1 && config.Subjects[0] == absl::string_view(subject_), "subjects",
          absl::StrCat("the stream ", name_, " has to have the one subject ", subject_));
  require(config.Storage == js_FileStorage, "storage", "it has to be file");
  require(config.Retention == js_LimitsPolicy, "retention", "it has to be limits");
  require(config.Discard == js_DiscardNew, "discard", "it has to be new");
  require(config.MaxAge == 0, "max_age", "it has to be 0");
  require(config.MaxMsgs <= 0, "max_msgs", "it has to be -1");
  require(config.MaxMsgsPerSubject <= 0, "max_msgs_per_subject", "it has to be -1");
  require(config.MaxMsgSize <= 0 || config.MaxMsgSize >= max_message_bytes_, "max_msg_size",
          absl::StrCat("it has to be -1, or at least ", max_message_bytes_));
  require(config.DenyDelete, "deny_delete", "it has to be true");
  require(!config.DenyPurge, "deny_purge", "it has to be false");
  require(!config.AllowRollup, "allow_rollup_hdrs", "it has to be false");
  require(!config.NoAck, "no_ack", "it has to be false");
  require(!config.Sealed, "sealed", "it has to be false");
  require(config.Mirror == nullptr, "mirror", "the stream must not be a copy of another one");
  require(config.SourcesLen == 0, "sources", "the stream must not be a copy of others");
  require(config.Replicas >= kLeastReplicas || options_.trust_storage, "num_replicas",
          absl::StrCat("it is ", config.Replicas, ", and must be 3 or 5; or set trust_storage ",
                       "if the storage below the server is itself replicated"));
  if (info.Cluster != nullptr) {
    if (info.Cluster->Leader != nullptr) settings.peers.insert(info.Cluster->Leader);
    for (int i = 0; i < info.Cluster->ReplicasLen; ++i) {
      if (info.Cluster->Replicas[i]->Name != nullptr) {
        settings.peers.insert(info.Cluster->Replicas[i]->Name);
      }
    }
  }
  require(!GenesisOf(info).empty(), "description",
          absl::StrCat("that of the stream ", name_, " has to be \"", kDescription,
                       "\" and 16 hex digits; it was made or changed by another"));
  return settings;
}

absl::Status JetStreamStream::CheckSync(const std::set<std::string>& peers,
                                        SteadyTime deadline) const {
  if (options_.trust_fsync) return absl::OkStatus();
  if (options_.monitoring_urls.empty()) {
    return UnsafeSetting("sync_interval",
                         absl::StrCat("without monitoring_urls it cannot be seen; ", kSyncRemedy));
  }
  // A server that is down may not keep the others from being used; it is looked at when it is back
  // and somebody connects.
  SyncSeen seen;
  for (const std::string& url : options_.monitoring_urls) {
    const SteadyTime until = std::min(deadline, SteadyDeadline(kEachServer));
    const absl::StatusOr<NatsServerSettings> settings = ReadNatsServerSettings(url, until);
    if (!settings.ok()) {
      ++seen.unseen;
      seen.last_error = settings.status();
      continue;
    }
    if (!settings->sync_always) {
      return UnsafeSetting("sync_interval", absl::StrCat("server ", settings->name, " (", url,
                                                         ") does not sync always; ", kSyncRemedy));
    }
    seen.synced.insert(settings->name);
  }
  return CheckSyncSeen(seen, peers);
}

}  // namespace hookgate
