#include "server/cluster/peer_connection.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_callback.h>

#include <chrono>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/cluster/open_calls.h"
#include "server/cluster/peer_status.h"

namespace hookgate {
namespace {

using ByteReactor = grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

constexpr int kFirstBackoffMs = 50;
constexpr int kLongestBackoffMs = 500;
// gRPC takes its least backoff for it. A busy machine needs more than a moment for a handshake.
constexpr int kConnectTimeoutMs = 3000;
constexpr int kKeepaliveMs = 1000;
constexpr int kKeepaliveTimeoutMs = 3000;

grpc::ByteBuffer ToBuffer(absl::string_view bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return grpc::ByteBuffer(&slice, 1);
}

std::string FromBuffer(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// The calls of a connection that have not ended yet.
class CallsUnderWay {
 public:
  void Enter() {
    absl::MutexLock lock(&mu_);
    ++calls_;
  }
  void Leave() {
    absl::MutexLock lock(&mu_);
    --calls_;
  }
  void WaitUntilNone() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(
        +[](int* calls) { return *calls == 0; }, &calls_));
  }

 private:
  absl::Mutex mu_;
  int calls_ ABSL_GUARDED_BY(mu_) = 0;
};

// Reads one message ahead, so that the end of the call is always heard of: gRPC tells it by a read
// that fails. Keeps itself until OnDone.
class PeerCallImpl final : public PeerCall, public ByteReactor {
 public:
  PeerCallImpl(std::shared_ptr<PeerCallListener> listener, std::shared_ptr<CallsUnderWay> calls)
      : calls_(std::move(calls)), listener_(std::move(listener)) {
    calls_->Enter();
  }

  void Begin(grpc::GenericStub& stub, const std::string& method,
             const PeerConnection::Metadata& metadata, absl::Duration timeout,
             std::shared_ptr<PeerCallImpl> self) {
    self_ = std::move(self);
    for (const auto& [name, value] : metadata) context_.AddMetadata(name, value);
    if (timeout != absl::InfiniteDuration()) {
      context_.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout));
    }
    stub.PrepareBidiStreamingCall(&context_, method, grpc::StubOptions(), this);
    AddHold();  // For what is begun outside gRPC's own threads.
    StartRead(&reading_);
    StartCall();
  }

  void Write(absl::string_view bytes) override {
    absl::MutexLock lock(&mu_);
    if (ended_) return;
    writing_ = ToBuffer(bytes);
    StartWrite(&writing_);
  }
  void WriteLast(absl::string_view bytes) override {
    absl::MutexLock lock(&mu_);
    if (ended_) return;
    writing_ = ToBuffer(bytes);
    StartWriteLast(&writing_, grpc::WriteOptions());
  }
  void EndWrites() override {
    absl::MutexLock lock(&mu_);
    if (ended_) return;
    StartWritesDone();
  }
  void ReadNext() override {
    std::string bytes;
    {
      absl::MutexLock lock(&mu_);
      ++wanted_;
      if (!ahead_.has_value() || giving_) return;
      bytes = Take();
    }
    Give(std::move(bytes));
  }
  void Cancel() override {
    absl::MutexLock lock(&mu_);
    context_.TryCancel();
    // What is read ahead is wanted by nobody; the next read fails, and that is the end.
    wanted_ = 1 << 30;
    discards_ = true;
    if (!ahead_.has_value() || ended_) return;
    ahead_.reset();
    StartRead(&reading_);
  }

  void OnReadDone(bool ok) override {
    std::string bytes;
    {
      absl::MutexLock lock(&mu_);
      if (!ok) {
        ended_ = true;
        RemoveHold();
        return;
      }
      if (discards_) {
        StartRead(&reading_);
        return;
      }
      ahead_ = FromBuffer(reading_);
      reading_.Clear();
      if (wanted_ == 0 || giving_) return;
      bytes = Take();
    }
    Give(std::move(bytes));
  }
  void OnWriteDone(bool ok) override {
    if (ok) listener_->OnPeerWritten();
  }
  void OnDone(const grpc::Status& status) override {
    listener_->OnPeerEnd(StatusFromTrailers(static_cast<int>(status.error_code()),
                                            status.error_message(), status.error_details()));
    listener_ = nullptr;
    // Others may hold the call on, so this is not the destructor's to do.
    const std::shared_ptr<CallsUnderWay> calls = calls_;
    self_ = nullptr;
    calls->Leave();
  }

 private:
  // Of the message that was read ahead; reads the next one.
  std::string Take() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::string bytes = *std::move(ahead_);
    ahead_.reset();
    --wanted_;
    giving_ = true;
    return bytes;
  }
  // Without the lock: the listener may ask for the next one at once.
  void Give(std::string bytes) {
    listener_->OnPeerMessage(std::move(bytes));
    absl::MutexLock lock(&mu_);
    giving_ = false;
    StartRead(&reading_);
  }

  const std::shared_ptr<CallsUnderWay> calls_;
  grpc::ClientContext context_;
  std::shared_ptr<PeerCallListener> listener_;
  std::shared_ptr<PeerCallImpl> self_;

  absl::Mutex mu_;
  grpc::ByteBuffer reading_;
  grpc::ByteBuffer writing_;
  std::optional<std::string> ahead_ ABSL_GUARDED_BY(mu_);  // then nothing is being read
  int wanted_ ABSL_GUARDED_BY(mu_) = 0;
  bool giving_ ABSL_GUARDED_BY(mu_) = false;  // then nothing is being read either
  bool discards_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

class PeerConnectionImpl final : public PeerConnection {
 public:
  PeerConnectionImpl(std::string name, std::string address, const CertificateStore& certificates,
                     size_t max_message_bytes)
      : name_(std::move(name)),
        address_(std::move(address)),
        certificates_(certificates),
        max_message_bytes_(max_message_bytes) {}

  ~PeerConnectionImpl() override {
    for (const auto& call : open_.TakeAll()) call->Cancel();
    calls_->WaitUntilNone();
  }

  std::shared_ptr<PeerCall> Start(const std::string& method, const Metadata& metadata,
                                  absl::Duration timeout,
                                  std::shared_ptr<PeerCallListener> listener) override {
    auto call = std::make_shared<PeerCallImpl>(std::move(listener), calls_);
    open_.Add(call);
    grpc::GenericStub stub(Channel());
    call->Begin(stub, method, metadata, timeout, call);
    return call;
  }

  void Connect() override { Channel()->GetState(/*try_to_connect=*/true); }

 private:
  // By the certificates in force; calls that are under way keep the channel that they have.
  std::shared_ptr<grpc::Channel> Channel() {
    const std::shared_ptr<const Certificates> now = certificates_.Current();
    absl::MutexLock lock(&mu_);
    if (channel_ != nullptr && shown_ == now) return channel_;
    grpc::ChannelArguments arguments;
    // Its certificate is for its name, wherever it is reached.
    arguments.SetSslTargetNameOverride(name_);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstBackoffMs);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLongestBackoffMs);
    // A replica that is paused, or whose machine is gone, ends no connection by itself.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    // Each has a connection of its own, and none is shared with another cluster in this process.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(static_cast<int>(max_message_bytes_));
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = now->client_ca;
    options.pem_private_key = now->key;
    options.pem_cert_chain = now->certificate;
    channel_ = grpc::CreateCustomChannel(address_, grpc::SslCredentials(options), arguments);
    shown_ = now;
    return channel_;
  }

  const std::string name_;
  const std::string address_;
  const CertificateStore& certificates_;
  const size_t max_message_bytes_;
  // Each does its own locking.
  const std::shared_ptr<CallsUnderWay> calls_ = std::make_shared<CallsUnderWay>();
  OpenCalls<PeerCallImpl> open_;

  absl::Mutex mu_;
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const Certificates> shown_ ABSL_GUARDED_BY(mu_);
};

// One message there, one back.
class Question final : public PeerCallListener {
 public:
  explicit Question(PeerConnection::Done done) : done_(std::move(done)) {}

  void OnPeerMessage(std::string bytes) override { answer_ = std::move(bytes); }
  void OnPeerWritten() override {}
  void OnPeerEnd(const absl::Status& status) override {
    if (!status.ok()) return std::move(done_)(status);
    if (!answer_.has_value()) {
      return std::move(done_)(absl::InternalError("the other replica answered nothing"));
    }
    std::move(done_)(*std::move(answer_));
  }

 private:
  PeerConnection::Done done_;
  std::optional<std::string> answer_;
};

}  // namespace

std::unique_ptr<PeerConnection> PeerConnection::Open(const std::string& name,
                                                     const std::string& address,
                                                     const CertificateStore& certificates,
                                                     size_t max_message_bytes) {
  return std::make_unique<PeerConnectionImpl>(name, address, certificates, max_message_bytes);
}

void PeerConnection::Ask(const std::string& method, absl::string_view request,
                         absl::Duration timeout, Done done) {
  const std::shared_ptr<PeerCall> call =
      Start(method, {}, timeout, std::make_shared<Question>(std::move(done)));
  call->ReadNext();
  call->WriteLast(request);
}

}  // namespace hookgate
