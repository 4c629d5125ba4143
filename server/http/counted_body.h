// A request's body for Beast's parser: a string that grows with what has come, and asks a
// BodyBudget before it does. Beast's own string_body takes as much memory as the head announces.
#ifndef HOOKGATE_SERVER_HTTP_COUNTED_BODY_H_
#define HOOKGATE_SERVER_HTTP_COUNTED_BODY_H_

#include <algorithm>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional/optional.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "server/net/body_budget.h"

namespace hookgate {

// Meets Beast's requirements of a Body that is only read.
struct CountedBody {
  struct value_type {
    std::string text;
    BodyBudget::Share* share = nullptr;  // set before the body comes; outlives it
    bool no_room = false;                // why reading ended with an error
  };

  class reader {
   public:
    template <bool kIsRequest, typename Fields>
    reader(boost::beast::http::header<kIsRequest, Fields>&, value_type& body) : body_(body) {}

    void init(const boost::optional<uint64_t>& length, boost::system::error_code& error) {
      error = {};
      if (length) announced_ = static_cast<size_t>(*length);  // within the limit of the parser
    }

    template <typename Buffers>
    size_t put(const Buffers& buffers, boost::system::error_code& error) {
      const size_t more = boost::beast::buffer_bytes(buffers);
      if (!Reserve(body_.text.size() + more)) {
        body_.no_room = true;
        error = boost::system::errc::make_error_code(boost::system::errc::not_enough_memory);
        return 0;
      }
      error = {};
      for (const auto buffer : boost::beast::buffers_range_ref(buffers)) {
        body_.text.append(static_cast<const char*>(buffer.data()), buffer.size());
      }
      return more;
    }

    void finish(boost::system::error_code& error) { error = {}; }

   private:
    // Twice as much each time, but not beyond what is announced.
    bool Reserve(size_t bytes) {
      const size_t capacity = body_.text.capacity();
      if (bytes <= capacity) return true;
      size_t wanted = std::max(bytes, 2 * capacity);
      if (announced_ >= bytes) wanted = std::min(wanted, announced_);
      if (!body_.share->Grow(static_cast<int64_t>(wanted))) return false;
      std::string larger;
      larger.reserve(wanted);
      larger.append(body_.text);
      body_.text.swap(larger);
      return true;
    }

    value_type& body_;
    size_t announced_ = 0;
  };
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_COUNTED_BODY_H_
