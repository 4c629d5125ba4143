#include "client/cli/commands/send_command.h"

#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/send_result.h"
#include "client/cli/commands/signed_request.h"
#include "client/cli/exit_code.h"
#include "client/cli/report.h"
#include "client/cli/security_flags.h"
#include "common/nearest.h"
#include "server/base/small_file.h"
#include "server/base/status.h"
#include "server/event/event_schema.h"
#include "server/event/sample_event.h"
#include "server/signature/pasted_secret.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "send";
constexpr char kStandardInput[] = "-";
constexpr size_t kMaxSecretFileBytes = 4096;  // as the gateway's
constexpr size_t kMaxBodyBytes = 64 << 20;    // as the gateway's http.max_body_bytes at most

absl::StatusOr<std::string> ReadAll(std::istream& in, const std::string& name) {
  std::string content;
  char buffer[64 << 10];
  while (content.size() <= kMaxBodyBytes) {
    in.read(buffer, sizeof(buffer));
    content.append(buffer, static_cast<size_t>(in.gcount()));
    if (in.bad()) return absl::UnavailableError(absl::StrCat("cannot read ", name));
    if (!in) return content;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(name, " holds more than ", kMaxBodyBytes, " bytes, which no gateway takes"));
}

absl::Status CheckFlags(const Flags& flags) {
  RETURN_IF_ERROR(CheckAtMostOne(flags, {"file", "type"}));
  RETURN_IF_ERROR(CheckAtMostOne(flags, {"file", "subject"}));
  RETURN_IF_ERROR(CheckAtMostOne(flags, {"secret-env", "secret-file"}));
  if (flags.Int("count") > 1 && flags.Given("webhook-id")) {
    return absl::InvalidArgumentError(
        "--count and --webhook-id contradict each other: each webhook needs an id of its own");
  }
  if (flags.Bool("print") && IsJson(flags)) {
    return absl::InvalidArgumentError("--print prints a shell command: it has no --output json");
  }
  for (const char c : flags.Text("source")) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') {
      return absl::InvalidArgumentError(
          "--source: a source's name has only letters, digits, '-' and '_'");
    }
  }
  for (const char c : flags.Text("webhook-id")) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError(
          "--webhook-id: it has only printable ASCII characters, and no blanks");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSecretText(const Flags& flags, const Environment& environment) {
  if (flags.Has("secret-file")) {
    return ReadSmallFile(flags.Text("secret-file"), kMaxSecretFileBytes);
  }
  const std::string& name = flags.Text("secret-env");
  if (absl::StartsWith(name, "whsec_")) {
    return absl::InvalidArgumentError(
        "--secret-env takes the name of an environment variable. A secret on the command line is "
        "seen by everyone on this machine");
  }
  const std::string text = environment.get_variable(name).value_or("");
  if (text.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no secret to sign with: set ", name,
                     " to the gateway's, or give --secret-env NAME or --secret-file FILE"));
  }
  return text;
}

absl::StatusOr<Secret> ReadSecret(const Flags& flags, const Environment& environment) {
  ASSIGN_OR_RETURN(const std::string text, ReadSecretText(flags, environment));
  const std::string name =
      flags.Has("secret-file") ? flags.Text("secret-file") : flags.Text("secret-env");
  // A gateway reads it in the same way, so that one never takes what the other refuses.
  ASSIGN_OR_RETURN(PastedSecret pasted,
                   ReadPastedSecret(name, text,
                                    {.raw = flags.Bool("raw-secret"),
                                     .how_to_ask_for_raw = "give --raw-secret"}));
  Secret& secret = pasted.secret;
  if (secret.public_key() != nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(name,
                     " holds a public key (whpk_), which verifies signatures and cannot make "
                     "any: give the secret of a source that has a shared one (whsec_)"));
  }
  return secret;
}

absl::StatusOr<std::string> SampleBody(const Flags& flags, absl::Time now) {
  const std::string& type = flags.Text("type");
  if (const EventType* known = FindEventType(type)) {
    return SampleEventBody(*known, flags.Text("subject"), now);
  }
  std::vector<std::string> names;
  for (const EventType& known : KnownEventTypes()) names.push_back(known.name);
  const std::string guess = DidYouMean(type, names);
  return absl::InvalidArgumentError(
      absl::StrCat("--type: there is no sample of \"", type, "\"", guess.empty() ? "." : guess,
                   " Known: ", absl::StrJoin(names, ", "), ". --file FILE sends any body"));
}

absl::StatusOr<std::string> MakeBody(const Flags& flags, absl::Time now, Environment& environment) {
  if (!flags.Has("file")) return SampleBody(flags, now);
  if (flags.Text("file") == kStandardInput) return ReadAll(environment.in, "standard input");
  return ReadSmallFile(flags.Text("file"), kMaxBodyBytes);
}

// All that is the same for each of --count webhooks.
struct Job {
  HttpUrl gateway;
  std::string ca;
  Secret secret;
  Webhook webhook;  // Without its id.
};

absl::StatusOr<Job> MakeJob(const Flags& flags, Environment& environment) {
  RETURN_IF_ERROR(CheckFlags(flags));
  const absl::Time now = environment.clock.WallNow();
  const absl::StatusOr<HttpUrl> gateway = ParseHttpUrl(flags.Text("url"));
  if (!gateway.ok()) {
    return Annotate(gateway.status(), flags.Given("url") ? "--url" : "HOOKGATE_URL");
  }
  if (!gateway->tls && flags.Given("tls-ca")) {
    return absl::InvalidArgumentError(
        "--tls-ca: --url begins with http://, which does not use TLS");
  }
  std::string ca;
  if (gateway->tls) {
    ASSIGN_OR_RETURN(ca, TlsCaOf(flags));
  }
  ASSIGN_OR_RETURN(Secret secret, ReadSecret(flags, environment));
  ASSIGN_OR_RETURN(std::string body, MakeBody(flags, now, environment));
  return Job{*gateway, std::move(ca), std::move(secret),
             Webhook{.source = flags.Text("source"),
                     .webhook_time = now - flags.Duration("age"),
                     .body = std::move(body),
                     .corrupt_signature = flags.Bool("corrupt-signature")}};
}

int Print(const HttpRequest& request, const Flags& flags, Environment& environment) {
  const std::string& file = flags.Text("file");
  const bool from_file = !file.empty() && file != kStandardInput;
  if (!from_file && absl::StrContains(request.body, '\0')) {
    return WrongUsage(kName, "--print: a shell command cannot hold this body; use --file FILE",
                      environment);
  }
  environment.out << CurlCommand(request, from_file ? file : "",
                                 request.ca.empty() ? "" : flags.Text("tls-ca"));
  return kSuccess;
}

int Post(const HttpRequest& request, const std::string& webhook_id, const Flags& flags,
         Environment& environment) {
  const absl::StatusOr<HttpAnswer> answer = environment.post(request, flags.Duration("timeout"));
  if (!answer.ok()) {
    std::string message =
        absl::StrCat("cannot send ", webhook_id, ": ", std::string(answer.status().message()));
    if (absl::IsUnauthenticated(answer.status())) {
      absl::StrAppend(&message,
                      ". Give --tls-ca FILE with the certificate of the CA that signed it");
      return Fail(kUnreachable, message, environment);
    }
    if (absl::IsInvalidArgument(answer.status())) {
      return WrongUsage(kName,
                        absl::StrCat("--tls-ca ", flags.Text("tls-ca"), ": ",
                                     std::string(answer.status().message())),
                        environment);
    }
    if (absl::IsFailedPrecondition(answer.status())) {
      return Fail(kUnreachable, message, environment);
    }
    if (absl::IsInternal(answer.status())) return Fail(kFailed, message, environment);
    absl::StrAppend(&message, ". Check that ", request.url.Authority(),
                    " is a gateway's HTTP address, or give --url URL");
    return Fail(kUnreachable, message, environment);
  }
  const SendResult result = ReadAnswer(*answer, webhook_id);
  environment.out << (IsJson(flags) ? ResultJson(result)
                                    : ResultLine(result, StyleOf(flags, environment)))
                  << "\n";
  environment.out.flush();
  return result.accepted() ? kSuccess : kFailed;
}

int Run(const Flags& flags, Environment& environment) {
  absl::StatusOr<Job> job = MakeJob(flags, environment);
  if (!job.ok()) return WrongUsage(kName, job.status().message(), environment);
  int exit_code = kSuccess;
  const int64_t count = flags.Int("count");
  for (int64_t i = 0; i < count && environment.out.good(); ++i) {
    Webhook& webhook = job->webhook;
    webhook.webhook_id =
        flags.Has("webhook-id") ? flags.Text("webhook-id") : environment.fresh_webhook_id();
    HttpRequest request = SignedRequest(job->gateway, webhook, job->secret);
    request.ca = job->ca;
    const int one = flags.Bool("print") ? Print(request, flags, environment)
                                        : Post(request, webhook.webhook_id, flags, environment);
    if (one == kWrongUsage || one == kUnreachable) return one;  // The next would fare no better.
    if (one != kSuccess) exit_code = one;
  }
  return exit_code;
}

std::vector<FlagSpec> BodyFlags() {
  return {{.name = "type",
           .value = "TYPE",
           .help = "Send a made-up body of this known event type; any other word lists them.",
           .default_value = "batch.failed"},
          {.name = "subject",
           .value = "ID",
           .help = "The id, in that body, of the event's subject, such as the batch's."},
          {.name = "file",
           .value = "FILE",
           .help = "Send exactly these bytes instead; - is standard input.",
           .any_bytes = true}};
}

std::vector<FlagSpec> SigningFlags() {
  return {
      {.name = "secret-env",
       .value = "VARIABLE",
       .help = "The environment variable that holds the signing secret.",
       .default_value = kSigningSecretVariable},
      {.name = "secret-file",
       .value = "FILE",
       .help = "The file that holds the signing secret.",
       .any_bytes = true},
      {.name = "raw-secret",
       .kind = FlagKind::kBool,
       .help = "The secret is plain text without whsec_, as a source with raw: true has it."},
      {.name = "webhook-id",
       .value = "ID",
       .help = "Repeat one to see it answered as a duplicate. Default: a new one."},
      {.name = "age",
       .kind = FlagKind::kDuration,
       .value = "DURATION",
       .help = "Say, and sign, that it was sent so long ago; -10m is in ten minutes. The gateway "
               "takes 5 minutes either way unless configured otherwise.",
       .default_value = "0s",
       .shortest = -absl::Hours(24 * 3650),
       .longest = absl::Hours(24 * 3650)},
      {.name = "corrupt-signature",
       .kind = FlagKind::kBool,
       .help = "Send a wrong signature, to see it refused."}};
}

std::vector<FlagSpec> SendingFlags() {
  return {{.name = "url",
           .value = "URL",
           .help = "The gateway's HTTP address, https:// if it has TLS.",
           .default_value = "http://127.0.0.1:8080",
           .variable = "HOOKGATE_URL"},
          TlsCaFlag(),
          {.name = "source",
           .value = "NAME",
           .help = "The source to send as: the last part of /webhooks/NAME.",
           .default_value = "openai"},
          {.name = "count",
           .kind = FlagKind::kInt,
           .value = "N",
           .help = "Send so many, each with a new webhook-id.",
           .default_value = "1",
           .minimum = 1,
           .maximum = 1'000'000},
          {.name = "print",
           .kind = FlagKind::kBool,
           .help = "Send nothing; print a curl command that would. It holds the signature, which "
                   "the gateway takes for some minutes, and never the secret."},
          TimeoutFlag("How long connecting and the answer may take."),
          OutputFlag(),
          ColorFlag()};
}

}  // namespace

Command SendCommand() {
  return {
      .name = kName,
      .summary = "Sign a test webhook and send it",
      .description =
          "Signs a webhook as OpenAI does (Standard Webhooks, v1) and posts it to a gateway: a "
          "made-up one of a known type, or a body of your own. Prints how it was answered: "
          "status, what became of it, its sequence and webhook-id.\n\n"
          "The secret is the gateway's. It comes from the environment or a file, never from the "
          "command line, which every user of the machine can read.",
      .flags = Join({BodyFlags(), SigningFlags(), SendingFlags()}),
      .examples = {{"hookgate send --subject batch_of_mine", "A batch.failed about that batch."},
                   {"hookgate send --file body.json --webhook-id wh_1",
                    "These bytes, under this id; a second time it is a duplicate."},
                   {"hookgate send --age 10m", "Too old: see what the gateway answers."}},
      .exits = {{kSuccess, "The gateway answered 200 to each: stored, or a duplicate."},
                {kFailed, "The gateway refused one, or another program answered."},
                {kWrongUsage,
                 "The command line is wrong, or a file or the secret cannot be "
                 "read; nothing was sent."},
                {kUnreachable, "Nothing answered in time, or its certificate is not trusted."}},
      .run = Run};
}

}  // namespace hookgate::cli
