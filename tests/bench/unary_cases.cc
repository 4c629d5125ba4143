// What a unary call costs the gateway, beside a server that answers nothing of use.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "tests/bench/bench_case.h"
#include "tests/bench/contender.h"
#include "tests/bench/process_usage.h"

namespace hookgate {
namespace {

constexpr int kAtOnce = 64;
constexpr int kConnections = 4;
// Needs no identity and no disk: what is left is the server.
constexpr char kMethod[] = "/grpc.health.v1.Health/Check";

// So many calls, kAtOnce of them under way at a time.
class Calls {
 public:
  Calls(const std::string& address, int count) : left_(count) {
    for (int i = 0; i < kConnections; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      stubs_.push_back(std::make_unique<grpc::GenericStub>(
          grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
    }
  }

  void Run() {
    for (int i = 0; i < kAtOnce; ++i) Next(*stubs_[static_cast<size_t>(i % kConnections)]);
    const auto done = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return running_ == 0; };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&done));
  }

 private:
  struct Call {
    grpc::ClientContext context;
    grpc::ByteBuffer request;
    grpc::ByteBuffer response;
  };

  void Next(grpc::GenericStub& stub) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      absl::MutexLock lock(&mu_);
      if (left_ == 0) return;
      --left_;
      ++running_;
    }
    auto call = std::make_shared<Call>();
    const grpc::Slice empty;
    call->request = grpc::ByteBuffer(&empty, 1);
    stub.UnaryCall(&call->context, kMethod, {}, &call->request, &call->response,
                   [this, call, &stub](const grpc::Status& status) {
                     if (!status.ok()) {
                       std::cerr << "bench: a unary call failed: " << status.error_message()
                                 << "\n";
                       std::exit(1);
                     }
                     Next(stub);
                     absl::MutexLock lock(&mu_);
                     --running_;
                   });
  }

  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  absl::Mutex mu_;
  int left_ ABSL_GUARDED_BY(mu_);
  int running_ ABSL_GUARDED_BY(mu_) = 0;
};

Figure MeasureCpu(const BenchSettings& settings, const std::string& address, pid_t pid) {
  Calls(address, settings.Count(2'000, 500)).Run();  // Connections are open from here on.
  const int count = settings.Count(200'000, 20'000);
  const absl::Duration cpu_before = CpuTime(pid);
  const absl::Time start = absl::Now();
  Calls(address, count).Run();
  const absl::Duration cpu = CpuTime(pid) - cpu_before;
  return {
      .value = absl::ToDoubleMicroseconds(cpu) / count,
      .note = absl::StrFormat("%.0f calls/s", count / absl::ToDoubleSeconds(absl::Now() - start))};
}

}  // namespace

std::vector<BenchCase> UnaryCases(const BenchSettings& settings) {
  return {{.name = "unary",
           .what = "CPU of a unary call, 64 at once",
           .unit = "us",
           .reference = "gRPC alone, an empty answer",
           .target = 0.6,
           .at_least = false,
           .measure =
               [&settings] {
                 const BenchFolder folder(settings.folder);
                 const auto gateway = StartGateway(settings, folder.path());
                 return MeasureCpu(settings, gateway->grpc(), gateway->pid());
               },
           .measure_reference =
               [&settings] {
                 const auto bare = StartBareServer(settings, "grpc_unary");
                 return MeasureCpu(settings, bare->address(), bare->pid());
               }}};
}

}  // namespace hookgate
