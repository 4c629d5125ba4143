#include "client/cli/commands/signed_request.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace hookgate::cli {
namespace {

// Another value of the first six bits: still base64, of the same length.
std::string Corrupted(std::string signature) {
  char& first = signature[signature.find(',') + 1];
  first = first == 'A' ? 'B' : 'A';
  return signature;
}

// One word for a shell, whatever it holds.
std::string Quoted(absl::string_view word) {
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

}  // namespace

HttpRequest SignedRequest(const HttpUrl& gateway, const Webhook& webhook, const Secret& secret) {
  const std::string timestamp = absl::StrCat(absl::ToUnixSeconds(webhook.webhook_time));
  std::string signature = Sign(secret, webhook.webhook_id, timestamp, webhook.body);
  if (webhook.corrupt_signature) signature = Corrupted(std::move(signature));
  HttpRequest request = {.url = gateway, .fields = {}, .body = webhook.body};
  absl::StrAppend(&request.url.path, "/webhooks/", webhook.source);
  request.fields = {{"content-type", "application/json"},
                    {"webhook-id", webhook.webhook_id},
                    {"webhook-timestamp", timestamp},
                    {"webhook-signature", signature}};
  return request;
}

std::string CurlCommand(const HttpRequest& request, absl::string_view body_file,
                        absl::string_view ca_file) {
  std::string command = absl::StrCat("curl --silent --show-error --include ",
                                     Quoted(request.url.ToString()), " \\\n");
  if (!ca_file.empty()) absl::StrAppend(&command, "  --cacert ", Quoted(ca_file), " \\\n");
  for (const auto& [name, value] : request.fields) {
    absl::StrAppend(&command, "  --header ", Quoted(absl::StrCat(name, ": ", value)), " \\\n");
  }
  // --data-binary sends a file as it is, but would take a body that begins with '@' for a file.
  if (body_file.empty()) {
    absl::StrAppend(&command, "  --data-raw ", Quoted(request.body), "\n");
  } else {
    absl::StrAppend(&command, "  --data-binary ", Quoted(absl::StrCat("@", body_file)), "\n");
  }
  return command;
}

}  // namespace hookgate::cli
