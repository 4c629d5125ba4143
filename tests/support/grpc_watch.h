// Searches every answer that a gRPC call of a test gets, of any stub and any channel, for what
// nobody may read (secret_watch.h): messages, metadata, status messages and details. Linking this
// is enough.
#ifndef HOOKGATE_TESTS_SUPPORT_GRPC_WATCH_H_
#define HOOKGATE_TESTS_SUPPORT_GRPC_WATCH_H_

namespace hookgate {

// Calls that this thread begins while one of these lives are those of a grpc::GenericStub, whose
// answers are ByteBuffers: their type cannot be seen.
class UntypedCalls {
 public:
  UntypedCalls();
  ~UntypedCalls();
  UntypedCalls(const UntypedCalls&) = delete;
  UntypedCalls& operator=(const UntypedCalls&) = delete;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_GRPC_WATCH_H_
