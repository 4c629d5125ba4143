// Reads what LookupLog tells, over a connection that somebody else uses, too.
#ifndef HOOKGATE_SERVER_EVENTLOG_LOOKUP_READER_H_
#define HOOKGATE_SERVER_EVENTLOG_LOOKUP_READER_H_

#include <string>
#include <vector>

#include "absl/container/btree_set.h"
#include "server/eventlog/lookup_log.h"
#include "server/eventlog/text_index.h"
#include "server/eventlog/webhook_index.h"
#include "server/store/database.h"

namespace hookgate {

// People ask seldom, so statements are prepared for each call. Not thread-safe. Calls mean what
// they mean in LookupLog.
class LookupReader {
 public:
  // All of it outlives the reader.
  LookupReader(Database& database, const WebhookIndex& webhooks, const TextIndex& texts,
               const RepeatCounts& repeats)
      : database_(database), webhooks_(webhooks), texts_(texts), repeats_(repeats) {}

  absl::StatusOr<FoundEvents> FindByText(
      absl::string_view text, absl::Span<const std::string> sources, size_t max,
      absl::FunctionRef<bool(const std::string& source)> may_see);
  absl::StatusOr<Arrival> GetArrival(Sequence sequence);

 private:
  // Those of one call, newest first.
  struct Search;

  absl::StatusOr<absl::btree_set<std::string>> AllSources(absl::Span<const std::string> sources);
  absl::Status FindByWebhookId(absl::Span<const std::string> sources, Search& search);
  absl::Status FindByHash(Search& search);

  Database& database_;
  const WebhookIndex& webhooks_;
  const TextIndex& texts_;
  const RepeatCounts& repeats_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_LOOKUP_READER_H_
