#include "tests/hostile/attacks.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/http2_frames.h"

namespace hookgate {
namespace {

using Next = Attack::Next;
using Transport = Attack::Transport;
using http2::Frame;

constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kWatch[] = "/grpc.health.v1.Health/Watch";
constexpr char kReflection[] = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
constexpr char kSubscribe[] = "/hookgate.v1.EventService/Subscribe";
constexpr char kListEvents[] = "/hookgate.v1.EventService/ListEvents";
constexpr char kDeleteSubscription[] = "/hookgate.v1.SubscriptionService/DeleteSubscription";

constexpr int kInBlock = 100;  // calls, or cheap frames, in one step
constexpr size_t kFrameBytes = 16'384;
constexpr uint32_t kMessageBytes = 1 << 20;

// SubscribeRequest {start_position: START_POSITION_EARLIEST include_raw_body: true}.
constexpr absl::string_view kFromTheBeginning = "\x20\x01\x38\x01";
// ListEventsRequest {page_size: 100 include_raw_body: true}.
constexpr absl::string_view kManyEvents = "\x20\x64\x30\x01";
// ServerReflectionRequest {file_containing_symbol: "hookgate.v1.EventService"}.
constexpr absl::string_view kDescribe = "\x22\x18hookgate.v1.EventService";

uint32_t StreamOf(int64_t call) { return static_cast<uint32_t>(1 + 2 * call); }

std::string Repeated(absl::string_view text, int times) {
  std::string all;
  all.reserve(text.size() * static_cast<size_t>(times));
  for (int i = 0; i < times; ++i) all.append(text.data(), text.size());
  return all;
}

std::string Message(absl::string_view bytes) {
  return absl::StrCat(http2::MessagePrefix(static_cast<uint32_t>(bytes.size())), bytes);
}

// Sends `first`, and then `again` as often as it can.
std::function<Next(RawPeer&, int64_t)> Flood(std::string first, std::string again) {
  return [first = std::move(first), again = std::move(again)](RawPeer& peer, int64_t step) {
    peer.Send(step == 0 ? first : again);
    return Next::kMore;
  };
}

// Sends `all`, and no more.
std::function<Next(RawPeer&, int64_t)> Once(std::string all) {
  return [all = std::move(all)](RawPeer& peer, int64_t step) {
    if (step == 0) peer.Send(all);
    return step == 0 ? Next::kMore : Next::kRest;
  };
}

// Sends `all` byte by byte, with the attack's pause between, and then the last ones again.
std::function<Next(RawPeer&, int64_t)> ByteByByte(std::string at_once, std::string slowly,
                                                  char for_ever) {
  return [=](RawPeer& peer, int64_t step) {
    if (step == 0 && !at_once.empty()) {
      peer.Send(at_once);
    } else {
      const auto at = static_cast<size_t>(step - (at_once.empty() ? 0 : 1));
      peer.Send(std::string(1, at < slowly.size() ? slowly[at] : for_ever));
    }
    return Next::kMore;
  };
}

// Sends kInBlock calls in each step: the header, and what `rest` adds. The first one of a
// connection carries `fields`, too, each later header is 6 bytes long.
std::function<Next(RawPeer&, int64_t)> Calls(std::string path,
                                             std::function<std::string(uint32_t stream)> rest,
                                             uint8_t flags = 0) {
  return [=](RawPeer& peer, int64_t step) {
    std::string block;
    for (int64_t i = step * kInBlock; i < (step + 1) * kInBlock; ++i) {
      const uint32_t stream = StreamOf(i);
      absl::StrAppend(&block,
                      i == 0
                          ? absl::StrCat(http2::Preface(), http2::FirstHeader(stream, path, flags))
                          : http2::LaterHeader(stream, flags),
                      rest(stream));
    }
    peer.Send(block);
    return Next::kMore;
  };
}

// Opens `calls` calls of `path` with a message each, after `opening`.
std::string OpenCalls(std::string opening, absl::string_view path, const http2::Fields& fields,
                      absl::string_view message, int calls) {
  for (int i = 0; i < calls; ++i) {
    absl::StrAppend(&opening, http2::CallHeader(StreamOf(i), path, fields),
                    http2::LastMessage(StreamOf(i), message));
  }
  return opening;
}

// Opens call after call with what `call` makes for each; `in_block` at once.
std::function<Next(RawPeer&, int64_t)> CallByCall(std::function<std::string(uint32_t stream)> call,
                                                  int in_block = 1) {
  return [=](RawPeer& peer, int64_t step) {
    if (step == 0) peer.Send(http2::Preface());
    for (int64_t i = step * in_block; i < (step + 1) * in_block; ++i) peer.Send(call(StreamOf(i)));
    return Next::kMore;
  };
}

// The same header block, as it is, for call after call.
std::function<Next(RawPeer&, int64_t)> BlockByBlock(std::string block, uint8_t flags = 0) {
  return CallByCall(
      [=](uint32_t id) { return Frame(http2::kHeaders, flags | http2::kEndHeaders, id, block); });
}

// An opening that gives all windows that there can be.
std::string HugeWindows() {
  return absl::StrCat(http2::Preface({{http2::kInitialWindowSize, http2::kLargestWindow}}),
                      http2::WindowUpdate(0, http2::kLargestWindow - 65'535));
}

// gzip of `count` times 258 zeros: one block of deflate with fixed codes, in which each repetition
// takes 13 bits (RFC 1951, 3.2.6). Without its checksum, which comes last.
std::string GzipOfZeros(size_t count) {
  std::string bytes("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  uint64_t bits = 0;
  int held = 0;
  // Codes are sent from their highest bit on.
  const auto add = [&](uint32_t code, int length) {
    for (int i = length - 1; i >= 0; --i) {
      bits |= uint64_t{code >> i & 1} << held;
      if (++held == 8) {
        bytes.push_back(static_cast<char>(bits));
        bits = 0;
        held = 0;
      }
    }
  };
  add(1, 1);           // the last block
  add(2, 2);           // fixed codes, whose number is sent from its lowest bit on
  add(0b00110000, 8);  // a zero
  for (size_t i = 0; i < count; ++i) {
    add(0b11000101, 8);  // 258 bytes
    add(0, 5);           // at distance 1
  }
  add(0, 7);  // the end
  add(0, 7);
  return bytes;
}

// Begins messages of a megabyte on `calls` streams of a connection and fills them as far as the
// windows allow, each up to its last byte.
std::function<Next(RawPeer&, int64_t)> BigMessages(std::string path, http2::Fields fields,
                                                   int calls) {
  const std::string data(kFrameBytes, 'x');
  return [=](RawPeer& peer, int64_t step) {
    if (step == 0) {
      std::string opening = http2::Preface();
      for (int i = 0; i < calls; ++i) {
        absl::StrAppend(
            &opening, http2::CallHeader(StreamOf(i), path, fields),
            Frame(http2::kData, 0, StreamOf(i), http2::MessagePrefix(kMessageBytes - 1)));
      }
      peer.Send(opening);
      return Next::kMore;
    }
    // One round over all streams after the other.
    const int64_t round = (step - 1) / calls;
    const uint32_t stream = StreamOf((step - 1) % calls);
    if (round >= int64_t{kMessageBytes / kFrameBytes} - 1) return Next::kRest;
    const int64_t prefixes = int64_t{5} * calls;
    const int64_t sent = prefixes + (step - 1) * static_cast<int64_t>(kFrameBytes);
    if (sent + static_cast<int64_t>(kFrameBytes) > 65'535 + peer.granted(0)) return Next::kWait;
    const int64_t sent_here = 5 + round * static_cast<int64_t>(kFrameBytes);
    if (sent_here + static_cast<int64_t>(kFrameBytes) > 65'535 + peer.granted(stream)) {
      return peer.resets(7) > 0 ? Next::kMore : Next::kWait;  // 7: REFUSED_STREAM
    }
    peer.Send(Frame(http2::kData, 0, stream, data));
    return Next::kMore;
  };
}

// What is wrong with a header block, in whatever way.
void AddHeaderAttacks(std::vector<Attack>& attacks) {
  const auto begin = [](absl::string_view block, uint8_t flags = 0) {
    return absl::StrCat(http2::Preface(), Frame(http2::kHeaders, flags, 1, block));
  };
  const std::string block = http2::CallBlock(kCheck);
  std::string fields;
  while (fields.size() < kFrameBytes - 100) {
    absl::StrAppend(&fields, http2::Field(absl::StrCat("x-", fields.size()), "v"));
  }
  attacks.push_back(
      {.name = "continuation flood",
       .connections = 4,
       .send = Flood(begin(block), Repeated(Frame(http2::kContinuation, 0, 1, fields), 4))});
  attacks.push_back(
      {.name = "empty continuations",
       .connections = 4,
       .send = Flood(begin(block), Repeated(Frame(http2::kContinuation, 0, 1, ""), kInBlock))});
  const std::string endless = absl::StrCat(block, absl::string_view("\0", 1), http2::Length(6),
                                           "x-long", http2::Length(uint64_t{3} << 30));
  attacks.push_back({.name = "endless header string",
                     .connections = 4,
                     .send = Flood(begin(endless), Frame(http2::kContinuation, 0, 1,
                                                         std::string(kFrameBytes, 'x')))});
  attacks.push_back(
      {.name = "endless Huffman string",
       .connections = 4,
       .send = Flood(begin(absl::StrCat(block, absl::string_view("\0", 1), http2::Length(6),
                                        "x-long", http2::Integer(uint64_t{3} << 30, 7, 0x80))),
                     Frame(http2::kContinuation, 0, 1, std::string(kFrameBytes, '\0')))});
  // A field of 4,000 bytes in the table, and then 16,000 times one byte that stands for it.
  const std::string bomb = absl::StrCat(
      block, http2::IndexedField("x-bomb", std::string(3'900, 'x')), std::string(12'000, '\xbe'));
  attacks.push_back({.name = "HPACK bomb",
                     .connections = 8,
                     .send = BlockByBlock(bomb),
                     .refused_as = "headers_too_large"});
  // Just below what ends the connection, call after call.
  const std::string small_bomb = absl::StrCat(
      block, http2::IndexedField("x-bomb", std::string(3'900, 'x')), std::string(14, '\xbe'));
  attacks.push_back({.name = "small HPACK bombs",
                     .connections = 8,
                     .send = BlockByBlock(small_bomb, http2::kEndStream),
                     .refused_as = "call_headers_too_large"});
  // 0x90 is "accept-encoding: gzip, deflate" of the static table.
  attacks.push_back({.name = "HPACK bomb of small fields",
                     .connections = 8,
                     .send = BlockByBlock(absl::StrCat(block, std::string(15'000, '\x90'))),
                     .refused_as = "headers_too_large"});
  // Each update of the table's size empties it, and each field fills it again.
  const std::string resizing = absl::StrCat("\x20", http2::Integer(4'096, 5, 0x20), block,
                                            http2::IndexedField("x-fill", std::string(2'000, 'x')));
  attacks.push_back({.name = "HPACK table resized",
                     .connections = 4,
                     .send = BlockByBlock(resizing, http2::kEndStream)});
  // The encoder of the other side may keep as much as this one says.
  const std::string huge_table = http2::Settings({{http2::kHeaderTableSize, 0xffffffff}});
  attacks.push_back({.name = "huge header table, many paths",
                     .connections = 8,
                     .send = CallByCall(
                         [=](uint32_t id) {
                           return absl::StrCat(id == 1 ? huge_table : "",
                                               http2::CallHeader(id, absl::StrCat("/no/", id)),
                                               http2::LastMessage(id, ""));
                         },
                         kInBlock)});
  attacks.push_back({.name = "headers that ended libgrpc",
                     .connections = 4,
                     .send = CallByCall([](uint32_t id) {
                       return absl::StrCat(http2::CallHeader(id, kCheck,
                                                             {{"grpclb_client_stats", "x"},
                                                              {"lb-token", "x"},
                                                              {"grpc-tags-bin", "AAAA"},
                                                              {"grpc-timeout", "1H"}}),
                                           http2::LastMessage(id, ""));
                     })});
}

// Calls that are taken back, by the peer or by an error that it provokes.
void AddResetAttacks(std::vector<Attack>& attacks, const http2::Fields& identity) {
  attacks.push_back({.name = "rapid reset",
                     .connections = 4,
                     .send = Calls(kCheck, [](uint32_t id) { return http2::RstStream(id); }),
                     .refused_as = "too_many_resets"});
  attacks.push_back(
      {.name = "rapid reset of whole calls",
       .connections = 4,
       .send = Calls(kWatch,
                     [](uint32_t id) { return http2::LastMessage(id, "") + http2::RstStream(id); }),
       .refused_as = "too_many_resets"});
  attacks.push_back({.name = "rapid reset of streams, with rights",
                     .connections = 4,
                     .send = CallByCall([identity](uint32_t id) {
                       return absl::StrCat(http2::CallHeader(id, kSubscribe, identity),
                                           http2::LastMessage(id, kFromTheBeginning),
                                           http2::RstStream(id));
                     }),
                     .refused_as = "too_many_resets"});
  // Here the gateway is made to take them back.
  const std::pair<const char*, std::function<std::string(uint32_t)>> made[] = {
      {"made to reset: WINDOW_UPDATE of 0", [](uint32_t id) { return http2::WindowUpdate(id, 0); }},
      {"made to reset: window overflows",
       [](uint32_t id) { return http2::WindowUpdate(id, http2::kLargestWindow); }},
      {"made to reset: DATA after the end",
       [](uint32_t id) { return http2::LastMessage(id, "") + Frame(http2::kData, 0, id, "x"); }},
      {"made to reset: HEADERS after the end",
       [](uint32_t id) {
         return http2::LastMessage(id, "") + http2::LaterHeader(id, http2::kEndStream);
       }},
      {"made to reset: trailers without an end",
       [](uint32_t id) { return http2::LaterHeader(id); }},
      {"made to reset: PRIORITY of itself",
       [](uint32_t id) { return Frame(http2::kPriority, 0, id, http2::Number(id, 4) + "\x10"); }},
      {"made to reset: PRIORITY too short",
       [](uint32_t id) { return Frame(http2::kPriority, 0, id, "1234"); }}};
  for (const auto& [name, frame] : made) {
    attacks.push_back({.name = name, .connections = 2, .send = Calls(kWatch, frame)});
  }
  attacks.push_back({.name = "made to reset: content-length",
                     .connections = 2,
                     .send = CallByCall([](uint32_t id) {
                       return http2::CallHeader(id, kWatch, {{"content-length", "1"}}) +
                              http2::LastMessage(id, "");
                     })});
}

// Frames that carry nothing.
void AddFrameFloods(std::vector<Attack>& attacks) {
  const std::string opening = http2::Preface();
  // With a call on stream 1 that stays open.
  const std::string with_call =
      absl::StrCat(opening, http2::CallHeader(1, kWatch), http2::LastMessage(1, ""));
  const std::string with_upload = absl::StrCat(opening, http2::CallHeader(1, kCheck));
  const std::string flips =
      absl::StrCat(http2::Settings({{http2::kInitialWindowSize, 0}}),
                   http2::Settings({{http2::kInitialWindowSize, http2::kLargestWindow}}));
  struct Frames {
    const char* name;
    std::string first;
    std::string again;
    bool reads = true;
    const char* refused_as = "too_many_empty_frames";
  };
  const Frames floods[] = {
      {"PING flood", opening, http2::Ping()},
      {"PING flood, answers unread", opening, http2::Ping(), false, ""},
      {"PING answers that nobody waits for", opening,
       Frame(http2::kPing, http2::kAck, 0, "12345678")},
      {"SETTINGS flood", opening, http2::Settings({})},
      {"SETTINGS flood, answers unread", opening, http2::Settings({}), false, ""},
      {"SETTINGS answers that nobody waits for", opening,
       Frame(http2::kSettings, http2::kAck, 0, ""), true, ""},
      {"SETTINGS that open and close 100 windows", OpenCalls(opening, kWatch, {}, "", 100), flips},
      {"SETTINGS of 2,000 unknown names", opening,
       http2::Settings(std::vector<std::pair<uint16_t, uint32_t>>(2'000, {0xff00, 1}))},
      {"WINDOW_UPDATE flood", opening, http2::WindowUpdate(0, 1)},
      {"WINDOW_UPDATE flood of a call", with_call, http2::WindowUpdate(1, 1)},
      {"WINDOW_UPDATE of ended calls", OpenCalls(opening, kCheck, {}, "", 1),
       http2::WindowUpdate(1, 1)},
      {"empty DATA flood", with_upload, Frame(http2::kData, 0, 1, "")},
      {"DATA of padding alone", with_upload,
       Frame(http2::kData, http2::kPadded, 1, std::string(256, '\xff'))},
      {"PRIORITY flood", opening, Frame(http2::kPriority, 0, 3, std::string("\0\0\0\1\x10", 5))},
      {"PRIORITY_UPDATE flood", opening,
       Frame(http2::kPriorityUpdate, 0, 0, absl::StrCat(http2::Number(3, 4), "u=1")), true, ""},
      {"GOAWAY flood", opening, Frame(http2::kGoAway, 0, 0, std::string(8, '\0')), true, ""},
      {"frames of an unknown type", opening, Frame(0xfa, 0, 0, ""), true, ""},
      {"big frames of an unknown type", opening, Frame(0xfa, 0, 0, std::string(1'000, 'x')), true,
       ""},
      {"RST_STREAM of calls that never were", opening, http2::RstStream(1), true, ""},
  };
  for (const Frames& flood : floods) {
    const int times = std::max(1, static_cast<int>(kFrameBytes / flood.again.size()));
    attacks.push_back({.name = flood.name,
                       .connections = 4,
                       .send = Flood(flood.first, Repeated(flood.again, times)),
                       .reads = flood.reads,
                       .refused_as = flood.refused_as});
  }
}

// What the gateway is to hold for somebody: requests that are not whole, answers that nobody takes.
void AddHoldingAttacks(std::vector<Attack>& attacks, const http2::Fields& identity, int scale) {
  attacks.push_back({.name = "unknown methods with bodies",
                     .connections = 16 * scale,
                     .send = Calls("/no/such", [](uint32_t id) {
                       return Frame(http2::kData, 0, id, std::string(600, 'x'));
                     })});
  const std::string gzip = GzipOfZeros(600'000);
  // As much of it as the windows of the connection let in.
  const std::string bomb =
      http2::MessagePrefix(static_cast<uint32_t>(gzip.size()), true) + gzip.substr(0, 16'000);
  attacks.push_back(
      {.name = "gzip bombs",
       .connections = 8,
       .send =
           [bomb](RawPeer& peer, int64_t step) {
             const auto size = static_cast<int64_t>(bomb.size());
             if (65'535 + peer.granted(0) < (step + 1) * size) return Next::kWait;
             if (step == 0) peer.Send(http2::Preface());
             peer.Send(http2::CallHeader(StreamOf(step), kCheck, {{"grpc-encoding", "gzip"}}));
             peer.Send(Frame(http2::kData, http2::kEndStream, StreamOf(step), bomb));
             return Next::kMore;
           },
       .refused_as = "message_compressed"});
  attacks.push_back({.name = "big messages begun",
                     .connections = 32 * scale,
                     .send = BigMessages(kCheck, {}, 100)});
  attacks.push_back({.name = "500 big messages begun, with rights",
                     .connections = 16,
                     .send = BigMessages(kListEvents, identity, 500)});
  attacks.push_back(
      {.name = "big messages begun and taken back",
       .connections = 16,
       .send = CallByCall([](uint32_t id) {
         return absl::StrCat(
             http2::CallHeader(id, kCheck),
             Frame(http2::kData, 0, id,
                   absl::StrCat(http2::MessagePrefix(kMessageBytes - 1), std::string(10'000, 'x'))),
             http2::RstStream(id));
       })});
  attacks.push_back({.name = "messages in DATA of one byte",
                     .connections = 4,
                     .send = CallByCall([](uint32_t id) {
                       std::string call = http2::CallHeader(id, kCheck);
                       for (char byte : Message(std::string(2'000, '\0'))) {
                         absl::StrAppend(&call, Frame(http2::kData, 0, id, std::string(1, byte)));
                       }
                       return call + Frame(http2::kData, http2::kEndStream, id, "");
                     })});
  const auto unread = [&](std::string name, absl::string_view path, absl::string_view message,
                          std::string opening, int connections) {
    attacks.push_back({.name = std::move(name),
                       .connections = connections,
                       .send = Once(OpenCalls(std::move(opening), path, identity, message, 100)),
                       .reads = false,
                       .receive_buffer = 4'096});
  };
  const std::string no_windows = http2::Preface({{http2::kInitialWindowSize, 0}});
  unread("streams with huge windows, unread", kSubscribe, kFromTheBeginning, HugeWindows(),
         10 * scale);
  unread("answers with huge windows, unread", kListEvents, kManyEvents, HugeWindows(), 5 * scale);
  unread("streams without windows", kSubscribe, kFromTheBeginning, no_windows, 10 * scale);
  unread("answers without windows", kListEvents, kManyEvents, no_windows, 5 * scale);
  // Each answer and frame is begun, and never ends.
  const std::string small_windows = http2::Preface({{http2::kInitialWindowSize, 1}});
  unread("streams with windows of 1 byte", kSubscribe, kFromTheBeginning, small_windows,
         10 * scale);
  unread("answers with windows of 1 byte", kListEvents, kManyEvents, small_windows, 5 * scale);
  // The windows are opened for one byte at a time.
  attacks.push_back({.name = "windows opened byte by byte",
                     .connections = 4,
                     .send = [opening = OpenCalls(no_windows, kListEvents, identity, kManyEvents,
                                                  100)](RawPeer& peer, int64_t step) {
                       if (step == 0) {
                         peer.Send(opening);
                       } else {
                         for (int i = 0; i < 100; ++i)
                           peer.Send(http2::WindowUpdate(StreamOf(i), 1));
                       }
                       return Next::kMore;
                     }});
  const std::string describe = Message(kDescribe);
  attacks.push_back(
      {.name = "descriptions asked for, unread",
       .connections = 16,
       .send = Flood(absl::StrCat(HugeWindows(), http2::CallHeader(1, kReflection, identity)),
                     Repeated(Frame(http2::kData, 0, 1, Repeated(describe, 30)), 10)),
       .reads = false,
       .receive_buffer = 4'096});
}

// Those that do nothing, or as little as they can.
void AddSlowAttacks(std::vector<Attack>& attacks, int scale) {
  const absl::Duration pause = absl::Milliseconds(100);
  const std::string header = Frame(http2::kHeaders, 0, 1, http2::CallBlock(kCheck));
  attacks.push_back({.name = "mute connections", .connections = 600 * scale, .send = Once("")});
  attacks.push_back({.name = "half-open TLS",
                     .connections = 600 * scale,
                     // A ClientHello that says it has 512 bytes.
                     .send = Once(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)),
                     .speaks_tls = false,
                     .transport = Transport::kTls});
  attacks.push_back({.name = "something else than TLS",
                     .connections = 50,
                     .send = Once(std::string(1'000, '\x16')),
                     .speaks_tls = false,
                     .transport = Transport::kTls});
  attacks.push_back({.name = "TLS handshakes",
                     .connections = 4,
                     .send = [](RawPeer&, int64_t) { return Next::kClose; },
                     .transport = Transport::kTls});
  attacks.push_back({.name = "TLS key updates",
                     .connections = 2,
                     .send =
                         [](RawPeer& peer, int64_t step) {
                           if (step == 0) peer.Send(http2::Preface());
                           if (step > 0) {
                             SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_REQUESTED);
                             SSL_do_handshake(peer.ssl());
                           }
                           return Next::kMore;
                         },
                     .transport = Transport::kTls});
  attacks.push_back({.name = "TLS renegotiation",
                     .connections = 2,
                     .send =
                         [](RawPeer& peer, int64_t step) {
                           if (step == 0) peer.Send(http2::Preface());
                           if (step > 0) {
                             SSL_renegotiate(peer.ssl());
                             SSL_do_handshake(peer.ssl());
                           }
                           return Next::kMore;
                         },
                     .max_tls_version = TLS1_2_VERSION,
                     .transport = Transport::kTls});
  attacks.push_back({.name = "slow preface",
                     .connections = 100 * scale,
                     .send = ByteByByte("", http2::Preface(), 'x'),
                     .pause = pause});
  attacks.push_back({.name = "slow header",
                     .connections = 100 * scale,
                     .send = ByteByByte(absl::StrCat(http2::Preface(), header.substr(0, 20)),
                                        header.substr(20), '\0'),
                     .pause = pause});
  attacks.push_back(
      {.name = "slow body",
       .connections = 100 * scale,
       .send =
           [](RawPeer& peer, int64_t step) {
             if (step == 0) {
               peer.Send(absl::StrCat(http2::Preface(), http2::CallHeader(1, kCheck),
                                      Frame(http2::kData, 0, 1, http2::MessagePrefix(100'000))));
             } else {
               peer.Send(Frame(http2::kData, 0, 1, "x"));
             }
             return Next::kMore;
           },
       .pause = pause});
}

// Those that are many.
void AddCrowds(std::vector<Attack>& attacks, const http2::Fields& identity, int scale) {
  attacks.push_back({.name = absl::StrCat(10'000 * scale, " Watch"),
                     .connections = 100 * scale,
                     .send = Once(OpenCalls(http2::Preface(), kWatch, {}, "", 100))});
  attacks.push_back({.name = "idle connections of one address",
                     .connections = 1'000 * scale,
                     .send = Once(http2::Preface())});
  attacks.push_back({.name = "connections that come and go",
                     .connections = 20,
                     .send = [](RawPeer&, int64_t) { return Next::kClose; },
                     .transport = Transport::kPlain});
  // Each costs the gateway a signature.
  attacks.push_back({.name = "handshakes",
                     .connections = 50,
                     .send =
                         [](RawPeer& peer, int64_t) {
                           peer.Send("x");
                           return Next::kClose;
                         },
                     .transport = Transport::kTls});
  attacks.push_back({.name = "calls without time",
                     .connections = 4,
                     .send = CallByCall(
                         [](uint32_t id) {
                           return http2::CallHeader(id, kWatch, {{"grpc-timeout", "1u"}}) +
                                  http2::LastMessage(id, "");
                         },
                         20)});
  attacks.push_back({.name = "wrong tokens",
                     .connections = 4,
                     .send = CallByCall(
                         [](uint32_t id) {
                           return http2::CallHeader(
                                      id, kListEvents,
                                      {{"authorization", absl::StrCat("Bearer guess-", id)}}) +
                                  http2::LastMessage(id, "");
                         },
                         20)});
  // DeleteSubscriptionRequest {name: ...}, as long as the window of a call is at first.
  std::string name("\x0a\x80\xf0\x03");
  name.append(63'488, 'n');
  attacks.push_back({.name = "long names, with rights",
                     .connections = 2,
                     .send = [identity, message = Message(name)](RawPeer& peer, int64_t step) {
                       const auto size = static_cast<int64_t>(message.size());
                       if (step == 0) peer.Send(http2::Preface());
                       if (65'535 + peer.granted(0) < (step + 1) * size) return Next::kWait;
                       const uint32_t id = StreamOf(step);
                       peer.Send(http2::CallHeader(id, kDeleteSubscription, identity));
                       for (size_t at = 0; at < message.size(); at += kFrameBytes) {
                         const bool last = at + kFrameBytes >= message.size();
                         peer.Send(Frame(http2::kData, last ? http2::kEndStream : 0, id,
                                         absl::string_view(message).substr(at, kFrameBytes)));
                       }
                       return Next::kMore;
                     }});
}

// At the port of webhooks, where strangers can connect as well.
void AddAtWebhooks(std::vector<Attack>& attacks, int scale) {
  const auto add = [&](std::string name, int connections, decltype(Attack::send) send) {
    attacks.push_back({.name = std::move(name),
                       .connections = connections,
                       .send = std::move(send),
                       .at_webhooks = true,
                       .transport = Transport::kPlain});
  };
  add("webhooks: mute connections", 1'100 * scale, Once(""));
  add("webhooks: bodies begun", 500 * scale,
      Once(absl::StrCat("POST /webhooks/openai HTTP/1.1\r\nHost: x\r\nwebhook-id: x\r\n"
                        "webhook-timestamp: 1\r\nwebhook-signature: v1,x\r\n"
                        "Content-Length: 1000000\r\n\r\n",
                        std::string(900'000, 'x'))));
  add("webhooks: endless header", 50,
      Flood("POST /webhooks/openai HTTP/1.1\r\nx: ", std::string(kFrameBytes, 'x')));
}

}  // namespace

std::vector<Attack> HonestCrowds(const std::string& token) {
  const http2::Fields identity = {{"authorization", absl::StrCat("Bearer ", token)}};
  std::vector<Attack> crowds;
  // 100 calls under way on each connection. For each answer gRPC C++ sends WINDOW_UPDATE twice, and
  // PING, whose answers it gets.
  constexpr int64_t kUnderWay = 100;
  crowds.push_back({.name = "calls as fast as they are answered",
                    .connections = 2,
                    .send =
                        [identity](RawPeer& peer, int64_t step) {
                          if (step == 0) {
                            peer.Send(http2::Preface());
                            peer.Send(http2::WindowUpdate(0, 1 << 30));
                          }
                          // Of each answer one stands before the message and one behind.
                          const int64_t answered = peer.frames(http2::kHeaders) / 2;
                          if (step - answered >= kUnderWay) return Next::kWait;
                          const uint32_t id = StreamOf(step);
                          // The first call says who it is; the second one is the pattern of all
                          // others.
                          peer.Send(absl::StrCat(step == 0 ? http2::CallHeader(id, kCheck, identity)
                                                 : step == 1 ? http2::FirstHeader(id, kCheck)
                                                             : http2::LaterHeader(id),
                                                 http2::LastMessage(id, ""),
                                                 http2::WindowUpdate(0, 10),
                                                 http2::WindowUpdate(id, 5), http2::Ping()));
                          return Next::kMore;
                        },
                    .honest = true});
  return crowds;
}

std::vector<Attack> AllAttacks(const std::string& token, int scale) {
  const http2::Fields identity = {{"authorization", absl::StrCat("Bearer ", token)}};
  std::vector<Attack> attacks;
  AddHeaderAttacks(attacks);
  AddResetAttacks(attacks, identity);
  AddFrameFloods(attacks);
  AddHoldingAttacks(attacks, identity, scale);
  AddSlowAttacks(attacks, scale);
  AddCrowds(attacks, identity, scale);
  AddAtWebhooks(attacks, scale);
  return attacks;
}

}  // namespace hookgate
