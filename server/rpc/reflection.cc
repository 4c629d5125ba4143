#include "server/rpc/reflection.h"

#include <set>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.pb.h"

namespace hookgate {
namespace {

using google::protobuf::FileDescriptor;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

void SetError(absl::StatusCode code, const char* message, ServerReflectionResponse& response) {
  response.mutable_error_response()->set_error_code(static_cast<int>(code));
  response.mutable_error_response()->set_error_message(message);
}

// `file`, after all that it imports.
void CollectFiles(const FileDescriptor& file, std::set<const FileDescriptor*>& found,
                  std::vector<const FileDescriptor*>& files) {
  if (!found.insert(&file).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) CollectFiles(*file.dependency(i), found, files);
  files.push_back(&file);
}

}  // namespace

const std::string& Reflection::BytesOf(const FileDescriptor& file) const {
  absl::MutexLock lock(&mu_);
  const auto [entry, is_new] = files_.try_emplace(&file);
  if (is_new) {
    google::protobuf::FileDescriptorProto proto;
    file.CopyTo(&proto);
    file.CopyJsonNameTo(&proto);
    entry->second = proto.SerializeAsString();
  }
  return entry->second;
}

void Reflection::SetFile(const FileDescriptor* file, ServerReflectionResponse& response) const {
  if (file == nullptr) {
    SetError(absl::StatusCode::kNotFound, "this server does not have the file, symbol or extension",
             response);
    return;
  }
  std::set<const FileDescriptor*> found;
  std::vector<const FileDescriptor*> files;
  CollectFiles(*file, found, files);
  for (const FileDescriptor* const one : files) {
    response.mutable_file_descriptor_response()->add_file_descriptor_proto(BytesOf(*one));
  }
}

ServerReflectionResponse Reflection::Answer(const ServerReflectionRequest& request) const {
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kListServices:
      for (const std::string& service : services_) {
        response.mutable_list_services_response()->add_service()->set_name(service);
      }
      break;
    case ServerReflectionRequest::kFileByFilename:
      SetFile(pool_.FindFileByName(request.file_by_filename()), response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      SetFile(pool_.FindFileContainingSymbol(request.file_containing_symbol()), response);
      break;
    case ServerReflectionRequest::kFileContainingExtension: {
      const auto& wanted = request.file_containing_extension();
      const auto* const type = pool_.FindMessageTypeByName(wanted.containing_type());
      const auto* const extension =
          type == nullptr ? nullptr : pool_.FindExtensionByNumber(type, wanted.extension_number());
      SetFile(extension == nullptr ? nullptr : extension->file(), response);
      break;
    }
    case ServerReflectionRequest::kAllExtensionNumbersOfType: {
      const auto* const type = pool_.FindMessageTypeByName(request.all_extension_numbers_of_type());
      if (type == nullptr) {
        SetFile(nullptr, response);
        break;
      }
      auto& numbers = *response.mutable_all_extension_numbers_response();
      numbers.set_base_type_name(type->full_name());
      std::vector<const google::protobuf::FieldDescriptor*> extensions;
      pool_.FindAllExtensions(type, &extensions);
      for (const auto* extension : extensions) numbers.add_extension_number(extension->number());
      break;
    }
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      SetError(absl::StatusCode::kInvalidArgument, "the request is empty", response);
      break;
  }
  return response;
}

}  // namespace hookgate
