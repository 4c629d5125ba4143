// Subscribes to a gateway and prints the id of each batch that failed: all those held, then those
// to come. Run it again, and it goes on after the last one it printed.
//
//   subscribe_sample [HOST:PORT [CURSOR_FILE]]

#include <iostream>
#include <string>

#include "client/cursor_store.h"
#include "client/subscriber.h"

namespace {

void Alert(const std::string& batch_id) { std::cout << batch_id << " failed" << std::endl; }

}  // namespace

int main(int argc, char** argv) {
  hookgate::FileCursorStore cursors(argc > 2 ? argv[2] : "subscribe_sample.cursor");
  hookgate::Subscriber subscriber({.target = argc > 1 ? argv[1] : "127.0.0.1:50051",
                                   .start = hookgate::Subscriber::Earliest{},
                                   .cursor_store = &cursors});
  const absl::Status end = subscriber.Run([](const hookgate::v1::Event& event) {
    if (event.has_batch_failed()) Alert(event.batch_failed().data().id());
    return absl::OkStatus();
  });
  // Only what trying again would not change ends it: a wrong cursor, a cursor file that cannot be
  // written, a gateway that refuses this client.
  std::cerr << end << "\n";
  return 1;
}
