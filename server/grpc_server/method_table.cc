#include "server/grpc_server/method_table.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/logging.h"

namespace hookgate {
namespace {

[[noreturn]] void WrongProgram(absl::string_view problem, const std::string& method) {
  Log(Severity::kError, problem, {{"method", method}});
  std::abort();
}

MethodTable::Kind KindOf(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) return MethodTable::Kind::kBidirectional;
  return method.server_streaming() ? MethodTable::Kind::kServerStreaming
                                   : MethodTable::Kind::kUnary;
}

}  // namespace

void MethodTable::AddService(const google::protobuf::ServiceDescriptor& service,
                             std::map<std::string, Method> methods) {
  service_names_.push_back(service.full_name());
  for (int i = 0; i < service.method_count(); ++i) {
    const google::protobuf::MethodDescriptor& descriptor = *service.method(i);
    auto method = methods.extract(descriptor.name());
    if (method.empty() || method.mapped().factory == nullptr) {
      WrongProgram("a method of a service has no handler", descriptor.full_name());
    }
    const std::string name = absl::StrCat(service.full_name(), "/", descriptor.name());
    const size_t index = entries_.size();
    entries_[absl::StrCat("/", name)] = {std::move(method.mapped()), KindOf(descriptor), name,
                                         index};
  }
  if (!methods.empty()) {
    WrongProgram("a handler is for a method that its service does not have",
                 absl::StrCat(service.full_name(), ".", methods.begin()->first));
  }
}

const MethodTable::Entry* MethodTable::Find(absl::string_view path) const {
  const auto entry = entries_.find(path);
  return entry == entries_.end() ? nullptr : &entry->second;
}

}  // namespace hookgate
