// The head of a request that a test makes up.
#ifndef HOOKGATE_SERVER_INGEST_FAKE_HEAD_H_
#define HOOKGATE_SERVER_INGEST_FAKE_HEAD_H_

#include <string>
#include <utility>
#include <vector>

#include "server/http/http_handler.h"

namespace hookgate {

class FakeHead final : public HttpHead {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  // POST /webhooks/openai with `fields`.
  static FakeHead With(Fields fields) { return To("/webhooks/openai", std::move(fields)); }
  static FakeHead To(std::string target, Fields fields = {}, std::string method = "POST") {
    FakeHead head;
    head.fields_ = std::move(fields);
    head.target_ = std::move(target);
    head.method_ = std::move(method);
    return head;
  }

  absl::string_view method() const override { return method_; }
  absl::string_view target() const override { return target_; }
  absl::string_view peer() const override { return peer_; }
  void set_peer(std::string peer) { peer_ = std::move(peer); }
  void ForEachField(absl::FunctionRef<void(absl::string_view name, absl::string_view value)> visit)
      const override {
    for (const auto& [name, value] : fields_) visit(name, value);
  }

 private:
  FakeHead() = default;

  Fields fields_;
  std::string target_;
  std::string method_;
  std::string peer_ = "127.0.0.1";
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_INGEST_FAKE_HEAD_H_
