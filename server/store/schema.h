// The tables of the log, and how an older file becomes a newer one.
//
// log         One row. epoch: random id made with the file, or when it was restored.
//             earliest_sequence: every event below it has been removed by retention; also keeps
//             sequences from being given again once all events are gone.
// events      One row an event, written once by the writer thread, removed only by retention,
//             oldest first.
//             envelope: serialised hookgate.v1.Event without sequence, cursor and raw_body.
//             secrets: the names of those that verified it, one a line; '' if that is not known.
// repeats     One row an event that was sent again: how often, and when last. See
//             eventlog/repeat_counts.h.
// quarantine  One row a signed webhook that could not be decoded, for each body that it came
//             with; repeats of one count up. webhook_id: eventlog/quarantine_key.h.
//             touch: grows with each webhook that is put in or repeated, so that the entries have
//             an order that no clock decides.
//             trace: serialised hookgate.v1.Event with its trace fields alone; empty: none. An
//             index has it once more, so that a listing reads no bodies.
// subscriptions
//             One row a durable subscription. position: everything up to it that matched was taken
//             for delivery. settings: serialised hookgate.v1.SubscriptionSettings. etag: random,
//             made with each change by an operator. pause_time_us: since when it is paused; 0: it
//             is not.
// unsettled_events
//             What was taken for delivery and is neither acked nor dead: with `position`, all that
//             a subscription still owes. void_delivery: of one that was asked for again, the last
//             delivery before that.
// dead_letters
//             What was given up. Their events may be gone by now. void_delivery: as in
//             unsettled_events.
// bulk_jobs   Work on many events or dead letters of a subscription, and how far it is: serialised
//             hookgate.v1.Job. Written with what the job did. One of a subscription runs, 20 have
//             ended.
// webhook_runs, webhook_pages, webhook_pieces
//             By source and webhook id, which sequence an event has; written in large runs, and
//             until there are enough for one in small pieces. See eventlog/webhook_index.h.
// text_runs, text_pages, text_pieces
//             The same by the ids in bodies and the subjects, without filters. See
//             eventlog/text_index.h.
// receive_time_blocks
//             The latest receive_time among the events of each full block of 1,024 sequences. See
//             eventlog/receive_times.h.
// age_marks, age_clock
//             What was stored by when, in time that the log was open. See eventlog/event_ages.h.
//             sum: of the rest of the row, since one wrong bit of these would have retention remove
//             the log.
// stretches   One row a process that appended: the sequence of its first event, and its random
//             mark. Written with that event; removed once retention is past the stretch. See
//             eventlog/event_log_history.h.
// delivery_stretches
//             The same for the deliveries of a subscription, the newest 16; written when the log is
//             opened and when the subscription is created.
// status      One row: since when webhooks are counted, how the last reload ended (serialised
//             hookgate.v1.GetStatusResponse.Reload, empty: there was none), and a random salt.
// status_counters, source_status, secret_status
//             How many webhooks became what, and what is known of each source and each of its
//             secrets. tag: 16 bits of a salted hash of the key, which tell it from another key of
//             the same name. generation: of two secrets, the newer one has the higher. webhooks,
//             webhooks_then: counts of the source's webhooks. absent_us: for how long the config
//             has not had it while the log was open. Written beside what else is committed, once a
//             second at most. See status/status_book.h.
// delivery_history
//             One row an event and subscription, once an attempt has ended. id: grows with each
//             change of a row, which is replaced then. outcome, attempts: see
//             eventlog/subscription_rows.h and eventlog/delivery_history.h. head: the newest event
//             when the row changed last, by which it ages. Rows of a subscription that was deleted
//             go a little later.
// subscription_moves
//             Where a subscription began, its seeks and its filters; the newest 32. See
//             SubscriptionMove.
// conflicts   One row an event under whose webhook-id other bodies came: the first of them, and the
//             last if that is another again, otherwise empty. touch: as in quarantine, and of the
//             same numbers. bytes: of both. Stays when its event goes.
// replica     No row, or one: this log is a replica of a cluster's. genesis: of the replicated log.
//             applied, term, writer, hash: the last record whose changes this database holds,
//             written with them (replication/record_tail.h). schema: the newest version whose rows
//             records may hold, as the cluster has agreed. Of this replica alone.
// compatibility
//             One row. oldest_schema: hookgated that knows this version, or a newer one, may open
//             the file, whatever user_version says. Of this file alone.
// former_epochs
//             One row a restore from a backup: the epoch that the backup had, and its newest event.
//
// Times are microseconds since the Unix epoch; 0 where there is none yet. A crash leaves whole
// transactions: a group of appended events is there or is not.
//
// Replicas of a cluster share the rows of most tables (eventlog/replicated_tables.h): what one
// writes, another applies, by the names of tables and columns, which are therefore for ever. A
// column that comes later has a default. From version 5 on, a step that changes rows of these
// tables would have each replica decide for itself: let the leader write it instead.
//
// Going back. A step that is only_adds lets the version before open what it has made: of a replica,
// until the cluster has agreed on the step's version (before that nothing is written which needs
// it), and never of a log of its own, where what is new may be used at once. Only tables, and
// columns with a default, may be added so; and since the version before goes on without filling
// them, what is derived from other tables must be looked at with each start, as for a log that
// never had it. It adds at least one of them: a version of the future that holds no more than this
// one is taken for a wrong bit.
#ifndef HOOKGATE_SERVER_STORE_SCHEMA_H_
#define HOOKGATE_SERVER_STORE_SCHEMA_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/database.h"

namespace hookgate {

// The newest version that this build knows (PRAGMA user_version).
int SchemaVersion();

// The first version that has clusters: what each replica reads, and the first log that says which
// older version may open it.
inline constexpr int kFirstClusterSchema = 5;

// Whether it is as `log` has it: 16 lower-case hex digits.
bool IsEpoch(absl::string_view text);

// Brings `database` to SchemaVersion(), one transaction a step. Writes an `epoch` into a new file.
// One that is newer stays as it is. FAILED_PRECONDITION if a newer version is needed to open it, or
// it is of another application. DATA_LOSS, and nothing is changed, if it lacks a
// table, a column, an index or the mark in its header that its version has.
absl::Status MigrateSchema(Database& database, absl::string_view epoch);

// The same for a new file, up to `version` alone: what an older hookgated has.
absl::Status MakeSchema(Database& database, int version);

// Of a replica, in a transaction: from now on rows are written that need `agreed`. The version
// before may not open the file any more.
absl::Status NoteAgreedSchema(Database& database, int agreed);

// Whether `database` is a log that MigrateSchema opens. Changes nothing. Errors as CheckSchema.
absl::Status CheckIsLog(Database& database);

// Whether `database` is a log at SchemaVersion(), or at a newer one that this build may open.
// Changes nothing. FAILED_PRECONDITION if it is of another version, of another application, or no
// log yet; DATA_LOSS if it is no database.
absl::Status CheckSchema(Database& database);
// Whether a newer version than SchemaVersion() has made it: it has more than this build knows of.
absl::StatusOr<bool> IsOfNewerSchema(Database& database);

// How the file of one version becomes one of the next.
struct SchemaStep {
  const char* sql;
  // See above: the version before may go on with the file.
  bool only_adds = false;
};

// For tests of what a next version does: one more step, before anything else is called. Whoever
// links a library that calls it has a hookgated of that version.
void AddSchemaStepForTest(const SchemaStep& step);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STORE_SCHEMA_H_
