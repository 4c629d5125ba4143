// Linked into a test or a hookgated, it makes that one of the next version: its schema has one step
// more, with a table and a column that replicas share. Only what is asked for by name uses them:
//
//   a subscription next-thing-...   has a row in the table
//   a subscription next-column-...  has another value in the column than its default
//
// Triggers do it, so that no code of the product knows of it. They leave alone what a record has
// brought: the table comes before `subscriptions` in a record.
#include "server/eventlog/replicated_tables.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

constexpr char kStep[] = R"sql(
CREATE TABLE next_things (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL
);
ALTER TABLE subscriptions ADD COLUMN next_column INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER next_thing AFTER INSERT ON subscriptions WHEN NEW.name LIKE 'next-thing-%'
BEGIN
  INSERT OR IGNORE INTO next_things (id, name) VALUES (NEW.id, NEW.name);
END;
CREATE TRIGGER next_column AFTER INSERT ON subscriptions WHEN NEW.name LIKE 'next-column-%'
BEGIN
  UPDATE subscriptions SET next_column = 1 WHERE id = NEW.id;
END;
)sql";

[[maybe_unused]] const bool kAdded = [] {
  AddSchemaStepForTest({.sql = kStep, .only_adds = true});
  AddReplicatedTableForTest("next_things", "subscriptions");
  return true;
}();

}  // namespace
}  // namespace hookgate
