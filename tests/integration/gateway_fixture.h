// A test with a real gateway on a log of its own. All that the gateway prints and answers is
// searched for what nobody may read (tests/support/secret_watch.h).
#ifndef HOOKGATE_TESTS_INTEGRATION_GATEWAY_FIXTURE_H_
#define HOOKGATE_TESTS_INTEGRATION_GATEWAY_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "hookgate/v1/admin_service.pb.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/http_client.h"
#include "tests/support/signed_webhook.h"

namespace hookgate {

class GatewayTest : public testing::Test {
 protected:
  // Writes the logs of a failed test's gateway to stderr.
  void TearDown() override;

  // Starts the gateway, or starts it again on the same log.
  void Start(const std::vector<std::string>& flags = {});
  // The same with a config file of `config`, and kTestSecret in the file that it calls SECRET_FILE;
  // NEW_SECRET and OTHER_SECRET in it are replaced with kNewSecret and kOtherSecret.
  void StartWithConfig(const std::string& config);
  // Writes `config` into the file that StartWithConfig made, and has it read again. Returns once
  // the gateway has applied or refused it.
  void Reload(const std::string& config);
  // The same, without waiting for what becomes of it.
  void BeginReload(const std::string& config);

  // A config with webhooks over TLS alone, for these files in PEM.
  static std::string HttpsConfig(const std::string& certificate_file, const std::string& key_file);

  // Sends it over a connection of its own; status 0 if there was no answer.
  HttpReply Send(SignedWebhook webhook) { return SendBytes(webhook.Request()); }
  HttpReply SendBytes(const std::string& request);
  // Sends it and fails the test if it is not answered 200 "stored".
  void Store(SignedWebhook webhook);

  v1::GetStatusResponse GetStatus();
  // Every event of the log, by a stream of its own.
  std::vector<v1::Event> StoredEvents();

  // A new file with `content`; returns its path.
  static std::string WriteFile(const std::string& content);

  const std::string data_dir_ = NewDataDir();
  std::unique_ptr<HookgatedProcess> gateway_;

 private:
  static std::string NewDataDir();
  void WriteConfig(const std::string& config);

  std::string secret_file_;
  std::string config_file_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_INTEGRATION_GATEWAY_FIXTURE_H_
